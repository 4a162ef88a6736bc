#include "server/state/catalogue.h"
#include "tests/unit/state/world.h"

static struct provider *
example(const char *name, const char *url)
{
	struct provider *p = provider_new();

	p->name = xstrdup(name);
	p->dialect = xstrdup("openai-chat");
	p->base_url = xstrdup(url);
	p->type = PROVIDER_DIRECT_API;
	p->auth = AUTH_API_KEY;
	return p;
}

static void
test_catalogue__has_the_providers_of_the_document(void **state)
{
	struct world *w = *state;
	const struct provider *p = world_provider(w, "openrouter");

	assert_int_equal(p->type, PROVIDER_UNIVERSAL_GATEWAY);
	assert_int_equal(p->auth, AUTH_API_KEY);
	assert_string_equal(p->base_url, "https://openrouter.ai/api/v1");
	assert_string_equal(p->key_env, "OPENROUTER_API_KEY");
	assert_string_equal(provider_alias_model(p, "claude-sonnet-4"), "anthropic/claude-sonnet-4");
	assert_string_equal(provider_alias_model(p, "qwen3-32b"), "qwen/qwen3-32b:free");
	assert_true(provider_has_feature(p, "credit-limits"));
	assert_int_equal(p->origin, ORIGIN_CATALOGUE);
	assert_int_equal(p->rev, 0);

	p = world_provider(w, "claude-code-max");
	assert_string_equal(p->name, "claude-max");
	assert_int_equal(p->type, PROVIDER_PLAN_BASED);
	assert_int_equal(p->auth, AUTH_OAUTH_PERSONAL);
	assert_string_equal(p->login_command, "claude auth login");
	assert_int_equal(p->rate_limits.window_hours, 5);
	assert_null(p->base_url);

	p = world_provider(w, "lmstudio");
	assert_true(p->auto_detect);
	assert_int_equal(p->auth, AUTH_OPTIONAL_KEY);
	assert_string_equal(p->health_check, "/models");
	assert_string_equal(world_provider(w, "qwen-direct")->name, "qwen");
	assert_string_equal(world_provider(w, "echo")->dialect, "echo");
	assert_non_null(providers_find(w->ps, "ollama"));
	assert_non_null(providers_find(w->ps, "openai"));
	assert_non_null(providers_find(w->ps, "anthropic"));
	assert_non_null(providers_find(w->ps, "gemini"));
	assert_null(providers_find(w->ps, "nobody"));
	assert_null(providers_find(w->ps, ""));
}

static void
test_catalogue__rows_are_storable_and_models_have_a_provider(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < catalogue_model_count(); i++)
		assert_non_null(providers_find(w->ps, catalogue_model(i)->provider));
	/* every row passes the checks that a user's row has to pass */
	for (size_t i = 0; i < providers_count(w->ps); i++) {
		char *name = xstrdup(providers_at(w->ps, i)->name);
		struct provider *p = provider_copy(providers_at(w->ps, i));

		p->enabled = !p->enabled;
		CHANGE(w, providers_update(w->ps, name, p, "enabled", &w->err));
		provider_free(p);
		free(name);
	}
}

static void
test_providers__added_is_there_after_reopening(void **state)
{
	struct world *w = *state;
	struct provider *p = example("mine", "https://llm.example.com:8443/v1/");
	const struct provider *q;

	provider_alias_add(p, "big", "vendor/big:latest");
	p->ca_file = xstrdup("/etc/ssl/mine.pem");
	p->rate_limits.window_hours = 3;
	CHANGE(w, providers_add(w->ps, p, &w->err));
	assert_string_equal(w->heard[0].key, "mine");
	assert_int_equal(w->heard[0].op, CHANGE_ADD);
	world_reopen(w);
	q = world_provider(w, "mine");
	assert_string_equal(q->id, p->id);
	assert_string_equal(q->base_url, "https://llm.example.com:8443/v1");
	assert_string_equal(provider_alias_model(q, "big"), "vendor/big:latest");
	assert_string_equal(q->ca_file, "/etc/ssl/mine.pem");
	assert_int_equal(q->rate_limits.window_hours, 3);
	assert_int_equal(q->origin, ORIGIN_USER);
	assert_true(q->rev > 0);
	for (size_t i = 1; i < providers_count(w->ps); i++)
		assert_true(strcmp(providers_at(w->ps, i - 1)->name, providers_at(w->ps, i)->name) < 0);
	provider_free(p);
}

