/* chat_parts.h - one part of a message: text, image, file, tool call, tool result; and the small checks
 * that chat_params.c shares. */
#ifndef SERVER_RPC_METHODS_CHAT_PARTS_H
#define SERVER_RPC_METHODS_CHAT_PARTS_H

#include "protocol/base/err.h"
#include "protocol/value.h"
#include "server/model/chat.h"

/* Where we are in the parameters: "messages[2].content[0]". */
struct place {
	char text[96];
};
struct place place_of(const char *name);
struct place place_at(const struct place *p, size_t i);
struct place place_in(const struct place *p, const char *member);

/* The value is a map and has no members but these (space separated). */
int map_check(const struct value *v, const char *members, const struct place *at,
    struct error *err);
/* A member that must be a str; absent is fine when optional. Empty and NUL are refused unless `free`
 * text is asked for. *out is the empty slice with NULL data when absent. */
enum { STR_REQUIRED = 1, STR_FREE = 2 };
int str_member(const struct value *map, const char *member, unsigned how, const struct place *at,
    struct slice *out, struct error *err);
int wrong_type(const struct place *at, const struct value *got, const char *wanted,
    struct error *err);

/* Appends the part to the message. call_id: of a message with role tool; its text becomes the result of that
 * call. */
int chat_part_read(const struct value *v, struct chat_message *m, struct slice call_id,
    const struct place *at, struct error *err);
/* Image or file only. */
int chat_attachment_read(const struct value *v, struct chat_message *m, const struct place *at,
    struct error *err);

#endif
