/* The settings that the promise rests on, as the open connection has them (THREATS.md section 10). */
#include <sqlite3.h>

#include "server/store/db.h"
#include "tests/unit/store/scratch.h"

static struct store *store;

static int
setup(void **state)
{
	struct error err = ERROR_INIT;

	return scratch_setup(state) != 0 || store_open(scratch, &store, &err) != 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	store_close(store);
	store = NULL;
	return scratch_teardown(state);
}

static int
keep_text(void *found, int columns, char **values, char **names)
{
	(void)names;
	if (columns == 1 && values[0] != NULL)
		snprintf(found, 32, "%s", values[0]);
	return 0;
}

static void
expect(const char *pragma, const char *value)
{
	char sql[64], found[32] = "";

	snprintf(sql, sizeof sql, "PRAGMA %s", pragma);
	assert_int_equal(sqlite3_exec(store->db, sql, keep_text, found, NULL), SQLITE_OK);
	if (strcmp(found, value) != 0)
		fail_msg("PRAGMA %s is %s, not %s", pragma, found, value);
}

static void
F11_test_connection__commits_wait_for_the_disk(void **state)
{
	(void)state;
	expect("journal_mode", "wal");
	expect("synchronous", "2"); /* FULL: the log is synced by every commit */
}

static void
test_connection__settings_of_the_threat_model(void **state)
{
	int on = 0;

	(void)state;
	expect("locking_mode", "exclusive");
	expect("foreign_keys", "1");
	expect("secure_delete", "1");
	expect("trusted_schema", "0");
	expect("mmap_size", "0");
	assert_int_equal(
	    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &on), SQLITE_OK);
	assert_int_equal(on, 1);
	assert_int_equal(
	    sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1, &on), SQLITE_OK);
	assert_int_equal(on, 0);
}

/* The second lock on that door: the file could become a link after it was looked at. */
static void
F18_test_connection__sqlite_itself_follows_no_link(void **state)
{
	struct store *other = NULL;

	(void)state;
	store_close(store);
	store = NULL;
	assert_int_equal(rename(in_scratch("state.db"), in_scratch("elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", in_scratch("state.db")), 0);
	assert_int_equal(db_connect(in_scratch("state.db"), &other), SQLITE_CANTOPEN_SYMLINK);
	assert_null(other);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(F11_test_connection__commits_wait_for_the_disk),
		T(test_connection__settings_of_the_threat_model),
		T(F18_test_connection__sqlite_itself_follows_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