static void
test_providers__taken_names_are_a_conflict(void **state)
{
	struct world *w = *state;
	struct provider *p = example("openai", "https://x.example");

	CHANGE_GIVES(w, MP_E_CONFLICT, providers_add(w->ps, p, &w->err));
	free(p->name);
	p->name = xstrdup("qwen-direct");
	CHANGE_GIVES(w, MP_E_CONFLICT, providers_add(w->ps, p, &w->err));
	assert_non_null(strstr(w->err.message, "qwen"));
	CHANGE_GIVES(w, MP_E_CONFLICT, providers_update(w->ps, "ollama", p, "name", &w->err));
	provider_free(p);
}

static void
refused(struct world *w, struct provider *p, const char *field)
{
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	if (providers_add(w->ps, p, &w->err) != MP_E_INVALID_PARAMS)
		fail_msg("%s was taken", field);
	assert_string_equal(w->err.field, field);
	changes_rollback(w->changes);
	provider_free(p);
}

static void
test_providers__bad_members_are_refused_by_name(void **state)
{
	struct world *w = *state;
	struct provider *p;

	refused(w, example("No", "https://x.example"), "name");
	refused(w, example("", "https://x.example"), "name");
	refused(w, example("a", "https://user:pw@x.example"), "base_url");
	refused(w, example("a", "ftp://x.example"), "base_url");
	p = example("a", "https://x.example");
	p->dialect[0] = '\n';
	refused(w, p, "dialect");
	p = example("a", "https://x.example");
	p->proxy = xstrdup("socks5://h:1");
	refused(w, p, "proxy");
	p = example("a", "https://x.example");
	p->ca_file = xstrdup("/tmp/a\nb");
	refused(w, p, "ca_file");
	p = example("a", "https://x.example");
	p->ca_file = xstrdup("relative.pem");
	refused(w, p, "ca_file");
	p = example("a", "https://x.example");
	p->display_name = xstrdup("evil\x1b[2J");
	refused(w, p, "display_name");
	p = example("a", "https://x.example");
	p->key_env = xstrdup("A=B");
	refused(w, p, "key_env");
	p = example("a", "https://x.example");
	p->health_check = xstrdup("//evil.example/models");
	refused(w, p, "health_check");
	p = example("a", "https://x.example");
	p->auth = AUTH_NONE;
	p->key_sharing = KEY_SHARING_WEIGHTED;
	refused(w, p, "key_sharing");
	p = example("a", "https://x.example");
	p->auth = AUTH_OAUTH_PERSONAL;
	p->key_sharing = KEY_SHARING_LEAST_LOADED;
	refused(w, p, "key_sharing");
	p = example("a", "https://x.example");
	p->type = PROVIDER_PLAN_BASED;
	p->key_sharing = KEY_SHARING_WEIGHTED;
	refused(w, p, "key_sharing");
	p = example("a", "https://x.example");
	provider_alias_add(p, "with blank", "m");
	refused(w, p, "models");
	p = example("a", "https://x.example");
	free(p->base_url);
	p->base_url = NULL;
	refused(w, p, "base_url");
}

static void
test_providers__http_is_for_this_machine_and_local_only(void **state)
{
	struct world *w = *state;
	struct provider *p;

	refused(w, example("a", "http://llm.example.com/v1"), "base_url");
	refused(w, example("a", "http://192.168.1.5:1234/v1"), "base_url");
	refused(w, example("a", "http://127.0.0.1:1234/v1"), "base_url");
	p = example("a", "http://192.168.1.5:1234/v1");
	p->type = PROVIDER_LOCAL;
	refused(w, p, "base_url");
	p = example("a", "http://127.0.0.1:1234/v1");
	p->type = PROVIDER_LOCAL;
	CHANGE(w, providers_add(w->ps, p, &w->err));
	provider_free(p);
	p = example("b", "https://192.168.1.5:1234/v1");
	CHANGE(w, providers_add(w->ps, p, &w->err));
	provider_free(p);
}

