#include "tests/unit/call/house.h"

#define MAX_ROWS 8

struct kept {
	int count;
	struct {
		char outcome[32], provider[32], model[32], answered[32], client[16], label[32], counts[32];
		struct usage usage;
		int64_t id, attempt, first_token_ms, duration_ms, call;
	} of[MAX_ROWS];
};

static void
keep_row(void *arg, const struct usage_row *row)
{
	struct kept *k = arg;

	assert_true(k->count < MAX_ROWS);
	snprintf(k->of[k->count].outcome, 32, "%s", row->outcome);
	snprintf(k->of[k->count].provider, 32, "%s", row->provider);
	snprintf(k->of[k->count].model, 32, "%s", row->model);
	snprintf(k->of[k->count].answered, 32, "%s", row->answered);
	snprintf(k->of[k->count].client, 16, "%s", row->client);
	snprintf(k->of[k->count].label, 32, "%s", row->label);
	snprintf(k->of[k->count].counts, 32, "%s", usage_counts_name(&row->usage));
	k->of[k->count].usage = row->usage;
	k->of[k->count].attempt = row->attempt;
	k->of[k->count].id = row->id;
	k->of[k->count].call = row->call;
	k->of[k->count].first_token_ms = row->first_token_ms;
	k->of[k->count++].duration_ms = row->duration_ms;
}

/* The rows from an id on; moves on behind them. */
static struct kept
kept_since(struct house *h, int64_t *from)
{
	struct kept k = { .count = 0 };

	assert_int_equal(ledger_rows(h->ledger, *from, INT64_MAX, MAX_ROWS, keep_row, &k), 0);
	if (k.count > 0)
		*from = k.of[k.count - 1].id + 1;
	return k;
}

static struct kept
kept(struct house *h)
{
	int64_t from = 0;

	return kept_since(h, &from);
}

static void
test_record__every_end_leaves_one_row(void **state)
{
	struct house *h = *state;
	const struct {
		enum behaviour behaviour;
		const char *outcome, *counts, *cost;
	} cases[] = {
		{ SAY_HELLO, "done", "reported", "free" },
		{ SAY_TOOL, "done", "estimated", "free" },
		{ REFUSE_KEY, "auth", "unknown", "none" },
		{ REFUSE_RATE, "rate_limit", "unknown", "none" },
		{ REFUSE_HTML, "server", "unknown", "none" },
		{ REFUSE_MODEL, "not_found", "unknown", "none" },
		{ RESET_AT_ONCE, "network", "unknown", "unknown" },
		{ RESET_MIDWAY, "protocol", "estimated", "free" },
		{ CUT_MIDWAY, "protocol", "estimated", "free" },
		{ ERROR_MIDWAY, NULL, "estimated", "free" },
	};

	int64_t from = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct heard *w = heard_new(h);
		struct kept k;

		h->vendor.behaviour = cases[i].behaviour;
		ask_and_wait(w, "fake");
		k = kept_since(h, &from);
		assert_int_equal(k.count, 1);
		if (cases[i].outcome != NULL)
			assert_string_equal(k.of[0].outcome, cases[i].outcome);
		assert_string_equal(k.of[0].counts, cases[i].counts);
		assert_string_equal(cost_kind_name(k.of[0].usage.cost_kind), cases[i].cost);
		assert_string_equal(k.of[0].provider, "fake");
		assert_string_equal(k.of[0].model, "small");
		assert_string_equal(k.of[0].client, "test");
		assert_string_equal(k.of[0].label, "default");
		/* what the caller hears is what is written */
		assert_int_equal(w->usage.input_tokens, k.of[0].usage.input_tokens);
		assert_int_equal(w->usage.output_tokens, k.of[0].usage.output_tokens);
		assert_int_equal(w->usage.cost_microusd, k.of[0].usage.cost_microusd);
		free(w);
	}
}

static void
test_record__an_attempt_that_could_not_be_sent_is_recorded(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct kept k;

	house_add_provider(h, "keyless", AUTH_API_KEY, false);
	ask_and_wait(w, "keyless");
	k = kept(h);
	assert_int_equal(k.count, 1);
	assert_string_equal(k.of[0].outcome, "no_credential");
	assert_int_equal(k.of[0].usage.cost_kind, COST_NONE);
	assert_int_equal(w->code, MP_E_NO_CREDENTIAL);
	free(w);
}

static void
test_record__each_attempt_of_a_call_has_its_row(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct kept k;

	h->vendor.behaviour = REFUSE_SIGNATURES_ONCE;
	w->signed_by = "fake:small";
	ask_and_wait(w, "fake");
	k = kept(h);
	assert_int_equal(w->starts, 2);
	assert_int_equal(k.count, 2);
	assert_int_equal(k.of[0].attempt, 1);
	assert_string_equal(k.of[0].outcome, "bad_request");
	assert_int_equal(k.of[1].attempt, 2);
	assert_string_equal(k.of[1].outcome, "done");
	assert_int_equal(k.of[0].call, k.of[1].call);
	free(w);
}

