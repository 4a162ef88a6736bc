#include <sys/wait.h>

#include "tests/unit/state/world.h"

/* "openai:a !ollama:b": the state of a scope, a temporary one with a mark. */
static const char *
shown(struct world *w, const char *scope)
{
	static char text[256];
	size_t n = 0;

	text[0] = '\0';
	for (int k = 0; k < 2; k++) {
		const struct override *o = overrides_find(w->os, scope, k == 1);

		if (o != NULL)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s:%s", n > 0 ? " " : "",
			    k == 1 ? "!" : "", providers_find_id(w->ps, o->provider_id)->name,
			    o->model);
	}
	return text;
}

static void
set(struct world *w, const char *scope, const char *model, bool temporary, int64_t ttl_ms)
{
	CHANGE(w, overrides_set(w->os, scope, world_provider(w, "openai"), model, NULL, temporary, ttl_ms,
	              &w->err));
}

static void
undo(struct world *w, const char *scope)
{
	CHANGE(w, overrides_undo(w->os, scope, &w->err));
}

/* The promise: what is shown is what is there after the files were closed and opened. */
static void
holds(struct world *w, const char *scope, const char *expected)
{
	assert_string_equal(shown(w, scope), expected);
	world_reopen(w);
	assert_string_equal(shown(w, scope), expected);
}

static void
test_overrides__persistent_and_temporary_side_by_side(void **state)
{
	struct world *w = *state;

	holds(w, "", "");
	set(w, "", "a", false, 0);
	holds(w, "", "openai:a");
	set(w, "", "b", true, 0);
	holds(w, "", "openai:a !openai:b");
	set(w, "proj", "c", false, 0);
	holds(w, "proj", "openai:c");
	holds(w, "", "openai:a !openai:b");
	set(w, "", "d", false, 0);
	holds(w, "", "openai:d");
}

static void
test_overrides__undo_goes_back_and_forth(void **state)
{
	struct world *w = *state;

	CHANGE_GIVES(w, MP_E_NOT_FOUND, overrides_undo(w->os, "", &w->err));
	set(w, "", "a", false, 0);
	undo(w, "");
	holds(w, "", "");
	undo(w, "");
	holds(w, "", "openai:a");
	set(w, "", "b", false, 0);
	undo(w, "");
	holds(w, "", "openai:a");
	undo(w, "");
	holds(w, "", "openai:b");
	undo(w, "");
	holds(w, "", "openai:a");
}

static void
test_overrides__undo_restores_both_kinds(void **state)
{
	struct world *w = *state;
	int64_t id;

	set(w, "", "a", false, 0);
	id = overrides_find(w->os, "", false)->id;
	set(w, "", "b", true, 60000);
	assert_int_equal(overrides_find(w->os, "", false)->id, id);
	set(w, "", "c", false, 0);
	holds(w, "", "openai:c");
	undo(w, "");
	holds(w, "", "openai:a !openai:b");
	assert_true(overrides_find(w->os, "", true)->expires_ms > 0);
	undo(w, "");
	holds(w, "", "openai:c");
}

static void
test_overrides__undo_of_a_temporary_one_leaves_the_persistent_alone(void **state)
{
	struct world *w = *state;
	int64_t id;

	set(w, "", "a", false, 0);
	id = overrides_find(w->os, "", false)->id;
	set(w, "", "b", true, 0);
	undo(w, "");
	holds(w, "", "openai:a");
	assert_int_equal(overrides_find(w->os, "", false)->id, id);
	undo(w, "");
	holds(w, "", "openai:a !openai:b");
	assert_int_equal(overrides_find(w->os, "", false)->id, id);
}

static void
test_overrides__clear_can_be_undone(void **state)
{
	struct world *w = *state;

	CHANGE_GIVES(w, MP_E_NOT_FOUND, overrides_clear(w->os, "", &w->err));
	set(w, "", "a", false, 0);
	set(w, "", "b", true, 0);
	CHANGE(w, overrides_clear(w->os, "", &w->err));
	holds(w, "", "");
	CHANGE_GIVES(w, MP_E_NOT_FOUND, overrides_clear(w->os, "", &w->err));
	undo(w, "");
	holds(w, "", "openai:a !openai:b");
	undo(w, "");
	holds(w, "", "");
}