static void
test_providers__a_change_names_only_what_it_changes(void **state)
{
	struct world *w = *state;
	struct provider *p = provider_copy(world_provider(w, "openai"));

	p->enabled = false;
	p->display_name[0] = 'X';
	CHANGE(w, providers_update(w->ps, "openai", p, "enabled", &w->err));
	assert_false(world_provider(w, "openai")->enabled);
	assert_string_equal(world_provider(w, "openai")->display_name, "OpenAI");
	assert_true(providers_user_set(w->ps, world_provider(w, "openai"), "enabled"));
	assert_false(providers_user_set(w->ps, world_provider(w, "openai"), "base_url"));
	provider_free(p);
	/* a newer catalogue would say something else about the other members: so does the row */
	world_sql(w, "UPDATE providers SET display_name = 'old', dialect = 'old', changed = 'enabled x'");
	assert_false(world_provider(w, "openai")->enabled);
	assert_string_equal(world_provider(w, "openai")->display_name, "OpenAI");
	assert_string_equal(world_provider(w, "openai")->dialect, "openai-chat");
}

static void
test_providers__unknown_member_is_refused(void **state)
{
	struct world *w = *state;
	struct provider *p = provider_copy(world_provider(w, "openai"));

	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, providers_update(w->ps, "openai", p, "enabled id", &w->err));
	assert_string_equal(w->err.field, "id");
	CHANGE_GIVES(w, MP_E_NOT_FOUND, providers_update(w->ps, "opnai", p, "enabled", &w->err));
	assert_string_equal(w->err.candidates[0], "openai");
	provider_free(p);
}

static void
test_providers__rename_keeps_the_id_and_what_hangs_on_it(void **state)
{
	struct world *w = *state;
	struct provider *p;

	world_add(w, "old", "https://x.example", PROVIDER_DIRECT_API, AUTH_API_KEY);
	world_key(w, "old", NULL, "sk-0123456789abcdefghij");
	CHANGE(w, models_add(w->ms, world_provider(w, "old"), "m", "nick", 0, &w->err));
	CHANGE(w, overrides_set(w->os, "", world_provider(w, "old"), "m", NULL, false, 0, &w->err));
	p = provider_copy(world_provider(w, "old"));
	free(p->name);
	p->name = xstrdup("new");
	CHANGE(w, providers_update(w->ps, "old", p, "name", &w->err));
	for (int i = 0; i < 2; i++) {
		assert_null(providers_find(w->ps, "old"));
		assert_string_equal(world_provider(w, "new")->id, p->id);
		assert_string_equal(credentials_find(w->cs, "new", NULL)->provider, "new");
		assert_string_equal(models_find_nick(w->ms, "nick")->provider, "new");
		assert_string_equal(overrides_find(w->os, "", false)->provider_id, p->id);
		world_reopen(w);
	}
	provider_free(p);
}

static void
test_providers__remove_reverts_what_is_shipped(void **state)
{
	struct world *w = *state;
	struct provider *p = provider_copy(world_provider(w, "openai"));
	bool reverted = false;

	CHANGE_GIVES(w, MP_E_INVALID_STATE, providers_remove(w->ps, "openai", &reverted, &w->err));
	free(p->name);
	p->name = xstrdup("oai");
	CHANGE(w, providers_update(w->ps, "openai", p, "name", &w->err));
	CHANGE(w, providers_remove(w->ps, "oai", &reverted, &w->err));
	assert_true(reverted);
	assert_int_equal(world_provider(w, "openai")->origin, ORIGIN_CATALOGUE);
	assert_null(providers_find(w->ps, "oai"));
	free(p->name);
	p->name = xstrdup("mine");
	free(p->id);
	p->id = xstrdup("11111111-1111-4111-8111-111111111111");
	CHANGE(w, providers_add(w->ps, p, &w->err));
	CHANGE(w, providers_remove(w->ps, "mine", &reverted, &w->err));
	assert_false(reverted);
	assert_null(providers_find(w->ps, "mine"));
	CHANGE_GIVES(w, MP_E_NOT_FOUND, providers_remove(w->ps, "mine", &reverted, &w->err));
	world_reopen(w);
	assert_null(providers_find(w->ps, "mine"));
	assert_non_null(providers_find(w->ps, "openai"));
	provider_free(p);
}

