/* fuzz_json_jansson.c - our reader against jansson's: both take a text or both refuse it, and they
 * see the same values. Where they are meant to differ:
 * - a lone surrogate in an escape: jansson refuses, we read U+FFFD;
 * - an integer beyond 64 bits or a real beyond a double: jansson refuses, we keep the text;
 * - a key with a NUL in it: jansson refuses, we take it;
 * - depth: jansson stops at 2048, we at 128;
 * - a NUL byte between values: jansson 2.14 loses it ("[1\0]" is [1]), we refuse;
 * - jansson tells integers from reals by their spelling, we by their value. */
#include "tests/jansson_apart.h"

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

static bool
is_spelled_as_integer(struct slice number)
{
	size_t i;

	for (i = 0; i < number.len; i++) {
		if (strchr(".eE", number.data[i]) != NULL)
			return false;
	}
	return true;
}

/* jansson refuses this value for a reason of the list above. */
static bool
is_beyond_jansson(const struct json *j, uint32_t at)
{
	struct slice raw = json_raw(j, at);
	struct buf text = BUF_INIT;
	bool beyond = false;
	int64_t i;
	double d;

	if (json_is(j, at, JSON_NUMBER)) {
		if (is_spelled_as_integer(raw))
			return !json_int(j, at, &i);
		return !json_double(j, at, &d);
	}
	if (!json_is(j, at, JSON_STRING))
		return false;
	/* only an escape can bring a replacement character that is not in the text */
	json_string(j, at, &text);
	if (memmem(buf_str(&text), text.len, "\xef\xbf\xbd", 3) != NULL)
		beyond = memmem(raw.data, raw.len, "\\u", 2) != NULL;
	if (json_value(j, at) != JSON_NONE && memchr(buf_str(&text), 0, text.len) != NULL)
		beyond = true;
	buf_clear(&text);
	return beyond;
}

static bool
has_value_beyond_jansson(const struct json *j)
{
	uint32_t at;

	for (at = 0; at < j->count; at++) {
		if (is_beyond_jansson(j, at))
			return true;
	}
	return false;
}

static void
same_number(const struct json *j, uint32_t at, const json_t *theirs)
{
	int64_t i;
	double d;

	MUST(json_is(j, at, JSON_NUMBER));
	if (json_typeof(theirs) == JANSSON_INTEGER) {
		MUST(json_int(j, at, &i) && i == json_integer_value(theirs));
		return;
	}
	MUST(json_typeof(theirs) == JANSSON_REAL);
	MUST(json_double(j, at, &d) && d == json_real_value(theirs));
}

static void
same_string(const struct json *j, uint32_t at, const char *bytes, size_t n)
{
	struct buf text = BUF_INIT;

	MUST(json_is(j, at, JSON_STRING) && json_string(j, at, &text) == 0);
	MUST(text.len == n && memcmp(buf_str(&text), bytes, n) == 0);
	buf_clear(&text);
}

static void
same_value(const struct json *j, uint32_t at, const json_t *theirs)
{
	const char *key;
	const json_t *member;
	uint32_t ours;
	size_t i;

	switch (json_typeof(theirs)) {
	case JANSSON_NULL:
		MUST(json_is(j, at, JSON_NULL));
		break;
	case JANSSON_TRUE:
		MUST(json_is(j, at, JSON_TRUE));
		break;
	case JANSSON_FALSE:
		MUST(json_is(j, at, JSON_FALSE));
		break;
	case JANSSON_INTEGER:
	case JANSSON_REAL:
		same_number(j, at, theirs);
		break;
	case JANSSON_STRING:
		same_string(j, at, json_string_value(theirs), json_string_length(theirs));
		break;
	case JANSSON_ARRAY:
		MUST(json_is(j, at, JSON_ARRAY) && json_size(j, at) == json_array_size(theirs));
		ours = json_first(j, at);
		for (i = 0; i < json_array_size(theirs); i++, ours = json_next(j, ours))
			same_value(j, ours, json_array_get(theirs, i));
		break;
	case JANSSON_OBJECT:
		MUST(json_is(j, at, JSON_OBJECT) && json_size(j, at) == json_object_size(theirs));
		for (ours = json_first(j, at); ours != JSON_NONE; ours = json_next(j, ours)) {
			char *name = json_strdup(j, ours, SIZE_MAX);

			key = name;
			MUST(key != NULL && (member = json_object_get(theirs, key)) != NULL);
			same_value(j, json_value(j, ours), member);
			free(name);
		}
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct json j = JSON_INIT;
	json_error_t why;
	json_t *theirs;
	int r;

	/* so that hash seeds, and with them findings, are the same each time */
	json_object_seed(1);
	theirs = json_loadb(text, size,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
	r = json_read(&j, text, size, JSON_STRICT);
	if (r == 0 && theirs != NULL)
		same_value(&j, 0, theirs);
	else if (r == 0)
		MUST(has_value_beyond_jansson(&j));
	else if (theirs != NULL)
		MUST(r == MP_E_TOO_LARGE || memchr(text, 0, size) != NULL);
	json_decref(theirs);
	json_clear(&j);
	return 0;
}
