/* test_tour.c - which target is asked next, and when: the rules alone, without a loop or a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/call/tour.h"
#include "server/state/chain_codes.h"

/* A route "a:1 a:2 b:1", and a world that knows which of them cannot serve and how large their context is. */
struct trip {
	struct route route;
	struct tour tour;
	struct tour_world world;
	const char *unfit;   /* this ref cannot serve */
	int64_t context[8];  /* by step; 0 = unknown */
	unsigned keys[8];    /* by step: how many share its calls; 0 = they do not */
};

static size_t
step_of(const struct trip *t, const struct target *target)
{
	for (size_t i = 0; i < t->route.step_count; i++)
		if (target_equal(&t->route.steps[i].target, target))
			return i;
	fail();
	return 0;
}

static int
unfit(void *arg, const struct target *target, struct error *err)
{
	struct trip *t = arg;
	char ref[330];

	if (t->unfit == NULL || strcmp(target_ref(target, ref, sizeof ref), t->unfit) != 0)
		return 0;
	return error_set(err, MP_E_NO_CREDENTIAL, "no key");
}

static bool
may_change_key(void *arg, size_t step)
{
	struct trip *t = arg;

	return t->keys[step] > t->tour.steps[step].tries;
}

static int64_t
context(void *arg, const struct target *target)
{
	struct trip *t = arg;

	return t->context[step_of(t, target)];
}

static void
trip_begin(struct trip *t, const char *refs, const char *chain, uint64_t fall_on)
{
	char text[512], *at = NULL;

	memset(t, 0, sizeof *t);
	route_init(&t->route);
	snprintf(text, sizeof text, "%s", refs);
	for (char *ref = strtok_r(text, " ", &at); ref != NULL; ref = strtok_r(NULL, " ", &at)) {
		char *colon = strchr(ref, ':');
		struct target target;

		*colon = '\0';
		target_init(&target);
		target_set(&target, ref, colon + 1, NULL, NULL);
		plan_add(&t->route, &target);
		target_clear(&target);
	}
	snprintf(t->route.chain, sizeof t->route.chain, "%s", chain);
	t->route.fall_on = fall_on;
	t->world = (struct tour_world){ unfit, context, t, 0, -1, 0, may_change_key };
	tour_init(&t->tour, &t->route, 500);
}

static void
trip_end(struct trip *t)
{
	route_clear(&t->route);
}

static struct failure
failed(enum failure_class class, int64_t wait_ms)
{
	struct failure f = FAILURE_INIT;

	f.class = class;
	f.wait_ms = wait_ms;
	return f;
}

/* Everything fails in the same way: "a:1 b:1 +500 a:1", the tries and the waits between them. */
static const char *
storm(struct trip *t, enum failure_class class, int64_t stated_ms)
{
	static char text[1024];
	struct failure f = failed(class, stated_ms);
	char ref[330];
	int64_t wait;
	bool more = tour_begin(&t->tour);

	text[0] = '\0';
	while (more) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof text - n, "%s%s", n > 0 ? " " : "",
		    target_ref(&t->route.steps[t->tour.at].target, ref, sizeof ref));
		assert_true(n < sizeof text - 64);
		more = tour_next(&t->tour, &f, &t->world, &wait);
		t->world.now_ms += wait;
		n = strlen(text);
		if (more && wait > 0)
			snprintf(text + n, sizeof text - n, " +%lld", (long long)wait);
	}
	return text;
}

static const uint64_t all = ~UINT64_C(0);

/* class, what the provider says to wait, the tries of a chain "a:1 b:1" by default, and when it names every
 * code */
