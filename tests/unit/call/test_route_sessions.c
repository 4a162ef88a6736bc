/* Where test sessions stand among the layers, and where their keys may go. */
#include "server/call/route.h"
#include "tests/unit/state/world.h"

#define KEY "sk-temporary-0000000000000000001"
#define MINUTE 60000

struct road {
	struct world w;
	struct routes *routes;
	char token[80]; /* of the session that was started last */
	int64_t id;
};

static int
setup(void **state)
{
	struct road *r = calloc(1, sizeof *r);

	assert_non_null(r);
	world_folder(&r->w);
	world_open(&r->w);
	r->routes = routes_new(r->w.ps, r->w.ms, r->w.os, r->w.cs);
	routes_use_sessions(r->routes, r->w.ss);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct road *r = *state;

	clock_test_shift(0, 0);
	routes_free(r->routes);
	world_close(&r->w);
	world_remove_folder(&r->w);
	free(r);
	return 0;
}

static void
set(struct road *r, const char *scope, const char *model, bool temporary)
{
	CHANGE(&r->w, overrides_set(r->w.os, scope, world_provider(&r->w, "ollama"), model, NULL, temporary,
	                  0, &r->w.err));
}

static void
start(struct road *r, const char *provider, const char *model, const char *key, bool activate)
{
	struct secret *secret = key != NULL ? secret_new(key, strlen(key)) : NULL, *token = NULL;
	struct session_start start = { world_provider(&r->w, provider), model, NULL, secret, 30 * MINUTE,
		activate };
	const struct session *s = NULL;

	CHANGE(&r->w, sessions_start(r->w.ss, &start, &token, &s, &r->w.err));
	snprintf(r->token, sizeof r->token, "%s", secret_bytes(token));
	r->id = s->id;
	secret_free(token);
	secret_free(secret);
}

static int
find(struct road *r, const char *selector, const char *token, const char *scope, struct route *out)
{
	const struct route_wish wish = { selector, NULL,
		token != NULL ? slice_of(token) : (struct slice){ NULL, 0 }, scope };

	return routes_find(r->routes, &wish, out, &r->w.err);
}

/* "openai:m request default 0": target, layer, label, session. */
static void
goes_to(struct road *r, const char *selector, const char *token, const char *scope, const char *expected)
{
	struct route route;
	char ref[330], text[500];

	route_init(&route);
	if (find(r, selector, token, scope, &route) != 0)
		fail_msg("%s", r->w.err.message);
	snprintf(text, sizeof text, "%s %s %s %d", target_ref(&route.target, ref, sizeof ref),
	    layer_kind_name(route.layers[route.winner].kind), route.target.label, (int)route.session);
	assert_string_equal(text, expected);
	route_clear(&route);
}

static void
test_route__an_activated_session_stands_between_scope_and_global(void **state)
{
	struct road *r = *state;

	set(r, "", "persistent", false);
	set(r, "", "temporary", true);
	start(r, "openrouter", "gpt-4", KEY, true);
	goes_to(r, NULL, NULL, NULL, "openrouter:gpt-4 session session-1 1");
	goes_to(r, NULL, NULL, "proj", "openrouter:gpt-4 session session-1 1");
	set(r, "proj", "own", false);
	goes_to(r, NULL, NULL, "proj", "ollama:own persistent default 0");
	goes_to(r, "gemini:x", NULL, NULL, "gemini:x request default 0");
	/* a selector of the same provider is the user's own business, with his own key */
	goes_to(r, "openrouter:gpt-4", NULL, NULL, "openrouter:gpt-4 request default 0");
	clock_test_shift(30 * MINUTE, 30 * MINUTE);
	goes_to(r, NULL, NULL, NULL, "ollama:temporary temporary default 0");
}

static void
test_route__a_named_session_outranks_the_scope(void **state)
{
	struct road *r = *state;

	set(r, "proj", "own", true);
	start(r, "openrouter", "gpt-4", KEY, false);
	goes_to(r, NULL, NULL, NULL, "echo:echo default default 0");
	goes_to(r, NULL, r->token, NULL, "openrouter:gpt-4 session session-1 1");
	goes_to(r, NULL, r->token, "proj", "openrouter:gpt-4 session session-1 1");
}

static void
test_route__a_selector_keeps_the_named_session_s_key(void **state)
{
	struct road *r = *state;

	start(r, "openrouter", "gpt-4", KEY, false);
	goes_to(r, "openrouter:claude-sonnet-4", r->token, NULL,
	    "openrouter:claude-sonnet-4 request session-1 1");
}

