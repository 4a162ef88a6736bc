#include <signal.h>
#include <time.h>

#include <sqlite3.h>

#include "server/store/open.h"
#include "tests/unit/store/steps.h"

#define LIST_MAX 32

/* This program's migrations, two more after them; the first of these is what `newer` adds. */
static struct migration list[LIST_MAX];
static struct schema newer = { list, 0 };
static int now; /* the version of this program */
static struct error err;

static int
setup(void **state)
{
	struct store *s;

	now = schema_current.count;
	assert_true(now + 2 <= LIST_MAX);
	for (int i = 0; i < now; i++)
		list[i] = schema_current.list[i];
	list[now] = (struct migration){ "a second table",
		"CREATE TABLE later (a INTEGER NOT NULL) STRICT; INSERT INTO later VALUES (7)" };
	list[now + 1] = (struct migration){ "a broken one",
		"CREATE TABLE more (a); INSERT INTO none VALUES (1)" };
	newer.count = now + 1;
	if (scratch_setup(state) != 0 || store_open(scratch, &s, &err) != 0)
		return -1;
	for (int64_t i = 1; i <= 5; i++)
		if (step_run(s, i) != 0)
			return -1;
	store_close(s);
	return 0;
}

/* The copy that is kept of a database of `version`, with `suffix`. Two live at once. */
static const char *
copy_of(int version, const char *suffix)
{
	static char names[2][64];
	static int turn;

	turn = !turn;
	snprintf(names[turn], sizeof names[turn], "state.db.v%d.bak%s", version, suffix);
	return names[turn];
}

/* One integer out of a database, -1 when that fails. */
static int64_t
ask(const char *path, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	int64_t v = -1;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		v = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return v;
}

static void
test_migrations__this_program_s_schema_is_what_a_new_database_has(void **state)
{
	(void)state;
	assert_int_equal(store_schema_version(), schema_current.count);
	assert_int_equal(ask(in_scratch("state.db"), "PRAGMA user_version"), store_schema_version());
}

