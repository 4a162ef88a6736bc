/* chat.h - the canonical chat: what every front door makes and every dialect encodes.
 *
 * Plain data with owned strings. Text is valid UTF-8 and may contain NUL, so it has a length. */
#ifndef SERVER_MODEL_CHAT_H
#define SERVER_MODEL_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum part_type {
	PART_TEXT,
	PART_IMAGE,
	PART_DOCUMENT, /* PDF, or another file a model may read */
	PART_TOOL_CALL,
	PART_TOOL_RESULT,
	PART_REASONING,
};

struct text {
	char *data; /* NUL-terminated beyond len; NULL means absent */
	size_t len;
};

struct part {
	enum part_type type;
	struct text text;       /* TEXT, REASONING; TOOL_RESULT: its text */
	char *media_type;       /* IMAGE, DOCUMENT: "image/png" */
	struct text bytes;      /* IMAGE, DOCUMENT: the raw bytes, when not a URL */
	char *url;              /* IMAGE: https URL passed on, never fetched by us */
	char *name;             /* DOCUMENT: file name; TOOL_CALL, TOOL_RESULT: tool name (may be NULL) */
	char *call_id;          /* TOOL_CALL, TOOL_RESULT */
	struct text arguments;  /* TOOL_CALL: JSON text as it came */
	bool is_error;          /* TOOL_RESULT */
	struct text signature;  /* REASONING, TOOL_CALL: opaque, only for whom signed it */
	char *signed_by;        /* "provider:model" (upstream id) of the signature; NULL = unsigned */
	bool redacted;          /* REASONING: no text, the signature holds the provider's data */
};

enum role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };

struct chat_message {
	enum role role;
	struct part *parts;
	size_t part_count;
};

struct tool {
	char *name;
	char *description;      /* may be NULL */
	struct text parameters; /* JSON schema as JSON text; absent = no arguments */
	int strict;             /* -1 not said, 0, 1 */
};

enum tool_choice {
	TOOL_CHOICE_UNSET,
	TOOL_CHOICE_AUTO,
	TOOL_CHOICE_NONE,
	TOOL_CHOICE_REQUIRED,
	TOOL_CHOICE_ONE,
};
enum response_format { FORMAT_UNSET, FORMAT_TEXT, FORMAT_JSON, FORMAT_JSON_SCHEMA };

/* "Not said" is NAN for numbers that are real, -1 for counts, INT64_MIN for the seed. */
struct chat_options {
	int64_t max_tokens;
	double temperature, top_p;
	int64_t top_k;
	double presence_penalty, frequency_penalty;
	int64_t seed;
	char **stop;            /* NULL-terminated or NULL */
	char *reasoning_effort; /* off none minimal low medium high xhigh max */
	enum tool_choice tool_choice;
	char *tool_choice_name; /* TOOL_CHOICE_ONE */
	int parallel_tool_calls; /* -1, 0, 1 */
	enum response_format format;
	char *schema_name;
	struct text schema;     /* FORMAT_JSON_SCHEMA: JSON text */
	int stream;             /* -1 = stream when the dialect can, 0 = whole reply, 1 */
	struct text extra;      /* JSON object text: members passed to the provider as they are */
};

struct chat_request {
	struct chat_message *messages; /* a leading system message holds the system prompt */
	size_t message_count;
	struct tool *tools;
	size_t tool_count;
	struct chat_options options;
	bool want_reasoning;
	bool signatures_refused; /* by the provider: this is the second try, without them */
};

struct chat_request *chat_request_new(void);
void chat_request_free(struct chat_request *r); /* NULL is harmless */

/* Builders: copy what they are given; the pointers they return live until the next add to the same
 * list. They never fail (memory out ends the process; sizes were bounded by the front door). */
struct chat_message *chat_add_message(struct chat_request *r, enum role role);
struct part *chat_add_part(struct chat_message *m, enum part_type type);
void chat_add_text(struct chat_message *m, const char *text, size_t n);
struct tool *chat_add_tool(struct chat_request *r, const char *name);
void text_set(struct text *t, const void *data, size_t n);
/* Forgets what `signed_by` ("provider:upstream id") signed, and marks the chat: a language that demands
 * signatures says instead that there are none. False when the chat says nothing else than before. */
bool chat_drop_signatures(struct chat_request *r, const char *signed_by);
/* Checks what no dialect could send: at least one message, tool results that answer a call in the
 * history, valid names. 0, or MP_E_INVALID_PARAMS with the field. */
struct error;
int chat_check(const struct chat_request *r, struct error *err);
/* Rough size in bytes of all text, for estimates and limits. */
size_t chat_text_bytes(const struct chat_request *r);

#endif