static const struct {
	enum failure_class class;
	int64_t stated_ms;
	const char *usual, *with_all;
} storms[] = {
	{ FAILURE_AUTH, -1, "a:1", "a:1 b:1" },
	{ FAILURE_PERMISSION, -1, "a:1", "a:1 b:1" },
	{ FAILURE_QUOTA, -1, "a:1 b:1", "a:1 b:1" },
	{ FAILURE_QUOTA, 3600000, "a:1 b:1", "a:1 b:1" },
	{ FAILURE_RATE_LIMIT, -1, "a:1 b:1 +500 a:1 b:1 +1000 a:1 b:1",
	    "a:1 b:1 +500 a:1 b:1 +1000 a:1 b:1" },
	/* the two wait side by side; in all no longer than a minute */
	{ FAILURE_RATE_LIMIT, 20000, "a:1 b:1 +20000 a:1 b:1 +20000 a:1 b:1",
	    "a:1 b:1 +20000 a:1 b:1 +20000 a:1 b:1" },
	{ FAILURE_RATE_LIMIT, 40000, "a:1 b:1 +40000 a:1 b:1", "a:1 b:1 +40000 a:1 b:1" },
	{ FAILURE_RATE_LIMIT, 60001, "a:1 b:1", "a:1 b:1" },
	{ FAILURE_RATE_LIMIT, 86400000, "a:1 b:1", "a:1 b:1" },
	/* a moment is waited out where it is */
	{ FAILURE_RATE_LIMIT, 20, "a:1 +20 a:1 +20 a:1 b:1 +20 b:1 +20 b:1",
	    "a:1 +20 a:1 +20 a:1 b:1 +20 b:1 +20 b:1" },
	{ FAILURE_OVERLOADED, -1, "a:1 b:1 +500 a:1 b:1 +1000 a:1 b:1",
	    "a:1 b:1 +500 a:1 b:1 +1000 a:1 b:1" },
	{ FAILURE_SERVER, -1, "a:1 b:1 +500 a:1 b:1 +1000 a:1 b:1", "a:1 b:1 +500 a:1 b:1 +1000 a:1 b:1" },
	{ FAILURE_TIMEOUT, -1, "a:1 b:1 +500 a:1 b:1", "a:1 b:1 +500 a:1 b:1" },
	{ FAILURE_NETWORK, -1, "a:1 b:1 +500 a:1 b:1", "a:1 b:1 +500 a:1 b:1" },
	{ FAILURE_PROTOCOL, -1, "a:1 b:1 +500 a:1 b:1", "a:1 b:1 +500 a:1 b:1" },
	{ FAILURE_CONFIG, -1, "a:1 b:1", "a:1 b:1" },
	{ FAILURE_NOT_FOUND, -1, "a:1", "a:1 b:1" },
	{ FAILURE_CONTENT_POLICY, -1, "a:1", "a:1 b:1" },
	{ FAILURE_UNSUPPORTED, -1, "a:1 b:1", "a:1 b:1" },
	{ FAILURE_CONTEXT_LENGTH, -1, "a:1", "a:1" },
	{ FAILURE_BAD_REQUEST, -1, "a:1", "a:1" },
	{ FAILURE_CANCELLED, -1, "a:1", "a:1" },
};

static void
F81_test_tour__every_class_has_its_rule(void **state)
{
	struct trip t;

	(void)state;
	for (size_t i = 0; i < sizeof storms / sizeof storms[0]; i++) {
		trip_begin(&t, "a:1 b:1", "c", chain_fall_on_default());
		assert_string_equal(storm(&t, storms[i].class, storms[i].stated_ms), storms[i].usual);
		trip_end(&t);
		trip_begin(&t, "a:1 b:1", "c", all);
		assert_string_equal(storm(&t, storms[i].class, storms[i].stated_ms), storms[i].with_all);
		trip_end(&t);
		/* without a chain it is one try, whatever happens */
		trip_begin(&t, "a:1", "", 0);
		assert_string_equal(storm(&t, storms[i].class, storms[i].stated_ms), "a:1");
		trip_end(&t);
		/* a chain that names nothing */
		trip_begin(&t, "a:1 b:1", "c", 0);
		storm(&t, storms[i].class, storms[i].stated_ms);
		assert_true(t.tour.tries == 1 || storms[i].class == FAILURE_UNSUPPORTED);
		trip_end(&t);
	}
}

static void
F81_test_tour__a_provider_is_asked_three_times_at_most(void **state)
{
	struct trip t;

	(void)state;
	trip_begin(&t, "a:1 a:2 a:3 a:4 b:1", "c", all);
	assert_string_equal(storm(&t, FAILURE_SERVER, -1), "a:1 a:2 a:3 b:1 +500 b:1 +1000 b:1");
	trip_end(&t);
	/* and all of them twelve times */
	trip_begin(&t, "a:1 b:1 c:1 d:1 e:1 f:1", "c", all);
	storm(&t, FAILURE_SERVER, -1);
	assert_int_equal(t.tour.tries, TOUR_TRIES_MAX);
	trip_end(&t);
}

