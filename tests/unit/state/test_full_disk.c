/* The promise when the disk takes no more: what was refused is nowhere, what was acknowledged is there. */
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/state/world.h"

/* Files may not grow any more: every write of the log fails. */
static void
disk_full(bool full)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? 1 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int
try_set(struct world *w, const char *model, bool temporary, int64_t ttl_ms)
{
	int r;

	if ((r = changes_begin(w->changes, &w->err)) != 0)
		return r;
	r = overrides_set(w->os, "", world_provider(w, "openai"), model, NULL, temporary, ttl_ms, &w->err);
	if (r == 0)
		return changes_commit(w->changes, "route.set", NULL, NULL, &w->err);
	changes_rollback(w->changes);
	return r;
}

static void
test_full_disk__a_refused_change_is_nowhere(void **state)
{
	struct world *w = *state;
	int64_t rev;

	assert_int_equal(try_set(w, "kept", false, 0), 0);
	rev = changes_rev(w->changes);
	w->heard_count = 0;
	disk_full(true);
	assert_int_equal(try_set(w, "lost", false, 0), MP_E_STORAGE);
	assert_true(w->err.message[0] != '\0' && w->err.hint[0] != '\0');
	assert_string_equal(overrides_find(w->os, "", false)->model, "kept");
	assert_int_equal(changes_rev(w->changes), rev);
	assert_int_equal(w->heard_count, 0);
	assert_false(changes_open(w->changes));
	disk_full(false);
	world_reopen(w);
	assert_string_equal(overrides_find(w->os, "", false)->model, "kept");
	assert_int_equal(changes_rev(w->changes), rev);
	assert_int_equal(try_set(w, "next", false, 0), 0);
}

static void
test_full_disk__an_override_ends_all_the_same(void **state)
{
	struct world *w = *state;
	int64_t end = clock_monotonic_ms() + 3000;
	int64_t rev;

	assert_int_equal(try_set(w, "kept", false, 0), 0);
	assert_int_equal(try_set(w, "short", true, 100), 0);
	rev = changes_rev(w->changes);
	w->heard_count = 0;
	disk_full(true);
	while (w->heard_count < 2 && clock_monotonic_ms() < end)
		loop_once(w->loop, 50);
	assert_int_equal(w->heard_count, 2);
	assert_int_equal(w->heard[0].topic, TOPIC_OVERRIDES);
	assert_int_equal(w->heard[1].topic, TOPIC_ROUTE);
	assert_string_equal(w->heard[1].reason, "expired");
	assert_true(changes_rev(w->changes) > rev);
	assert_null(overrides_find(w->os, "", true));
	assert_string_equal(overrides_find(w->os, "", false)->model, "kept");
	disk_full(false);
	world_reopen(w);
	assert_null(overrides_find(w->os, "", true));
	assert_string_equal(overrides_find(w->os, "", false)->model, "kept");
}

static void
test_full_disk__a_test_session_ends_all_the_same(void **state)
{
	struct world *w = *state;
	struct secret *key = secret_new("sk-temporary-00000000001", 24), *token = NULL;
	struct session_start start = { world_provider(w, "openai"), "gpt", NULL, key, 1000, true };
	int64_t end = clock_monotonic_ms() + 5000;
	const struct session *s = NULL;
	const struct secret *opened;

	CHANGE(w, sessions_start(w->ss, &start, &token, &s, &w->err));
	assert_int_equal(credentials_open(w->cs, start.provider, "session-1", &opened, &w->err), 0);
	w->heard_count = 0;
	disk_full(true);
	while (w->heard_count < 2 && clock_monotonic_ms() < end)
		loop_once(w->loop, 50);
	assert_int_equal(w->heard_count, 2);
	assert_int_equal(w->heard[0].topic, TOPIC_SESSIONS);
	assert_string_equal(w->heard[0].reason, "expired");
	assert_null(sessions_activated(w->ss));
	assert_int_equal(credentials_open(w->cs, world_provider(w, "openai"), "session-1", &opened, &w->err),
	    MP_E_NO_CREDENTIAL);
	loop_once(w->loop, 600);
	assert_int_equal(w->heard_count, 2); /* said once */
	disk_full(false);
	world_reopen(w);
	assert_int_equal(world_count(w, "SELECT count(*) FROM sessions"), 0);
	assert_int_equal(world_count(w, "SELECT count(*) FROM credentials"), 0);
	secret_free(token);
	secret_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full_disk__a_refused_change_is_nowhere),
		TEST(test_full_disk__an_override_ends_all_the_same),
		TEST(test_full_disk__a_test_session_ends_all_the_same),
	};

	/* a write over the limit then fails with EFBIG */
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
