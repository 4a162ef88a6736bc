/* test_params.c - every parameter of every method: missing, unknown, of every wrong type. */
#include "tests/unit/protocol/support.h"

#include <stdio.h>

#include "protocol/params.h"
#include "protocol/row.h"

enum shape {
	SHAPE_NIL,
	SHAPE_BOOL,
	SHAPE_INT,
	SHAPE_FLOAT,
	SHAPE_STR,
	SHAPE_BIN,
	SHAPE_LIST,
	SHAPE_MAP,
	SHAPE_COUNT
};

static void
pack_shape(struct pack *p, enum shape shape)
{
	switch (shape) {
	case SHAPE_NIL:
		pack_nil(p);
		break;
	case SHAPE_BOOL:
		pack_bool(p, true);
		break;
	case SHAPE_INT:
		pack_int(p, 1);
		break;
	case SHAPE_FLOAT:
		pack_double(p, 1.5);
		break;
	case SHAPE_STR:
		pack_str(p, "text");
		break;
	case SHAPE_BIN:
		pack_bin(p, "\xff", 1);
		break;
	case SHAPE_LIST:
		pack_array_begin(p);
		pack_int(p, 1);
		pack_array_end(p);
		break;
	case SHAPE_MAP:
	case SHAPE_COUNT:
		pack_map_begin(p);
		pack_map_end(p);
		break;
	}
}

static bool
shape_fits(const struct param *p, enum shape shape)
{
	switch (p->type) {
	case PARAM_STR:
	case PARAM_NAME:
	case PARAM_REF:
		return shape == SHAPE_STR;
	case PARAM_BOOL:
		return shape == SHAPE_BOOL;
	case PARAM_INT:
		return shape == SHAPE_INT;
	case PARAM_FLOAT:
		return shape == SHAPE_FLOAT || shape == SHAPE_INT;
	case PARAM_MAP:
		return shape == SHAPE_MAP;
	case PARAM_LIST: /* the list of the shapes holds an int, no row has a list of those */
		return false;
	case PARAM_ANY:
		return true;
	case PARAM_BYTES:
	case PARAM_SECRET:
		return shape == SHAPE_STR || shape == SHAPE_BIN;
	}
	return false;
}

static void
pack_valid(struct pack *p, const struct param *param)
{
	switch (param->type) {
	case PARAM_BOOL:
		pack_shape(p, SHAPE_BOOL);
		break;
	case PARAM_INT:
		pack_int(p, param->min > 1 ? param->min : param->max < 1 ? param->max : 1);
		break;
	case PARAM_FLOAT:
		pack_shape(p, SHAPE_FLOAT);
		break;
	case PARAM_MAP:
		pack_shape(p, SHAPE_MAP);
		break;
	case PARAM_LIST:
		pack_array_begin(p);
		if (param->item == PARAM_MAP)
			pack_shape(p, SHAPE_MAP);
		else
			pack_shape(p, SHAPE_STR);
		pack_array_end(p);
		break;
	case PARAM_STR:
	case PARAM_NAME:
	case PARAM_REF:
	case PARAM_SECRET:
	case PARAM_ANY:
		pack_shape(p, SHAPE_STR);
		break;
	case PARAM_BYTES:
		pack_shape(p, SHAPE_BIN);
		break;
	}
}

/* Checks a call with all parameters valid but number `odd`, which has `shape` or is left out
 * (SHAPE_COUNT); extra adds an unknown one. */
static int
call(const struct method *m, const struct row *row, size_t odd, enum shape shape,
    const char *extra, struct error *err)
{
	const struct value *map = NULL;
	struct sample s;
	size_t i;
	int r;

	sample_begin(&s);
	pack_map_begin(&s.pack);
	for (i = 0; i < row->count; i++) {
		if (i == odd && shape == SHAPE_COUNT)
			continue;
		pack_str_n(&s.pack, row->params[i].name.data, row->params[i].name.len);
		if (i == odd)
			pack_shape(&s.pack, shape);
		else
			pack_valid(&s.pack, &row->params[i]);
	}
	if (extra != NULL)
		pack_kv_int(&s.pack, extra, 1);
	pack_map_end(&s.pack);
	sample_read(&s);
	memset(err, 0, sizeof *err);
	r = params_check(m, s.message.params, &map, err);
	if (r == 0)
		assert_ptr_equal(map, s.value);
	assert_int_equal(err->code, r);
	sample_end(&s);
	return r;
}

