/* gemini_schema.h - a JSON schema on its way into Google's form.
 *
 * gemini_schema.c walks the schema, gemini_schema_words.c writes what one place says. */
#ifndef SERVER_DIALECT_GEMINI_SCHEMA_H
#define SERVER_DIALECT_GEMINI_SCHEMA_H

#include "server/dialect/gemini.h"

#define GEMINI_LAYERS_MAX 24
#define GEMINI_TYPES 7

/* Everything that holds at one place: the schema there, what it refers to, the members of its allOf. The
 * earlier layer wins. */
struct gemini_view {
	uint32_t layers[GEMINI_LAYERS_MAX];
	unsigned count;
	const struct gemini_view *above;
	const char *type; /* what an anyOf's owner says, for members that do not */
	uint32_t done[GEMINI_LAYERS_MAX]; /* each an anyOf that was taken care of */
	unsigned done_count;
	bool nullable;    /* null was one of its members */
};

struct gemini_converter {
	struct json_writer *w;
	const struct json *j;
	const char *what, *field;
	struct error *err;
	unsigned depth, nodes;
	uint64_t lost; /* bits of the words that are told */
};

/* The types one place allows, without null. */
struct gemini_typing {
	const char *of[GEMINI_TYPES];
	unsigned count;
	bool nullable;
};

/* The member of the first layer that has it. */
uint32_t gemini_view_find(const struct gemini_converter *c, const struct gemini_view *v,
    const char *key);
/* Remembers that a word could not be kept. */
void gemini_schema_lose(struct gemini_converter *c, const char *word);

void gemini_typing_read(struct gemini_converter *c, const struct gemini_view *v,
    struct gemini_typing *t);
/* Members that stay as they are, if they are of that type. */
void gemini_put_as_is(struct gemini_converter *c, const struct gemini_view *v, const char *key,
    enum json_type type);
/* Words of one type that are no schemas themselves: format, enum, lengths, bounds. */
void gemini_put_words(struct gemini_converter *c, const struct gemini_view *v, const char *type);
/* The description, and behind it what only words can say. type and note may be NULL. */
void gemini_put_description(struct gemini_converter *c, const struct gemini_view *v,
    const char *type, const char *note);

#endif
