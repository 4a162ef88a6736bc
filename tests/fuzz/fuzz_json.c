/* fuzz_json.c - whatever is read can be walked, written and read again as the same; any bytes
 * can be written as a string. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static void
check_string(const struct json *j, uint32_t at)
{
	struct buf text = BUF_INIT, pieces = BUF_INIT, tight;
	struct slice raw = json_raw(j, at), plain;
	uint32_t pending = 0;
	char *copy;

	MUST(raw.len >= 2 && raw.data[0] == '"' && raw.data[raw.len - 1] == '"');
	MUST(json_string(j, at, &text) == 0 && utf8_valid(buf_str(&text), text.len));
	if (json_plain(j, at, &plain))
		MUST(plain.len == text.len && memcmp(plain.data, buf_str(&text), text.len) == 0);
	MUST(json_string_piece(j, at, &pending, &pieces) == 0);
	MUST(json_flush_pending(&pending, &pieces) == 0 && pending == 0);
	MUST(pieces.len == text.len && memcmp(buf_str(&pieces), buf_str(&text), text.len) == 0);
	/* fits exactly, and not into one byte less */
	if (text.len > 1) {
		buf_init(&tight, text.len);
		MUST(json_string(j, at, &tight) == 0 && tight.len == text.len);
		MUST(memcmp(buf_str(&tight), buf_str(&text), text.len) == 0);
		buf_clear(&tight);
		buf_init(&tight, text.len - 1);
		MUST(json_string(j, at, &tight) == MP_E_TOO_LARGE && tight.len == 0);
		buf_clear(&tight);
	}
	copy = json_strdup(j, at, text.len);
	MUST((copy == NULL) == (memchr(buf_str(&text), 0, text.len) != NULL));
	if (copy != NULL)
		MUST(strcmp(copy, buf_str(&text)) == 0 && json_equals(j, at, copy));
	free(copy);
	buf_clear(&text);
	buf_clear(&pieces);
}

static void
check_number(const struct json *j, uint32_t at)
{
	int64_t i, micro;
	double d;

	if (json_int(j, at, &i) && i > -(INT64_C(1) << 53) && i < INT64_C(1) << 53)
		MUST(json_double(j, at, &d) && d == (double)i);
	if (json_decimal(j, at, 6, &micro))
		MUST(micro >= 0);
	if (json_int(j, at, &i) && i >= 0 && i < INT64_MAX / 1000000)
		MUST(json_decimal(j, at, 6, &micro) && micro == i * 1000000);
}

static void
put_key(const struct json *j, uint32_t key, struct json_writer *w)
{
	struct buf text = BUF_INIT;

	MUST(json_is(j, key, JSON_STRING));
	check_string(j, key);
	MUST(json_string(j, key, &text) == 0);
	json_key_n(w, buf_str(&text), text.len);
	buf_clear(&text);
}

static void
check_look_up(const struct json *j, uint32_t object, uint32_t key, bool unique)
{
	char *name = json_strdup(j, key, SIZE_MAX);
	uint32_t found = name != NULL ? json_get(j, object, name) : JSON_NONE;

	if (name != NULL)
		MUST(found != JSON_NONE && (!unique || found == json_value(j, key)));
	free(name);
}

static void
walk(const struct json *j, uint32_t at, struct json_writer *w, bool unique)
{
	struct slice raw = json_raw(j, at);
	struct buf text = BUF_INIT;
	uint32_t child, n = 0;

	MUST(raw.len > 0 && raw.data >= j->text && raw.data + raw.len <= j->text + j->len);
	switch (json_type(j, at)) {
	case JSON_NULL:
	case JSON_FALSE:
	case JSON_TRUE:
		json_put_raw(w, raw.data, raw.len);
		break;
	case JSON_NUMBER:
		check_number(j, at);
		json_put_raw(w, raw.data, raw.len);
		break;
	case JSON_STRING:
		check_string(j, at);
		MUST(json_string(j, at, &text) == 0);
		json_put_string_n(w, buf_str(&text), text.len);
		break;
	case JSON_ARRAY:
		json_begin_array(w);
		for (child = json_first(j, at); child != JSON_NONE; child = json_next(j, child)) {
			n++;
			walk(j, child, w, unique);
		}
		MUST(n == json_size(j, at));
		json_end_array(w);
		break;
	case JSON_OBJECT:
		json_begin_object(w);
		for (child = json_first(j, at); child != JSON_NONE; child = json_next(j, child)) {
			put_key(j, child, w);
			if (n++ < 16)
				check_look_up(j, at, child, unique);
			MUST(json_next(j, json_value(j, child)) == JSON_NONE);
			walk(j, json_value(j, child), w, unique);
		}
		MUST(n == json_size(j, at));
		json_end_object(w);
		break;
	}
	buf_clear(&text);
}

/* Writes what j has read; reads and writes that again: it must be the same text. */
static void
check_round_trip(const struct json *j, enum json_flags flags, bool pretty)
{
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct json again = JSON_INIT;
	struct json_writer w;

	json_writer_init(&w, &first, pretty);
	walk(j, 0, &w, flags == JSON_STRICT);
	MUST(!first.failed);
	MUST(json_read(&again, first.data, first.len, flags) == 0);
	MUST(again.count == j->count);
	json_writer_init(&w, &second, pretty);
	walk(&again, 0, &w, flags == JSON_STRICT);
	MUST(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	json_clear(&again);
	buf_clear(&first);
	buf_clear(&second);
}

static void
check_text(struct json *j, const char *text, size_t size, enum json_flags flags)
{
	struct json part = JSON_INIT;
	size_t cut;

	if (json_read(j, text, size, flags) != 0) {
		MUST(j->problem != NULL && j->problem_offset <= size);
		MUST(json_type(j, 0) == JSON_NULL && json_raw(j, 0).data == NULL);
		return;
	}
	MUST(j->problem == NULL);
	check_round_trip(j, flags, false);
	check_round_trip(j, flags, true);
	/* no beginning of a string or container is one itself */
	cut = json_raw(j, 0).len - 1;
	if (json_type(j, 0) >= JSON_STRING)
		MUST(json_read(&part, json_raw(j, 0).data, cut - size % (cut + 1), flags) != 0);
	json_clear(&part);
}

/* Any bytes as a string: what comes back is the bytes, repaired. */
static void
check_bytes(struct json *j, const char *bytes, size_t size)
{
	struct buf out = BUF_INIT, repaired = BUF_INIT, back = BUF_INIT;
	struct json_writer w;
	bool valid = utf8_valid(bytes, size);

	json_writer_init(&w, &out, false);
	json_put_string_n(&w, bytes, size);
	MUST(!out.failed && json_read(j, out.data, out.len, JSON_STRICT) == 0);
	MUST(json_string(j, 0, &back) == 0);
	MUST(utf8_repair(&repaired, bytes, size) == !valid);
	MUST(utf8_valid(buf_str(&repaired), repaired.len));
	MUST(!valid || repaired.len == size);
	MUST(back.len == repaired.len && memcmp(buf_str(&back), buf_str(&repaired), back.len) == 0);
	buf_clear(&out);
	buf_clear(&repaired);
	buf_clear(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct json j = JSON_INIT;

	check_text(&j, text, size, JSON_STRICT);
	check_text(&j, text, size, JSON_LAST_KEY_WINS);
	check_bytes(&j, text, size);
	json_clear(&j);
	return 0;
}
