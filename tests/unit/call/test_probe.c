/* test_probe.c - checks and detection: what is there, what is not, and nothing else is touched. */
#include "server/model/roster.h"
#include "tests/unit/call/house.h"

struct checked {
	int dones;
	int code;
	struct error error;
	int64_t latency_ms, models, first_token_ms;
	char model[128];
};

static void
check_done(void *arg, const struct probe_result *r)
{
	struct checked *c = arg;

	c->dones++;
	c->code = r->code;
	if (r->error != NULL)
		c->error = *r->error;
	c->latency_ms = r->latency_ms;
	c->models = r->models;
	c->first_token_ms = r->first_token_ms;
	snprintf(c->model, sizeof(c->model), "%s", r->target->model);
}

static struct probe *
check_start(struct house *h, struct checked *c, const char *provider, const char *model, bool deep,
    int64_t timeout_ms)
{
	struct target t;
	struct error err = ERROR_INIT;
	struct probe *p;

	memset(c, 0, sizeof(*c));
	target_init(&t);
	target_set(&t, provider, model, NULL, NULL);
	p = probe_start(h->probes, &t, deep, timeout_ms, check_done, c, &err);
	assert_non_null(p);
	assert_int_equal(c->dones, 0);
	target_clear(&t);
	return p;
}

static void
check(struct house *h, struct checked *c, const char *provider, const char *model, bool deep)
{
	check_start(h, c, provider, model, deep, 0);
	assert_true(turn_until(h, &c->dones, 10000));
	turn_for(h, 10);
	assert_int_equal(c->dones, 1);
}

static void
test_probe__list_with_the_key(void **state)
{
	struct house *h = *state;
	struct checked c;
	struct provider_health health;

	check(h, &c, "fake", "small", false);
	assert_int_equal(c.code, 0);
	assert_int_equal(c.models, 2);
	assert_true(c.latency_ms >= 0);
	assert_int_equal(c.first_token_ms, -1);
	assert_non_null(strstr(h->vendor.last, "GET /v1/models "));
	assert_non_null(strstr(h->vendor.last, "Bearer sk-test-0123456789abcdef"));
	providers_health(h->providers, "fake", &health);
	assert_int_equal(health.models_count, 2);
	assert_int_equal(health.code, 0);
}

static void
test_probe__deep_asks_the_model(void **state)
{
	struct house *h = *state;
	struct checked c;

	h->vendor.behaviour = SAY_HELLO;
	check(h, &c, "fake", "small", true);
	assert_int_equal(c.code, 0);
	assert_int_equal(c.models, 2);
	assert_true(c.first_token_ms >= 0);
	assert_non_null(strstr(h->vendor.last, "Say OK."));
	assert_non_null(strstr(h->vendor.last, "16"));
}

static void
test_probe__deep_without_a_model_takes_a_listed_one(void **state)
{
	struct house *h = *state;
	struct checked c;

	h->vendor.behaviour = SAY_HELLO;
	check(h, &c, "fake", "", true);
	assert_int_equal(c.code, 0);
	assert_string_equal(c.model, "small");
}

static void
test_probe__deep_failure_is_the_models(void **state)
{
	struct house *h = *state;
	struct checked c;

	h->vendor.behaviour = REFUSE_MODEL;
	check(h, &c, "fake", "nosuch", true);
	assert_int_equal(c.code, MP_E_NOT_FOUND);
	assert_int_equal(c.models, 2);
}

static void
test_probe__rejected_key(void **state)
{
	struct house *h = *state;
	struct checked c;
	struct provider_health health;

	h->vendor.behaviour = REFUSE_KEY;
	check(h, &c, "fake", "small", false);
	assert_int_equal(c.code, MP_E_AUTH_REJECTED);
	assert_ptr_equal(strstr(c.error.message, "cannot use fake: the provider rejected the key"),
	    c.error.message);
	assert_non_null(strstr(c.error.hint, "mpc key set fake"));
	assert_true(credentials_find(h->credentials, "fake", NULL)->last_fail_ms > 0);
	providers_health(h->providers, "fake", &health);
	assert_int_equal(health.code, MP_E_AUTH_REJECTED);
}

