/* emit.h - short words for the events every dialect makes. */
#ifndef SERVER_DIALECT_EMIT_H
#define SERVER_DIALECT_EMIT_H

#include "server/model/event.h"

void emit_start(const struct event_sink *sink, struct slice id, struct slice model);
/* Nothing for empty text. */
void emit_text(const struct event_sink *sink, enum event_type type, struct slice text, bool refusal);
void emit_usage(const struct event_sink *sink, const struct usage *usage);
void emit_finish(const struct event_sink *sink, enum stop_reason stop);
void emit_warning(const struct event_sink *sink, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void emit_error(const struct event_sink *sink, const struct failure *failure);
/* Class protocol, with a finer word and our sentence. */
void emit_protocol_error(const struct event_sink *sink, const char *kind, const char *message);

#endif
