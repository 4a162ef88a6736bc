#include "tests/unit/state/world.h"

static void
list(struct roster *r, const char *word, int from, int to)
{
	struct listed_model m = LISTED_MODEL_INIT;
	char id[64];

	for (int i = from; i < to; i++) {
		snprintf(id, sizeof id, "%s-%05d", word, i);
		m.id = slice_of(id);
		m.context_tokens = 1000 + i;
		roster_add(r, &m);
	}
}

static void
set(struct world *w, const char *provider, const char *word, int from, int to, int64_t now_ms)
{
	struct roster r = { NULL, 0, 0 };

	list(&r, word, from, to);
	discovered_set(models_discovered(w->ms), world_provider(w, provider), &r, now_ms);
	assert_int_equal(r.count, 0);
	roster_clear(&r);
}

static const struct discovered_list *
get(struct world *w, const char *provider)
{
	return discovered_list(models_discovered(w->ms), world_provider(w, provider));
}

static const struct roster_model *
find(struct world *w, const char *provider, const char *id)
{
	return discovered_find(models_discovered(w->ms), world_provider(w, provider), id);
}

static void
turn(struct world *w)
{
	for (int i = 0; i < 40; i++)
		loop_once(w->loop, 1);
}

static void
test_discovered__survives_with_its_time(void **state)
{
	struct world *w = *state;

	assert_null(get(w, "openai"));
	set(w, "openai", "m", 0, 5, 4711);
	turn(w);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(get(w, "openai")->models.count, 5);
		assert_int_equal(get(w, "openai")->fetched_ms, 4711);
		assert_int_equal(find(w, "openai", "m-00004")->context_tokens, 1004);
		assert_null(find(w, "openai", "m-00005"));
		assert_null(get(w, "gemini"));
		world_reopen(w);
	}
	assert_int_equal(w->heard_count, 0); /* a cache is no news */
}

static void
test_discovered__is_written_at_the_end_when_the_loop_never_turned(void **state)
{
	struct world *w = *state;

	set(w, "openai", "m", 0, 3500, 1); /* more than one step of the disk */
	world_reopen(w);
	assert_int_equal(get(w, "openai")->models.count, 3500);
}

static void
test_discovered__a_new_list_replaces_the_old_one(void **state)
{
	struct world *w = *state;

	set(w, "openai", "m", 0, 2000, 1);
	set(w, "gemini", "g", 0, 3, 1);
	turn(w);
	set(w, "openai", "m", 1000, 2500, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(get(w, "openai")->models.count, 1500);
		assert_null(find(w, "openai", "m-00999"));
		assert_non_null(find(w, "openai", "m-01000"));
		assert_int_equal(get(w, "gemini")->models.count, 3);
		world_reopen(w);
	}
	assert_int_equal(world_count(w, "SELECT count(*) FROM discovered_models"), 1503);
	set(w, "openai", "m", 0, 0, 3); /* it has none any more */
	world_reopen(w);
	assert_int_equal(get(w, "openai")->models.count, 0);
	assert_int_equal(get(w, "openai")->fetched_ms, 3);
	assert_int_equal(world_count(w, "SELECT count(*) FROM discovered_models"), 3);
}

static void
test_discovered__changed_facts_are_stored(void **state)
{
	struct world *w = *state;
	struct listed_model m = LISTED_MODEL_INIT;
	struct roster r = { NULL, 0, 0 };

	set(w, "openai", "m", 0, 2, 1);
	turn(w);
	m.id = SLICE("m-00001");
	m.title = SLICE("One");
	m.abilities = ABILITY_IMAGES;
	m.loaded = 1;
	roster_add(&r, &m);
	discovered_set(models_discovered(w->ms), world_provider(w, "openai"), &r, 2);
	world_reopen(w);
	assert_string_equal(find(w, "openai", "m-00001")->title, "One");
	assert_int_equal(find(w, "openai", "m-00001")->abilities, ABILITY_IMAGES);
	assert_int_equal(find(w, "openai", "m-00001")->loaded, 1);
	assert_int_equal(find(w, "openai", "m-00001")->context_tokens, 0);
}

