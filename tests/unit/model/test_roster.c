#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/model/roster.h"

static void
add(struct roster *r, const char *id, const char *title, int64_t context)
{
	struct listed_model m = LISTED_MODEL_INIT;

	m.id = slice_of(id);
	m.title = slice_of(title);
	m.context_tokens = context;
	roster_add(r, &m);
}

static void
test_roster__sorted_and_each_id_once(void **state)
{
	struct roster r = { NULL, 0, 0 };

	(void)state;
	add(&r, "b", NULL, 1);
	add(&r, "a", NULL, 2);
	add(&r, "b", NULL, 3);
	add(&r, "a", NULL, 4);
	add(&r, "B", NULL, 5);
	roster_sort(&r);
	assert_int_equal(r.count, 3);
	assert_string_equal(r.models[0].id, "B");
	assert_int_equal(roster_find(&r, "a")->context_tokens, 2);
	assert_int_equal(roster_find(&r, "b")->context_tokens, 1); /* the first one stays */
	assert_null(roster_find(&r, "c"));
	assert_null(roster_find(&r, ""));
	roster_clear(&r);
	assert_null(roster_find(&r, "a"));
}

static void
F85_test_roster__what_is_no_model_id_is_left_out(void **state)
{
	static const char *const bad[] = { "", " ", "a b", "a\nb", "\x1b[31m", "a\x7f", "a\xc2\x9b" "31m",
		"a\xff", "\xed\xa0\x80", "a\tb" };
	struct roster r = { NULL, 0, 0 };
	struct listed_model nul = LISTED_MODEL_INIT;
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		add(&r, bad[i], NULL, 0);
	nul.id = (struct slice){ "a\0b", 3 };
	roster_add(&r, &nul);
	memset(text, 'x', sizeof text);
	text[ROSTER_ID_BYTES + 1] = '\0';
	add(&r, text, NULL, 0);
	assert_int_equal(r.count, 0);
	text[ROSTER_ID_BYTES] = '\0';
	add(&r, text, NULL, 0);
	add(&r, "a:b/c@d$(x)", NULL, 0);
	add(&r, "\xe6\xa8\xa1", NULL, 0);
	assert_int_equal(r.count, 3);
	roster_clear(&r);
}

static void
test_roster__titles_are_cut_between_code_points(void **state)
{
	struct roster r = { NULL, 0, 0 };
	char text[200] = "";

	(void)state;
	for (int i = 0; i < 50; i++)
		strcat(text, "\xe6\xa8\xa1");
	add(&r, "long", text, 0);
	add(&r, "escape", "a\x1b]0;b\x07", 0);
	add(&r, "broken", "a\xff", 0);
	add(&r, "c1", "a\xc2\x9b", 0);
	assert_int_equal(strlen(r.models[0].title), 126);
	for (int i = 1; i < 4; i++)
		assert_null(r.models[i].title);
	roster_clear(&r);
}

static void
test_roster__numbers_that_cannot_be_are_unknown(void **state)
{
	struct roster r = { NULL, 0, 0 };

	(void)state;
	add(&r, "a", NULL, -1);
	add(&r, "b", NULL, INT64_MAX);
	add(&r, "c", NULL, 4096);
	assert_int_equal(r.models[0].context_tokens, 0);
	assert_int_equal(r.models[1].context_tokens, 0);
	assert_int_equal(r.models[2].context_tokens, 4096);
	assert_int_equal(r.models[2].loaded, -1);
	roster_clear(&r);
}

static void
test_roster__has_a_ceiling(void **state)
{
	struct roster r = { NULL, 0, 0 };
	char id[32];

	(void)state;
	for (int i = 0; i < ROSTER_MAX + 10; i++) {
		snprintf(id, sizeof id, "m%d", i);
		add(&r, id, NULL, 0);
	}
	assert_int_equal(r.count, ROSTER_MAX);
	roster_sort(&r);
	assert_int_equal(r.count, ROSTER_MAX);
	assert_null(roster_find(&r, "m20000"));
	assert_non_null(roster_find(&r, "m19999"));
	roster_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roster__sorted_and_each_id_once),
		cmocka_unit_test(F85_test_roster__what_is_no_model_id_is_left_out),
		cmocka_unit_test(test_roster__titles_are_cut_between_code_points),
		cmocka_unit_test(test_roster__numbers_that_cannot_be_are_unknown),
		cmocka_unit_test(test_roster__has_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
