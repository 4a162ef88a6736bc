/* test_freshen.c - old lists are renewed: whose, when, how often, and what stays untouched. */
#include "server/call/freshen.h"

#include "server/model/roster.h"
#include "server/state/discovered.h"
#include "server/state/models.h"
#include "tests/unit/call/house.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define DAY_MS (24 * HOUR_MS)

/* Looks all the time. */
static const struct freshen_policy eager = { DAY_MS, 0, 1, 20, 1 };

static void
listed(struct house *h, const char *provider, int64_t age_ms)
{
	const struct listed_model m = { .id = slice_of("old"), .loaded = -1 };
	struct roster r = { NULL, 0, 0 };

	roster_add(&r, &m);
	discovered_set(models_discovered(h->models), providers_find(h->providers, provider), &r,
	    clock_wall_ms() - age_ms);
	roster_clear(&r);
}

static const struct discovered_list *
list_of(struct house *h, const char *provider)
{
	return discovered_list(models_discovered(h->models), providers_find(h->providers, provider));
}

/* How many questions that many milliseconds of looking lead to. */
static int
questions(struct house *h, const struct freshen_policy *policy, int64_t ms)
{
	struct freshen *f = freshen_new(h->probes, h->routes, policy);

	h->vendor.requests = 0;
	turn_for(h, ms);
	freshen_free(f);
	return h->vendor.requests;
}

static void
test_freshen__an_old_list_is_renewed_once(void **state)
{
	struct house *h = *state;
	struct provider_health before, after;
	int64_t now = clock_wall_ms();

	providers_report_seen(h->providers, "fake", 0, NULL, 7);
	listed(h, "fake", 2 * DAY_MS);
	providers_health(h->providers, "fake", &before);
	assert_int_equal(questions(h, &eager, 300), 1);
	assert_int_equal(list_of(h, "fake")->models.count, 2);
	assert_true(list_of(h, "fake")->fetched_ms >= now);
	/* nobody used it */
	providers_health(h->providers, "fake", &after);
	assert_int_equal(after.last_used_ms, 0);
	assert_int_equal(after.since_ms, before.since_ms);
	assert_int_equal(after.latency_p50_ms, before.latency_p50_ms);
	assert_int_equal(credentials_find(h->credentials, "fake", NULL)->last_ok_ms, 0);
}

static void
test_freshen__who_is_left_alone(void **state)
{
	struct house *h = *state;
	struct error err = ERROR_INIT;
	struct provider *off;

	/* a server of this machine that never answered */
	listed(h, "fake", 2 * DAY_MS);
	assert_int_equal(questions(h, &eager, 100), 0);
	/* who failed the last time */
	providers_report_failure(h->providers, "fake", MP_E_AUTH_REJECTED, "rejected", 0);
	assert_int_equal(questions(h, &eager, 100), 0);
	providers_report_seen(h->providers, "fake", 0, NULL, -1);
	/* a list that is young enough */
	listed(h, "fake", DAY_MS - HOUR_MS);
	assert_int_equal(questions(h, &eager, 100), 0);
	/* nobody ever asked for its list */
	house_add_provider(h, "unlisted", AUTH_NONE, false);
	providers_report_seen(h->providers, "unlisted", 0, NULL, -1);
	/* no key */
	house_add_provider(h, "keyless", AUTH_API_KEY, false);
	providers_report_seen(h->providers, "keyless", 0, NULL, -1);
	listed(h, "keyless", 2 * DAY_MS);
	/* turned off */
	house_add_provider(h, "off", AUTH_NONE, false);
	off = provider_copy(providers_find(h->providers, "off"));
	off->enabled = false;
	assert_int_equal(changes_begin(h->changes, &err), 0);
	assert_int_equal(providers_update(h->providers, "off", off, "enabled", &err), 0);
	assert_int_equal(changes_commit(h->changes, "test", NULL, NULL, &err), 0);
	provider_free(off);
	providers_report_seen(h->providers, "off", 0, NULL, -1);
	listed(h, "off", 2 * DAY_MS);
	assert_int_equal(questions(h, &eager, 100), 0);
}

static void
test_freshen__one_after_the_other_and_never_after_the_end(void **state)
{
	struct house *h = *state;
	struct freshen *f;

	house_add_provider(h, "second", AUTH_NONE, false);
	providers_report_seen(h->providers, "fake", 0, NULL, -1);
	providers_report_seen(h->providers, "second", 0, NULL, -1);
	listed(h, "fake", 2 * DAY_MS);
	listed(h, "second", 3 * DAY_MS);
	h->vendor.hang_list = 1;
	f = freshen_new(h->probes, h->routes, &eager);
	turn_for(h, 200);
	assert_int_equal(h->vendor.requests, 1);
	/* the daemon stops: what runs ends, and the other one is not begun */
	freshen_stop(f);
	turn_for(h, 200);
	assert_int_equal(h->vendor.gone, 1);
	assert_int_equal(h->vendor.requests, 1);
	freshen_free(f);
	/* both, when they answer; the oldest first */
	h->vendor.hang_list = 0;
	assert_int_equal(questions(h, &eager, 300), 2);
	assert_true(list_of(h, "second")->fetched_ms <= list_of(h, "fake")->fetched_ms);
}

static void
test_freshen__asked_in_vain(void **state)
{
	struct house *h = *state;
	struct provider_health health;

	providers_report_seen(h->providers, "fake", 0, NULL, -1);
	listed(h, "fake", 2 * DAY_MS);
	h->vendor.behaviour = REFUSE_KEY;
	assert_int_equal(questions(h, &eager, 300), 1);
	/* the old list is better than none, and a question is no failure of the provider */
	assert_int_equal(list_of(h, "fake")->models.count, 1);
	providers_health(h->providers, "fake", &health);
	assert_int_equal(health.code, 0);
	assert_string_equal(credentials_find(h->credentials, "fake", NULL)->last_code, "");
}

static void
test_freshen__a_clock_that_went_back(void **state)
{
	struct house *h = *state;

	providers_report_seen(h->providers, "fake", 0, NULL, -1);
	listed(h, "fake", -400 * DAY_MS);
	assert_int_equal(questions(h, &eager, 200), 1);
	assert_true(list_of(h, "fake")->fetched_ms <= clock_wall_ms());
}

static void
test_freshen__not_all_at_the_same_time(void **state)
{
	const struct freshen_policy spread = { DAY_MS, 2 * HOUR_MS, 1, 20, 1 };
	struct house *h = *state;
	int n;

	for (int i = 0; i < 30; i++) {
		char name[16];

		snprintf(name, sizeof name, "p%d", i);
		house_add_provider(h, name, AUTH_NONE, false);
		providers_report_seen(h->providers, name, 0, NULL, -1);
		listed(h, name, DAY_MS + HOUR_MS);
	}
	n = questions(h, &spread, 1500);
	if (n < 4 || n > 26)
		fail_msg("%d of 30 in the first of two hours", n);
	/* another look finds nobody new */
	assert_int_equal(questions(h, &spread, 100), 0);
}

#define HOUSE_TEST(f) cmocka_unit_test_setup_teardown(f, house_open, house_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE_TEST(test_freshen__an_old_list_is_renewed_once),
		HOUSE_TEST(test_freshen__who_is_left_alone),
		HOUSE_TEST(test_freshen__one_after_the_other_and_never_after_the_end),
		HOUSE_TEST(test_freshen__asked_in_vain),
		HOUSE_TEST(test_freshen__a_clock_that_went_back),
		HOUSE_TEST(test_freshen__not_all_at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
