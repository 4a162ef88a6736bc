/* Damaged files: refused with a reason and kept, or read without trouble; never a crash. */
#include <signal.h>
#include <time.h>

#include <sqlite3.h>

#include "tests/unit/store/steps.h"

#define VARIANTS 1000

static unsigned seed;
static struct error err;
static char *file, *wal;
static size_t file_n, wal_n;

static int
write_and_die(void *arg)
{
	struct store *s;

	(void)arg;
	if (store_open(scratch, &s, &err) != 0)
		return 1;
	for (int64_t i = 1; i <= 20; i++)
		if (step_run(s, i) != 0)
			return 1;
	raise(SIGKILL);
	return 2;
}

static int
setup(void **state)
{
	struct store *s;

	if (scratch_setup(state) != 0 || store_open(scratch, &s, &err) != 0)
		return -1;
	fill(s, 20);
	store_close(s);
	file = read_whole(in_scratch("state.db"), &file_n);
	return 0;
}

static int
setup_with_wal(void **state)
{
	if (scratch_setup(state) != 0 || in_child(0, write_and_die, NULL) != -1)
		return -1;
	file = read_whole(in_scratch("state.db"), &file_n);
	wal = read_whole(in_scratch("state.db-wal"), &wal_n);
	return wal_n > 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	free(file);
	free(wal);
	file = wal = NULL;
	return scratch_teardown(state);
}

/* Opens, reads and writes. 0, or the refusal, which must be clear and leave the file as it was. */
static int
use_database(const char *content, size_t n)
{
	struct store *s = NULL;
	int r = store_open(scratch, &s, &err), rows;

	if (r != 0) {
		assert_null(s);
		assert_true(r == MP_E_STORAGE || r == MP_E_VERSION_MISMATCH);
		assert_int_equal(err.code, r);
		assert_true(err.message[0] != '\0' && err.hint[0] != '\0');
		assert_true(same_content(in_scratch("state.db"), content, n));
		return r;
	}
	r = read_all(s, &rows);
	assert_true(r == 0 || r == MP_E_STORAGE);
	if (store_begin(s) == 0) {
		store_meta_set(s, "after", "damage");
		put_provider(s, "after", "damage", 1);
		store_commit(s);
	}
	store_close(s);
	return 0;
}

static void
flip_some(char *data, size_t n)
{
	int flips = 1 + (int)(rand_r(&seed) % 8);

	while (flips-- > 0)
		data[(size_t)rand_r(&seed) % n] ^= (char)(1 + rand_r(&seed) % 255);
}

static void
F21_test_store__random_bytes_flipped(void **state)
{
	char *copy = malloc(file_n);
	int refused = 0;

	(void)state;
	for (int i = 0; i < VARIANTS; i++) {
		memcpy(copy, file, file_n);
		flip_some(copy, i % 4 == 0 ? 512 : file_n); /* the first bytes matter most */
		unlink(in_scratch("state.db-wal"));
		write_whole(in_scratch("state.db"), copy, file_n, 0600);
		refused += use_database(copy, file_n) != 0;
	}
	free(copy);
	print_message("%d of %d refused\n", refused, VARIANTS);
	assert_in_range(refused, VARIANTS / 10, VARIANTS);
}

static void
F21_test_store__random_bytes_of_the_wal_flipped(void **state)
{
	char *copy = malloc(wal_n);

	(void)state;
	for (int i = 0; i < VARIANTS / 4; i++) {
		memcpy(copy, wal, wal_n);
		flip_some(copy, wal_n);
		write_whole(in_scratch("state.db"), file, file_n, 0600);
		write_whole(in_scratch("state.db-wal"), copy, wal_n, 0600);
		/* what lies behind the damage is gone, what is left is whole */
		{
			struct store *s;
			int64_t held;

			assert_int_equal(store_open(scratch, &s, &err), 0);
			held = steps_count(s);
			assert_in_range(held, 0, 20);
			store_close(s);
		}
	}
	free(copy);
}

/* SQLite replays it all the same: whole pages of one in the other. Who tells is the vault, which opens
 * nothing that another key has sealed (tests/e2e/test_backup.py). Here: read without trouble, or refused. */
