/* params.c - the parameters of a request against its row. */
#include "protocol/params.h"

#include <assert.h>
#include <pthread.h>

#include "protocol/row.h"

static struct row rows[METHOD_COUNT];
static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

static void
rows_build(void)
{
	unsigned i;
	int r;

	for (i = 0; i < METHOD_COUNT; i++) {
		r = row_parse(method_table()[i].params, &rows[i]);
		assert(r == 0); /* methods.def is ours */
		(void)r;
	}
}

/* Lua's {} arrives as [], so an empty list and nil count as no parameters. */
static bool
empty(const struct value *v)
{
	return value_type(v) == VALUE_NIL || value_type(v) == VALUE_ABSENT
	    || (value_type(v) == VALUE_ARRAY && value_size(v) == 0);
}

int
params_check(const struct method *m, const struct value *params, const struct value **map,
    struct error *err)
{
	const struct value *only = NULL;
	int r;

	pthread_once(&rows_once, rows_build);
	if (!empty(params)) {
		if (value_type(params) != VALUE_ARRAY)
			return error_set(err, MP_E_INVALID_PARAMS,
			    "params must be a list with one map, not %s",
			    value_type_name(value_type(params)));
		if (value_size(params) > 1)
			return error_set(err, MP_E_INVALID_PARAMS,
			    "params must be a list with one map, not with %zu items",
			    value_size(params));
		only = value_at(params, 0);
	}
	if (empty(only))
		only = NULL;
	else if (value_type(only) != VALUE_MAP)
		return error_set(err, MP_E_INVALID_PARAMS, "params must hold one map, not %s",
		    value_type_name(value_type(only)));
	if ((r = row_check(&rows[m->id], only, err)) != 0)
		return r;
	*map = only;
	return 0;
}
