#include "server/call/route.h"
#include "server/state/chain_codes.h"
#include "tests/unit/state/world.h"

struct road {
	struct world w;
	struct routes *routes;
};

static int
setup(void **state)
{
	struct road *r = calloc(1, sizeof *r);

	assert_non_null(r);
	world_folder(&r->w);
	world_open(&r->w);
	r->routes = routes_new(r->w.ps, r->w.ms, r->w.os, r->w.cs);
	routes_use_chains(r->routes, r->w.chains);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct road *r = *state;

	routes_free(r->routes);
	world_close(&r->w);
	world_remove_folder(&r->w);
	free(r);
	return 0;
}

static void
set(struct road *r, const char *scope, const char *provider, const char *model, bool temporary)
{
	CHANGE(&r->w, overrides_set(r->w.os, scope, world_provider(&r->w, provider), model, NULL, temporary,
	                  0, &r->w.err));
}

/* "openai:m request" */
static void
effective(struct road *r, const char *selector, const char *scope, const char *expected)
{
	struct route route;
	char ref[330], text[400];

	route_init(&route);
	if (routes_effective(r->routes, selector, scope, &route, &r->w.err) != 0)
		fail_msg("%s", r->w.err.message);
	snprintf(text, sizeof text, "%s %s", target_ref(&route.target, ref, sizeof ref),
	    layer_kind_name(route.layers[route.winner].kind));
	assert_string_equal(text, expected);
	route_clear(&route);
}

static void
test_route__layers_in_their_order(void **state)
{
	struct road *r = *state;

	effective(r, NULL, NULL, "echo:echo default");
	effective(r, "", "proj", "echo:echo default");
	set(r, "", "openai", "persistent", false);
	effective(r, NULL, NULL, "openai:persistent persistent");
	set(r, "", "openai", "temporary", true);
	effective(r, NULL, NULL, "openai:temporary temporary");
	set(r, "proj", "ollama", "persistent", false);
	effective(r, NULL, "proj", "ollama:persistent persistent");
	effective(r, NULL, "other", "openai:temporary temporary");
	set(r, "proj", "ollama", "temporary", true);
	effective(r, NULL, "proj", "ollama:temporary temporary");
	effective(r, "gemini:x", "proj", "gemini:x request");
	effective(r, NULL, NULL, "openai:temporary temporary");
}

static void
test_route__the_reason_lists_every_layer(void **state)
{
	struct road *r = *state;
	static const enum layer_kind order[] = {
		LAYER_REQUEST, LAYER_SCOPE_TEMPORARY, LAYER_SCOPE_PERSISTENT, LAYER_GLOBAL_TEMPORARY,
		LAYER_GLOBAL_PERSISTENT, LAYER_DEFAULT,
	};
	struct route route;
	size_t won = 0;

	set(r, "", "openai", "a", false);
	set(r, "proj", "openrouter", "gpt-4", true);
	route_init(&route);
	assert_int_equal(routes_effective(r->routes, "ollama:x", "proj", &route, &r->w.err), 0);
	assert_int_equal(route.layer_count, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(route.layers[i].kind, order[i]);
		won += route.layers[i].won;
	}
	assert_int_equal(won, 1);
	assert_true(route.layers[0].won);
	assert_true(route.layers[1].set);
	assert_string_equal(route.layers[1].scope, "proj");
	assert_string_equal(route.layers[1].target.upstream, "openai/gpt-4");
	assert_true(route.layers[1].id > 0 && route.layers[1].since_ms > 0);
	assert_false(route.layers[2].set);
	assert_false(route.layers[3].set);
	assert_true(route.layers[4].set);
	assert_true(route.layers[5].set);
	/* used again without clearing */
	assert_int_equal(routes_effective(r->routes, NULL, NULL, &route, &r->w.err), 0);
	assert_int_equal(route.layer_count, 3);
	assert_string_equal(route.target.model, "a");
	/* and left alone by a failure */
	assert_int_equal(routes_effective(r->routes, "nonesuch", NULL, &route, &r->w.err),
	    MP_E_NOT_FOUND);
	assert_string_equal(route.target.model, "a");
	route_clear(&route);
}

