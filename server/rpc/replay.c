#include "server/rpc/replay.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/secret.h"

struct entry {
	uint64_t id; /* 0 = free */
	enum method_id method;
	uint64_t params;
	int64_t until_ms;
	bool done;
	char key[72];
	char *result;
	size_t len;
};

struct replays {
	struct entry entries[REPLAY_ENTRIES];
	uint64_t next_id;
	size_t bytes;
};

struct replays *
replays_new(void)
{
	return xcalloc(1, sizeof(struct replays));
}

static void
entry_clear(struct replays *r, struct entry *e)
{
	r->bytes -= e->len;
	if (e->result != NULL)
		secret_wipe(e->result, e->len); /* it may hold a token */
	free(e->result);
	memset(e, 0, sizeof *e);
}

void
replays_free(struct replays *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < REPLAY_ENTRIES; i++)
		free(r->entries[i].result);
	free(r);
}

static uint64_t
hash_bytes(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 1099511628211u; /* FNV-1a */
	h ^= n;
	h *= 1099511628211u;
	return h ^ (h >> 29);
}

uint64_t
value_hash(const struct value *v)
{
	enum value_type t = value_type(v);
	unsigned char kind = (unsigned char)t;
	uint64_t h = hash_bytes(14695981039346656037u, &kind, 1);
	const struct value *member;
	struct slice s;
	uint64_t sum = 0;
	int64_t n;
	double d;
	bool b;

	switch (t) {
	case VALUE_ABSENT:
	case VALUE_NIL:
		break;
	case VALUE_BOOL:
		b = value_bool(v, false);
		h = hash_bytes(h, &b, sizeof b);
		break;
	case VALUE_INT:
		n = value_int(v, 0);
		h = hash_bytes(h, &n, sizeof n);
		break;
	case VALUE_FLOAT:
		d = value_double(v, 0);
		h = hash_bytes(h, &d, sizeof d);
		break;
	case VALUE_STR:
	case VALUE_BIN:
		s = value_slice(v);
		h = hash_bytes(h, s.data, s.len);
		break;
	case VALUE_ARRAY:
		for (size_t i = 0; i < value_size(v); i++) {
			uint64_t item = value_hash(value_at(v, i));

			h = hash_bytes(h, &item, sizeof item);
		}
		break;
	case VALUE_MAP:
		/* a sum does not depend on the order */
		for (size_t i = 0; i < value_size(v); i++) {
			uint64_t pair;

			s = value_pair(v, i, &member);
			pair = value_hash(member);
			sum += hash_bytes(pair, s.data, s.len);
		}
		h = hash_bytes(h, &sum, sizeof sum);
		break;
	}
	return h;
}

/* A free place; the one that ends first if all are taken. */
static struct entry *
entry_take(struct replays *r, int64_t now_ms)
{
	struct entry *oldest = NULL;

	for (size_t i = 0; i < REPLAY_ENTRIES; i++) {
		struct entry *e = &r->entries[i];

		if (e->id != 0 && e->done && e->until_ms <= now_ms)
			entry_clear(r, e);
		if (e->id == 0)
			return e;
		if (oldest == NULL || e->until_ms < oldest->until_ms)
			oldest = e;
	}
	entry_clear(r, oldest);
	return oldest;
}

static struct entry *
entry_find(struct replays *r, int64_t now_ms, enum method_id method, struct slice key)
{
	for (size_t i = 0; i < REPLAY_ENTRIES; i++) {
		struct entry *e = &r->entries[i];

		if (e->id == 0 || e->method != method || !slice_eq(key, e->key))
			continue;
		if (e->done && e->until_ms <= now_ms)
			continue;
		return e;
	}
	return NULL;
}

int
replays_begin(struct replays *r, int64_t now_ms, const struct method *m, struct slice key,
    const struct value *params, uint64_t *id, struct slice *result, struct error *err)
{
	uint64_t hash = value_hash(params);
	struct entry *e = entry_find(r, now_ms, m->id, key);

	if (key.len >= sizeof e->key)
		return error_field(err, "request_key", "request_key is too long");
	if (e == NULL) {
		e = entry_take(r, now_ms);
		e->id = ++r->next_id;
		e->method = m->id;
		e->params = hash;
		e->until_ms = now_ms + REPLAY_LIFETIME_MS;
		memcpy(e->key, key.data, key.len);
		*id = e->id;
		return 0;
	}
	if (e->params != hash)
		return error_set(err, MP_E_CONFLICT,
		    "request_key was used for a %s with other parameters", m->name);
	if (!e->done)
		return error_set(err, MP_E_BUSY, "the first request with this request_key still runs");
	*result = (struct slice){ e->result, e->len };
	return 1;
}

static struct entry *
entry_by_id(struct replays *r, uint64_t id)
{
	for (size_t i = 0; i < REPLAY_ENTRIES; i++)
		if (r->entries[i].id == id)
			return &r->entries[i];
	return NULL;
}

static void
make_room(struct replays *r, const struct entry *keep, size_t n)
{
	while (r->bytes + n > REPLAY_BYTES) {
		struct entry *oldest = NULL;

		for (size_t i = 0; i < REPLAY_ENTRIES; i++) {
			struct entry *e = &r->entries[i];

			if (e != keep && e->len > 0 &&
			    (oldest == NULL || e->until_ms < oldest->until_ms))
				oldest = e;
		}
		if (oldest == NULL)
			return;
		entry_clear(r, oldest);
	}
}

void
replays_done(struct replays *r, uint64_t id, const void *result, size_t n)
{
	struct entry *e = entry_by_id(r, id);

	if (e == NULL)
		return;
	if (n > REPLAY_BYTES || (e->result = malloc(n > 0 ? n : 1)) == NULL) {
		entry_clear(r, e);
		return;
	}
	make_room(r, e, n);
	memcpy(e->result, result, n);
	e->len = n;
	e->done = true;
	r->bytes += n;
}

void
replays_forget(struct replays *r, uint64_t id)
{
	struct entry *e = entry_by_id(r, id);

	if (e != NULL)
		entry_clear(r, e);
}
