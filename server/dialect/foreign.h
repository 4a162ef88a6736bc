/* foreign.h - JSON as strangers send it, ids they forgot, counts they made up. */
#ifndef SERVER_DIALECT_FOREIGN_H
#define SERVER_DIALECT_FOREIGN_H

#include "protocol/base/json.h"
#include "server/model/event.h"

#define CALL_ID_SIZE 24

/* What reading one answer keeps between its pieces. All zero is valid. */
struct foreign {
	struct json json;
	struct buf repaired;
	bool told; /* the user knows about broken UTF-8 */
};

/* Reads one piece into f->json; broken UTF-8 is repaired, and the user is told once (sink may be
 * NULL). */
bool foreign_read(struct foreign *f, struct slice text, const struct event_sink *sink);
void foreign_clear(struct foreign *f);
/* White space at both ends is not part of it. */
struct slice foreign_trim(struct slice s);
/* The failure of a piece that is no JSON, with an excerpt of it. */
void foreign_unreadable(const struct foreign *f, struct slice text, struct failure *out);
/* The answer begins: its id and model (tokens; absent ones are empty) are told. Returns the seed mixed with
 * the id. */
uint64_t foreign_start(const struct json *j, uint32_t id, uint32_t model, uint64_t seed,
    const struct event_sink *sink);
/* A non-empty string of at most max_bytes, as strdup; else NULL. */
char *foreign_word(const struct json *j, uint32_t at, size_t max_bytes);
/* A token count that can be true; else -1. */
int64_t foreign_count(const struct json *j, uint32_t at);
/* Parts are no larger than their whole. */
void foreign_check_usage(struct usage *u);

/* "call_" and 16 hex digits: different for every n of one seed. */
void call_id_make(uint64_t seed, unsigned n, char out[static CALL_ID_SIZE]);
/* A seed that differs from turn to turn; mixed with a text of the answer it differs from try to
 * try. */
struct chat_request;
uint64_t call_id_seed(const struct chat_request *chat);
uint64_t call_id_mix(uint64_t seed, struct slice text);

#endif
