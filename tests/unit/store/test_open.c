#include <signal.h>

#include <sqlite3.h>
#include <sys/file.h>

#include "server/base/clock.h"
#include "server/store/open.h"
#include "tests/unit/store/rows.h"

static struct error err;

static int
open_and_close(void *arg)
{
	struct store *s = NULL;
	int r = store_open(scratch, &s, &err);

	(void)arg;
	store_close(s);
	return -r;
}

static void
make_database(void)
{
	struct store *s;

	assert_int_equal(store_open(scratch, &s, &err), 0);
	fill(s, 3);
	store_close(s);
}

static void
test_store__new_one_is_private_and_alone(void **state)
{
	mode_t old = umask(0);
	struct store *s;
	struct stat st;

	(void)state;
	assert_int_equal(store_open(scratch, &s, &err), 0);
	umask(old);
	fill(s, 1);
	assert_string_equal(store_path(s), in_scratch("state.db"));
	assert_false(store_read_only(s));
	assert_int_equal(stat(in_scratch("state.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_scratch("state.db-wal"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(files_in_scratch(), 2); /* no -shm, no leftovers */
	store_close(s);
	assert_int_equal(files_in_scratch(), 1);
}

static void
test_store__opens_again_with_what_it_held(void **state)
{
	struct store *s;
	int n;

	(void)state;
	make_database();
	assert_int_equal(store_open(scratch, &s, &err), 0);
	assert_int_equal(read_all(s, &n), 0);
	assert_int_equal(n, 18);
	store_close(s);
}

static void
test_store__folder_reached_through_a_linked_parent(void **state)
{
	char dir[128], link[160];

	(void)state;
	snprintf(dir, sizeof dir, "%s", in_scratch("real"));
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink(scratch, in_scratch("link")), 0);
	snprintf(link, sizeof link, "%s/link/real", scratch);
	{
		struct store *s;

		assert_int_equal(store_open(link, &s, &err), 0);
		store_close(s);
	}
	assert_int_equal(access(in_scratch("real/state.db"), F_OK), 0);
}

/* ---- who else ---- */

static void
test_store__second_opener_is_told_quickly(void **state)
{
	int64_t start;
	struct store *s;
	int n;

	(void)state;
	assert_int_equal(store_open(scratch, &s, &err), 0);
	start = clock_monotonic_ms();
	assert_int_equal(in_child(0, open_and_close, NULL), -MP_E_BUSY);
	assert_int_equal(open_and_close(NULL), -MP_E_BUSY); /* in this process too */
	assert_true(clock_monotonic_ms() - start < 4000);
	assert_non_null(strstr(err.message, "another process"));
	fill(s, 1);
	assert_int_equal(read_all(s, &n), 0);
	assert_int_equal(n, 6);
	assert_int_equal(in_child(0, open_and_close, NULL), -MP_E_BUSY);
	store_close(s);
	assert_int_equal(in_child(0, open_and_close, NULL), 0);
}

static int
hold_with_sqlite(void *arg)
{
	int *ready = arg;
	sqlite3 *db;

	if (sqlite3_open(in_scratch("state.db"), &db) != SQLITE_OK ||
	    sqlite3_exec(db, "BEGIN EXCLUSIVE; DELETE FROM meta", NULL, NULL, NULL) != SQLITE_OK ||
	    write(ready[1], "x", 1) != 1)
		return 1;
	pause();
	return 0;
}

static void
F20_test_store__long_transaction_of_another_program(void **state)
{
	int ready[2];
	int64_t start;
	char byte;
	pid_t pid;

	(void)state;
	make_database();
	assert_int_equal(pipe(ready), 0);
	if ((pid = fork()) == 0)
		_exit(hold_with_sqlite(ready));
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	start = clock_monotonic_ms();
	assert_int_equal(open_and_close(NULL), -MP_E_BUSY);
	assert_true(clock_monotonic_ms() - start <= 3000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	assert_int_equal(open_and_close(NULL), 0);
}

static void
test_store__eight_first_starts_make_one_database(void **state)
{
	pid_t pids[8];
	int served = 0;

	(void)state;
	for (int i = 0; i < 8; i++)
		if ((pids[i] = fork()) == 0)
			_exit(open_and_close(NULL));
	for (int i = 0; i < 8; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == -MP_E_BUSY);
		served += WEXITSTATUS(status) == 0;
	}
	assert_true(served >= 1);
	assert_int_equal(open_and_close(NULL), 0);
	assert_int_equal(files_in_scratch(), 1);
}

static void
test_store__half_made_database_of_a_killed_start(void **state)
{
	int fd;

	(void)state;
	write_whole(in_scratch("state.db.new"), "half", 4, 0600);
	write_whole(in_scratch("state.db.new-journal"), "half", 4, 0600);
	assert_int_equal(open_and_close(NULL), 0);
	assert_int_equal(files_in_scratch(), 1);
	assert_int_equal(unlink(in_scratch("state.db")), 0);
	write_whole(in_scratch("state.db.new"), "", 0, 0600);
	fd = open(in_scratch("state.db.new"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0); /* its maker is still at work */
	assert_int_equal(open_and_close(NULL), -MP_E_BUSY);
	close(fd);
	assert_int_equal(open_and_close(NULL), 0);
}

/* ---- F16: a folder that cannot be written ---- */

static void
F16_test_store__read_only_folder_is_refused_with_the_reason(void **state)
{
	int64_t start = clock_monotonic_ms();
	size_t n;
	char *before;

	(void)state;
	need_root();
	make_database();
	assert_int_equal(chown(in_scratch("state.db"), NOBODY, NOBODY), 0);
	assert_int_equal(chown(scratch, NOBODY, NOBODY), 0);
	assert_int_equal(chmod(scratch, 0500), 0);
	before = read_whole(in_scratch("state.db"), &n);
	assert_int_equal(in_child(NOBODY, open_and_close, NULL), -MP_E_STORAGE);
	assert_true(same_content(in_scratch("state.db"), before, n));
	assert_int_equal(files_in_scratch(), 1);
	assert_true(clock_monotonic_ms() - start < 1000);
	free(before);
	assert_int_equal(chmod(scratch, 0700), 0);
	assert_int_equal(in_child(NOBODY, open_and_close, NULL), 0);
}

static int
read_only_folder_says(void *arg)
{
	(void)arg;
	return open_and_close(NULL) == -MP_E_STORAGE && strstr(err.message, scratch) != NULL &&
	    strstr(err.hint, "chmod 700") != NULL;
}

static void
F16_test_store__read_only_folder_names_path_and_way_out(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(chown(scratch, NOBODY, NOBODY), 0);
	assert_int_equal(chmod(scratch, 0500), 0);
	assert_int_equal(in_child(NOBODY, read_only_folder_says, NULL), 1);
	assert_int_equal(files_in_scratch(), 0);
}

static void
F16_test_store__read_only_file_is_refused(void **state)
{
	(void)state;
	need_root();
	make_database();
	assert_int_equal(chown(in_scratch("state.db"), NOBODY, NOBODY), 0);
	assert_int_equal(chown(scratch, NOBODY, NOBODY), 0);
	assert_int_equal(chmod(in_scratch("state.db"), 0400), 0);
	assert_int_equal(in_child(NOBODY, open_and_close, NULL), -MP_E_STORAGE);
}

/* ---- F17: modes and owners ---- */

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void
F17_test_store__open_modes_are_refused_with_the_chmod_line(void **state)
{
	static const mode_t modes[] = { 0644, 0640, 0660, 0604, 0601, 0666 };
	char line[200];

	(void)state;
	make_database();
	snprintf(line, sizeof line, "chmod 600 %s", in_scratch("state.db"));
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_int_equal(chmod(in_scratch("state.db"), modes[i]), 0);
		assert_int_equal(open_and_close(NULL), -MP_E_NOT_PERMITTED);
		assert_string_equal(err.hint, line);
		assert_int_equal(mode_of(in_scratch("state.db")), modes[i]);
	}
	assert_int_equal(chmod(in_scratch("state.db"), 0600), 0);
	assert_int_equal(open_and_close(NULL), 0);
}

static void
F17_test_store__open_folder_is_refused(void **state)
{
	(void)state;
	make_database();
	assert_int_equal(chmod(scratch, 0755), 0);
	assert_int_equal(open_and_close(NULL), -MP_E_NOT_PERMITTED);
	assert_non_null(strstr(err.hint, "chmod 0700"));
	assert_int_equal(mode_of(scratch), 0755);
}

static void
F17_test_store__foreign_owner_is_refused(void **state)
{
	(void)state;
	need_root();
	make_database();
	assert_int_equal(chown(in_scratch("state.db"), NOBODY, NOBODY), 0);
	assert_int_equal(open_and_close(NULL), -MP_E_NOT_PERMITTED); /* root is no exception */
	assert_non_null(strstr(err.message, "65534"));
	assert_non_null(strstr(err.hint, "chown"));
}

/* ---- F18: something else under that name ---- */

static void
F18_test_store__link_is_not_followed(void **state)
{
	size_t n;
	char *before;

	(void)state;
	make_database();
	assert_int_equal(rename(in_scratch("state.db"), in_scratch("elsewhere")), 0);
	before = read_whole(in_scratch("elsewhere"), &n);
	assert_int_equal(symlink("elsewhere", in_scratch("state.db")), 0);
	assert_int_equal(open_and_close(NULL), -MP_E_NOT_PERMITTED);
	assert_non_null(strstr(err.message, "symbolic link"));
	assert_true(same_content(in_scratch("elsewhere"), before, n));
	assert_int_equal(files_in_scratch(), 2);
	free(before);
}

static void
F18_test_store__dangling_link_creates_nothing(void **state)
{
	(void)state;
	assert_int_equal(symlink("nowhere", in_scratch("state.db")), 0);
	assert_int_equal(open_and_close(NULL), -MP_E_NOT_PERMITTED);
	assert_int_equal(access(in_scratch("nowhere"), F_OK), -1);
	assert_int_equal(files_in_scratch(), 1);
}

static void
F18_test_store__fifo_and_folder_are_refused(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(in_scratch("state.db"), 0600), 0);
	assert_int_equal(open_and_close(NULL), -MP_E_NOT_PERMITTED);
	assert_int_equal(unlink(in_scratch("state.db")), 0);
	assert_int_equal(mkdir(in_scratch("state.db"), 0700), 0);
	assert_int_equal(open_and_close(NULL), -MP_E_NOT_PERMITTED);
	assert_non_null(strstr(err.message, "folder"));
	assert_int_equal(files_in_scratch(), 1);
}

static void
F18_test_store__missing_folder_is_not_made(void **state)
{
	struct store *s = NULL;

	(void)state;
	assert_int_not_equal(store_open(in_scratch("none"), &s, &err), 0);
	assert_null(s);
	assert_int_equal(files_in_scratch(), 0);
}

/* ---- F23: not ours, or not ours yet ---- */

static void
run_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(in_scratch("state.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(chmod(in_scratch("state.db"), 0600), 0);
}

static void
refused_untouched(const char *why)
{
	size_t n;
	char *before = read_whole(in_scratch("state.db"), &n);

	assert_int_equal(open_and_close(NULL), -MP_E_VERSION_MISMATCH);
	assert_non_null(strstr(err.message, why));
	assert_true(err.hint[0] != '\0');
	assert_true(same_content(in_scratch("state.db"), before, n));
	assert_int_equal(files_in_scratch(), 1);
	free(before);
}

static void
F23_test_store__newer_schema_is_refused_untouched(void **state)
{
	(void)state;
	make_database();
	run_sql("PRAGMA user_version = 999");
	refused_untouched("newer modelpd");
	run_sql("PRAGMA user_version = -1");
	refused_untouched("newer modelpd");
}

static void
F23_test_store__foreign_application_is_refused_untouched(void **state)
{
	(void)state;
	make_database();
	run_sql("PRAGMA application_id = 252006673");
	refused_untouched("another program");
}

static void
F23_test_store__ordinary_database_is_refused_untouched(void **state)
{
	(void)state;
	run_sql("CREATE TABLE letters (a); INSERT INTO letters VALUES (1)");
	refused_untouched("another program");
}

static const struct migration two[] = {
	{ "", NULL },
	{ "a second table", "CREATE TABLE later (a INTEGER) STRICT" },
};

/* Upgrades, and dies before the WAL reaches the file. */
static int
upgrade_and_die(void *arg)
{
	struct migration list[32];
	struct schema newer = { list, schema_current.count + 1 };
	struct store *s;

	(void)arg;
	for (int i = 0; i < schema_current.count; i++)
		list[i] = schema_current.list[i];
	list[schema_current.count] = two[1];
	if (store_open_schema(scratch, &newer, &s, &err) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static void
F23_test_store__newer_schema_that_only_the_wal_knows(void **state)
{
	char *file, *wal;
	size_t n, wal_n;

	(void)state;
	make_database();
	assert_int_equal(in_child(0, upgrade_and_die, NULL), -1);
	file = read_whole(in_scratch("state.db"), &n);
	wal = read_whole(in_scratch("state.db-wal"), &wal_n);
	assert_true(wal_n > 0);
	assert_int_equal(file[63], schema_current.count); /* user_version of the file itself */
	assert_int_equal(open_and_close(NULL), -MP_E_VERSION_MISMATCH);
	assert_true(same_content(in_scratch("state.db"), file, n));
	assert_true(same_content(in_scratch("state.db-wal"), wal, wal_n));
	free(file);
	free(wal);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_store__new_one_is_private_and_alone),
		T(test_store__opens_again_with_what_it_held),
		T(test_store__folder_reached_through_a_linked_parent),
		T(test_store__second_opener_is_told_quickly),
		T(F20_test_store__long_transaction_of_another_program),
		T(test_store__eight_first_starts_make_one_database),
		T(test_store__half_made_database_of_a_killed_start),
		T(F16_test_store__read_only_folder_is_refused_with_the_reason),
		T(F16_test_store__read_only_folder_names_path_and_way_out),
		T(F16_test_store__read_only_file_is_refused),
		T(F17_test_store__open_modes_are_refused_with_the_chmod_line),
		T(F17_test_store__open_folder_is_refused),
		T(F17_test_store__foreign_owner_is_refused),
		T(F18_test_store__link_is_not_followed),
		T(F18_test_store__dangling_link_creates_nothing),
		T(F18_test_store__fifo_and_folder_are_refused),
		T(F18_test_store__missing_folder_is_not_made),
		T(F23_test_store__newer_schema_is_refused_untouched),
		T(F23_test_store__foreign_application_is_refused_untouched),
		T(F23_test_store__ordinary_database_is_refused_untouched),
		T(F23_test_store__newer_schema_that_only_the_wal_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
