#include "tests/unit/state/world.h"

#include "server/state/own_prices.h"
#include "server/state/provider_users.h"

#define DAY INT64_C(1796083200000)

static struct price_row
price(int64_t from_ms, int64_t above, int64_t input)
{
	return (struct price_row){ NULL, NULL, from_ms, above, { input, input / 10, input * 2, input * 5 } };
}

static int
set(struct world *w, const char *provider, const char *model, struct price_row row)
{
	const struct provider *p = world_provider(w, provider);
	int r;

	assert_int_equal(changes_begin(w->changes, NULL), 0);
	r = own_prices_set(w->own_prices, p, model, &row, &w->err);
	if (r == 0)
		assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, &w->err), 0);
	else
		changes_rollback(w->changes);
	return r;
}

/* "model from above input" of every row, in their order. */
static void
holds(struct world *w, const char *expected)
{
	for (int again = 0; again < 2; again++) {
		char text[600] = "";

		for (size_t i = 0; i < own_prices_count(w->own_prices); i++) {
			const struct price_row *r = own_prices_at(w->own_prices, i);
			size_t n = strlen(text);

			snprintf(text + n, sizeof text - n, "%s%s %lld %lld %lld",
			    i > 0 ? "; " : "", r->model, (long long)(r->from_ms / 86400000),
			    (long long)r->above, (long long)r->tariff.input);
			assert_int_equal(r->tariff.output, r->tariff.input * 5);
			assert_int_equal(r->tariff.cache_read, r->tariff.input / 10);
			assert_int_equal(r->tariff.cache_write, r->tariff.input * 2);
		}
		assert_string_equal(text, expected);
		world_reopen(w);
	}
}

static void
test_own_prices__are_sorted_and_survive(void **state)
{
	struct world *w = *state;

	assert_int_equal(set(w, "openai", "m", price(0, 0, 10)), 0);
	assert_string_equal(w->heard[0].key, "openai:m");
	assert_int_equal(w->heard[0].topic, TOPIC_MODELS);
	assert_int_equal(w->heard[0].op, CHANGE_UPDATE);
	assert_int_equal(set(w, "openai", "m", price(0, 1000, 20)), 0);
	assert_int_equal(set(w, "openai", "a", price(DAY, 0, 30)), 0);
	assert_int_equal(set(w, "openai", "m", price(DAY, 0, 40)), 0);
	holds(w, "a 20788 0 30; m 0 0 10; m 0 1000 20; m 20788 0 40");
	/* of the same day and length: in its place */
	assert_int_equal(set(w, "openai", "m", price(0, 1000, 25)), 0);
	holds(w, "a 20788 0 30; m 0 0 10; m 0 1000 25; m 20788 0 40");
}

static void
test_own_prices__what_cannot_be_changes_nothing(void **state)
{
	struct world *w = *state;
	struct price_row bad[] = {
		price(1, 0, 10),                        /* no beginning of a day */
		price(-86400000, 0, 10),
		price(INT64_MAX, 0, 10),
		price(0, -1, 10),
		price(0, PRICE_ABOVE_MAX + 1, 10),
		price(0, 0, -1),
		price(0, 0, PRICE_MAX_PICO / 5 + 1),    /* its output is too dear */
		price(0, 0, INT64_MAX / 5),
	};

	assert_int_equal(set(w, "openai", "m", price(0, 0, 10)), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint64_t before = own_prices_generation(w->own_prices);

		assert_int_equal(set(w, "openai", "m", bad[i]), MP_E_INVALID_PARAMS);
		assert_true(own_prices_generation(w->own_prices) != before); /* read back */
	}
	assert_int_equal(set(w, "openai", "bad id", price(0, 0, 10)), MP_E_INVALID_PARAMS);
	assert_int_equal(set(w, "openai", "", price(0, 0, 10)), MP_E_INVALID_PARAMS);
	assert_int_equal(set(w, "openai", "m", price(0, 0, PRICE_MAX_PICO / 5)), 0);
	holds(w, "m 0 0 400000000");
}

static void
test_own_prices__a_tier_needs_a_price_for_shorter_prompts(void **state)
{
	struct world *w = *state;
	const struct price_row twice[] = { price(0, 0, 1), price(0, 0, 2) };

	assert_int_equal(set(w, "openai", "m", price(0, 1000, 10)), MP_E_CONFLICT);
	assert_non_null(strstr(w->err.message, "above 1000 tokens"));
	assert_int_equal(set(w, "openai", "m", price(0, 0, 10)), 0);
	assert_int_equal(set(w, "openai", "m", price(0, 1000, 20)), 0);
	assert_int_equal(set(w, "openai", "m", price(DAY, 1000, 20)), MP_E_CONFLICT);
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS,
	    own_prices_put(w->own_prices, world_provider(w, "openai"), "m", twice, 2, &w->err));
	holds(w, "m 0 0 10; m 0 1000 20");
}

