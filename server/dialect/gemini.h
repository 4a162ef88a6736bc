/* gemini.h - what the files of the gemini dialect share (providers/gemini.md).
 *
 * gemini.c        the row, paths, the model list
 * gemini_encode.c the request; gemini_contents.c and gemini_steps.c its history,
 *                 gemini_schema.c and gemini_schema_words.c its restricted schemas
 * gemini_decode.c the answer, gemini_parts.c its parts; gemini_refuse.c its errors
 * gemini_names.c  tool names that do not fit, there and back */
#ifndef SERVER_DIALECT_GEMINI_H
#define SERVER_DIALECT_GEMINI_H

#include "protocol/base/json.h"
#include "server/dialect/dialect.h"

/* What a model's name tells about its thinking. */
enum gemini_thinking {
	GEMINI_THINKING_NONE,    /* 1.x, 2.0, Gemma */
	GEMINI_THINKING_BUDGET,  /* 2.5 */
	GEMINI_THINKING_LEVEL,   /* 3 and later, and the names that follow the newest */
	GEMINI_THINKING_UNKNOWN, /* a name of somebody's own */
};

/* "models/gemini-3.8-flash" and "gemini-3.8-flash" are one model. */
const char *gemini_model_id(const char *model);
enum gemini_thinking gemini_thinking_of(const char *model);
/* "/v1beta", or "" when the base URL has the version already. */
const char *gemini_version(const struct provider *p);
/* Fills out->path for out->stream. */
int gemini_path(const struct dialect_target *to, struct wire_request *out, struct error *err);

int gemini_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err);
/* The members "systemInstruction" and "contents". */
int gemini_contents(struct json_writer *w, const struct chat_request *chat,
    const struct dialect_target *to, const struct event_sink *sink, struct error *err);

/* A JSON schema in the restricted form (section 3), one value. Keywords that got lost or bent are
 * told once through sink, for `what` ("tool get_weather"). MP_E_INVALID_PARAMS naming `field` for
 * what cannot be said at all: recursion, references that lead nowhere. */
int gemini_schema(struct json_writer *w, const struct json *schema, const char *what,
    const char *field, const struct event_sink *sink, struct error *err);
/* Whether the schema is that of an object without members: a function without arguments. */
bool gemini_schema_is_empty(const struct json *schema);

#define GEMINI_NAME_MAX 64
/* The name a tool has on the wire: itself, or one made from it that fits, always the same one. */
void gemini_name(const char *name, char out[GEMINI_NAME_MAX + 1]);
bool gemini_name_fits(const char *name);

/* The class and the story of the object (or array of one) that holds "error"; status 0 = inside an
 * answer. */
void gemini_classify(const struct wire_head *head, const struct json *j, uint32_t root,
    int64_t now_ms, struct failure *out);
void gemini_refuse(const struct provider *p, const struct wire_head *head, struct slice body,
    int64_t now_ms, struct failure *out);

#endif