static void
test_route__an_override_waits_for_its_provider(void **state)
{
	struct road *r = *state;
	bool reverted;

	world_add(&r->w, "mine", "https://x.example", PROVIDER_DIRECT_API, AUTH_API_KEY);
	set(r, "", "openai", "a", false);
	set(r, "", "mine", "m", true);
	CHANGE(&r->w, providers_remove(r->w.ps, "mine", &reverted, &r->w.err));
	effective(r, NULL, NULL, "openai:a persistent");
}

static void
test_route__knows_the_nickname_of_its_target(void **state)
{
	struct road *r = *state;
	struct route route;

	CHANGE(&r->w, models_add(r->w.ms, world_provider(&r->w, "openrouter"), "gpt-4", "four", 0,
	                  &r->w.err));
	route_init(&route);
	assert_int_equal(routes_effective(r->routes, "openrouter:gpt-4", NULL, &route, &r->w.err), 0);
	assert_string_equal(route.nick, "four");
	assert_int_equal(routes_effective(r->routes, "openrouter:other", NULL, &route, &r->w.err), 0);
	assert_string_equal(route.nick, "");
	route_clear(&route);
}

/* ---- selectors ---- */

static void
means(struct road *r, const char *text, const char *ref_and_upstream, const char *why_part)
{
	struct target t;
	char *why = NULL, ref[330], got[600];

	target_init(&t);
	if (routes_resolve(r->routes, text, &t, &why, &r->w.err) != 0)
		fail_msg("%s: %s", text, r->w.err.message);
	snprintf(got, sizeof got, "%s %s", target_ref(&t, ref, sizeof ref), t.upstream);
	assert_string_equal(got, ref_and_upstream);
	assert_string_equal(t.label, "default");
	if (strstr(why, why_part) == NULL)
		fail_msg("%s: %s", text, why);
	free(why);
	target_clear(&t);
}

static void
unclear(struct road *r, const char *text, int code, const char *candidate)
{
	struct target t;
	char *why = NULL;

	target_init(&t);
	memset(&r->w.err, 0, sizeof r->w.err);
	assert_int_equal(routes_resolve(r->routes, text, &t, &why, &r->w.err), code);
	assert_null(t.provider);
	assert_null(why);
	assert_string_equal(r->w.err.candidates[0], candidate);
}

static void
test_resolve__pairs(void **state)
{
	struct road *r = *state;

	means(r, "openrouter:claude-sonnet-4", "openrouter:claude-sonnet-4 anthropic/claude-sonnet-4",
	    "alias of openrouter for anthropic/claude-sonnet-4");
	means(r, "openrouter:never/heard-of:free", "openrouter:never/heard-of:free never/heard-of:free",
	    "as asked");
	means(r, "openai/gpt-4", "openai:gpt-4 gpt-4", "as asked");
	means(r, "ollama,llama3:8b", "ollama:llama3:8b llama3:8b", "as asked");
	means(r, "qwen-direct:qwen3-max", "qwen:qwen3-max qwen3-max", "as asked");
}

static void
test_resolve__providers_alone(void **state)
{
	struct road *r = *state;

	means(r, "openrouter", "openrouter:claude-sonnet-4 anthropic/claude-sonnet-4", "first model");
	means(r, "echo", "echo:echo echo", "first model");
	means(r, "claude-code-max", "claude-max:sonnet sonnet", "first model");
	unclear(r, "ollama", MP_E_NOT_FOUND, "");
	assert_string_equal(r->w.err.hint, "mpc list ollama");
	CHANGE(&r->w, models_add(r->w.ms, world_provider(&r->w, "ollama"), "llama3", NULL, 0,
	                  &r->w.err));
	means(r, "ollama", "ollama:llama3 llama3", "first model");
}

static void
test_resolve__words(void **state)
{
	struct road *r = *state;

	means(r, "gpt-4", "openrouter:gpt-4 openai/gpt-4", "alias of openrouter");
	means(r, "gpt-4o", "openai:gpt-4o gpt-4o", "catalogue");
	means(r, "openai/gpt-4", "openai:gpt-4 gpt-4", "");
	means(r, "qwen/qwen3-32b:free", "qwen:qwen3-32b:free qwen3-32b:free", "as asked");
	means(r, "anthropic/claude-sonnet-4", "anthropic:claude-sonnet-4 claude-sonnet-4", "as asked");
	CHANGE(&r->w, models_add(r->w.ms, world_provider(&r->w, "claude-max"), "claude-sonnet-4",
	                  "sonnet4", 0, &r->w.err));
	means(r, "sonnet4", "claude-max:claude-sonnet-4 claude-sonnet-4",
	    "nickname of claude-max:claude-sonnet-4");
	CHANGE(&r->w, models_add(r->w.ms, world_provider(&r->w, "ollama"), "qwen3:8b", NULL, 0,
	                  &r->w.err));
	means(r, "qwen3:8b", "ollama:qwen3:8b qwen3:8b", "model you added to ollama");
}

