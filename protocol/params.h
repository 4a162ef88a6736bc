/* params.h - checks parameters against a row of methods.def, so that handlers start with valid
 * input. */
#ifndef PROTOCOL_PARAMS_H
#define PROTOCOL_PARAMS_H

#include "protocol/base/err.h"
#include "protocol/pack.h"
#include "protocol/value.h"

enum rpc_flags {
	RPC_MUTATES = 1,
	RPC_LONG = 2,
	RPC_SECRET = 4,
	RPC_NOTIFY = 8,
	RPC_KEYED = 16,
};

enum method_id {
#define METHOD(id, name, since, flags, params, result, help) METHOD_##id,
#include "protocol/methods.def"
#undef METHOD
	METHOD_COUNT
};

struct method {
	enum method_id id;
	const char *name;
	int since;       /* protocol minor */
	unsigned flags;  /* enum rpc_flags */
	const char *params;
	const char *result;
	const char *help;
};

/* All rows, in the order of methods.def. */
const struct method *method_table(void);
/* By wire name; NULL when there is none. Constant time. */
const struct method *method_find(const char *name, size_t n);

/* Checks the params array of a request (0 or 1 map; [] and nil count as {}): shape, unknown names,
 * missing names, types, ranges, names' characters, UTF-8 and NULs in names. On success *map is the
 * map, or NULL for none. Otherwise MP_E_INVALID_PARAMS naming the field. */
int params_check(const struct method *m, const struct value *params, const struct value **map,
    struct error *err);

/* Writes a row for sys.methods: {name, help, since, long, mutates, params:[{name,type,optional}],
 * result:[...]}. */
void method_pack(struct pack *p, const struct method *m);

#endif