static void
test_overrides__clear_by_id_takes_one(void **state)
{
	struct world *w = *state;
	int64_t id;

	set(w, "", "a", false, 0);
	set(w, "", "b", true, 0);
	id = overrides_find(w->os, "", false)->id;
	CHANGE(w, overrides_clear_id(w->os, id, &w->err));
	holds(w, "", "!openai:b");
	CHANGE_GIVES(w, MP_E_NOT_FOUND, overrides_clear_id(w->os, id, &w->err));
	undo(w, "");
	holds(w, "", "openai:a !openai:b");
	CHANGE(w, overrides_clear_id(w->os, overrides_find(w->os, "", true)->id, &w->err));
	holds(w, "", "openai:a");
}

static void
test_overrides__the_same_choice_again_keeps_the_one_before(void **state)
{
	struct world *w = *state;
	int64_t id, rev, expires;

	set(w, "", "a", false, 0);
	set(w, "", "b", false, 0);
	id = overrides_find(w->os, "", false)->id;
	rev = overrides_scope_rev(w->os, "");
	set(w, "", "b", false, 0);
	assert_int_equal(overrides_find(w->os, "", false)->id, id);
	assert_true(overrides_scope_rev(w->os, "") > rev);
	undo(w, "");
	holds(w, "", "openai:a");
	set(w, "", "t", true, 1000);
	expires = overrides_find(w->os, "", true)->expires_ms;
	set(w, "", "t", true, 100000);
	assert_true(overrides_find(w->os, "", true)->expires_ms > expires + 90000);
	undo(w, "");
	holds(w, "", "openai:a");
	set(w, "", "t", true, 0);
	set(w, "", "a", false, 0);
	holds(w, "", "openai:a");
	undo(w, "");
	holds(w, "", "openai:a !openai:t");
}

static void
test_overrides__scopes_are_apart(void **state)
{
	struct world *w = *state;

	set(w, "", "a", false, 0);
	set(w, "x", "b", false, 0);
	set(w, "x", "c", false, 0);
	undo(w, "");
	holds(w, "x", "openai:c");
	holds(w, "", "");
	undo(w, "x");
	holds(w, "x", "openai:b");
	holds(w, "", "");
	assert_int_equal(overrides_scope_rev(w->os, "never"), 0);
}

static void
test_overrides__scope_rev_follows_every_change(void **state)
{
	struct world *w = *state;
	int64_t rev;

	assert_int_equal(overrides_scope_rev(w->os, ""), 0);
	set(w, "", "a", false, 0);
	rev = overrides_scope_rev(w->os, "");
	assert_int_equal(rev, changes_rev(w->changes));
	CHANGE(w, overrides_clear(w->os, "", &w->err));
	assert_int_equal(overrides_scope_rev(w->os, ""), changes_rev(w->changes));
	undo(w, "");
	assert_int_equal(overrides_scope_rev(w->os, ""), changes_rev(w->changes));
	set(w, "other", "a", false, 0);
	assert_true(overrides_scope_rev(w->os, "") < changes_rev(w->changes));
}

static void
test_overrides__bad_values_are_refused(void **state)
{
	struct world *w = *state;
	const struct provider *p = world_provider(w, "openai");
	char scope[300];

	memset(scope, 's', sizeof scope);
	scope[257] = '\0';
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS,
	    overrides_set(w->os, scope, p, "m", NULL, false, 0, &w->err));
	assert_string_equal(w->err.field, "scope");
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS,
	    overrides_set(w->os, "a\nb", p, "m", NULL, false, 0, &w->err));
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, overrides_set(w->os, "", p, "", NULL, false, 0, &w->err));
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS,
	    overrides_set(w->os, "", p, "m", NULL, false, INT64_MAX, &w->err));
	scope[256] = '\0';
	CHANGE(w, overrides_set(w->os, scope, p, "m", NULL, false, 0, &w->err));
}

static void
turn_until(struct world *w, size_t heard)
{
	int64_t end = clock_monotonic_ms() + 5000;

	while (w->heard_count < heard && clock_monotonic_ms() < end)
		loop_once(w->loop, 50);
	assert_int_equal(w->heard_count, heard);
}