static void
test_resolve__several_providers_are_ambiguous(void **state)
{
	struct road *r = *state;
	struct provider *p;

	/* plans are off until the user turns them on */
	p = provider_copy(world_provider(&r->w, "claude-max"));
	assert_false(p->enabled);
	p->enabled = true;
	CHANGE(&r->w, providers_update(r->w.ps, "claude-max", p, "enabled", &r->w.err));
	provider_free(p);
	means(r, "claude-sonnet-4", "openrouter:claude-sonnet-4 anthropic/claude-sonnet-4", "alias");
	CHANGE(&r->w, models_add(r->w.ms, world_provider(&r->w, "claude-max"), "claude-sonnet-4",
	                  NULL, 0, &r->w.err));
	unclear(r, "claude-sonnet-4", MP_E_AMBIGUOUS, "claude-max:claude-sonnet-4");
	assert_string_equal(r->w.err.candidates[1], "openrouter:claude-sonnet-4");
	/* one that is turned off is not meant */
	p = provider_copy(world_provider(&r->w, "openrouter"));
	p->enabled = false;
	CHANGE(&r->w, providers_update(r->w.ps, "openrouter", p, "enabled", &r->w.err));
	provider_free(p);
	means(r, "claude-sonnet-4", "claude-max:claude-sonnet-4 claude-sonnet-4", "you added");
	means(r, "gpt-4", "openrouter:gpt-4 openai/gpt-4", "alias");
}

static void
test_resolve__nickname_outranks_what_it_shadows(void **state)
{
	struct road *r = *state;

	CHANGE(&r->w, models_nick(r->w.ms, world_provider(&r->w, "ollama"), "x", "gpt-4", &r->w.err));
	means(r, "gpt-4", "ollama:x x", "nickname of ollama:x");
}

static void
test_resolve__unknown_words_get_suggestions(void **state)
{
	struct road *r = *state;

	CHANGE(&r->w, models_nick(r->w.ms, world_provider(&r->w, "claude-max"), "claude-sonnet-4",
	                  "sonnet", &r->w.err));
	unclear(r, "sonet", MP_E_NOT_FOUND, "sonnet (claude-max:claude-sonnet-4)");
	assert_string_equal(r->w.err.message, "unknown model \"sonet\"");
	assert_string_equal(r->w.err.candidates[1], "");
	unclear(r, "opnrouter", MP_E_NOT_FOUND, "openrouter");
	unclear(r, "claude-sonet-4", MP_E_NOT_FOUND, "claude-sonnet-4 (openrouter:claude-sonnet-4)");
	unclear(r, "opnrouter:gpt-4", MP_E_NOT_FOUND, "openrouter:gpt-4");
	assert_string_equal(r->w.err.message, "there is no provider \"opnrouter\"");
	unclear(r, "zzzzzzzzzzzz", MP_E_NOT_FOUND, "");
	assert_true(r->w.err.hint[0] != '\0');
	unclear(r, "@coding", MP_E_NOT_FOUND, "");
	assert_string_equal(r->w.err.message, "there is no chain @coding");
	unclear(r, "a b", MP_E_INVALID_PARAMS, "");
	unclear(r, "openai:", MP_E_INVALID_PARAMS, "");
}

/* ---- chains ---- */

static void
chain(struct road *r, const char *name, struct chain_link *links, size_t n)
{
	CHANGE(&r->w, chains_set(r->w.chains, name, links, n, chain_fall_on_default(), &r->w.err));
}

/* "*echo:a !openai:b": the steps in their order, the one in use and those passed over marked. */
static void
planned(struct road *r, const char *selector, const char *chain_name, const char *expected)
{
	struct route route;
	char ref[330], text[800] = "";

	route_init(&route);
	if (routes_effective(r->routes, selector, NULL, &route, &r->w.err) != 0)
		fail_msg("%s", r->w.err.message);
	for (size_t i = 0; i < route.step_count; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s%s", i > 0 ? " " : "",
		    i == route.at ? "*" : "", route.steps[i].passed != 0 ? "!" : "",
		    target_ref(&route.steps[i].target, ref, sizeof ref));
	assert_string_equal(text, expected);
	assert_string_equal(route.chain, chain_name);
	assert_true(target_equal(&route.target, &route.steps[route.at].target));
	route_clear(&route);
}