static void
test_probe__no_credential(void **state)
{
	struct house *h = *state;
	struct checked c;

	house_add_provider(h, "keyless", AUTH_API_KEY, false);
	check(h, &c, "keyless", "", false);
	assert_int_equal(c.code, MP_E_NO_CREDENTIAL);
	assert_non_null(strstr(c.error.hint, "mpc key set keyless"));
	assert_int_equal(h->vendor.requests, 0);
}

static void
test_probe__a_server_without_a_list_is_asked_for_a_word(void **state)
{
	struct house *h = *state;
	struct checked c;

	h->vendor.no_list = 1;
	h->vendor.behaviour = SAY_HELLO;
	check(h, &c, "fake", "small", false);
	assert_int_equal(c.code, 0);
	assert_int_equal(c.models, -1);
	assert_true(c.first_token_ms >= 0);
	check(h, &c, "fake", "", false);
	assert_int_equal(c.code, MP_E_NOT_FOUND);
}

static void
test_probe__echo_is_always_fine(void **state)
{
	struct house *h = *state;
	struct checked c;

	check(h, &c, "echo", "echo", false);
	assert_int_equal(c.code, 0);
	check(h, &c, "echo", "echo", true);
	assert_int_equal(c.code, 0);
	assert_true(c.first_token_ms >= 0);
}

static void
test_probe__time_limit(void **state)
{
	struct house *h = *state;
	struct checked c;
	int64_t start = clock_monotonic_ms();

	h->vendor.hang_list = 1;
	check_start(h, &c, "fake", "small", false, 300);
	assert_true(turn_until(h, &c.dones, 5000));
	assert_int_equal(c.code, MP_E_TIMEOUT);
	assert_in_range(clock_monotonic_ms() - start, 290, 700);
}

static void
test_probe__cancel_at_every_stage(void **state)
{
	struct house *h = *state;
	struct checked c;
	struct probe *p;

	p = check_start(h, &c, "fake", "small", false, 0);
	probe_cancel(p);
	turn_for(h, 20);
	assert_int_equal(h->vendor.requests, 0);

	h->vendor.hang_list = 1;
	p = check_start(h, &c, "fake", "small", false, 0);
	turn_for(h, 30);
	probe_cancel(p);
	turn_for(h, 20);
	assert_int_equal(c.dones, 0);

	h->vendor.hang_list = 0;
	h->vendor.behaviour = HANG_MIDWAY;
	p = check_start(h, &c, "fake", "small", true, 0);
	for (int n = 0; n < 200 && h->vendor.requests < 3; n++)
		turn_for(h, 5);
	assert_int_equal(calls_count(h->calls), 1);
	probe_cancel(p);
	turn_for(h, 20);
	assert_int_equal(c.dones, 0);
	assert_int_equal(calls_count(h->calls), 0);
}

static void
test_probe__freed_while_they_run(void **state)
{
	struct house *h = *state;
	struct checked a, b;

	h->vendor.hang_list = 1;
	check_start(h, &a, "fake", "small", false, 0);
	turn_for(h, 30);
	check_start(h, &b, "fake", "small", false, 0);
	probes_free(h->probes);
	h->probes = NULL;
	turn_for(h, 20);
	assert_int_equal(a.dones + b.dones, 0);
}

/* ---- detection ---- */

struct found {
	int dones, servers;
	char names[256];
	size_t models;
};

static void
on_found(void *arg, const struct found_server *s)
{
	const char *provider = s->provider->name;
	struct found *f = arg;

	f->servers++;
	snprintf(f->names + strlen(f->names), sizeof(f->names) - strlen(f->names), "%s ", provider);
	if (strcmp(provider, "ours") == 0) {
		assert_non_null(s->models);
		f->models = s->models->count;
		if (f->models == 2)
			assert_string_equal(s->models->models[1].id, "large");
	}
}

static void
on_detected(void *arg)
{
	((struct found *)arg)->dones++;
}

