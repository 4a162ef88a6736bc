/* F26: a key that is deleted leaves the copies of the database as well, and only that key; copies end by
 * age. */
#include <time.h>
#include <utime.h>

#include "server/store/copies.h"
#include "tests/unit/store/rows.h"

static struct error err;

static void
put_sealed(struct store *s, const char *id, const char *sealed)
{
	struct credential_row row = { .id = id, .provider_id = id, .label = "default",
		.origin = "https://x:443", .fingerprint = "", .last4 = "", .last_code = "", .sealed = sealed, .sealed_len = strlen(sealed),
		.generation = 1, .rev = 1 };

	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_credential_put(s, &row), 0);
	assert_int_equal(store_commit(s), 0);
}

static void
drop_sealed(struct store *s, const char *id)
{
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_credential_delete(s, id, "default"), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_checkpoint(s), 0);
}

static void
copy_file(const char *to)
{
	size_t n;
	char *data = read_whole(in_scratch("state.db"), &n);

	write_whole(in_scratch(to), data, n, 0600);
	free(data);
}

static bool
holds(const char *name, const char *text)
{
	size_t n;
	char *data = read_whole(in_scratch(name), &n);
	bool found = memmem(data, n, text, strlen(text)) != NULL;

	free(data);
	return found;
}

/* Two keys, then copies as an upgrade and a restore leave them. */
static struct store *
with_copies(void)
{
	struct store *s;

	assert_int_equal(store_open(scratch, &s, &err), 0);
	put_sealed(s, "first", "sealed-first-canary");
	put_sealed(s, "second", "sealed-second-canary");
	assert_int_equal(store_checkpoint(s), 0);
	copy_file("state.db.v3.bak");
	assert_int_equal(mkdir(in_scratch("replaced-20260101-000000"), 0700), 0);
	copy_file("replaced-20260101-000000/state.db");
	return s;
}

static void
F26_test_copies__a_deleted_key_leaves_them_all(void **state)
{
	static const char *const copies[] = { "state.db", "state.db.v3.bak",
		"replaced-20260101-000000/state.db" };
	struct store *s = with_copies();

	(void)state;
	drop_sealed(s, "first");
	assert_true(holds(copies[1], "sealed-first-canary")); /* the control: before, it is found */
	assert_true(holds(copies[2], "sealed-first-canary"));
	copies_scrub(s);
	for (size_t i = 0; i < 3; i++) {
		assert_false(holds(copies[i], "sealed-first-canary"));
		assert_true(holds(copies[i], "sealed-second-canary"));
	}
	/* replaced by another key */
	put_sealed(s, "second", "sealed-third-canary");
	assert_int_equal(store_checkpoint(s), 0);
	copies_scrub(s);
	for (size_t i = 0; i < 3; i++)
		assert_false(holds(copies[i], "sealed-second-canary"));
	assert_true(holds("state.db", "sealed-third-canary"));
	assert_int_equal(access(in_scratch("state.db.v3.bak-journal"), F_OK), -1);
	store_close(s);
}

static void
test_copies__damaged_one_is_left_and_harms_nothing(void **state)
{
	struct store *s = with_copies();
	char junk[4096];

	(void)state;
	memset(junk, '#', sizeof junk);
	write_whole(in_scratch("replaced-20260101-000000/state.db"), junk, sizeof junk, 0600);
	drop_sealed(s, "first");
	copies_scrub(s);
	assert_false(holds("state.db.v3.bak", "sealed-first-canary"));
	assert_true(same_content(in_scratch("replaced-20260101-000000/state.db"), junk, sizeof junk));
	assert_int_equal(unlink(in_scratch("replaced-20260101-000000/state.db")), 0);
	copies_scrub(s); /* an empty folder */
	store_close(s);
}

static void
test_copies__end_after_a_month(void **state)
{
	struct store *s = with_copies();
	const int64_t now = (int64_t)time(NULL) * 1000;
	struct utimbuf old = { time(NULL) - 31 * 24 * 3600, time(NULL) - 31 * 24 * 3600 };

	(void)state;
	store_close(s);
	copies_sweep(scratch, now + COPIES_KEPT_MS - 60000);
	assert_int_equal(files_in_scratch(), 3);
	assert_int_equal(utime(in_scratch("state.db.v3.bak"), &old), 0);
	copies_sweep(scratch, now);
	assert_int_equal(access(in_scratch("state.db.v3.bak"), F_OK), -1);
	copies_sweep(scratch, now + COPIES_KEPT_MS + 60000);
	assert_int_equal(files_in_scratch(), 1); /* the one in use never ends */
	assert_int_equal(access(in_scratch("state.db"), F_OK), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(F26_test_copies__a_deleted_key_leaves_them_all),
		T(test_copies__damaged_one_is_left_and_harms_nothing),
		T(test_copies__end_after_a_month),
	};

	scratch_is_fast = true;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