static void
F61_test_record__a_reader_that_goes_is_a_cancel_with_what_came(void **state)
{
	struct house *h = *state;

	for (int silent = 0; silent < 2; silent++) {
		struct heard *w = heard_new(h);
		struct kept k;

		h->vendor.behaviour = HANG_MIDWAY;
		w->cancel_on_event = true;
		w->cancel_silent = silent == 1;
		ask(w, "fake", false, 0);
		assert_true(turn_until(h, &w->events, 5000));
		turn_for(h, 20);
		k = kept(h);
		assert_int_equal(k.count, silent + 1);
		assert_string_equal(k.of[silent].outcome, "cancelled");
		assert_string_equal(k.of[silent].counts, "estimated");
		assert_true(k.of[silent].usage.output_tokens > 0);
		assert_true(k.of[silent].first_token_ms >= 0);
		free(w);
	}
}

/* What was told counts, and the rest alone is estimated: whoever ends it, and however. */
static void
test_record__what_was_told_before_the_end_is_no_estimate(void **state)
{
	struct house *h = *state;
	const struct {
		enum behaviour behaviour;
		const char *counts;
		int64_t output;
	} cases[] = {
		{ HANG_TOLD, "output_estimated", 1 },
		{ HANG_TOLD_ALL, "reported", 9 },
		{ HANG_TOLD_FEW, "output_estimated", 1 },
		{ HANG_TOLD_ONLY, "output_estimated", 0 },
	};
	int64_t from = 0;

	for (size_t i = 0; i < 3 * sizeof cases / sizeof *cases; i++) {
		/* a cancel, one by a reader that is gone, the caller's time is up */
		const int ending = (int)(i % 3);
		struct heard *w = heard_new(h);
		struct call_info so_far;
		struct kept k;

		h->vendor.behaviour = cases[i / 3].behaviour;
		ask(w, "fake", false, ending == 2 ? 150 : 0);
		assert_true(turn_until(h, &w->starts, 5000));
		turn_for(h, 60);
		/* as it runs */
		call_info(w->call, &so_far);
		assert_int_equal(so_far.usage.input_tokens, 12);
		assert_string_equal(usage_counts_name(&so_far.usage), cases[i / 3].counts);
		if (ending < 2)
			call_cancel(w->call, ending == 1);
		if (ending != 1)
			assert_true(turn_until(h, &w->ends, 5000));
		turn_for(h, 20);
		k = kept_since(h, &from);
		assert_int_equal(k.count, 1);
		assert_string_equal(k.of[0].outcome, ending == 2 ? "timeout" : "cancelled");
		assert_string_equal(k.of[0].counts, cases[i / 3].counts);
		assert_int_equal(k.of[0].usage.input_tokens, 12);
		assert_int_equal(k.of[0].usage.output_tokens, cases[i / 3].output);
		if (ending != 1) {
			assert_int_equal(w->usage.input_tokens, 12);
			assert_int_equal(w->usage.output_tokens, cases[i / 3].output);
			assert_string_equal(usage_counts_name(&w->usage), cases[i / 3].counts);
		}
		free(w);
	}
}

static void
test_record__a_cancel_before_any_output_is_unknown(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct kept k;

	h->vendor.behaviour = HANG_AT_ONCE;
	ask(w, "fake", false, 0);
	assert_true(turn_until(h, &w->starts, 5000));
	turn_for(h, 30);
	call_cancel(w->call, false);
	assert_true(turn_until(h, &w->ends, 5000));
	k = kept(h);
	assert_int_equal(k.count, 1);
	assert_string_equal(k.of[0].counts, "unknown");
	assert_string_equal(cost_kind_name(k.of[0].usage.cost_kind), "unknown");
	assert_int_equal(k.of[0].usage.cost_microusd, -1);
	assert_int_equal(k.of[0].first_token_ms, -1);
	free(w);
}

static void
test_record__the_callers_own_time_is_up(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct kept k;

	h->vendor.behaviour = HANG_MIDWAY;
	ask(w, "fake", false, 150);
	assert_true(turn_until(h, &w->ends, 5000));
	k = kept(h);
	assert_int_equal(k.count, 1);
	assert_string_equal(k.of[0].outcome, "timeout");
	assert_string_equal(k.of[0].counts, "estimated");
	free(w);
}

static void
F07_test_record__a_stop_of_the_daemon_loses_no_row(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct kept k;

	h->vendor.behaviour = HANG_MIDWAY;
	ask(w, "fake", false, 0);
	assert_true(turn_until(h, &w->events, 5000));
	calls_abort(h->calls);
	k = kept(h);
	assert_int_equal(k.count, 1);
	assert_string_equal(k.of[0].outcome, "shutting_down");
	free(w);
}

#define T(name) cmocka_unit_test_setup_teardown(name, house_open, house_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_record__every_end_leaves_one_row),
		T(test_record__an_attempt_that_could_not_be_sent_is_recorded),
		T(test_record__each_attempt_of_a_call_has_its_row),
		T(F61_test_record__a_reader_that_goes_is_a_cancel_with_what_came),
		T(test_record__what_was_told_before_the_end_is_no_estimate),
		T(test_record__a_cancel_before_any_output_is_unknown),
		T(test_record__the_callers_own_time_is_up),
		T(F07_test_record__a_stop_of_the_daemon_loses_no_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
