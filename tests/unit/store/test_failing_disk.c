/* A disk that fails at its n-th write, sync or truncate, or that is full. */
#include "tests/harness/disk_layer.h"
#include "tests/unit/store/steps.h"

static int calls, fail_at, fail_with, syncs;
static bool fail_on; /* a full disk stays full */

static int
fails(int own_code)
{
	if (fail_at == 0 || (++calls != fail_at && !(fail_on && calls > fail_at)))
		return SQLITE_OK;
	return fail_with != 0 ? fail_with : own_code;
}

static int
counted_write(const char *path, const void *data, int n, int64_t at)
{
	(void)path;
	(void)data;
	(void)n;
	(void)at;
	return fails(SQLITE_IOERR_WRITE);
}

static int
counted_sync(const char *path)
{
	(void)path;
	syncs++;
	return fail_on ? SQLITE_OK : fails(SQLITE_IOERR_FSYNC);
}

static int
counted_truncate(const char *path, int64_t size)
{
	(void)path;
	(void)size;
	return fail_on ? SQLITE_OK : fails(SQLITE_IOERR_TRUNCATE);
}

static void
arm(int at, int with, bool on)
{
	calls = 0;
	fail_at = at;
	fail_with = with;
	fail_on = on;
}

static struct store *
open_fresh(void)
{
	struct error err;
	struct store *s;

	arm(0, 0, false);
	unlink(in_scratch("state.db"));
	unlink(in_scratch("state.db-wal"));
	assert_int_equal(store_open(scratch, &s, &err), 0);
	return s;
}

/* Ten changes and a checkpoint with the n-th call failing. True when that call was reached. */
static bool
run_with_failure(int n)
{
	struct store *s = open_fresh();
	int64_t acked = 0, held;
	struct error err;
	bool reached;
	int r = 0;

	arm(n, 0, false);
	while (acked < 10 && (r = step_run(s, acked + 1)) == 0)
		if (++acked == 5)
			store_checkpoint(s); /* may fail too */
	if ((reached = calls >= n)) {
		assert_true(r == 0 || r == MP_E_STORAGE);
		int synced = syncs;

		/* also a checkpoint that failed behind a commit: what comes next is refused */
		assert_true(store_read_only(s));
		assert_int_equal(step_run(s, acked + 1), MP_E_STORAGE);
		assert_int_equal(store_checkpoint(s), MP_E_STORAGE);
		assert_int_equal(syncs, synced); /* nothing is synced as if it could still succeed */
		assert_int_equal(steps_count(s), acked); /* reads go on */
		if (n % 2 == 0) { /* without a restart */
			assert_int_equal(store_recover(s, &err), 0);
			assert_false(store_read_only(s));
			assert_int_equal(steps_count(s), acked); /* what was refused is not there */
			assert_int_equal(step_run(s, acked + 1), 0);
			acked++;
		}
	}
	store_close(s);
	arm(0, 0, false);
	assert_int_equal(store_open(scratch, &s, &err), 0);
	held = steps_count(s);
	assert_in_range(held, acked, acked + 1); /* unacknowledged but whole is allowed */
	assert_int_equal(step_run(s, held + 1), 0);
	store_close(s);
	return reached;
}

static void
F15_test_store__error_at_every_write_sync_and_truncate(void **state)
{
	int n = 1;

	(void)state;
	while (n < 400 && run_with_failure(n))
		n++;
	print_message("%d calls failed in turn\n", n - 1);
	assert_in_range(n, 20, 399);
}

static void
F13_test_store__full_disk_recovers_without_a_restart(void **state)
{
	(void)state;
	for (int n = 1; n < 60; n++) {
		struct store *s = open_fresh();
		int64_t acked = 0;
		struct error err;
		int r = 0;

		arm(n, SQLITE_FULL, true);
		while (acked < 5 && (r = step_run(s, acked + 1)) == 0)
			acked++;
		if (r != 0) {
			assert_int_equal(r, MP_E_STORAGE);
			assert_false(store_read_only(s));
			assert_int_equal(step_run(s, acked + 1), MP_E_STORAGE); /* still full */
			assert_int_equal(steps_count(s), acked);
		}
		arm(0, 0, false); /* somebody made room */
		assert_int_equal(step_run(s, acked + 1), 0);
		assert_int_equal(steps_count(s), acked + 1);
		store_close(s);
		assert_int_equal(store_open(scratch, &s, &err), 0);
		assert_int_equal(steps_count(s), acked + 1);
		store_close(s);
	}
}

/* The disk fails for a while, also while the store is opened anew. */
static void
F15_test_store__recovers_as_soon_as_the_disk_does(void **state)
{
	(void)state;
	for (int n = 1; n < 40; n++) {
		struct store *s = open_fresh();
		int64_t acked = 0;
		struct error err;

		arm(n, SQLITE_IOERR_WRITE, true);
		while (acked < 5 && step_run(s, acked + 1) == 0)
			acked++;
		for (int again = 0; store_read_only(s) && again < 3; again++) {
			assert_int_equal(store_recover(s, &err), MP_E_STORAGE);
			assert_true(err.message[0] != '\0');
			assert_true(store_read_only(s));
			assert_int_equal(steps_count(s), acked);
			assert_int_equal(step_run(s, acked + 1), MP_E_STORAGE);
		}
		arm(0, 0, false);
		assert_int_equal(store_recover(s, &err), 0);
		assert_int_equal(steps_count(s), acked);
		assert_int_equal(step_run(s, acked + 1), 0);
		store_close(s);
		assert_int_equal(store_open(scratch, &s, &err), 0);
		assert_int_equal(steps_count(s), acked + 1);
		store_close(s);
	}
}

static void
test_store__failing_disk_while_it_is_made(void **state)
{
	struct error err;
	struct store *s;
	int n = 1;

	(void)state;
	for (; n < 400; n++) {
		int r;

		unlink(in_scratch("state.db"));
		unlink(in_scratch("state.db-wal"));
		arm(n, 0, false);
		s = NULL;
		r = store_open(scratch, &s, &err);
		if (r != 0) {
			assert_int_equal(r, MP_E_STORAGE);
			assert_true(err.message[0] != '\0' && err.hint[0] != '\0');
			/* none, or a whole one; never half of one */
			if (access(in_scratch("state.db"), F_OK) == 0) {
				arm(0, 0, false);
				assert_int_equal(store_open(scratch, &s, &err), 0);
				arm(n, 0, false);
				calls = n;
			}
		}
		store_close(s);
		if (calls < n)
			break;
	}
	assert_in_range(n, 10, 399);
	arm(0, 0, false);
	s = open_fresh();
	assert_int_equal(step_run(s, 1), 0);
	store_close(s);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(F15_test_store__error_at_every_write_sync_and_truncate),
		T(F15_test_store__recovers_as_soon_as_the_disk_does),
		T(F13_test_store__full_disk_recovers_without_a_restart),
		T(test_store__failing_disk_while_it_is_made),
	};

	scratch_is_fast = true;
	disk_hooks.write = counted_write;
	disk_hooks.sync = counted_sync;
	disk_hooks.truncate = counted_truncate;
	if (disk_layer_install() != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