static void
test_overrides__its_time_is_up_and_that_is_told(void **state)
{
	struct world *w = *state;

	set(w, "", "a", false, 0);
	set(w, "", "b", true, 80);
	assert_string_equal(shown(w, ""), "openai:a !openai:b");
	w->heard_count = 0;
	turn_until(w, 2);
	assert_int_equal(w->heard[0].topic, TOPIC_OVERRIDES);
	assert_int_equal(w->heard[0].op, CHANGE_REMOVE);
	assert_int_equal(w->heard[1].topic, TOPIC_ROUTE);
	assert_string_equal(w->heard[1].reason, "expired");
	holds(w, "", "openai:a");
	assert_int_equal(world_count(w, "SELECT count(*) FROM overrides WHERE temporary"), 0);
	/* the state before is the same as now: there is nothing to go back to */
	CHANGE_GIVES(w, MP_E_NOT_FOUND, overrides_undo(w->os, "", &w->err));
}

static void
test_overrides__expiry_is_judged_when_asked(void **state)
{
	struct world *w = *state;

	set(w, "", "b", true, 30);
	usleep(40000);
	assert_string_equal(shown(w, ""), "");
	set(w, "", "c", true, 30);
	set(w, "", "d", false, 0);
	usleep(40000);
	undo(w, "");
	holds(w, "", "");
}

static void
test_overrides__ends_while_nobody_runs(void **state)
{
	struct world *w = *state;

	set(w, "", "a", false, 0);
	set(w, "", "b", true, 20);
	set(w, "x", "c", true, 60000);
	world_close(w);
	usleep(30000);
	world_open(w);
	assert_string_equal(shown(w, ""), "openai:a");
	assert_string_equal(shown(w, "x"), "!openai:c");
	assert_int_equal(world_count(w, "SELECT count(*) FROM overrides WHERE model = 'b'"), 0);
}

static void
test_overrides__neither_clock_makes_it_last_longer(void **state)
{
	struct world *w = *state;

	set(w, "", "a", true, 60000);
	/* as if the wall clock had been set back: the time since boot says it is over */
	world_sql(w, "UPDATE overrides SET expires_ms = expires_ms + 1000000000, expires_boot_ms = 1");
	assert_string_equal(shown(w, ""), "");
	set(w, "", "a", true, 60000);
	world_sql(w, "UPDATE overrides SET expires_ms = 1");
	assert_string_equal(shown(w, ""), "");
}

/* In a process of its own, because a boot's id is read once. */
static void
in_boot(struct world *w, const char *boot, void (*what)(struct world *w))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("MODELPD_TEST_BOOT_ID", boot, 1);
		world_open(w);
		what(w);
		world_close(w);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
choose_all(struct world *w)
{
	set(w, "", "keep", false, 0);
	set(w, "", "temp", true, 0);
	set(w, "x", "timed", true, 3600000);
	set(w, "y", "one", true, 0);
	set(w, "y", "two", false, 0);
	assert_string_equal(shown(w, ""), "openai:keep !openai:temp");
}

static void
see_all(struct world *w)
{
	assert_string_equal(shown(w, ""), "openai:keep !openai:temp");
	assert_string_equal(shown(w, "x"), "!openai:timed");
}

static void
see_persistent(struct world *w)
{
	assert_string_equal(shown(w, ""), "openai:keep");
	assert_string_equal(shown(w, "x"), "");
	assert_string_equal(shown(w, "y"), "openai:two");
	undo(w, "y");
	assert_string_equal(shown(w, "y"), "");
}

static void
test_overrides__temporary_ones_end_with_the_boot(void **state)
{
	struct world w;

	(void)state;
	world_folder(&w);
	in_boot(&w, "boot-one", choose_all);
	in_boot(&w, "boot-one", see_all);
	in_boot(&w, "boot-two", see_persistent);
	world_remove_folder(&w);
}

