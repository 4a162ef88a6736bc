/* test_pack.c - the msgpack writer; what it writes is read back by msgpack-c itself. */
#include "tests/unit/protocol/support.h"

#include <math.h>
#include <msgpack.h>

struct packed {
	struct buf bytes;
	struct pack pack;
	msgpack_unpacked result;
};

static void
packed_begin(struct packed *t)
{
	memset(t, 0, sizeof *t);
	pack_init(&t->pack, &t->bytes);
	msgpack_unpacked_init(&t->result);
}

static const msgpack_object *
packed_read(struct packed *t)
{
	size_t off = 0;

	assert_false(t->bytes.failed);
	assert_int_equal(t->pack.depth, 0);
	assert_int_equal(msgpack_unpack_next(&t->result, t->bytes.data, t->bytes.len, &off),
	    MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(off, t->bytes.len);
	return &t->result.data;
}

static void
packed_end(struct packed *t)
{
	msgpack_unpacked_destroy(&t->result);
	buf_clear(&t->bytes);
}

static void
test_pack__ints_take_the_smallest_form(void **state)
{
	static const struct {
		int64_t v;
		size_t bytes;
	} cases[] = {
		{ 0, 1 }, { 127, 1 }, { 128, 2 }, { 255, 2 }, { 256, 3 }, { 65535, 3 },
		{ 65536, 5 },
		{ 4294967295LL, 5 }, { 4294967296LL, 9 }, { INT64_MAX, 9 }, { -1, 1 }, { -32, 1 },
		{ -33, 2 }, { -128, 2 }, { -129, 3 }, { -32768, 3 }, { -32769, 5 },
		{ -2147483648LL, 5 }, { -2147483649LL, 9 }, { INT64_MIN, 9 },
	};
	const msgpack_object *o;
	struct packed t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		packed_begin(&t);
		pack_int(&t.pack, cases[i].v);
		o = packed_read(&t);
		assert_int_equal(t.bytes.len, cases[i].bytes);
		assert_true(o->via.i64 == cases[i].v);
		assert_int_equal(o->type, cases[i].v < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER
		                                         : MSGPACK_OBJECT_POSITIVE_INTEGER);
		packed_end(&t);
	}
}

static void
test_pack__text_and_bytes_of_every_size(void **state)
{
	static const size_t sizes[] = { 0, 1, 31, 32, 255, 256, 65535, 65536 };
	const msgpack_object *o;
	struct packed t;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		text = malloc(sizes[i] + 1);
		memset(text, 'x', sizes[i]);
		packed_begin(&t);
		pack_array_begin(&t.pack);
		pack_str_n(&t.pack, text, sizes[i]);
		pack_bin(&t.pack, text, sizes[i]);
		pack_array_end(&t.pack);
		o = packed_read(&t);
		assert_int_equal(o->via.array.size, 2);
		assert_int_equal(o->via.array.ptr[0].type, MSGPACK_OBJECT_STR);
		assert_int_equal(o->via.array.ptr[0].via.str.size, sizes[i]);
		assert_int_equal(o->via.array.ptr[1].type, MSGPACK_OBJECT_BIN);
		assert_int_equal(o->via.array.ptr[1].via.bin.size, sizes[i]);
		packed_end(&t);
		free(text);
	}
}

static void
test_pack__containers_of_every_size(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 15, 16, 65535, 65536 };
	const msgpack_object *o;
	struct packed t;
	uint32_t i, k;

	(void)state;
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		packed_begin(&t);
		pack_map_begin(&t.pack);
		pack_str(&t.pack, "list");
		pack_array_begin(&t.pack);
		for (k = 0; k < sizes[i]; k++)
			pack_int(&t.pack, k);
		pack_array_end(&t.pack);
		pack_str(&t.pack, "map");
		pack_map_begin(&t.pack);
		for (k = 0; k < sizes[i]; k++)
			pack_kv_int(&t.pack, "k", k);
		pack_map_end(&t.pack);
		pack_map_end(&t.pack);
		o = packed_read(&t);
		assert_int_equal(o->via.map.size, 2);
		o = &o->via.map.ptr[0].val;
		assert_int_equal(o->via.array.size, sizes[i]);
		for (k = 0; k < sizes[i]; k++)
			assert_int_equal(o->via.array.ptr[k].via.u64, k);
		o = &t.result.data.via.map.ptr[1].val;
		assert_int_equal(o->via.map.size, sizes[i]);
		for (k = 0; k < sizes[i]; k++)
			assert_int_equal(o->via.map.ptr[k].val.via.u64, k);
		packed_end(&t);
	}
}