static void
test_route__a_chain_is_its_targets_in_order(void **state)
{
	struct road *r = *state;
	const char *openai = world_provider(&r->w, "openai")->id;
	struct chain_link local[] = { { "catalogue:echo", "b" }, { openai, "x" } };
	struct chain_link coding[] = { { openai, "x" }, { "", "local" }, { "catalogue:echo", "c" } };

	chain(r, "local", local, 2);
	chain(r, "coding", coding, 3);
	/* openai has no key; what comes twice is asked once */
	planned(r, "@coding", "coding", "!openai:x *echo:b echo:c");
	planned(r, "@local", "local", "*echo:b !openai:x");
	CHANGE(&r->w, overrides_set_chain(r->w.os, "", "coding", false, 0, &r->w.err));
	planned(r, NULL, "coding", "!openai:x *echo:b echo:c");
	effective(r, NULL, NULL, "echo:b persistent");
	/* a target alone is never passed over */
	planned(r, "openai:x", "", "*openai:x");
	unclear(r, "@nonesuch", MP_E_NOT_FOUND, "");
	unclear(r, "@loca", MP_E_NOT_FOUND, "local");
	unclear(r, "@coding", MP_E_INVALID_PARAMS, "");
	assert_string_equal(r->w.err.message, "@coding is a chain; this is about one target");
}

static void
test_route__the_default_chain_stands_behind_the_live_choice(void **state)
{
	struct road *r = *state;
	const char *openai = world_provider(&r->w, "openai")->id;
	struct chain_link behind[] = { { "catalogue:echo", "b" }, { openai, "x" } };

	chain(r, "default", behind, 2);
	/* nothing was chosen: nothing to fall back from */
	planned(r, NULL, "", "*echo:echo");
	set(r, "", "openai", "y", false);
	planned(r, NULL, "default", "!openai:y *echo:b !openai:x");
	set(r, "", "openai", "x", false);
	planned(r, NULL, "default", "!openai:x *echo:b");
	/* who names a target means that one */
	planned(r, "openai:y", "", "*openai:y");
	planned(r, "@default", "default", "*echo:b !openai:x");
}

/* ---- ready ---- */

static int
ready(struct road *r, const char *provider, const char *label)
{
	struct target t;
	int rc;

	target_init(&t);
	target_set(&t, provider, "m", NULL, label);
	memset(&r->w.err, 0, sizeof r->w.err);
	rc = routes_ready(r->routes, &t, &r->w.err);
	target_clear(&t);
	return rc;
}

static void
test_ready__says_why_not(void **state)
{
	struct road *r = *state;
	struct provider *p;

	assert_int_equal(ready(r, "echo", NULL), 0);
	assert_int_equal(ready(r, "ollama", NULL), 0);
	assert_int_equal(ready(r, "lmstudio", NULL), 0);
	assert_int_equal(ready(r, "lmstudio", "work"), MP_E_NO_CREDENTIAL);
	assert_int_equal(ready(r, "openai", NULL), MP_E_NO_CREDENTIAL);
	assert_int_equal(ready(r, "nobody", NULL), MP_E_NOT_FOUND);
	/* a row that a later version left behind */
	p = (struct provider *)(uintptr_t)world_provider(&r->w, "anthropic");
	free(p->dialect);
	p->dialect = xstrdup("esperanto");
	assert_int_equal(ready(r, "anthropic", NULL), MP_E_INVALID_STATE);
	assert_string_equal(r->w.err.message, "this version does not speak esperanto yet");
	world_key(&r->w, "openai", NULL, "sk-1");
	assert_int_equal(ready(r, "openai", NULL), 0);
	assert_int_equal(ready(r, "openai", "work"), MP_E_NO_CREDENTIAL);
	p = provider_copy(world_provider(&r->w, "openai"));
	p->enabled = false;
	CHANGE(&r->w, providers_update(r->w.ps, "openai", p, "enabled", &r->w.err));
	provider_free(p);
	assert_int_equal(ready(r, "openai", NULL), MP_E_INVALID_STATE);
	assert_string_equal(r->w.err.hint, "mpc provider enable openai");
}