static void
test_detect__finds_what_is_there_and_leaves_the_rest_alone(void **state)
{
	struct house *h = *state;
	struct found f = { 0 };
	struct provider_health health;
	struct vendor gone;
	int port = h->vendor.port;
	int64_t start = clock_monotonic_ms();

	house_add_provider(h, "ours", AUTH_OPTIONAL_KEY, true);
	vendor_start(&gone);
	h->vendor.port = gone.port;
	house_add_provider(h, "theirs", AUTH_NONE, true);
	h->vendor.port = port;
	vendor_stop(&gone);
	detect_start(h->probes, NULL, on_found, on_detected, &f);
	assert_true(turn_until(h, &f.dones, 5000));
	assert_true(clock_monotonic_ms() - start < 2500);
	assert_non_null(strstr(f.names, "ours "));
	assert_null(strstr(f.names, "theirs "));
	assert_null(strstr(f.names, "fake ")); /* not asked: no auto_detect */
	assert_int_equal(f.models, 2);
	providers_health(h->providers, "ours", &health);
	assert_int_equal(health.models_count, 2);
	assert_int_equal(health.last_used_ms, 0); /* looking is no use */
	providers_health(h->providers, "theirs", &health);
	assert_int_equal(health.code, MP_E_PROVIDER_UNAVAILABLE);
	assert_non_null(strstr(health.message, "not running: nothing listens at http://127.0.0.1:"));
	turn_for(h, 20);
	assert_int_equal(f.dones, 1);
}

static void
test_detect__never_touches_an_override(void **state)
{
	struct house *h = *state;
	struct found f = { 0 };
	struct error err = ERROR_INIT;
	const struct override *o;
	int64_t rev, id;

	house_add_provider(h, "ours", AUTH_NONE, true);
	assert_int_equal(changes_begin(h->changes, &err), 0);
	assert_int_equal(overrides_set(h->overrides, "", providers_find(h->providers, "fake"), "small",
	    NULL, true, 0, &err), 0);
	assert_int_equal(changes_commit(h->changes, "test", NULL, NULL, &err), 0);
	o = overrides_find(h->overrides, "", true);
	assert_non_null(o);
	rev = o->rev;
	id = o->id;
	detect_start(h->probes, NULL, on_found, on_detected, &f);
	assert_true(turn_until(h, &f.dones, 5000));
	o = overrides_find(h->overrides, "", true);
	assert_non_null(o);
	assert_int_equal(o->rev, rev);
	assert_int_equal(o->id, id);
	assert_string_equal(o->model, "small");
}

static void
test_detect__a_silent_server_costs_a_second(void **state)
{
	struct house *h = *state;
	struct found f = { 0 };
	int64_t start = clock_monotonic_ms();

	h->vendor.hang_list = 1;
	house_add_provider(h, "ours", AUTH_NONE, true);
	detect_start(h->probes, NULL, on_found, on_detected, &f);
	assert_true(turn_until(h, &f.dones, 5000));
	assert_in_range(clock_monotonic_ms() - start, 900, 1800);
	assert_null(strstr(f.names, "ours "));
}

static void
test_detect__cancelled_and_freed(void **state)
{
	struct house *h = *state;
	struct found f = { 0 };
	struct detection *d;

	h->vendor.hang_list = 1;
	house_add_provider(h, "ours", AUTH_NONE, true);
	d = detect_start(h->probes, NULL, on_found, on_detected, &f);
	turn_for(h, 30);
	detect_cancel(d);
	turn_for(h, 30);
	detect_start(h->probes, NULL, on_found, on_detected, &f);
	turn_for(h, 10);
	probes_free(h->probes);
	h->probes = NULL;
	assert_int_equal(f.dones, 0);
}

#define HOUSE_TEST(f) cmocka_unit_test_setup_teardown(f, house_open, house_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE_TEST(test_probe__list_with_the_key),
		HOUSE_TEST(test_probe__deep_asks_the_model),
		HOUSE_TEST(test_probe__deep_without_a_model_takes_a_listed_one),
		HOUSE_TEST(test_probe__deep_failure_is_the_models),
		HOUSE_TEST(test_probe__rejected_key),
		HOUSE_TEST(test_probe__no_credential),
		HOUSE_TEST(test_probe__a_server_without_a_list_is_asked_for_a_word),
		HOUSE_TEST(test_probe__echo_is_always_fine),
		HOUSE_TEST(test_probe__time_limit),
		HOUSE_TEST(test_probe__cancel_at_every_stage),
		HOUSE_TEST(test_probe__freed_while_they_run),
		HOUSE_TEST(test_detect__finds_what_is_there_and_leaves_the_rest_alone),
		HOUSE_TEST(test_detect__never_touches_an_override),
		HOUSE_TEST(test_detect__a_silent_server_costs_a_second),
		HOUSE_TEST(test_detect__cancelled_and_freed),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
