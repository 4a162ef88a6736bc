/* F21: a usage.db that is damaged: refused with a reason and kept, or read without trouble; never a crash. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "server/store/inspection.h"
#include "server/store/store.h"
#include "tests/unit/usage/desk.h"

#define VARIANTS 1000

static unsigned seed;

struct content {
	char *data;
	size_t n;
};

/* ---- files ---- */

static const char *
path_of(const struct desk *d, const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", d->dir, name);
	return path;
}

static struct content
read_whole(const struct desk *d, const char *name)
{
	int fd = open(path_of(d, name), O_RDONLY | O_CLOEXEC);
	struct content c;
	struct stat st = { .st_size = 0 };

	assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= 0);
	c.n = (size_t)st.st_size;
	c.data = malloc(c.n + 1);
	assert_non_null(c.data);
	assert_int_equal(read(fd, c.data, c.n), c.n);
	close(fd);
	return c;
}

static void
write_whole(const struct desk *d, const char *name, const void *data, size_t n)
{
	int fd = open(path_of(d, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), n);
	close(fd);
}

static void
forget(const struct desk *d, const char *name)
{
	assert_true(unlink(path_of(d, name)) == 0 || errno == ENOENT);
}

/* ---- rows ---- */

static void
add_rows(struct desk *d, int count)
{
	static const char *const providers[] = { "openai", "openrouter", "gemini" };
	struct usage_row row = a_row("openai", "m");

	for (int i = 0; i < count; i++) {
		row.provider = providers[i % 3];
		row.call = i;
		ledger_add(d->ledger, &row);
		if (i % 10 == 0)
			assert_int_equal(ledger_flush(d->ledger), 0);
	}
	assert_int_equal(ledger_flush(d->ledger), 0);
}

static void
close_ledger(struct desk *d)
{
	ledger_free(d->ledger);
	d->ledger = NULL;
}

/* Rows, and a log that is not in the file yet, as kill -9 leaves them. */
static void
killed(struct desk *d, int count, struct content *file, struct content *log)
{
	add_rows(d, count);
	*file = read_whole(d, "usage.db");
	*log = read_whole(d, "usage.db-wal");
	assert_true(log->n > 4096);
	close_ledger(d);
	write_whole(d, "usage.db", file->data, file->n);
	write_whole(d, "usage.db-wal", log->data, log->n);
}

static void
skip_row(void *arg, const struct usage_row *row)
{
	(void)arg;
	assert_true(row->provider != NULL && row->outcome != NULL);
}

/* Opens, reads and writes. 0, or the refusal, which must be clear and leave the file as it was. */
static int
use_ledger(struct desk *d, const char *content, size_t n)
{
	struct error err = ERROR_INIT;
	int r = ledger_open(d->dir, d->loop, &d->ledger, &err);
	struct usage_row row = a_row("a", "m");
	struct total t = { .groups = 0 };

	if (r != 0) {
		struct content now = read_whole(d, "usage.db");

		d->ledger = NULL;
		assert_true(r == MP_E_STORAGE || r == MP_E_VERSION_MISMATCH);
		assert_non_null(strstr(err.message, "usage.db"));
		assert_true(err.hint[0] != '\0');
		assert_true(now.n == n && memcmp(now.data, content, n) == 0);
		free(now.data);
		return r;
	}
	r = ledger_rows(d->ledger, INT64_MIN, INT64_MAX, INT32_MAX, skip_row, NULL);
	assert_true(r == 0 || r == MP_E_STORAGE);
	r = ledger_sums(d->ledger, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_MODEL, USAGE_DAYS, add_group,
	    &t);
	assert_true(r == 0 || r == MP_E_STORAGE);
	ledger_add(d->ledger, &row);
	ledger_flush(d->ledger);
	close_ledger(d);
	return 0;
}

/* ---- the damage ---- */

static void
flip_some(char *data, size_t n)
{
	int flips = 1 + (int)(rand_r(&seed) % 8);

	while (flips-- > 0)
		data[(size_t)rand_r(&seed) % n] ^= (char)(1 + rand_r(&seed) % 255);
}