static void
test_discovered__belongs_to_an_address(void **state)
{
	struct world *w = *state;
	struct provider *p;
	bool reverted;

	world_add(w, "mine", "http://127.0.0.1:1/v1", PROVIDER_LOCAL, AUTH_NONE);
	set(w, "mine", "m", 0, 3, 1);
	turn(w);
	p = provider_copy(world_provider(w, "mine"));
	p->enabled = false;
	CHANGE(w, providers_update(w->ps, "mine", p, "enabled", &w->err));
	assert_int_equal(get(w, "mine")->models.count, 3);
	free(p->base_url);
	p->base_url = xstrdup("http://127.0.0.1:2/v1");
	CHANGE(w, providers_update(w->ps, "mine", p, "base_url", &w->err));
	provider_free(p);
	assert_null(get(w, "mine"));
	turn(w);
	assert_int_equal(world_count(w, "SELECT count(*) FROM discovered_models"), 0);
	set(w, "mine", "m", 0, 3, 1);
	CHANGE(w, providers_remove(w->ps, "mine", &reverted, &w->err));
	world_reopen(w);
	assert_int_equal(world_count(w, "SELECT count(*) FROM discovered_models"), 0);
	assert_int_equal(world_count(w, "SELECT count(*) FROM discovered_lists"), 0);
}

static void
test_discovered__dropped_and_set_again_at_once(void **state)
{
	struct world *w = *state;
	struct provider *p;

	world_add(w, "mine", "http://127.0.0.1:1/v1", PROVIDER_LOCAL, AUTH_NONE);
	set(w, "mine", "m", 0, 3, 1);
	turn(w);
	p = provider_copy(world_provider(w, "mine"));
	free(p->base_url);
	p->base_url = xstrdup("http://127.0.0.1:2/v1");
	CHANGE(w, providers_update(w->ps, "mine", p, "base_url", &w->err));
	provider_free(p);
	set(w, "mine", "m", 2, 5, 2);
	world_reopen(w);
	assert_int_equal(get(w, "mine")->models.count, 3);
	assert_null(find(w, "mine", "m-00001"));
}

/* Models without the head of their list: the daemon was killed between two steps. */
static void
test_discovered__half_a_list_is_not_believed(void **state)
{
	struct world *w = *state;

	set(w, "openai", "m", 0, 3, 1);
	turn(w);
	world_sql(w, "DELETE FROM discovered_lists");
	assert_null(get(w, "openai"));
	set(w, "openai", "n", 0, 2, 1);
	world_reopen(w);
	assert_int_equal(get(w, "openai")->models.count, 2);
	assert_null(find(w, "openai", "m-00001"));
}

static void
F80_test_discovered__rows_that_were_edited_to_nonsense(void **state)
{
	struct world *w = *state;

	set(w, "openai", "m", 0, 3, 1);
	turn(w);
	world_sql(w, "UPDATE discovered_models SET context_tokens = -5, title = char(27) || 'x', "
	    "abilities = -1, loaded = 77 WHERE model = 'm-00000'; "
	    "UPDATE discovered_models SET model = 'a b' WHERE model = 'm-00001'");
	assert_int_equal(get(w, "openai")->models.count, 2);
	assert_int_equal(find(w, "openai", "m-00000")->context_tokens, 0);
	assert_null(find(w, "openai", "m-00000")->title);
	assert_int_equal(find(w, "openai", "m-00000")->loaded, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_discovered__survives_with_its_time),
		TEST(test_discovered__is_written_at_the_end_when_the_loop_never_turned),
		TEST(test_discovered__a_new_list_replaces_the_old_one),
		TEST(test_discovered__changed_facts_are_stored),
		TEST(test_discovered__belongs_to_an_address),
		TEST(test_discovered__dropped_and_set_again_at_once),
		TEST(test_discovered__half_a_list_is_not_believed),
		TEST(F80_test_discovered__rows_that_were_edited_to_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