static void
F108_test_route__a_session_s_key_goes_to_its_own_provider_alone(void **state)
{
	struct road *r = *state;
	struct route route;

	world_key(&r->w, "openai", NULL, "sk-the-user-s-own");
	start(r, "openrouter", "gpt-4", KEY, false);
	route_init(&route);
	assert_int_equal(find(r, "openai:gpt-5", r->token, NULL, &route), MP_E_ORIGIN);
	assert_string_equal(r->w.err.message,
	    "test session 1 is for openrouter; it does not speak for openai");
	/* nor does the token of one without a key of its own open the user's other keys */
	start(r, "openrouter", "gpt-4", NULL, false);
	assert_int_equal(find(r, "openai:gpt-5", r->token, NULL, &route), MP_E_ORIGIN);
	route_clear(&route);
}

static void
test_route__a_session_settles_what_several_providers_have(void **state)
{
	struct road *r = *state;
	struct route route;

	CHANGE(&r->w, models_add(r->w.ms, world_provider(&r->w, "ollama"), "shared", NULL, 0, &r->w.err));
	CHANGE(&r->w, models_add(r->w.ms, world_provider(&r->w, "openrouter"), "shared", NULL, 0, &r->w.err));
	start(r, "openrouter", "gpt-4", NULL, false);
	route_init(&route);
	assert_int_equal(find(r, "shared", NULL, NULL, &route), MP_E_AMBIGUOUS);
	goes_to(r, "shared", r->token, NULL, "openrouter:shared request default 1");
	route_clear(&route);
}

static void
test_route__a_token_that_is_none_is_refused(void **state)
{
	struct road *r = *state;
	struct route route;

	route_init(&route);
	start(r, "openrouter", "gpt-4", KEY, true);
	assert_int_equal(find(r, NULL, "mpd_test_nonsense", NULL, &route), MP_E_NOT_FOUND);
	assert_int_equal(find(r, "echo", "", NULL, &route), MP_E_NOT_FOUND);
	clock_test_shift(30 * MINUTE, 30 * MINUTE);
	assert_int_equal(find(r, NULL, r->token, NULL, &route), MP_E_NOT_FOUND);
	assert_non_null(strstr(r->w.err.message, "has ended"));
	route_clear(&route);
}

static void
test_route__the_reason_shows_both_kinds(void **state)
{
	struct road *r = *state;
	static const enum layer_kind order[] = {
		LAYER_REQUEST, LAYER_NAMED_SESSION, LAYER_SCOPE_TEMPORARY, LAYER_SCOPE_PERSISTENT,
		LAYER_ACTIVATED_SESSION, LAYER_GLOBAL_TEMPORARY, LAYER_GLOBAL_PERSISTENT, LAYER_DEFAULT,
	};
	struct route route;

	start(r, "openrouter", "gpt-4", KEY, true);
	route_init(&route);
	assert_int_equal(find(r, "openrouter:gpt-4", r->token, "proj", &route), 0);
	assert_int_equal(route.layer_count, ROUTE_LAYERS);
	for (size_t i = 0; i < ROUTE_LAYERS; i++)
		assert_int_equal(route.layers[i].kind, order[i]);
	assert_int_equal(route.layers[4].id, r->id);
	assert_int_equal(route.layers[4].expires_ms - route.layers[4].since_ms, 30 * MINUTE);
	route_clear(&route);
}

static void
test_ready__a_session_s_key_until_it_ends(void **state)
{
	struct road *r = *state;
	struct route route;

	start(r, "openrouter", "gpt-4", KEY, true);
	route_init(&route);
	assert_int_equal(find(r, NULL, NULL, NULL, &route), 0);
	assert_int_equal(routes_ready(r->routes, &route.target, &r->w.err), 0);
	/* it was planned before the end and is tried after it */
	clock_test_shift(30 * MINUTE, 30 * MINUTE);
	assert_int_equal(routes_ready(r->routes, &route.target, &r->w.err), MP_E_NO_CREDENTIAL);
	assert_string_equal(r->w.err.message, "test session 1 has ended, and its key with it");
	route_clear(&route);
}

#define ROAD(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROAD(test_route__an_activated_session_stands_between_scope_and_global),
		ROAD(test_route__a_named_session_outranks_the_scope),
		ROAD(test_route__a_selector_keeps_the_named_session_s_key),
		ROAD(F108_test_route__a_session_s_key_goes_to_its_own_provider_alone),
		ROAD(test_route__a_session_settles_what_several_providers_have),
		ROAD(test_route__a_token_that_is_none_is_refused),
		ROAD(test_route__the_reason_shows_both_kinds),
		ROAD(test_ready__a_session_s_key_until_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