static void
F21_test_usage_damage__random_bytes_flipped(void **state)
{
	struct desk *d = *state;
	struct content file;
	int refused = 0;
	char *copy;

	add_rows(d, 300);
	close_ledger(d);
	file = read_whole(d, "usage.db");
	copy = malloc(file.n + 1);
	assert_non_null(copy);
	for (int i = 0; i < VARIANTS; i++) {
		memcpy(copy, file.data, file.n);
		flip_some(copy, i % 4 == 0 ? 512 : file.n); /* the first bytes matter most */
		forget(d, "usage.db-wal");
		write_whole(d, "usage.db", copy, file.n);
		refused += use_ledger(d, copy, file.n) != 0;
	}
	free(copy);
	free(file.data);
	print_message("%d of %d refused\n", refused, VARIANTS);
	assert_in_range(refused, VARIANTS / 10, VARIANTS);
}

static void
F21_test_usage_damage__random_bytes_of_the_log_flipped(void **state)
{
	struct desk *d = *state;
	struct content file, log;
	char *copy;

	killed(d, 200, &file, &log);
	copy = malloc(log.n + 1);
	assert_non_null(copy);
	for (int i = 0; i < VARIANTS / 4; i++) {
		memcpy(copy, log.data, log.n);
		flip_some(copy, log.n);
		write_whole(d, "usage.db", file.data, file.n);
		write_whole(d, "usage.db-wal", copy, log.n);
		/* what lies behind the damage is gone, what is left is whole */
		desk_open(d);
		assert_in_range(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING).sums.requests, 0,
		    200);
		close_ledger(d);
	}
	free(copy);
	free(file.data);
	free(log.data);
}

static void
F21_test_usage_damage__cut_short(void **state)
{
	struct desk *d = *state;
	struct content file;
	size_t content;

	add_rows(d, 300);
	close_ledger(d);
	file = read_whole(d, "usage.db");
	for (content = file.n; content > 0 && file.data[content - 1] == '\0'; content--)
		;
	for (size_t i = 0; i < 30; i++) {
		forget(d, "usage.db-wal");
		write_whole(d, "usage.db", file.data, content * i / 30);
		assert_int_equal(use_ledger(d, file.data, content * i / 30), MP_E_STORAGE);
	}
	free(file.data);
}

static void
F21_test_usage_damage__another_program_under_that_name(void **state)
{
	struct desk *d = *state;
	char text[5000];

	close_ledger(d);
	memset(text, '#', sizeof text);
	write_whole(d, "usage.db", text, sizeof text);
	assert_int_equal(use_ledger(d, text, sizeof text), MP_E_STORAGE);
}

/* The way back that the refusal names: who moves the file away need not know of the log beside it. */
static void
F21_test_usage_damage__moved_away_an_empty_one_begins(void **state)
{
	struct desk *d = *state;
	struct content file, log;

	killed(d, 200, &file, &log);
	forget(d, "usage.db");
	desk_open(d);
	assert_int_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING).sums.requests, 0);
	assert_int_equal(access(path_of(d, "usage.db-wal.old"), F_OK), 0);
	add_rows(d, 5);
	close_ledger(d);
	desk_open(d);
	assert_int_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING).sums.requests, 5);
	free(file.data);
	free(log.data);
}

/* ---- a large file is looked at beside the loop ---- */

/* More than INSPECTION_BYTES, nothing in the log. */
static struct content
large(struct desk *d)
{
	struct usage_row row = a_row("openai", "gpt-with-a-name-of-some-length");
	struct content file;

	for (int i = 0; i < 45000; i++) {
		row.call = i;
		ledger_add(d->ledger, &row);
		if (i % 5000 == 0)
			assert_int_equal(ledger_flush(d->ledger), 0);
	}
	close_ledger(d);
	file = read_whole(d, "usage.db");
	assert_true((int64_t)file.n > INSPECTION_BYTES);
	return file;
}

static void
looked_at(struct desk *d)
{
	for (int64_t end = clock_monotonic_ms() + 20000; store_inspecting(ledger_store(d->ledger));) {
		assert_true(clock_monotonic_ms() < end);
		loop_once(d->loop, 100);
	}
}