static void
share(struct road *r, const char *provider, enum key_sharing how)
{
	struct provider *p = provider_copy(world_provider(&r->w, provider));

	p->key_sharing = how;
	CHANGE(&r->w, providers_update(r->w.ps, provider, p, "key_sharing", &r->w.err));
	provider_free(p);
}

/* The labels of the keys that share, "" when none do. */
static void
sharers(struct road *r, const char *provider, const char *label, const char *expected)
{
	struct route_keys keys;
	char text[256] = "";
	struct target t;

	target_init(&t);
	target_set(&t, provider, "m", NULL, label);
	routes_keys(r->routes, &t, &keys);
	for (size_t i = 0; i < keys.count; i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof text - n, "%s%s", n > 0 ? " " : "", keys.of[i]->label);
	}
	target_clear(&t);
	assert_string_equal(text, expected);
}

static void
test_keys__share_where_the_provider_says_so_and_none_is_named(void **state)
{
	struct road *r = *state;

	world_key(&r->w, "openai", "work", "sk-1");
	world_key(&r->w, "openai", "management", "sk-2");
	sharers(r, "openai", NULL, "");
	assert_int_equal(ready(r, "openai", NULL), MP_E_NO_CREDENTIAL);
	share(r, "openai", KEY_SHARING_WEIGHTED);
	sharers(r, "openai", NULL, "work");
	sharers(r, "openai", "default", "work");
	sharers(r, "openai", "work", "");
	sharers(r, "openai", "session-3", "");
	sharers(r, "anthropic", NULL, "");
	sharers(r, "nobody", NULL, "");
	assert_int_equal(ready(r, "openai", NULL), 0);
	world_key(&r->w, "openai", NULL, "sk-3");
	sharers(r, "openai", NULL, "default work");
	share(r, "openai", KEY_SHARING_OFF);
	sharers(r, "openai", NULL, "");
}

static void
test_keys__one_that_is_not_used_up_is_enough(void **state)
{
	struct road *r = *state;
	struct route of = { .fall_on = UINT64_MAX };
	struct route_step step = { .passed = 0 };
	struct limits used_up = { .count = 0 };
	int64_t until_ms;

	world_key(&r->w, "openai", NULL, "sk-1");
	world_key(&r->w, "openai", "work", "sk-2");
	share(r, "openai", KEY_SHARING_LEAST_LOADED);
	target_set(&step.target, "openai", "m", NULL, NULL);
	limits_name(&used_up, "requests")->remaining = 0;
	credentials_report_limits(r->w.cs, "openai", NULL, &used_up);
	assert_false(routes_key_fits(r->routes, &step.target, "default", &until_ms));
	assert_true(until_ms > 0);
	assert_true(routes_key_fits(r->routes, &step.target, "work", &until_ms));
	assert_true(routes_any_key_fits(r->routes, &step.target, &until_ms));
	assert_int_equal(routes_unfit(r->routes, &of, &step), 0);
	credentials_report_limits(r->w.cs, "openai", "work", &used_up);
	assert_false(routes_any_key_fits(r->routes, &step.target, &until_ms));
	assert_true(until_ms > 0);
	assert_int_equal(routes_unfit(r->routes, &of, &step), MP_E_RATE_LIMITED);
	assert_non_null(strstr(step.why, "none of its 2 keys can serve: the limit of requests is used up"));
	target_clear(&step.target);
}

#define ROAD(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROAD(test_route__layers_in_their_order),
		ROAD(test_route__the_reason_lists_every_layer),
		ROAD(test_route__an_override_waits_for_its_provider),
		ROAD(test_route__knows_the_nickname_of_its_target),
		ROAD(test_resolve__pairs),
		ROAD(test_resolve__providers_alone),
		ROAD(test_resolve__words),
		ROAD(test_resolve__several_providers_are_ambiguous),
		ROAD(test_resolve__nickname_outranks_what_it_shadows),
		ROAD(test_resolve__unknown_words_get_suggestions),
		ROAD(test_route__a_chain_is_its_targets_in_order),
		ROAD(test_route__the_default_chain_stands_behind_the_live_choice),
		ROAD(test_ready__says_why_not),
		ROAD(test_keys__share_where_the_provider_says_so_and_none_is_named),
		ROAD(test_keys__one_that_is_not_used_up_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
