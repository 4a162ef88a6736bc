/* history.h - questions that every language asks about a canonical chat while it writes one. */
#ifndef SERVER_DIALECT_HISTORY_H
#define SERVER_DIALECT_HISTORY_H

#include "protocol/base/json.h"
#include "server/dialect/dialect.h"

/* How many parts of that kind a message has. */
size_t message_parts(const struct chat_message *m, enum part_type type);
/* text/plain, application/json, ...: what is text under another name, too. */
bool media_type_is_text(const char *type);
/* Text is text for every model; only what is none has to travel as a file. */
bool document_is_text(const struct part *p);
/* Whether state the provider gave us (a signature, reasoning) came from this very target: it goes
 * back to nobody else. */
bool part_is_of(const struct part *p, const struct dialect_target *to);

/* The arguments of a call under that key, where they have to be an object: no text is an empty one, and
 * what a model once wrote that is none is kept, wrapped, with a warning. */
void put_object_arguments(struct json_writer *w, const char *key, const struct part *call,
    const struct event_sink *sink);

/* The tool call with that id nearest before message `before`; NULL when there is none. */
const struct part *history_call(const struct chat_request *c, size_t before, const char *id);
/* The first result for that call in messages from..to-1; NULL when nobody answered it. */
const struct part *history_result(const struct chat_request *c, size_t from, size_t to,
    const char *id);
/* The next message of the assistant at or after `from`, or message_count. */
size_t history_next_answer(const struct chat_request *c, size_t from);

#endif
