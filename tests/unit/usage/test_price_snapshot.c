/* F02 for the price list that is kept: killed, or cut off from power, at every call that changes its folder,
 * it is the old or the new one. And what lies there that is none of ours is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/usage/price_snapshot.h"
#include "tests/harness/kill_at.h"

#define DATE INT64_C(1795910400000)

static char folder[64], file[100];

static void
fill(struct price_snapshot *s, int64_t pico, size_t models)
{
	memset(s, 0, sizeof *s);
	s->source = xstrdup("openrouter");
	s->from = xstrdup("https://openrouter.ai/api/v1/models");
	s->date_ms = DATE + pico;
	for (size_t i = 0; i < models; i++) {
		char model[64];
		struct price_row row = { "openrouter", model, DATE, 0,
			{ pico, PRICE_UNTOLD, 1, 2000000000 } };

		snprintf(model, sizeof model, "maker/model-\"%05zu\"", i);
		assert_true(price_list_add(&s->list, &row));
		row.above = 1000;
		assert_true(price_list_add(&s->list, &row));
	}
}

static void
write_file(const char *data, size_t n)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static int
save(int64_t pico, size_t models, struct buf *text)
{
	struct error err = ERROR_INIT;
	struct price_snapshot s;
	int r;

	fill(&s, pico, models);
	assert_int_equal(price_snapshot_write(&s, text, &err), 0);
	r = price_snapshot_save(folder, text, &err);
	price_snapshot_clear(&s);
	return r;
}

static int
load(struct price_snapshot *s)
{
	struct error err = ERROR_INIT;

	return price_snapshot_load(folder, s, &err);
}

static void
test_price_snapshot__what_was_kept_is_there_again(void **state)
{
	struct buf text = BUF_INIT;
	struct price_snapshot s;
	struct stat st;

	(void)state;
	assert_int_equal(save(125, 2, &text), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(load(&s), 0);
	assert_string_equal(s.source, "openrouter");
	assert_string_equal(s.from, "https://openrouter.ai/api/v1/models");
	assert_int_equal(s.date_ms, DATE + 125);
	assert_int_equal(s.list.count, 4);
	assert_string_equal(s.list.rows[2].model, "maker/model-\"00001\"");
	assert_int_equal(s.list.rows[3].above, 1000);
	assert_int_equal(s.list.rows[3].from_ms, DATE);
	assert_int_equal(s.list.rows[3].tariff.input, 125);
	assert_int_equal(s.list.rows[3].tariff.cache_read, PRICE_UNTOLD);
	assert_int_equal(s.list.rows[3].tariff.cache_write, 1);
	assert_int_equal(s.list.rows[3].tariff.output, 2000000000);
	price_snapshot_clear(&s);
	buf_clear(&text);
}

static void
test_price_snapshot__any_damage_shows(void **state)
{
	struct buf text = BUF_INIT;
	struct price_snapshot s;

	(void)state;
	assert_int_equal(save(1250000, 1, &text), 0);
	for (size_t i = 0; i + 1 < text.len; i++) {
		const char was = text.data[i];

		text.data[i] = (char)(was ^ 1); /* another digit, another letter */
		write_file(text.data, text.len);
		if (load(&s) == 0)
			fail_msg("byte %zu (%c) does not matter", i, was);
		text.data[i] = was;
	}
	for (size_t n = 0; n + 1 < text.len; n += 7) {
		write_file(text.data, n);
		assert_int_equal(load(&s), MP_E_INVALID_STATE);
	}
	buf_clear(&text);
}

static void
test_price_snapshot__what_is_none_of_ours(void **state)
{
	const char *const texts[] = { "", "{}", "[]", "null", "x", "{\"prices\":[]}",
		"{\"modelpd_prices\":0}", "{\"modelpd_prices\":1}",
		"{\"modelpd_prices\":1,\"checksum\":5,\"list\":[]}" };
	const char newer[] = "{\"modelpd_prices\":2,\"rows\":\"packed\"}";
	struct buf text = BUF_INIT;
	struct price_snapshot s;
	char *large;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		write_file(texts[i], strlen(texts[i]));
		assert_int_equal(load(&s), MP_E_INVALID_STATE);
	}
	write_file(newer, strlen(newer));
	assert_int_equal(load(&s), MP_E_VERSION_MISMATCH);
	large = malloc(PRICE_SNAPSHOT_MAX_BYTES + 1);
	memset(large, ' ', PRICE_SNAPSHOT_MAX_BYTES + 1);
	write_file(large, PRICE_SNAPSHOT_MAX_BYTES + 1);
	assert_int_equal(load(&s), MP_E_INVALID_STATE);
	free(large);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(load(&s), MP_E_NOT_FOUND);
	/* nobody waits for one that writes into a pipe, and a link leads nowhere */
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(load(&s), MP_E_INVALID_STATE);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(save(1, 1, &text), 0);
	buf_clear(&text);
	assert_int_equal(rename(file, kill_path(folder, "elsewhere")), 0);
	assert_int_equal(symlink("elsewhere", file), 0);
	assert_int_equal(load(&s), MP_E_INVALID_STATE);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(load(&s), MP_E_INVALID_STATE);
	assert_int_equal(rmdir(file), 0);
}

