/* pack.h - writes msgpack into a buf; the only way to make results, errors and events.
 *
 * Maps and arrays are opened and closed, their counts are filled in at the close. Failure to grow
 * shows in out->failed (sticky), so callers check once at the end. */
#ifndef PROTOCOL_PACK_H
#define PROTOCOL_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/json.h"
#include "protocol/base/str.h"

#define PACK_MAX_DEPTH 16

struct pack {
	struct buf *out;
	unsigned depth;
	struct {
		size_t at;      /* offset of the header to fill in */
		uint32_t count; /* items, or keys and values together */
		bool map;
	} open[PACK_MAX_DEPTH];
};

void pack_init(struct pack *p, struct buf *out);
void pack_map_begin(struct pack *p);
void pack_map_end(struct pack *p);
void pack_array_begin(struct pack *p);
void pack_array_end(struct pack *p);
void pack_nil(struct pack *p);
void pack_bool(struct pack *p, bool v);
void pack_int(struct pack *p, int64_t v);
void pack_double(struct pack *p, double v);
void pack_str(struct pack *p, const char *s); /* NULL packs "" */
void pack_str_n(struct pack *p, const char *s, size_t n); /* invalid UTF-8 becomes U+FFFD */
void pack_bin(struct pack *p, const void *data, size_t n);
/* One whole msgpack value made elsewhere (by another pack). */
void pack_raw(struct pack *p, const void *data, size_t n);
/* A JSON value as msgpack; numbers that fit in 64 bits stay whole. */
void pack_json(struct pack *p, const struct json *j, uint32_t at);

/* key + value in one call. A NULL or absent value writes nothing (PROTOCOL.md: absent means
 * unknown). */
void pack_kv_str(struct pack *p, const char *key, const char *s);
void pack_kv_slice(struct pack *p, const char *key, struct slice s);
void pack_kv_int(struct pack *p, const char *key, int64_t v);
void pack_kv_double(struct pack *p, const char *key, double v);
void pack_kv_bool(struct pack *p, const char *key, bool v);

#endif