static void
test_overrides__only_the_removal_of_its_provider_touches_one(void **state)
{
	struct world *w = *state;
	struct provider *p;
	bool reverted;

	world_add(w, "mine", "https://x.example", PROVIDER_DIRECT_API, AUTH_API_KEY);
	CHANGE(w, overrides_set(w->os, "", world_provider(w, "mine"), "m", "work", false, 0, &w->err));
	CHANGE(w, overrides_set(w->os, "s", world_provider(w, "openai"), "m", NULL, true, 0, &w->err));
	world_key(w, "mine", NULL, "sk-0123456789abcdefghij");
	CHANGE(w, credentials_delete(w->cs, world_provider(w, "mine"), NULL, &w->err));
	CHANGE(w, models_add(w->ms, world_provider(w, "mine"), "m", NULL, 0, &w->err));
	CHANGE(w, models_remove(w->ms, world_provider(w, "mine"), "m", &w->err));
	p = provider_copy(world_provider(w, "mine"));
	p->enabled = false;
	CHANGE(w, providers_update(w->ps, "mine", p, "enabled", &w->err));
	provider_free(p);
	holds(w, "", "mine:m");
	holds(w, "s", "!openai:m");
	assert_string_equal(overrides_find(w->os, "", false)->label, "work");
	assert_true(overrides_uses_provider(w->os, world_provider(w, "mine")));
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	assert_int_equal(overrides_remove_provider(w->os, world_provider(w, "mine"), &w->err), 0);
	assert_int_equal(providers_remove(w->ps, "mine", &reverted, &w->err), 0);
	assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, &w->err), 0);
	holds(w, "", "");
	holds(w, "s", "!openai:m");
}

static void
count(void *arg, const struct override *o)
{
	(void)o;
	++*(int *)arg;
}

/* Any sequence of changes, half of them rolled back: memory and disk say the same after each. */
static void
test_overrides__memory_and_disk_agree_after_any_sequence(void **state)
{
	static const char *const scopes[] = { "", "a" };
	static const char *const models[] = { "m1", "m2", "m3" };
	struct world *w = *state;
	unsigned seed = 7;

	for (int step = 0; step < 120; step++) {
		const char *scope = scopes[(seed = seed * 1103515245u + 12345u) >> 16 & 1];
		const char *model = models[(seed >> 8) % 3];
		char before[256], after[256];
		int what = (int)((seed >> 20) % 6), r = 0, n = 0;

		snprintf(before, sizeof before, "%s", shown(w, scope));
		assert_int_equal(changes_begin(w->changes, NULL), 0);
		if (what < 4)
			r = overrides_set(w->os, scope, world_provider(w, "openai"), model, NULL,
			    what & 1, 0, &w->err);
		else
			r = what == 4 ? overrides_clear(w->os, scope, &w->err)
			              : overrides_undo(w->os, scope, &w->err);
		if (r != 0 || step % 2 == 0) {
			changes_rollback(w->changes);
			assert_string_equal(shown(w, scope), before);
			continue;
		}
		assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, &w->err), 0);
		snprintf(after, sizeof after, "%s", shown(w, scope));
		w->heard_count = 0;
		if (step % 10 == 1) {
			world_reopen(w);
			assert_string_equal(shown(w, scope), after);
		}
		overrides_each(w->os, count, &n);
		assert_true(n <= 4);
		/* back and forth is where we are */
		if (what == 5) {
			undo(w, scope);
			assert_string_equal(shown(w, scope), before);
			undo(w, scope);
			assert_string_equal(shown(w, scope), after);
		}
	}
	assert_true(world_count(w, "SELECT count(*) FROM overrides") <= 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: forks before this process has read its own boot's id */
		cmocka_unit_test(test_overrides__temporary_ones_end_with_the_boot),
		TEST(test_overrides__persistent_and_temporary_side_by_side),
		TEST(test_overrides__undo_goes_back_and_forth),
		TEST(test_overrides__undo_restores_both_kinds),
		TEST(test_overrides__undo_of_a_temporary_one_leaves_the_persistent_alone),
		TEST(test_overrides__clear_can_be_undone),
		TEST(test_overrides__clear_by_id_takes_one),
		TEST(test_overrides__the_same_choice_again_keeps_the_one_before),
		TEST(test_overrides__scopes_are_apart),
		TEST(test_overrides__scope_rev_follows_every_change),
		TEST(test_overrides__bad_values_are_refused),
		TEST(test_overrides__its_time_is_up_and_that_is_told),
		TEST(test_overrides__expiry_is_judged_when_asked),
		TEST(test_overrides__ends_while_nobody_runs),
		TEST(test_overrides__neither_clock_makes_it_last_longer),
		TEST(test_overrides__only_the_removal_of_its_provider_touches_one),
		TEST(test_overrides__memory_and_disk_agree_after_any_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
