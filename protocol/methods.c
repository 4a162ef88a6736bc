/* methods.c - the table of methods.def, found by name. */
#include <pthread.h>
#include <string.h>

#include "protocol/params.h"
#include "protocol/row.h"

#define SLOTS 256 /* a power of two, several times METHOD_COUNT */

_Static_assert(METHOD_COUNT * 2 < SLOTS, "the method hash needs more slots");

static const struct method methods[METHOD_COUNT] = {
#define METHOD(id, name, since, flags, params, result, help) \
	[METHOD_##id] = { METHOD_##id, name, since, flags, params, result, help },
#include "protocol/methods.def"
#undef METHOD
};

/* 1 + index into methods, 0 = free */
static unsigned char slots[SLOTS];
static pthread_once_t slots_once = PTHREAD_ONCE_INIT;

static uint32_t
name_hash(const char *name, size_t n)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return h;
}

static void
slots_build(void)
{
	unsigned i;
	uint32_t at;

	for (i = 0; i < METHOD_COUNT; i++) {
		at = name_hash(methods[i].name, strlen(methods[i].name)) % SLOTS;
		while (slots[at] != 0)
			at = (at + 1) % SLOTS;
		slots[at] = (unsigned char)(i + 1);
	}
}

const struct method *
method_table(void)
{
	return methods;
}

const struct method *
method_find(const char *name, size_t n)
{
	const struct method *m;
	uint32_t at;

	if (n == 0)
		return NULL;
	pthread_once(&slots_once, slots_build);
	for (at = name_hash(name, n) % SLOTS; slots[at] != 0; at = (at + 1) % SLOTS) {
		m = &methods[slots[at] - 1];
		if (strlen(m->name) == n && memcmp(m->name, name, n) == 0)
			return m;
	}
	return NULL;
}

static void
pack_fields(struct pack *p, const char *key, const char *text)
{
	struct row row;
	size_t i;

	pack_str(p, key);
	pack_array_begin(p);
	if (row_parse(text, &row) == 0) {
		for (i = 0; i < row.count; i++) {
			pack_map_begin(p);
			pack_kv_slice(p, "name", row.params[i].name);
			pack_kv_slice(p, "type", row.params[i].notation);
			pack_kv_bool(p, "optional", row.params[i].optional);
			pack_map_end(p);
		}
	}
	pack_array_end(p);
}

void
method_pack(struct pack *p, const struct method *m)
{
	pack_map_begin(p);
	pack_kv_str(p, "name", m->name);
	pack_kv_str(p, "help", m->help);
	pack_kv_int(p, "since", m->since);
	pack_kv_bool(p, "long", (m->flags & RPC_LONG) != 0);
	pack_kv_bool(p, "mutates", (m->flags & RPC_MUTATES) != 0);
	pack_fields(p, "params", m->params);
	pack_fields(p, "result", m->result);
	pack_map_end(p);
}
