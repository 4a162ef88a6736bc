#include "tests/unit/state/world.h"

static void
test_settings__every_row_is_sound(void **state)
{
	struct buf text = BUF_INIT, range = BUF_INIT;
	enum setting found;

	(void)state;
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting_def *d = setting_def((enum setting)i);
		struct error err = ERROR_INIT;

		assert_true(name_valid(d->name));
		assert_true(setting_find(d->name, &found));
		assert_int_equal(found, i); /* no name twice */
		assert_true(strlen(d->help) > 10);
		buf_reset(&text, 64);
		buf_reset(&range, 64);
		setting_format_default((enum setting)i, &text);
		if (setting_check((enum setting)i, buf_str(&text), &err) != 0)
			fail_msg("the default of %s: %s", d->name, err.message);
		setting_format_range((enum setting)i, &range);
		assert_true(range.len > 0);
	}
	buf_clear(&text);
	buf_clear(&range);
}

static void
test_settings__only_what_differs_is_stored(void **state)
{
	struct world *w = *state;

	assert_int_equal(settings_ms(w->settings, SETTING_session_duration), 30 * 60000);
	assert_int_equal(world_count(w, "SELECT count(*) FROM settings"), 0);
	CHANGE(w, settings_set(w->settings, SETTING_session_duration, "45", &w->err));
	assert_int_equal(settings_ms(w->settings, SETTING_session_duration), 45 * 60000);
	assert_false(settings_is_default(w->settings, SETTING_session_duration));
	assert_int_equal(world_count(w, "SELECT count(*) FROM settings WHERE value = '45m'"), 1);
	assert_int_equal(settings_ms(w->settings, SETTING_session_duration), 45 * 60000);
	CHANGE(w, settings_set(w->settings, SETTING_session_duration, "30m", &w->err));
	assert_true(settings_is_default(w->settings, SETTING_session_duration));
	assert_int_equal(world_count(w, "SELECT count(*) FROM settings"), 0);
}

static void
test_settings__a_change_is_told_once(void **state)
{
	struct world *w = *state;
	int64_t rev = changes_rev(w->changes);

	CHANGE(w, settings_set(w->settings, SETTING_lock_idle, "never", &w->err));
	assert_int_equal(w->heard_count, 1);
	assert_int_equal(w->heard[0].topic, TOPIC_SETTINGS);
	assert_string_equal(w->heard[0].key, "lock_idle");
	assert_int_equal(changes_rev(w->changes), rev + 1);
	/* what is so already is no news */
	CHANGE(w, settings_set(w->settings, SETTING_lock_idle, "0", &w->err));
	CHANGE(w, settings_reset(w->settings, SETTING_lock_after, &w->err));
	assert_int_equal(w->heard_count, 1);
	assert_int_equal(changes_rev(w->changes), rev + 1);
	CHANGE(w, settings_reset(w->settings, SETTING_lock_idle, &w->err));
	assert_int_equal(w->heard_count, 2);
	assert_int_equal(settings_ms(w->settings, SETTING_lock_idle), 4 * 3600000);
}

static void
test_settings__a_rollback_takes_it_back(void **state)
{
	struct world *w = *state;

	CHANGE(w, settings_set(w->settings, SETTING_lock_after, "1d", &w->err));
	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	assert_int_equal(settings_set(w->settings, SETTING_lock_after, "2d", &w->err), 0);
	assert_int_equal(settings_set(w->settings, SETTING_session_duration, "1h", &w->err), 0);
	assert_int_equal(settings_ms(w->settings, SETTING_lock_after), 2 * 86400000);
	changes_rollback(w->changes);
	assert_int_equal(settings_ms(w->settings, SETTING_lock_after), 86400000);
	assert_true(settings_is_default(w->settings, SETTING_session_duration));
}

static void
test_settings__out_of_range_changes_nothing(void **state)
{
	struct world *w = *state;

	CHANGE_GIVES(w, MP_E_INVALID_PARAMS,
	    settings_set(w->settings, SETTING_session_duration, "25h", &w->err));
	assert_non_null(strstr(w->err.message, "1m to 1d"));
	assert_true(settings_is_default(w->settings, SETTING_session_duration));
	assert_int_equal(w->heard_count, 0);
}

static void
test_settings__odd_rows_of_the_file_do_no_harm(void **state)
{
	struct world *w = *state;

	world_sql(w, "INSERT INTO settings VALUES ('session_duration', '99d', 1), ('of_tomorrow', 'x', 2)");
	assert_true(settings_is_default(w->settings, SETTING_session_duration));
	/* a row of a newer version is kept for it */
	CHANGE(w, settings_set(w->settings, SETTING_session_duration, "1h", &w->err));
	assert_int_equal(world_count(w, "SELECT count(*) FROM settings WHERE name = 'of_tomorrow'"), 1);
}

static void
test_settings__near_names_are_suggested(void **state)
{
	struct error err = ERROR_INIT;
	enum setting found;

	(void)state;
	assert_false(setting_find("lock_idel", &found));
	error_set(&err, MP_E_NOT_FOUND, "no");
	setting_suggest("lock_idel", &err);
	assert_string_equal(err.candidates[0], "lock_idle");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_settings__every_row_is_sound),
		TEST(test_settings__only_what_differs_is_stored),
		TEST(test_settings__a_change_is_told_once),
		TEST(test_settings__a_rollback_takes_it_back),
		TEST(test_settings__out_of_range_changes_nothing),
		TEST(test_settings__odd_rows_of_the_file_do_no_harm),
		TEST(test_settings__near_names_are_suggested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