static void
test_pack__invalid_text_is_repaired(void **state)
{
	const msgpack_object *o;
	struct packed t;

	(void)state;
	packed_begin(&t);
	pack_str_n(&t.pack, "a\xff\xc3(b", 5);
	o = packed_read(&t);
	assert_int_equal(o->via.str.size, 9);
	assert_memory_equal(o->via.str.ptr, "a\xef\xbf\xbd\xef\xbf\xbd(b", 9);
	packed_end(&t);
}

static void
test_pack__absent_members_write_nothing(void **state)
{
	const msgpack_object *o;
	struct packed t;

	(void)state;
	packed_begin(&t);
	pack_map_begin(&t.pack);
	pack_kv_str(&t.pack, "a", NULL);
	pack_kv_slice(&t.pack, "b", (struct slice){ NULL, 0 });
	pack_kv_double(&t.pack, "c", (double)NAN);
	pack_kv_slice(&t.pack, "d", SLICE(""));
	pack_map_end(&t.pack);
	o = packed_read(&t);
	assert_int_equal(o->via.map.size, 1);
	packed_end(&t);
}

static void
test_pack__raw_is_one_value(void **state)
{
	const msgpack_object *o;
	struct packed t, inner;

	(void)state;
	packed_begin(&inner);
	pack_map_begin(&inner.pack);
	pack_kv_int(&inner.pack, "k", 1);
	pack_map_end(&inner.pack);
	packed_begin(&t);
	pack_array_begin(&t.pack);
	pack_raw(&t.pack, inner.bytes.data, inner.bytes.len);
	pack_raw(&t.pack, inner.bytes.data, inner.bytes.len);
	pack_array_end(&t.pack);
	o = packed_read(&t);
	assert_int_equal(o->via.array.size, 2);
	assert_int_equal(o->via.array.ptr[1].type, MSGPACK_OBJECT_MAP);
	packed_end(&t);
	packed_end(&inner);
}

static void
test_pack__json(void **state)
{
	static const char text[] = "{\"n\":[1,-1,9007199254740993,1.5,30.0,1e3],\"t\":true,"
	                           "\"f\":false,\"z\":null,\"s\":\"a\\n\\u00e9\",\"o\":{}}";
	struct json j = JSON_INIT;
	const msgpack_object *o;
	struct packed t;

	(void)state;
	assert_int_equal(json_read(&j, text, sizeof text - 1, JSON_STRICT), 0);
	packed_begin(&t);
	pack_json(&t.pack, &j, 0);
	o = packed_read(&t);
	assert_int_equal(o->via.map.size, 6);
	assert_memory_equal(o->via.map.ptr[4].val.via.str.ptr, "a\n\xc3\xa9", 4);
	o = &o->via.map.ptr[0].val;
	assert_int_equal(o->via.array.size, 6);
	assert_true(o->via.array.ptr[1].via.i64 == -1);
	assert_true(o->via.array.ptr[2].via.u64 == 9007199254740993ULL);
	assert_int_equal(o->via.array.ptr[3].type, MSGPACK_OBJECT_FLOAT64);
	assert_true(o->via.array.ptr[4].via.f64 == 30.0);
	assert_true(o->via.array.ptr[5].via.f64 == 1000.0);
	packed_end(&t);
	json_clear(&j);
}

static void
test_pack__too_deep_fails(void **state)
{
	char text[80];
	struct json j = JSON_INIT;
	struct packed t;

	(void)state;
	memset(text, '[', 17);
	memset(text + 17, ']', 17);
	assert_int_equal(json_read(&j, text, 34, JSON_STRICT), 0);
	packed_begin(&t);
	pack_json(&t.pack, &j, 0);
	assert_true(t.bytes.failed);
	packed_end(&t);
	assert_int_equal(json_read(&j, text + 1, 32, JSON_STRICT), 0);
	packed_begin(&t);
	pack_json(&t.pack, &j, 0);
	assert_false(t.bytes.failed);
	assert_int_equal(t.bytes.len, 16);
	packed_end(&t);
	json_clear(&j);
}

static void
test_pack__ceiling_is_sticky(void **state)
{
	struct packed t;
	int i;

	(void)state;
	packed_begin(&t);
	buf_init(&t.bytes, 100);
	pack_array_begin(&t.pack);
	for (i = 0; i < 200; i++)
		pack_str(&t.pack, "0123456789");
	pack_array_end(&t.pack);
	assert_true(t.bytes.failed);
	packed_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pack__ints_take_the_smallest_form),
		cmocka_unit_test(test_pack__text_and_bytes_of_every_size),
		cmocka_unit_test(test_pack__containers_of_every_size),
		cmocka_unit_test(test_pack__invalid_text_is_repaired),
		cmocka_unit_test(test_pack__absent_members_write_nothing),
		cmocka_unit_test(test_pack__raw_is_one_value),
		cmocka_unit_test(test_pack__json),
		cmocka_unit_test(test_pack__too_deep_fails),
		cmocka_unit_test(test_pack__ceiling_is_sticky),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