static void
test_tour__what_is_the_keys_goes_to_another_key_first(void **state)
{
	static const struct {
		enum failure_class class;
		const char *lone, *chain;
	} rows[] = {
		{ FAILURE_AUTH, "a:1 a:1 a:1", "a:1 a:1 a:1 b:1" },
		{ FAILURE_PERMISSION, "a:1 a:1 a:1", "a:1 a:1 a:1 b:1" },
		{ FAILURE_QUOTA, "a:1 a:1 a:1", "a:1 a:1 a:1 b:1" },
		{ FAILURE_RATE_LIMIT, "a:1 a:1 a:1", "a:1 a:1 a:1 b:1 +500 b:1 +1000 b:1" },
		{ FAILURE_NETWORK, "a:1", "a:1 b:1 +500 a:1 b:1" },
		{ FAILURE_BAD_REQUEST, "a:1", "a:1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct trip t;

		/* nine keys, and yet no more than three tries of a provider */
		trip_begin(&t, "a:1", "", 0);
		t.keys[0] = 9;
		assert_string_equal(storm(&t, rows[i].class, -1), rows[i].lone);
		trip_end(&t);
		trip_begin(&t, "a:1 b:1", "c", all);
		t.keys[0] = 9;
		assert_string_equal(storm(&t, rows[i].class, -1), rows[i].chain);
		trip_end(&t);
	}
}

static void
test_tour__a_key_that_was_tried_is_known(void **state)
{
	struct failure f = failed(FAILURE_AUTH, -1);
	struct trip t;
	int64_t wait = -1;

	(void)state;
	trip_begin(&t, "a:1", "", 0);
	t.keys[0] = 2;
	assert_true(tour_begin(&t.tour));
	snprintf(t.tour.key, sizeof t.tour.key, "one");
	assert_true(tour_next(&t.tour, &f, &t.world, &wait));
	assert_true(t.tour.other_key);
	assert_int_equal(wait, 0);
	assert_true(tour_tried_key(&t.tour, 0, "one"));
	assert_false(tour_tried_key(&t.tour, 0, "two"));
	snprintf(t.tour.key, sizeof t.tour.key, "two");
	assert_false(tour_next(&t.tour, &f, &t.world, &wait));
	assert_false(t.tour.other_key);
	assert_string_equal(t.tour.log[1].key, "two");
	trip_end(&t);
}

static void
test_tour__a_key_that_cannot_be_sent_leads_to_another(void **state)
{
	struct trip t;
	int64_t wait;

	(void)state;
	trip_begin(&t, "a:1", "", 0);
	t.keys[0] = 2;
	assert_true(tour_begin(&t.tour));
	assert_true(tour_skip(&t.tour, MP_E_TAMPERED, &t.world, &wait));
	assert_true(t.tour.other_key);
	assert_false(tour_skip(&t.tour, MP_E_TAMPERED, &t.world, &wait));
	trip_end(&t);
	/* what is not the key's */
	trip_begin(&t, "a:1", "", 0);
	t.keys[0] = 2;
	assert_true(tour_begin(&t.tour));
	assert_false(tour_skip(&t.tour, MP_E_LOCKED, &t.world, &wait));
	trip_end(&t);
}

static void
F81_test_tour__waits_are_spread(void **state)
{
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (unsigned chance = 0; chance < 1000; chance += 7) {
		struct failure f = failed(FAILURE_OVERLOADED, -1);
		struct trip t;
		int64_t wait;

		trip_begin(&t, "a:1 b:1", "c", all);
		t.world.chance = chance;
		t.unfit = "b:1";
		assert_true(tour_begin(&t.tour));
		assert_true(tour_next(&t.tour, &f, &t.world, &wait));
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
		trip_end(&t);
	}
	assert_true(least >= 375 && least < 400);
	assert_true(most <= 500 && most > 480);
}

static void
test_tour__patience_ends_it(void **state)
{
	struct trip t;

	(void)state;
	trip_begin(&t, "a:1 b:1", "c", all);
	t.world.left_ms = 400; /* less than the wait */
	assert_string_equal(storm(&t, FAILURE_SERVER, -1), "a:1 b:1");
	trip_end(&t);
	trip_begin(&t, "a:1 b:1", "c", all);
	t.world.left_ms = 0;
	assert_string_equal(storm(&t, FAILURE_SERVER, -1), "a:1");
	trip_end(&t);
}

static void
test_tour__no_says_the_provider_and_that_is_that(void **state)
{
	struct failure f = failed(FAILURE_SERVER, -1);
	struct trip t;
	int64_t wait;

	(void)state;
	trip_begin(&t, "a:1 b:1", "c", all);
	f.retry_said = 0; /* not here; another one may */
	assert_true(tour_begin(&t.tour));
	assert_true(tour_next(&t.tour, &f, &t.world, &wait));
	assert_int_equal(t.tour.at, 1);
	assert_false(tour_next(&t.tour, &f, &t.world, &wait));
	trip_end(&t);
	/* nobody listens there: not at once again */
	trip_begin(&t, "a:1 b:1", "c", all);
	f = failed(FAILURE_NETWORK, -1);
	snprintf(f.kind, sizeof f.kind, "connect");
	assert_true(tour_begin(&t.tour));
	assert_true(tour_next(&t.tour, &f, &t.world, &wait));
	assert_false(tour_next(&t.tour, &f, &t.world, &wait));
	trip_end(&t);
}

static void
test_tour__too_long_goes_to_a_larger_context_only(void **state)
{
	struct failure f = failed(FAILURE_CONTEXT_LENGTH, -1);
	struct trip t;
	int64_t wait;

	(void)state;
	trip_begin(&t, "a:1 b:1 c:1 d:1", "c", chain_fall_on_default());
	memcpy(t.context, (int64_t[]){ 8000, 8000, 0, 32000 }, 4 * sizeof(int64_t));
	assert_true(tour_begin(&t.tour));
	assert_true(tour_next(&t.tour, &f, &t.world, &wait));
	assert_int_equal(t.tour.at, 3);
	trip_end(&t);
	/* how much that one takes is not known: nothing is known to be larger */
	trip_begin(&t, "a:1 b:1", "c", chain_fall_on_default());
	t.context[1] = 1000000;
	assert_true(tour_begin(&t.tour));
	assert_false(tour_next(&t.tour, &f, &t.world, &wait));
	trip_end(&t);
}

static void
test_tour__what_cannot_serve_is_passed_over(void **state)
{
	struct trip t;

	(void)state;
	trip_begin(&t, "a:1 b:1 c:1", "c", all);
	t.route.steps[0].passed = MP_E_LOCKED;
	t.unfit = "c:1";
	assert_string_equal(storm(&t, FAILURE_QUOTA, -1), "b:1");
	assert_int_equal(t.tour.log_count, 3);
	assert_true(t.tour.log[0].passed && t.tour.log[0].code == MP_E_LOCKED && t.tour.log[0].step == 0);
	assert_true(!t.tour.log[1].passed && t.tour.log[1].class == FAILURE_QUOTA && t.tour.log[1].step == 1);
	assert_true(t.tour.log[2].passed && t.tour.log[2].code == MP_E_NO_CREDENTIAL);
	trip_end(&t);
	trip_begin(&t, "a:1 b:1", "c", all);
	t.route.steps[0].passed = t.route.steps[1].passed = MP_E_LOCKED;
	assert_string_equal(storm(&t, FAILURE_QUOTA, -1), "");
	assert_int_equal(t.tour.log_count, 2);
	trip_end(&t);
}

static void
test_tour__the_end_names_all_of_them(void **state)
{
	struct failure f = failed(FAILURE_RATE_LIMIT, 90000);
	struct error err = ERROR_INIT;
	struct trip t;

	(void)state;
	trip_begin(&t, "a:1 b:1 c:1", "coding", all);
	t.unfit = "b:1";
	storm(&t, FAILURE_RATE_LIMIT, 90000);
	error_set(&err, MP_E_RATE_LIMITED, "cannot use c:1: rate limited");
	tour_tell(&t.tour, &f, 30000, &err);
	assert_int_equal(err.code, MP_E_CHAIN_EXHAUSTED);
	assert_string_equal(err.message,
	    "no target of @coding could answer: a:1 (rate_limited), b:1 (no_credential), c:1 (rate_limited)");
	assert_int_equal(err.retry_after_ms, 60000);
	assert_string_equal(err.hint, "try again in 1 min; what may be used now: mpc which @coding");
	trip_end(&t);
	/* a failure that is nobody else's business is told as it is */
	trip_begin(&t, "a:1 b:1", "coding", all);
	storm(&t, FAILURE_BAD_REQUEST, -1);
	f = failed(FAILURE_BAD_REQUEST, -1);
	error_set(&err, MP_E_UPSTREAM, "cannot use a:1: no");
	tour_tell(&t.tour, &f, 0, &err);
	assert_int_equal(err.code, MP_E_UPSTREAM);
	trip_end(&t);
	/* so is that of a lone target */
	trip_begin(&t, "a:1", "coding", all);
	storm(&t, FAILURE_SERVER, -1);
	f = failed(FAILURE_SERVER, -1);
	error_set(&err, MP_E_PROVIDER_UNAVAILABLE, "cannot use a:1: failed");
	tour_tell(&t.tour, &f, 0, &err);
	assert_int_equal(err.code, MP_E_PROVIDER_UNAVAILABLE);
	trip_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(F81_test_tour__every_class_has_its_rule),
		cmocka_unit_test(F81_test_tour__a_provider_is_asked_three_times_at_most),
		cmocka_unit_test(test_tour__what_is_the_keys_goes_to_another_key_first),
		cmocka_unit_test(test_tour__a_key_that_was_tried_is_known),
		cmocka_unit_test(test_tour__a_key_that_cannot_be_sent_leads_to_another),
		cmocka_unit_test(F81_test_tour__waits_are_spread),
		cmocka_unit_test(test_tour__patience_ends_it),
		cmocka_unit_test(test_tour__no_says_the_provider_and_that_is_that),
		cmocka_unit_test(test_tour__too_long_goes_to_a_larger_context_only),
		cmocka_unit_test(test_tour__what_cannot_serve_is_passed_over),
		cmocka_unit_test(test_tour__the_end_names_all_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