#define NONE ((size_t)-1)

static void
test_params__all_valid(void **state)
{
	struct error err;
	struct row row;
	size_t i;

	(void)state;
	for (i = 0; i < METHOD_COUNT; i++) {
		const struct method *m = &method_table()[i];

		assert_int_equal(row_parse(m->params, &row), 0);
		if (call(m, &row, NONE, SHAPE_COUNT, NULL, &err) != 0)
			fail_msg("%s: %s", m->name, err.message);
	}
}

static void
wrong_types(const struct method *m, const struct row *row, size_t at)
{
	const struct param *p = &row->params[at];
	struct error err;
	unsigned shape;
	int r;

	for (shape = 0; shape < SHAPE_COUNT; shape++) {
		r = call(m, row, at, (enum shape)shape, NULL, &err);
		if (shape_fits(p, (enum shape)shape)) {
			if (r != 0)
				fail_msg("%s: %s", m->name, err.message);
		} else if (r != MP_E_INVALID_PARAMS || !slice_eq(p->name, err.field))
			fail_msg("%s: field \"%s\" and not %.*s with shape %u: %s", m->name,
			    err.field, (int)p->name.len, p->name.data, shape, err.message);
	}
}

static void
test_params__F52_wrong_type_of_every_field(void **state)
{
	struct row row;
	size_t i, k;

	(void)state;
	for (i = 0; i < METHOD_COUNT; i++) {
		assert_int_equal(row_parse(method_table()[i].params, &row), 0);
		for (k = 0; k < row.count; k++)
			wrong_types(&method_table()[i], &row, k);
	}
}

static void
test_params__F53_every_field_missing(void **state)
{
	struct error err;
	struct row row;
	size_t i, k;
	int r;

	(void)state;
	for (i = 0; i < METHOD_COUNT; i++) {
		const struct method *m = &method_table()[i];

		assert_int_equal(row_parse(m->params, &row), 0);
		for (k = 0; k < row.count; k++) {
			r = call(m, &row, k, SHAPE_COUNT, NULL, &err);
			if (row.params[k].optional)
				assert_int_equal(r, 0);
			else {
				assert_int_equal(r, MP_E_INVALID_PARAMS);
				assert_true(slice_eq(row.params[k].name, err.field));
				assert_non_null(strstr(err.message, "missing"));
			}
		}
	}
}

static void
test_params__F53_unknown_field_of_every_method(void **state)
{
	struct error err;
	struct row row;
	size_t i;

	(void)state;
	for (i = 0; i < METHOD_COUNT; i++) {
		assert_int_equal(row_parse(method_table()[i].params, &row), 0);
		assert_int_equal(
		    call(&method_table()[i], &row, NONE, SHAPE_COUNT, "zz_unknown", &err),
		    MP_E_INVALID_PARAMS);
		assert_string_equal(err.field, "zz_unknown");
		assert_string_equal(err.candidates[0], "");
	}
}

static void
test_params__suggests_the_right_name(void **state)
{
	const struct method *m = method_find("route.set", 9);
	struct error err;
	struct row row;

	(void)state;
	assert_int_equal(row_parse(m->params, &row), 0);
	assert_int_equal(call(m, &row, 2, SHAPE_COUNT, "temporry", &err), MP_E_INVALID_PARAMS);
	assert_string_equal(err.field, "temporry");
	assert_string_equal(err.candidates[0], "temporary");
	assert_string_equal(err.hint, "did you mean temporary?");
}

