#include "tests/unit/state/world.h"

static int
add(struct world *w, const char *provider, const char *model, const char *nick, int64_t expires_ms)
{
	const struct provider *p = world_provider(w, provider);
	int r;

	assert_int_equal(changes_begin(w->changes, NULL), 0);
	r = models_add(w->ms, p, model, nick, expires_ms, &w->err);
	if (r == 0)
		assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, &w->err), 0);
	else
		changes_rollback(w->changes);
	return r;
}

static void
test_models__added_are_sorted_and_survive(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "openrouter", "z/b:free", "zed", 0), 0);
	assert_int_equal(add(w, "openai", "m2", NULL, 0), 0);
	assert_int_equal(add(w, "openai", "m1", NULL, 0), 0);
	assert_string_equal(w->heard[0].key, "openrouter:z/b:free");
	assert_int_equal(w->heard[0].topic, TOPIC_MODELS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(models_count(w->ms), 3);
		assert_string_equal(models_at(w->ms, 0)->model, "m1");
		assert_string_equal(models_at(w->ms, 1)->model, "m2");
		assert_string_equal(models_at(w->ms, 2)->provider, "openrouter");
		assert_string_equal(models_find_nick(w->ms, "zed")->model, "z/b:free");
		assert_true(models_at(w->ms, 0)->listed);
		assert_null(models_find(w->ms, "openai", "m3"));
		world_reopen(w);
	}
}

static void
test_models__adding_again_changes_nick_and_end(void **state)
{
	struct world *w = *state;
	int64_t end = clock_wall_ms() + 60000;

	assert_int_equal(add(w, "openai", "m", "a", 0), 0);
	assert_int_equal(add(w, "openai", "m", NULL, end), 0);
	assert_string_equal(models_find(w->ms, "openai", "m")->nick, "a");
	assert_int_equal(models_find(w->ms, "openai", "m")->expires_ms, end);
	assert_int_equal(add(w, "openai", "m", "b", 0), 0);
	assert_null(models_find_nick(w->ms, "a"));
	assert_int_equal(models_count(w->ms), 1);
	assert_int_equal(models_find_nick(w->ms, "b")->expires_ms, 0);
}

static void
test_models__nicknames_are_unique(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "openai", "m", "sonnet", 0), 0);
	assert_int_equal(add(w, "openai", "n", "sonnet", 0), MP_E_CONFLICT);
	assert_non_null(strstr(w->err.message, "openai:m"));
	assert_int_equal(add(w, "openai", "n", "ollama", 0), MP_E_CONFLICT);
	assert_int_equal(add(w, "openai", "n", "claude-code-max", 0), MP_E_CONFLICT);
	assert_int_equal(add(w, "openai", "n", "Bad Nick", 0), MP_E_INVALID_PARAMS);
	assert_int_equal(add(w, "openai", "n", "", 0), MP_E_INVALID_PARAMS);
	assert_null(models_find(w->ms, "openai", "n"));
}

static void
test_models__a_nickname_alone_is_a_row_of_its_own(void **state)
{
	struct world *w = *state;
	const struct provider *p = world_provider(w, "openrouter");

	CHANGE(w, models_nick(w->ms, p, "gpt-4", "four", &w->err));
	assert_false(models_find_nick(w->ms, "four")->listed);
	CHANGE(w, models_nick(w->ms, p, "gpt-4", "", &w->err));
	assert_int_equal(models_count(w->ms), 0);
	CHANGE_GIVES(w, MP_E_NOT_FOUND, models_nick(w->ms, p, "gpt-4", "", &w->err));
	assert_int_equal(add(w, "openrouter", "gpt-4", "four", 0), 0);
	CHANGE(w, models_nick(w->ms, p, "gpt-4", "", &w->err));
	assert_null(models_find(w->ms, "openrouter", "gpt-4")->nick);
	CHANGE(w, models_remove(w->ms, p, "gpt-4", &w->err));
	CHANGE_GIVES(w, MP_E_NOT_FOUND, models_remove(w->ms, p, "gpt-4", &w->err));
}