static void
F21_test_store__the_log_of_another_database(void **state)
{
	int refused = 0, served = 0;

	(void)state;
	for (int steps = 0; steps <= 60; steps += 20) {
		char *other;
		size_t other_n;
		struct store *s;

		unlink(in_scratch("state.db"));
		unlink(in_scratch("state.db-wal"));
		unlink(in_scratch("state.db-shm"));
		assert_int_equal(store_open(scratch, &s, &err), 0);
		for (int64_t i = 1; i <= steps; i++)
			assert_int_equal(step_run(s, i), 0);
		store_close(s);
		other = read_whole(in_scratch("state.db"), &other_n);
		for (size_t n = wal_n; n > 4096; n -= 4096 * 3 < n ? 4096 * 3 : n) {
			write_whole(in_scratch("state.db"), other, other_n, 0600);
			write_whole(in_scratch("state.db-wal"), wal, n, 0600);
			if (use_database(other, other_n) != 0) {
				refused++;
				assert_true(same_content(in_scratch("state.db-wal"), wal, n));
			} else {
				served++;
			}
		}
		free(other);
	}
	print_message("%d refused, %d served\n", refused, served);
	assert_true(refused + served > 50);
}

/* A page that is cut reads as if zeros followed: where only zeros are lost, nothing is (an empty table at
 * the end). */
static size_t
content_length(void)
{
	size_t n = file_n;

	while (n > 0 && file[n - 1] == '\0')
		n--;
	return n;
}

static void
F21_test_store__truncated_at_many_lengths(void **state)
{
	size_t content = content_length();

	(void)state;
	assert_true(content > file_n / 2);
	for (int i = 1; i < 50; i++) {
		size_t n = content * (size_t)i / 50;

		unlink(in_scratch("state.db-wal"));
		write_whole(in_scratch("state.db"), file, n, 0600);
		assert_int_equal(use_database(file, n), MP_E_STORAGE);
	}
}

static void
F21_test_store__zero_length_is_no_new_database(void **state)
{
	(void)state;
	write_whole(in_scratch("state.db"), "", 0, 0600);
	assert_int_equal(use_database("", 0), MP_E_STORAGE);
	assert_non_null(strstr(err.message, "empty"));
}

static void
F21_test_store__text_file_under_that_name(void **state)
{
	char text[5000];

	(void)state;
	memset(text, '#', sizeof text);
	write_whole(in_scratch("state.db"), text, sizeof text, 0600);
	assert_int_equal(use_database(text, sizeof text), MP_E_STORAGE);
	assert_non_null(strstr(err.message, "no SQLite database"));
}

static void
test_store__tables_that_are_not_ours_are_damage(void **state)
{
	static const char *const edits[] = {
		"CREATE TRIGGER t AFTER INSERT ON meta BEGIN DELETE FROM overrides; END",
		"CREATE VIEW v AS SELECT 1",
		"ALTER TABLE models ADD COLUMN more TEXT",
		"DROP INDEX overrides_scope",
	};

	(void)state;
	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		sqlite3 *db;
		char *edited;
		size_t n;

		write_whole(in_scratch("state.db"), file, file_n, 0600);
		assert_int_equal(sqlite3_open(in_scratch("state.db"), &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, edits[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		edited = read_whole(in_scratch("state.db"), &n);
		assert_int_equal(use_database(edited, n), MP_E_STORAGE);
		free(edited);
	}
}

static void
test_store__row_that_was_edited_to_nonsense_is_an_error(void **state)
{
	char *at;
	struct store *s;
	int n;

	(void)state;
	at = memmem(file, file_n, "universal-gateway", 17);
	assert_non_null(at);
	memcpy(at, "universal-gatewaX", 17);
	write_whole(in_scratch("state.db"), file, file_n, 0600);
	assert_int_equal(store_open(scratch, &s, &err), 0);
	assert_int_equal(read_all(s, &n), MP_E_STORAGE);
	store_close(s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		T(F21_test_store__random_bytes_flipped),
		T(F21_test_store__truncated_at_many_lengths),
		T(F21_test_store__zero_length_is_no_new_database),
		T(F21_test_store__text_file_under_that_name),
		T(test_store__tables_that_are_not_ours_are_damage),
		T(test_store__row_that_was_edited_to_nonsense_is_an_error),
		cmocka_unit_test_setup_teardown(F21_test_store__random_bytes_of_the_wal_flipped,
		    setup_with_wal, teardown),
		cmocka_unit_test_setup_teardown(F21_test_store__the_log_of_another_database, setup_with_wal,
		    teardown),
	};

	scratch_is_fast = true;
	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