static void
F22_test_migrations__older_schema_is_copied_and_brought_up(void **state)
{
	const char *copy = copy_of(now, "");
	struct store *s;
	struct stat st;

	(void)state;
	assert_int_equal(store_open_schema(scratch, &newer, &s, &err), 0);
	assert_int_equal(steps_count(s), 5);
	assert_int_equal(step_run(s, 6), 0);
	store_close(s);
	assert_int_equal(ask(in_scratch("state.db"), "PRAGMA user_version"), now + 1);
	assert_int_equal(ask(in_scratch("state.db"), "SELECT a FROM later"), 7);
	assert_int_equal(stat(in_scratch(copy), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(ask(in_scratch(copy), "PRAGMA user_version"), now);
	assert_int_equal(ask(in_scratch(copy), "SELECT count(*) FROM later"), -1);
	assert_int_equal(ask(in_scratch(copy), "SELECT value FROM meta WHERE key = 'step'"), 5);
	assert_int_equal(files_in_scratch(), 2);
}

static void
test_migrations__copy_can_be_put_back(void **state)
{
	char from[600];
	struct store *s;

	(void)state;
	assert_int_equal(store_open_schema(scratch, &newer, &s, &err), 0);
	store_close(s);
	assert_int_equal(store_open(scratch, &s, &err), MP_E_VERSION_MISMATCH);
	assert_non_null(strstr(err.hint, copy_of(now, "")));
	strcpy(from, in_scratch(copy_of(now, "")));
	assert_int_equal(rename(from, in_scratch("state.db")), 0);
	assert_int_equal(store_open(scratch, &s, &err), 0);
	assert_int_equal(steps_count(s), 5);
	store_close(s);
}

static void
test_migrations__failing_one_changes_nothing(void **state)
{
	struct store *s = NULL;

	(void)state;
	newer.count = now + 2;
	assert_int_not_equal(store_open_schema(scratch, &newer, &s, &err), 0);
	assert_null(s);
	assert_true(err.message[0] != '\0');
	assert_int_equal(ask(in_scratch("state.db"), "PRAGMA user_version"), now + 1);
	assert_int_equal(ask(in_scratch("state.db"), "SELECT count(*) FROM more"), -1);
	list[now + 1].sql = "CREATE TABLE more (a)";
	assert_int_equal(store_open_schema(scratch, &newer, &s, &err), 0);
	assert_int_equal(steps_count(s), 5);
	store_close(s);
	assert_int_equal(ask(in_scratch(copy_of(now, "")), "PRAGMA user_version"), now);
	assert_int_equal(ask(in_scratch(copy_of(now + 1, "")), "PRAGMA user_version"), now + 1);
}

static void
test_migrations__copy_half_made_by_a_killed_start_is_made_again(void **state)
{
	struct store *s;

	(void)state;
	write_whole(in_scratch(copy_of(now, ".new")), "half", 4, 0600);
	write_whole(in_scratch(copy_of(now, "")), "older", 5, 0600);
	assert_int_equal(store_open_schema(scratch, &newer, &s, &err), 0);
	store_close(s);
	assert_int_equal(ask(in_scratch(copy_of(now, "")), "PRAGMA user_version"), now);
	assert_int_equal(files_in_scratch(), 2);
}

static const char old_override[] =
    "INSERT INTO overrides (scope, temporary, provider_id, model, label, since_ms, expires_ms, "
    "expires_boot_ms, boot_id, previous, rev) VALUES ('', 0, 'p', 'm', 'default', 1, 0, 0, '', 0, 1)";

static const char old_credential[] =
    "INSERT INTO credentials (id, provider_id, label, origin, origin_moved, sealed, generation, fingerprint, "
    "last4, created_ms, last_ok_ms, last_fail_ms, last_code, session_id, expires_ms, rev) VALUES ('c', 'p', "
    "'default', 'https://x:443', 0, x'01', 1, '', '', 1, 0, 0, '', 0, 0, 1)";

/* A database as every earlier version of this program made it. */
static void
test_migrations__every_past_version_is_brought_up(void **state)
{
	(void)state;
	for (int past = 1; past < now; past++) {
		struct schema old = { schema_current.list, past };
		struct store *s;
		sqlite3 *db;
		int rows = 0;

		assert_int_equal(unlink(in_scratch("state.db")), 0);
		assert_int_equal(store_open_schema(scratch, &old, &s, &err), 0);
		store_close(s);
		/* rows whose tables have grown, as they were written then */
		assert_int_equal(sqlite3_open(in_scratch("state.db"), &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, old_credential, NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, old_override, NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		assert_int_equal(store_open(scratch, &s, &err), 0);
		assert_int_equal(read_all(s, &rows), 0);
		assert_int_equal(rows, 2);
		store_close(s);
		assert_int_equal(ask(in_scratch("state.db"), "PRAGMA user_version"), now);
		assert_int_equal(ask(in_scratch(copy_of(past, "")), "PRAGMA user_version"), past);
	}
}

static int
upgrade(void *arg)
{
	struct store *s;

	(void)arg;
	return store_open_schema(scratch, &newer, &s, &err) != 0;
}

static void
F03_test_migrations__killed_in_the_middle_completes_at_the_next_start(void **state)
{
	size_t n;
	char *old = read_whole(in_scratch("state.db"), &n);

	(void)state;
	for (int i = 0; i < 30; i++) {
		struct timespec pause = { 0, i * 150000 };
		struct store *s;
		pid_t pid = fork();

		if (pid == 0)
			_exit(upgrade(NULL));
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_int_equal(store_open_schema(scratch, &newer, &s, &err), 0);
		assert_int_equal(steps_count(s), 5);
		store_close(s);
		assert_int_equal(ask(in_scratch("state.db"), "SELECT count(*) FROM later"), 1);
		write_whole(in_scratch("state.db"), old, n, 0600);
	}
	free(old);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_migrations__this_program_s_schema_is_what_a_new_database_has),
		T(F22_test_migrations__older_schema_is_copied_and_brought_up),
		T(test_migrations__copy_can_be_put_back),
		T(test_migrations__failing_one_changes_nothing),
		T(test_migrations__copy_half_made_by_a_killed_start_is_made_again),
		T(test_migrations__every_past_version_is_brought_up),
		T(F03_test_migrations__killed_in_the_middle_completes_at_the_next_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