static void
test_price_snapshot__a_folder_that_takes_nothing(void **state)
{
	struct buf text = BUF_INIT;
	struct price_snapshot s;

	(void)state;
	assert_int_equal(save(1, 1, &text), 0);
	buf_clear(&text);
	/* what was cut off there is in nobody's way */
	assert_int_equal(symlink("/nowhere", kill_path(folder, PRICE_SNAPSHOT_NAME ".new")), 0);
	assert_int_equal(save(2, 1, &text), 0);
	buf_clear(&text);
	assert_int_equal(mkdir(kill_path(folder, PRICE_SNAPSHOT_NAME ".new"), 0700), 0);
	assert_int_equal(save(3, 1, &text), MP_E_STORAGE);
	buf_clear(&text);
	assert_int_equal(rmdir(kill_path(folder, PRICE_SNAPSHOT_NAME ".new")), 0);
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(save(4, 1, &text), MP_E_NOT_PERMITTED);
	buf_clear(&text);
	assert_int_equal(chmod(folder, 0700), 0);
	assert_int_equal(load(&s), 0);
	assert_int_equal(s.date_ms, DATE + 2);
	price_snapshot_clear(&s);
}

/* ---- killed ---- */

struct rounds {
	int old, new, other;
	bool in_place; /* the fault that is planted */
};

static void
prepare(void *arg)
{
	struct buf text = BUF_INIT;

	(void)arg;
	assert_int_equal(save(1, 40, &text), 0);
	buf_clear(&text);
}

static int
replace(void *arg)
{
	const struct rounds *rounds = arg;
	struct buf text = BUF_INIT;
	int r = 0;

	if (!rounds->in_place) {
		r = save(2, 50, &text);
	} else {
		struct error err = ERROR_INIT;
		struct price_snapshot s;
		int fd = open(file, O_WRONLY | O_TRUNC);

		fill(&s, 2, 50);
		assert_int_equal(price_snapshot_write(&s, &text, &err), 0);
		r = write(fd, text.data, text.len) != (ssize_t)text.len;
		close(fd);
		price_snapshot_clear(&s);
	}
	buf_clear(&text);
	return r != 0;
}

static bool
check(void *arg, int n, bool killed)
{
	struct rounds *rounds = arg;
	struct price_snapshot s;
	bool there;

	(void)n;
	there = load(&s) == 0;
	if (there && s.date_ms == DATE + 1 && s.list.count == 80)
		rounds->old++;
	else if (there && s.date_ms == DATE + 2 && s.list.count == 100)
		rounds->new++;
	else
		rounds->other++;
	if (!killed && rounds->new == 0)
		rounds->other++;
	price_snapshot_clear(&s);
	return true;
}

static void
test_price_snapshot__killed_at_every_call(void **state)
{
	int status;

	(void)state;
	for (enum kill_variant v = KILL_BEFORE; v <= KILL_POWER; v++) {
		for (unsigned seed = 1; seed <= (v == KILL_POWER ? 20 : 1); seed++) {
			struct rounds rounds = { 0, 0, 0, false };

			kill_seed(seed);
			assert_true(kill_everywhere(folder, v, prepare, replace, check, &rounds,
			    &status) >= 4);
			assert_int_equal(status, 0);
			assert_int_equal(rounds.other, 0);
			assert_true(rounds.old > 0 && rounds.new > 0);
		}
	}
}

static void
test_price_snapshot__one_written_in_place_would_be_seen(void **state)
{
	struct rounds rounds = { 0, 0, 0, true };
	int status;

	(void)state;
	kill_everywhere(folder, KILL_IN_WRITE, prepare, replace, check, &rounds, &status);
	assert_true(rounds.other > 0);
}

static int
make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/mpd-snapshot-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/" PRICE_SNAPSHOT_NAME, folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	kill_remove_all(folder);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_price_snapshot__what_was_kept_is_there_again),
		TEST(test_price_snapshot__any_damage_shows),
		TEST(test_price_snapshot__what_is_none_of_ours),
		TEST(test_price_snapshot__a_folder_that_takes_nothing),
		TEST(test_price_snapshot__killed_at_every_call),
		TEST(test_price_snapshot__one_written_in_place_would_be_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