static void
test_own_prices__go_one_by_one_or_together(void **state)
{
	struct world *w = *state;
	const struct provider *p = world_provider(w, "openai");
	const struct price_row all[] = { price(DAY, 0, 40), price(0, 0, 10), price(0, 1000, 20),
		price(0, 2000, 30), price(DAY, 500, 50) };

	CHANGE(w, own_prices_put(w->own_prices, p, "m", all, 5, &w->err));
	assert_int_equal(set(w, "openai", "n", price(0, 0, 1)), 0);
	holds(w, "m 0 0 10; m 0 1000 20; m 0 2000 30; m 20788 0 40; m 20788 500 50; n 0 0 1");
	p = world_provider(w, "openai");
	CHANGE(w, own_prices_remove(w->own_prices, p, "m", 0, 1000, &w->err));
	CHANGE_GIVES(w, MP_E_NOT_FOUND, own_prices_remove(w->own_prices, p, "m", 0, 1000, &w->err));
	CHANGE_GIVES(w, MP_E_NOT_FOUND, own_prices_remove(w->own_prices, p, "m", 86400000, 0, &w->err));
	CHANGE_GIVES(w, MP_E_NOT_FOUND, own_prices_remove(w->own_prices, p, "x", -1, 0, &w->err));
	CHANGE(w, own_prices_remove(w->own_prices, p, "m", DAY, 0, &w->err));
	holds(w, "m 0 0 10; m 0 2000 30; n 0 0 1");
	p = world_provider(w, "openai");
	CHANGE(w, own_prices_remove(w->own_prices, p, "m", -1, 0, &w->err));
	holds(w, "n 0 0 1");
}

static void
test_own_prices__follow_their_provider(void **state)
{
	struct world *w = *state;
	struct provider_house h;
	struct provider *renamed;
	const struct price_row *first;

	world_add(w, "lab", "http://127.0.0.1:1/v1", PROVIDER_LOCAL, AUTH_NONE);
	assert_int_equal(set(w, "lab", "m", price(0, 0, 10)), 0);
	assert_int_equal(set(w, "lab", "m", price(0, 9, 20)), 0);
	assert_int_equal(set(w, "lab", "n", price(0, 0, 30)), 0);
	assert_int_equal(set(w, "openai", "m", price(0, 0, 40)), 0);
	renamed = provider_copy(world_provider(w, "lab"));
	free(renamed->name);
	renamed->name = strdup("works");
	CHANGE(w, providers_update(w->ps, "lab", renamed, "name", &w->err));
	provider_free(renamed);
	assert_int_equal(own_prices_of(w->own_prices, world_provider(w, "works"), "m", &first), 2);
	assert_int_equal(first[1].tariff.input, 20);
	h = (struct provider_house){ w->chains, w->os, w->ss, w->ms, w->cs, w->own_prices };
	assert_int_equal(provider_users(&h, world_provider(w, "works")), PROVIDER_HAS_PRICE);
	assert_int_equal(provider_users(&h, world_provider(w, "ollama")), 0);
	CHANGE(w, provider_users_remove(&h, world_provider(w, "works"), &w->err));
	holds(w, "m 0 0 40");
}

static void
test_own_prices__are_not_without_number(void **state)
{
	struct world *w = *state;
	const struct provider *p = world_provider(w, "openai");
	struct price_row one = price(0, 0, 1), many[OWN_PRICES_OF_MODEL_MAX + 1];
	char model[16];

	for (int i = 0; i <= OWN_PRICES_OF_MODEL_MAX; i++)
		many[i] = price(0, i, 1);
	CHANGE_GIVES(w, MP_E_TOO_MANY,
	    own_prices_put(w->own_prices, p, "m", many, OWN_PRICES_OF_MODEL_MAX + 1, &w->err));
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	for (int i = 0; i < OWN_PRICES_MAX; i++) {
		snprintf(model, sizeof model, "m%d", i);
		assert_int_equal(own_prices_set(w->own_prices, p, model, &one, &w->err), 0);
	}
	assert_int_equal(own_prices_set(w->own_prices, p, "more", &one, &w->err), MP_E_TOO_MANY);
	assert_int_equal(own_prices_set(w->own_prices, p, "m1", &one, &w->err), 0);
	changes_rollback(w->changes);
	assert_int_equal(own_prices_count(w->own_prices), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
		T(test_own_prices__are_sorted_and_survive),
		T(test_own_prices__what_cannot_be_changes_nothing),
		T(test_own_prices__a_tier_needs_a_price_for_shorter_prompts),
		T(test_own_prices__go_one_by_one_or_together),
		T(test_own_prices__follow_their_provider),
		T(test_own_prices__are_not_without_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
