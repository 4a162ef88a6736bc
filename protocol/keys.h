/* keys.h - whether the keys of every map in a message are unique (msgpack-c does not look). */
#ifndef PROTOCOL_KEYS_H
#define PROTOCOL_KEYS_H

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "protocol/value.h"

/* Scratch memory that is kept from one message to the next. All zero is valid. */
struct keys {
	struct slice *list;
	size_t cap;
};

void keys_clear(struct keys *k);
/* root: a whole message. 0; MP_E_INVALID_PARAMS (inside the parameters of a request or
 * notification) or MP_E_PROTOCOL naming the key; MP_E_INTERNAL when memory is out. Takes n log n
 * for n keys. */
int keys_unique(struct keys *k, const struct value *root, struct error *err);

#endif