static void
test_providers__a_users_name_wins_over_a_newer_catalogue(void **state)
{
	struct world *w = *state;

	world_add(w, "mine", "https://x.example", PROVIDER_DIRECT_API, AUTH_API_KEY);
	world_sql(w, "UPDATE providers SET name = 'ollama'");
	assert_string_equal(world_provider(w, "ollama")->base_url, "https://x.example");
	for (size_t i = 1; i < providers_count(w->ps); i++)
		assert_string_not_equal(providers_at(w->ps, i - 1)->name,
		    providers_at(w->ps, i)->name);
}

static void
test_providers__suggestions_are_near(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_NOT_FOUND, "x");
	providers_suggest(w->ps, "openruter", &err);
	assert_string_equal(err.candidates[0], "openrouter");
	error_set(&err, MP_E_NOT_FOUND, "x");
	providers_suggest(w->ps, "open", &err);
	assert_string_equal(err.candidates[0], "openai");
	assert_string_equal(err.candidates[1], "openrouter");
	error_set(&err, MP_E_NOT_FOUND, "x");
	providers_suggest(w->ps, "zzzzzz", &err);
	assert_string_equal(err.candidates[0], "");
}

static void
test_providers__health_is_told_when_it_turns(void **state)
{
	struct world *w = *state;
	struct provider_health h;

	providers_health(w->ps, "openai", &h);
	assert_int_equal(h.since_ms, 0);
	assert_int_equal(h.latency_p50_ms, -1);
	assert_int_equal(h.models_count, -1);
	providers_report_ok(w->ps, "openai", 100);
	providers_report_ok(w->ps, "openai", 300);
	providers_report_ok(w->ps, "openai", 200);
	assert_int_equal(w->heard_count, 0);
	providers_report_failure(w->ps, "openai", MP_E_RATE_LIMITED, "slow down", 5000);
	providers_report_failure(w->ps, "openai", MP_E_RATE_LIMITED, "slow down", 5000);
	assert_int_equal(w->heard_count, 1);
	assert_string_equal(w->heard[0].reason, "rate_limited");
	providers_health(w->ps, "openai", &h);
	assert_int_equal(h.code, MP_E_RATE_LIMITED);
	assert_string_equal(h.message, "slow down");
	assert_int_equal(h.until_ms, 5000);
	assert_int_equal(h.latency_p50_ms, 200);
	assert_int_equal(h.latency_p95_ms, 300);
	/* a rollback reads the rows again; health is not a row */
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	changes_rollback(w->changes);
	providers_health(w->ps, "openai", &h);
	assert_int_equal(h.code, MP_E_RATE_LIMITED);
	for (int i = 0; i < 15; i++)
		providers_report_ok(w->ps, "openai", 7);
	assert_int_equal(w->heard_count, 2);
	providers_health(w->ps, "openai", &h);
	assert_int_equal(h.code, 0);
	assert_string_equal(h.message, "");
	assert_int_equal(h.latency_p50_ms, 7);
	providers_report_ok(w->ps, "nobody", 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_catalogue__has_the_providers_of_the_document),
		TEST(test_catalogue__rows_are_storable_and_models_have_a_provider),
		TEST(test_providers__added_is_there_after_reopening),
		TEST(test_providers__taken_names_are_a_conflict),
		TEST(test_providers__bad_members_are_refused_by_name),
		TEST(test_providers__http_is_for_this_machine_and_local_only),
		TEST(test_providers__a_change_names_only_what_it_changes),
		TEST(test_providers__unknown_member_is_refused),
		TEST(test_providers__rename_keeps_the_id_and_what_hangs_on_it),
		TEST(test_providers__remove_reverts_what_is_shipped),
		TEST(test_providers__a_users_name_wins_over_a_newer_catalogue),
		TEST(test_providers__suggestions_are_near),
		TEST(test_providers__health_is_told_when_it_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
