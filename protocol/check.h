/* check.h - the bounded checker: walks the bytes of one frame before anything is made of them.
 *
 * It allocates nothing and can be stopped at any byte: the caller shows it the frame from its first
 * byte again, longer than before (it may have moved), and it goes on where it was. Each byte is
 * looked at once, but for the at most nine bytes of a header that was cut. */
#ifndef PROTOCOL_CHECK_H
#define PROTOCOL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "protocol/limits.h"

struct check {
	size_t pos;           /* bytes of the frame that are accepted */
	size_t outstanding;   /* objects that were announced and have not come; each takes a byte */
	uint32_t elements;    /* array items and map pairs announced so far, all levels */
	unsigned depth;
	struct {
		uint32_t left; /* objects to come: keys and values count one each */
		bool map;
	} open[LIMIT_DEPTH];
	unsigned items;       /* of the outermost array that have come */
	int kind;             /* enum message_kind, -1 before it was read */
	uint32_t msgid;
	bool msgid_known;
	size_t field_at;      /* the parameter being read: where its name lies in the frame */
	size_t field_len;     /* 0 = none */
	const char *problem;  /* after a failure: what is wrong */
};

void check_init(struct check *c);
/* 1: frame[0 .. c->pos) is a whole, acceptable message. 0: more bytes are needed. Negative:
 * MP_E_TOO_LARGE, MP_E_TOO_MANY, MP_E_PROTOCOL, or MP_E_INVALID_PARAMS for a value inside the
 * parameters of a request that the protocol does not know. */
int check_run(struct check *c, const void *frame, size_t n, size_t max_bytes);
/* The story of a failure; names the parameter when there is one. Returns code. */
int check_error(const struct check *c, const void *frame, int code, size_t max_bytes,
    struct error *err);

#endif
