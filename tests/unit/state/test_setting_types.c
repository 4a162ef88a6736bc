/* test_setting_types.c - every type a row of settings.def may have, whether a row has it today or not:
 * the module is built here with a table of its own. */
#define SETTINGS_DEF "tests/unit/state/settings_of_all_types.def"
#include "server/state/settings.c"

#include "tests/unit/state/world.h"

static void
gives(struct world *w, enum setting which, const char *text, const char *formatted)
{
	struct buf out = BUF_INIT;

	CHANGE(w, settings_set(w->settings, which, text, &w->err));
	settings_format(w->settings, which, &out);
	assert_string_equal(buf_str(&out), formatted);
	buf_clear(&out);
}

static void
refuses(struct world *w, enum setting which, const char *text)
{
	if (setting_check(which, text, &w->err) == 0)
		fail_msg("%s takes \"%s\"", defs[which].name, text);
	assert_string_equal(w->err.field, "value");
	assert_non_null(strstr(w->err.message, defs[which].name));
}

static void
test_setting__durations(void **state)
{
	struct world *w = *state;

	assert_int_equal(settings_ms(w->settings, SETTING_pause), 90000);
	gives(w, SETTING_pause, "1h", "1h");
	gives(w, SETTING_pause, "2", "2m");
	gives(w, SETTING_pause, "90s", "1m30s");
	gives(w, SETTING_pause, "never", "never");
	assert_int_equal(settings_ms(w->settings, SETTING_pause), 0);
	gives(w, SETTING_pause, "1s", "1s");
	gives(w, SETTING_pause, "0", "never");
	refuses(w, SETTING_pause, "61m");
	refuses(w, SETTING_pause, "");
	refuses(w, SETTING_pause, "-1");
	refuses(w, SETTING_pause, "1h ");
	refuses(w, SETTING_wait, "never");
	refuses(w, SETTING_wait, "0");
	refuses(w, SETTING_wait, "59s");
	assert_non_null(strstr(w->err.message, "1m to 2m"));
}

static void
test_setting__ints(void **state)
{
	struct world *w = *state;

	gives(w, SETTING_copies, "-5", "-5");
	gives(w, SETTING_copies, "100", "100");
	assert_int_equal(settings_int(w->settings, SETTING_copies), 100);
	refuses(w, SETTING_copies, "101");
	refuses(w, SETTING_copies, "-6");
	refuses(w, SETTING_copies, " 1");
	refuses(w, SETTING_copies, "1x");
	refuses(w, SETTING_copies, "");
	refuses(w, SETTING_copies, "99999999999999999999");
}

static void
test_setting__bools(void **state)
{
	static const char *const no[] = { "false", "no", "off", "0" };
	static const char *const yes[] = { "true", "yes", "on", "1" };
	struct world *w = *state;

	for (size_t i = 0; i < 4; i++) {
		gives(w, SETTING_loud, no[i], "false");
		assert_false(settings_bool(w->settings, SETTING_loud));
		gives(w, SETTING_loud, yes[i], "true");
		assert_true(settings_bool(w->settings, SETTING_loud));
	}
	refuses(w, SETTING_loud, "maybe");
	assert_non_null(strstr(w->err.message, "true or false"));
}

static void
test_setting__enums(void **state)
{
	struct world *w = *state;

	gives(w, SETTING_color, "blue", "blue");
	assert_string_equal(settings_text(w->settings, SETTING_color), "blue");
	refuses(w, SETTING_color, "blu");
	assert_non_null(strstr(w->err.message, "red, green or blue"));
	refuses(w, SETTING_color, "red green");
	refuses(w, SETTING_color, "");
	refuses(w, SETTING_mode, "x");
	assert_non_null(strstr(w->err.message, "on or off"));
}

static void
test_setting__texts(void **state)
{
	struct world *w = *state;

	assert_string_equal(settings_text(w->settings, SETTING_motto), "");
	gives(w, SETTING_motto, "12345678", "12345678");
	gives(w, SETTING_motto, "\xc3\xa9", "\xc3\xa9");
	gives(w, SETTING_motto, "", "");
	refuses(w, SETTING_motto, "123456789");
	refuses(w, SETTING_motto, "a\nb");
	refuses(w, SETTING_motto, "\xc3");
}

static void
test_setting__all_of_them_survive(void **state)
{
	static const struct {
		enum setting which;
		const char *text;
	} all[] = { { SETTING_pause, "never" }, { SETTING_wait, "2m" }, { SETTING_copies, "-1" },
		{ SETTING_loud, "false" }, { SETTING_color, "green" }, { SETTING_motto, "it's" } };
	struct world *w = *state;
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		gives(w, all[i].which, all[i].text, all[i].text);
	world_reopen(w);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		buf_reset(&out, 64);
		settings_format(w->settings, all[i].which, &out);
		assert_string_equal(buf_str(&out), all[i].text);
		assert_false(settings_is_default(w->settings, all[i].which));
	}
	buf_clear(&out);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		CHANGE(w, settings_reset(w->settings, all[i].which, &w->err));
	assert_int_equal(world_count(w, "SELECT count(*) FROM settings"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_setting__durations),
		TEST(test_setting__ints),
		TEST(test_setting__bools),
		TEST(test_setting__enums),
		TEST(test_setting__texts),
		TEST(test_setting__all_of_them_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