static void
test_params__message_says_both_types(void **state)
{
	const struct method *m = method_find("sys.cancel", 10);
	struct error err;
	struct row row;

	(void)state;
	assert_int_equal(row_parse(m->params, &row), 0);
	call(m, &row, 0, SHAPE_STR, NULL, &err);
	assert_string_equal(err.message, "field msgid must be int, not str");
}

static void
test_params__result_notation_is_readable(void **state)
{
	struct row row;
	size_t i;

	(void)state;
	for (i = 0; i < METHOD_COUNT; i++)
		assert_int_equal(row_parse(method_table()[i].result, &row), 0);
}

/* The forms that count as no parameters, and those that are no parameters at all. */
static void
test_params__shape_of_params(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int expected;
	} cases[] = {
		{ BYTES("\x94\x00\x01\xa1m\x90"), 0 },
		{ BYTES("\x94\x00\x01\xa1m\xc0"), 0 },
		{ BYTES("\x94\x00\x01\xa1m\x91\xc0"), 0 },
		{ BYTES("\x94\x00\x01\xa1m\x91\x90"), 0 },
		{ BYTES("\x94\x00\x01\xa1m\x91\x80"), 0 },
		{ BYTES("\x94\x00\x01\xa1m\x92\x80\x80"), MP_E_INVALID_PARAMS },
		{ BYTES("\x94\x00\x01\xa1m\x91\x01"), MP_E_INVALID_PARAMS },
		{ BYTES("\x94\x00\x01\xa1m\x91\x91\x80"), MP_E_INVALID_PARAMS },
		{ BYTES("\x94\x00\x01\xa1m\x80"), MP_E_INVALID_PARAMS },
		{ BYTES("\x94\x00\x01\xa1m\x05"), MP_E_INVALID_PARAMS },
	};
	const struct value *map;
	struct message m;
	bool known;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct message_reader *r = message_reader_new(1000);

		feed(r, cases[i].bytes, cases[i].n);
		assert_int_equal(message_reader_next(r, &m, &known, NULL), 1);
		assert_int_equal(
		    params_check(&method_table()[METHOD_sys_ping], m.params, &map, NULL),
		    cases[i].expected);
		message_reader_free(r);
	}
}

static void
test_params__method_find(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < METHOD_COUNT; i++) {
		const struct method *m = &method_table()[i];

		assert_int_equal(m->id, i);
		assert_ptr_equal(method_find(m->name, strlen(m->name)), m);
		assert_null(method_find(m->name, strlen(m->name) - 1));
	}
	assert_null(method_find("", 0));
	assert_null(method_find("sys.pong", 8));
	assert_null(method_find("sys.ping\0", 9));
}

static void
test_params__method_pack(void **state)
{
	const struct value *params;
	struct sample s;

	(void)state;
	sample_begin(&s);
	method_pack(&s.pack, method_find("sys.log", 7));
	sample_read(&s);
	assert_true(value_equals(value_get(s.value, "name"), "sys.log"));
	assert_false(value_bool(value_get(s.value, "mutates"), true));
	params = value_get(s.value, "params");
	assert_int_equal(value_size(params), 3);
	assert_true(value_equals(value_get(value_at(params, 2), "name"), "limit"));
	assert_true(value_equals(value_get(value_at(params, 2), "type"), "int(1..10000)"));
	assert_true(value_bool(value_get(value_at(params, 2), "optional"), false));
	assert_int_equal(value_size(value_get(s.value, "result")), 1);
	sample_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_params__all_valid),
		cmocka_unit_test(test_params__F52_wrong_type_of_every_field),
		cmocka_unit_test(test_params__F53_every_field_missing),
		cmocka_unit_test(test_params__F53_unknown_field_of_every_method),
		cmocka_unit_test(test_params__suggests_the_right_name),
		cmocka_unit_test(test_params__message_says_both_types),
		cmocka_unit_test(test_params__result_notation_is_readable),
		cmocka_unit_test(test_params__shape_of_params),
		cmocka_unit_test(test_params__method_find),
		cmocka_unit_test(test_params__method_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