static void
F21_test_usage_damage__a_large_file_is_looked_at_after_the_start(void **state)
{
	struct desk *d = *state;
	struct content file = large(d), now;
	struct usage_row row = a_row("a", "m");

	desk_open(d);
	assert_true(store_inspecting(ledger_store(d->ledger)));
	ledger_add(d->ledger, &row);
	assert_int_equal(ledger_flush(d->ledger), 0);
	assert_int_equal(store_checkpoint_passive(ledger_store(d->ledger)), 0);
	now = read_whole(d, "usage.db");
	/* what is looked at stays as it is */
	assert_true(now.n == file.n && memcmp(now.data, file.data, now.n) == 0);
	looked_at(d);
	assert_null(ledger_damage(d->ledger));
	assert_int_equal(store_checkpoint_passive(ledger_store(d->ledger)), 0);
	free(now.data);
	now = read_whole(d, "usage.db");
	assert_true(now.n != file.n || memcmp(now.data, file.data, now.n) != 0);
	assert_int_equal(sums(d, 0, clock_wall_ms() + 2 * DAY_MS, USAGE_BY_NOTHING).sums.requests, 45001);
	free(now.data);
	free(file.data);
}

static void
F21_test_usage_damage__a_large_damaged_file_is_written_no_more(void **state)
{
	struct desk *d = *state;
	struct content file = large(d), now;
	struct usage_row row = a_row("a", "m");
	size_t at = file.n / 2 / 4096 * 4096;

	memset(file.data + at, 0xa5, (size_t)4 * 4096);
	write_whole(d, "usage.db", file.data, file.n);
	desk_open(d);
	looked_at(d);
	assert_non_null(ledger_damage(d->ledger));
	assert_non_null(strstr(ledger_damage(d->ledger), "usage.db is damaged"));
	assert_true(ledger_failing(d->ledger));
	ledger_add(d->ledger, &row);
	assert_int_equal(ledger_flush(d->ledger), MP_E_STORAGE);
	assert_int_equal(ledger_waiting(d->ledger), 1);
	close_ledger(d);
	now = read_whole(d, "usage.db");
	assert_true(now.n == file.n && memcmp(now.data, file.data, now.n) == 0);
	free(now.data);
	free(file.data);
}

static void
F21_test_usage_damage__a_large_file_with_random_bytes_flipped(void **state)
{
	struct desk *d = *state;
	struct content file = large(d);
	struct usage_row row = a_row("a", "m");
	struct error err = ERROR_INIT;
	char *copy = malloc(file.n + 1);
	int refused = 0, found = 0;

	assert_non_null(copy);
	for (int i = 0; i < 40; i++) {
		memcpy(copy, file.data, file.n);
		for (int k = 0; k < 50; k++)
			flip_some(copy, i % 4 == 0 ? 512 : file.n);
		forget(d, "usage.db-wal");
		write_whole(d, "usage.db", copy, file.n);
		if (ledger_open(d->dir, d->loop, &d->ledger, &err) != 0) {
			refused++;
			continue;
		}
		ledger_add(d->ledger, &row); /* it is used while it is looked at */
		ledger_flush(d->ledger);
		if (i % 3 != 0)
			looked_at(d);
		found += ledger_damage(d->ledger) != NULL;
		close_ledger(d); /* maybe in the midst of it */
	}
	print_message("%d refused, %d found afterwards\n", refused, found);
	assert_in_range(found, 5, 40);
	free(copy);
	free(file.data);
}

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		T(F21_test_usage_damage__random_bytes_flipped),
		T(F21_test_usage_damage__random_bytes_of_the_log_flipped),
		T(F21_test_usage_damage__cut_short),
		T(F21_test_usage_damage__another_program_under_that_name),
		T(F21_test_usage_damage__moved_away_an_empty_one_begins),
		T(F21_test_usage_damage__a_large_file_is_looked_at_after_the_start),
		T(F21_test_usage_damage__a_large_damaged_file_is_written_no_more),
		T(F21_test_usage_damage__a_large_file_with_random_bytes_flipped),
	};

	desk_is_fast = true;
	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
