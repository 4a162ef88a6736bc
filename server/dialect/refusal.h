/* refusal.h - status, headers and body of a refused request to one failure class, and waits out of
 * headers and bodies (providers/limits-and-errors.md sections 2 to 4). Shared by all dialects. */
#ifndef SERVER_DIALECT_REFUSAL_H
#define SERVER_DIALECT_REFUSAL_H

#include "protocol/base/json.h"
#include "server/model/failure.h"
#include "server/model/wire.h"

/* The class of a status alone (section 2). */
enum failure_class refusal_status_class(int status);
/* Wait the provider asked for (section 4, header and body forms of the OpenAI family); -1 = none.
 * Capped at 24 h; 0 becomes 1000. No jitter here. */
int64_t refusal_wait_ms(const struct wire_head *head, const struct json *body, int64_t now_ms);
/* Whether a refused request was refused for its signatures: one of another model, key or conversation, or a
 * block of reasoning that is not as it came. Gemini: "Function call is missing a thought_signature",
 * "Corrupted thought signature"; Anthropic: "Invalid `signature` in `thinking` block", "`thinking` blocks ...
 * cannot be modified". There is no code for it, only the sentence. */
bool refusal_of_signatures(enum failure_class class, const char *message);
/* "6m0s", "1m12.5s", "20ms" -> ms; false when it is none. */
bool go_duration_parse(struct slice s, int64_t *ms);
bool rfc3339_parse(struct slice s, int64_t *epoch_ms);
bool http_date_parse(struct slice s, int64_t *epoch_ms);
/* Copies foreign text into a fixed field: escaped, whole code points, cut with "...". */
void failure_set_text(char *to, size_t size, struct slice s);
/* Class protocol, in our words. */
void failure_of_protocol(struct failure *f, const char *kind, const char *message);
/* A whole answer that is no JSON. */
void failure_no_json(struct failure *f, struct slice body);
/* What the head of a refusal says: the request's id, and whether to try again. */
void failure_take_head(struct failure *f, const struct wire_head *head);
/* Title of an HTML page, or the start of plain text, for a body that is no JSON. */
void failure_set_from_page(struct failure *f, struct slice body);

#endif