static void
test_models__bad_ids_are_refused(void **state)
{
	struct world *w = *state;
	char big[300];

	memset(big, 'm', sizeof big);
	big[257] = '\0';
	assert_int_equal(add(w, "openai", "", NULL, 0), MP_E_INVALID_PARAMS);
	assert_int_equal(add(w, "openai", "a b", NULL, 0), MP_E_INVALID_PARAMS);
	assert_int_equal(add(w, "openai", "a\nb", NULL, 0), MP_E_INVALID_PARAMS);
	assert_int_equal(add(w, "openai", "a\xff", NULL, 0), MP_E_INVALID_PARAMS);
	assert_int_equal(add(w, "openai", big, NULL, 0), MP_E_INVALID_PARAMS);
	assert_int_equal(add(w, "openai", "m", NULL, 1), MP_E_INVALID_PARAMS);
	big[256] = '\0';
	assert_int_equal(add(w, "openai", big, NULL, 0), 0);
}

static void
test_models__temporary_ones_go_by_themselves(void **state)
{
	struct world *w = *state;
	int64_t end = clock_monotonic_ms() + 5000;

	assert_int_equal(add(w, "openai", "m", "soon", clock_wall_ms() + 60), 0);
	assert_int_equal(add(w, "openai", "n", NULL, 0), 0);
	assert_non_null(models_find_nick(w->ms, "soon"));
	w->heard_count = 0;
	while (models_count(w->ms) > 1 && clock_monotonic_ms() < end)
		loop_once(w->loop, 50);
	assert_int_equal(models_count(w->ms), 1);
	assert_int_equal(w->heard[0].op, CHANGE_REMOVE);
	assert_string_equal(w->heard[0].reason, "expired");
	assert_int_equal(add(w, "openai", "m", NULL, clock_wall_ms() + 20), 0);
	world_close(w);
	usleep(30000);
	world_open(w);
	assert_null(models_find(w->ms, "openai", "m"));
	assert_int_equal(models_count(w->ms), 1);
}

static void
test_models__an_ended_one_gives_its_nickname_back(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "openai", "m", "soon", clock_wall_ms() + 20), 0);
	usleep(30000);
	assert_null(models_find_nick(w->ms, "soon"));
	assert_int_equal(add(w, "openai", "n", "soon", 0), 0);
	assert_string_equal(models_find_nick(w->ms, "soon")->model, "n");
	world_reopen(w);
	assert_string_equal(models_find_nick(w->ms, "soon")->model, "n");
}

static void
test_models__go_with_their_provider(void **state)
{
	struct world *w = *state;
	bool reverted;

	world_add(w, "mine", "https://x.example", PROVIDER_DIRECT_API, AUTH_API_KEY);
	assert_int_equal(add(w, "mine", "m", NULL, 0), 0);
	assert_int_equal(add(w, "openai", "m", NULL, 0), 0);
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	assert_int_equal(models_remove_all(w->ms, world_provider(w, "mine"), &w->err), 0);
	assert_int_equal(providers_remove(w->ps, "mine", &reverted, &w->err), 0);
	assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, &w->err), 0);
	assert_int_equal(models_count(w->ms), 1);
	assert_int_equal(world_count(w, "SELECT count(*) FROM models"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_models__added_are_sorted_and_survive),
		TEST(test_models__adding_again_changes_nick_and_end),
		TEST(test_models__nicknames_are_unique),
		TEST(test_models__a_nickname_alone_is_a_row_of_its_own),
		TEST(test_models__bad_ids_are_refused),
		TEST(test_models__temporary_ones_go_by_themselves),
		TEST(test_models__an_ended_one_gives_its_nickname_back),
		TEST(test_models__go_with_their_provider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
