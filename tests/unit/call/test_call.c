/* test_call.c - the life of a call, against a provider that answers, refuses, hangs and breaks. */
#include "tests/unit/call/house.h"

static void
test_call__whole_answer(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct provider_health health;

	h->vendor.behaviour = SAY_HELLO;
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, 0);
	assert_int_equal(w->starts, 1);
	assert_int_equal(w->stop, STOP_END);
	assert_string_equal(w->text, "Hello");
	assert_string_equal(w->ref, "fake:small");
	assert_string_equal(w->why, "request");
	assert_int_equal(w->usage.input_tokens, 12);
	assert_int_equal(w->usage.output_tokens, 3);
	assert_int_equal(w->usage.cost_microusd, 0);
	assert_false(usage_estimated(&w->usage));
	assert_false(w->partial);
	assert_true(w->first_token_ms >= 0 && w->first_token_ms <= w->duration_ms);
	providers_health(h->providers, "fake", &health);
	assert_int_equal(health.code, 0);
	assert_true(health.latency_p50_ms >= 0);
	assert_true(credentials_find(h->credentials, "fake", NULL)->last_ok_ms > 0);
	assert_non_null(strstr(h->vendor.last, "Bearer sk-test-0123456789abcdef"));
	free(w);
}

static void
test_call__echo(void **state)
{
	struct heard *w = heard_new(*state);

	ask_and_wait(w, "echo");
	assert_int_equal(w->code, 0);
	assert_non_null(strstr(w->text, "hi"));
	free(w);
}

static void
test_call__tool_call(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = SAY_TOOL;
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, 0);
	assert_int_equal(w->stop, STOP_TOOL_CALL);
	assert_string_equal(w->tool, "weather");
	assert_string_equal(w->args, "{\"a\":1}");
	assert_int_equal(w->tool_ends, 1);
	free(w);
}

static void
test_call__reasoning_only_when_wanted(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = SAY_REASON;
	ask(w, "fake", true, 0);
	assert_true(turn_until(h, &w->ends, 5000));
	assert_string_equal(w->reasoning, "hmm");
	assert_string_equal(w->text, "ok");
	free(w);

	w = heard_new(h);
	ask_and_wait(w, "fake");
	assert_string_equal(w->reasoning, "");
	assert_string_equal(w->text, "ok");
	free(w);
}

static void
test_call__empty_answer_is_an_answer(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = SAY_EMPTY;
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, 0);
	assert_int_equal(w->first_token_ms, -1);
	free(w);
}

/* ---- signatures that are not taken back ---- */

static void
test_call__refused_signatures_are_left_out_once(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = REFUSE_SIGNATURES_ONCE;
	w->signed_by = "fake:small";
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, 0);
	assert_string_equal(w->text, "Hello");
	assert_int_equal(w->starts, 2);
	assert_int_equal(w->attempt, 2);
	assert_int_equal(w->warnings, 1);
	assert_int_equal(h->vendor.requests, 2);
	free(w);
}

static void
test_call__refused_signatures_never_lead_to_a_third_try(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = REFUSE_SIGNATURES;
	w->signed_by = "fake:small";
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, failure_error_code(FAILURE_BAD_REQUEST));
	assert_non_null(strstr(w->error.message, "Corrupted thought signature"));
	assert_int_equal(w->starts, 2);
	assert_int_equal(h->vendor.requests, 2);
	free(w);
}

/* Nothing would be different: the chat is refused as it is. */
static void
test_call__without_signatures_there_is_nothing_to_try(void **state)
{
	static const char *const signers[] = { NULL, "other:small", "fake:large" };
	struct house *h = *state;

	h->vendor.behaviour = REFUSE_SIGNATURES;
	for (size_t i = 0; i < sizeof(signers) / sizeof(signers[0]); i++) {
		struct heard *w = heard_new(h);

		h->vendor.requests = 0;
		w->signed_by = signers[i];
		ask_and_wait(w, "fake");
		assert_int_equal(w->code, failure_error_code(FAILURE_BAD_REQUEST));
		assert_int_equal(w->starts, 1);
		assert_int_equal(h->vendor.requests, 1);
		free(w);
	}
}

static void
test_call__no_second_try_after_output(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = ERROR_SIGNATURES_MIDWAY;
	w->signed_by = "fake:small";
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, failure_error_code(FAILURE_BAD_REQUEST));
	assert_true(w->partial);
	assert_string_equal(w->text, "Hel");
	assert_int_equal(w->starts, 1);
	assert_int_equal(h->vendor.requests, 1);
	free(w);
}

static void
test_call__cancelled_by_the_warning_of_a_second_try(void **state)
{
	struct house *h = *state;

	h->vendor.behaviour = REFUSE_SIGNATURES;
	for (int silent = 0; silent < 2; silent++) {
		struct heard *w = heard_new(h);

		h->vendor.requests = 0;
		w->signed_by = "fake:small";
		w->cancel_on_event = true;
		w->cancel_silent = silent;
		ask(w, "fake", false, 0);
		assert_true(turn_until(h, &w->warnings, 5000));
		turn_for(h, 30);
		assert_int_equal(w->ends, silent ? 0 : 1);
		assert_int_equal(w->after_end, 0);
		assert_int_equal(w->starts, 1);
		assert_int_equal(h->vendor.requests, 1);
		assert_int_equal(calls_count(h->calls), 0);
		free(w);
	}
}

static void
test_call__no_credential(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	house_add_provider(h, "keyless", AUTH_API_KEY, false);
	ask_and_wait(w, "keyless");
	assert_int_equal(w->code, MP_E_NO_CREDENTIAL);
	assert_non_null(strstr(w->error.message, "cannot use keyless:small"));
	assert_non_null(strstr(w->error.hint, "mpc key set keyless"));
	assert_string_equal(w->error.provider, "keyless");
	assert_false(w->partial);
	assert_int_equal(h->vendor.requests, 0);
	free(w);
}

static void
test_call__optional_key_is_sent_only_when_there_is_one(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = SAY_HELLO;
	house_add_provider(h, "maybe", AUTH_OPTIONAL_KEY, false);
	ask_and_wait(w, "maybe");
	assert_int_equal(w->code, 0);
	assert_null(strcasestr(h->vendor.last, "authorization:"));
	free(w);

	w = heard_new(h);
	house_set_key(h, "maybe", "local-key");
	ask_and_wait(w, "maybe");
	assert_int_equal(w->code, 0);
	assert_non_null(strstr(h->vendor.last, "Bearer local-key"));
	free(w);
}

static void
test_call__unknown_provider(void **state)
{
	struct heard *w = heard_new(*state);

	ask_and_wait(w, "nowhere");
	assert_int_equal(w->code, MP_E_NOT_FOUND);
	free(w);
}

static void
test_call__rejected_key_tells_what_to_do_and_hides_the_key(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct provider_health health;
	const struct credential *c;

	h->vendor.behaviour = REFUSE_KEY;
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, MP_E_AUTH_REJECTED);
	assert_int_equal(w->error.http_status, 401);
	assert_ptr_equal(strstr(w->error.message,
	    "cannot use fake:small: the provider rejected the key (HTTP 401): "), w->error.message);
	assert_null(strstr(w->error.message, "0123456789abcdef"));
	assert_null(strstr(w->failure.message, "0123456789abcdef"));
	assert_ptr_equal(strstr(w->error.hint, "mpc key set fake (key \"default\" ending in cdef, stored "),
	    w->error.hint);
	providers_health(h->providers, "fake", &health);
	assert_int_equal(health.code, MP_E_AUTH_REJECTED);
	c = credentials_find(h->credentials, "fake", NULL);
	assert_true(c->last_fail_ms > 0);
	free(w);
}

static void
test_call__rate_limit_says_how_long(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct provider_health health;
	int64_t before = clock_wall_ms();

	h->vendor.behaviour = REFUSE_RATE;
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, MP_E_RATE_LIMITED);
	assert_int_equal(w->error.retry_after_ms, 7000);
	assert_non_null(strstr(w->error.hint, "7 s"));
	providers_health(h->providers, "fake", &health);
	assert_int_equal(health.code, MP_E_RATE_LIMITED);
	assert_in_range(health.until_ms, before + 7000, before + 17000);
	free(w);
}

static void
test_call__F73_error_page(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = REFUSE_HTML;
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, MP_E_PROVIDER_UNAVAILABLE);
	assert_non_null(strstr(w->error.message, "(HTTP 500)"));
	assert_null(strchr(w->error.message, '<'));
	free(w);
}

static void
test_call__unknown_model_leaves_the_providers_health_alone(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct provider_health health;

	h->vendor.behaviour = REFUSE_MODEL;
	ask_and_wait(w, "fake");
	assert_int_equal(w->code, MP_E_NOT_FOUND);
	providers_health(h->providers, "fake", &health);
	assert_int_equal(health.code, 0);
	free(w);
}

static void
test_call__F66_refused_connection_asks_for_the_server(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct vendor gone;
	int port = h->vendor.port;

	/* A port that was ours a moment ago and listens no more. */
	vendor_start(&gone);
	h->vendor.port = gone.port;
	house_add_provider(h, "absent", AUTH_NONE, false);
	h->vendor.port = port;
	vendor_stop(&gone);
	ask_and_wait(w, "absent");
	assert_int_equal(w->code, MP_E_PROVIDER_UNAVAILABLE);
	assert_non_null(strstr(w->error.message, "cannot use absent:small: nothing listens at http://127.0.0.1:"));
	assert_non_null(strstr(w->error.hint, "is the server running? other address: mpc provider set "));
	free(w);
}

static void
test_call__F69_own_time_limit(void **state)
{
	static const enum behaviour hangs[] = { HANG_AT_ONCE, HANG_MIDWAY };
	struct house *h = *state;

	for (size_t i = 0; i < 2; i++) {
		struct heard *w = heard_new(h);
		struct provider_health health;

		h->vendor.behaviour = (int)hangs[i];
		ask(w, "fake", false, 300);
		assert_true(turn_until(h, &w->ends, 5000));
		assert_int_equal(w->code, MP_E_TIMEOUT);
		assert_in_range(w->duration_ms, 290, 600);
		assert_int_equal(w->partial, hangs[i] == HANG_MIDWAY);
		assert_non_null(strstr(w->error.message, "300 ms"));
		/* The caller's impatience is no fault of the provider. */
		providers_health(h->providers, "fake", &health);
		assert_int_equal(health.code, 0);
		free(w);
	}
	turn_for(h, 100);
	assert_int_equal(h->vendor.gone, 2);
}

static void
test_call__F70_broken_answers_end_honestly(void **state)
{
	static const struct {
		enum behaviour how;
		int code;
		bool partial;
	} rows[] = {
		{ RESET_AT_ONCE, MP_E_PROVIDER_UNAVAILABLE, false },
		{ RESET_MIDWAY, MP_E_UPSTREAM, true },
		{ CUT_MIDWAY, MP_E_UPSTREAM, true },
		{ ERROR_MIDWAY, MP_E_PROVIDER_UNAVAILABLE, true },
	};
	struct house *h = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct heard *w = heard_new(h);
		struct provider_health health;

		h->vendor.behaviour = (int)rows[i].how;
		ask_and_wait(w, "fake");
		if (w->code != rows[i].code)
			print_error("%zu: %s\n", i, w->error.message);
		assert_int_equal(w->code, rows[i].code);
		assert_int_equal(w->partial, rows[i].partial);
		assert_string_equal(w->text, rows[i].partial ? "Hel" : "");
		providers_health(h->providers, "fake", &health);
		assert_int_equal(health.code, rows[i].code);
		free(w);
	}
}

/* ---- cancelling ---- */

static void
test_call__cancel_before_anything_was_sent(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	ask(w, "fake", false, 0);
	call_cancel(w->call, false);
	assert_int_equal(w->ends, 0); /* not from inside */
	assert_true(turn_until(h, &w->ends, 1000));
	assert_int_equal(w->code, 0);
	assert_int_equal(w->stop, STOP_CANCELLED);
	assert_int_equal(w->starts, 0);
	assert_int_equal(h->vendor.requests, 0);
	free(w);
}

static void
test_call__F61_cancel_ends_the_transfer_at_once(void **state)
{
	static const enum behaviour hangs[] = { HANG_AT_ONCE, HANG_MIDWAY };
	struct house *h = *state;

	for (int silent = 0; silent < 2; silent++) {
		for (size_t i = 0; i < 2; i++) {
			struct heard *w = heard_new(h);
			int gone = h->vendor.gone, asked = h->vendor.requests;

			h->vendor.behaviour = (int)hangs[i];
			ask(w, "fake", false, 0);
			for (int n = 0; n < 200 && h->vendor.requests == asked; n++)
				turn_for(h, 5);
			if (hangs[i] == HANG_MIDWAY)
				assert_true(turn_until(h, &w->events, 2000));
			call_cancel(w->call, silent);
			turn_for(h, 50);
			for (int n = 0; n < 200 && h->vendor.gone == gone; n++)
				turn_for(h, 5);
			assert_int_equal(h->vendor.gone, gone + 1);
			assert_int_equal(w->ends, silent ? 0 : 1);
			assert_int_equal(calls_count(h->calls), 0);
			free(w);
		}
	}
}

static void
test_call__cancel_from_inside_its_own_callbacks(void **state)
{
	struct house *h = *state;

	for (int silent = 0; silent < 2; silent++) {
		for (int where = 0; where < 2; where++) {
			struct heard *w = heard_new(h);

			h->vendor.behaviour = SAY_HELLO;
			w->cancel_silent = silent;
			w->cancel_on_start = where == 0;
			w->cancel_on_event = where == 1;
			ask(w, "fake", false, 0);
			turn_until(h, silent ? (where == 0 ? &w->starts : &w->events) : &w->ends,
			    2000);
			turn_for(h, 20);
			assert_int_equal(w->ends, silent ? 0 : 1);
			assert_int_equal(w->stop, silent ? 0 : STOP_CANCELLED);
			assert_int_equal(w->events, where == 0 ? 0 : 1);
			assert_int_equal(calls_count(h->calls), 0);
			free(w);
		}
	}
}

static void
test_call__cancel_twice_ends_once(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	struct call *c;

	h->vendor.behaviour = HANG_AT_ONCE;
	ask(w, "fake", false, 0);
	turn_for(h, 20);
	c = w->call;
	call_cancel(c, false);
	call_cancel(c, false);
	turn_for(h, 20);
	assert_int_equal(w->ends, 1);
	free(w);
}

/* ---- back-pressure ---- */

static void
test_call__F57_a_paused_call_delivers_no_more_and_loses_nothing(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = SAY_MUCH;
	w->pause_once = true;
	ask(w, "fake", false, 0);
	assert_true(turn_until(h, &w->events, 5000));
	turn_for(h, 100);
	assert_int_equal(w->events, 1);
	assert_int_equal(w->ends, 0);
	call_pause(w->call, false);
	assert_true(turn_until(h, &w->ends, 5000));
	assert_int_equal(w->code, 0);
	assert_int_equal(w->text_len, 400 * 1024);
	for (size_t i = 0; i < w->text_len; i += 1024)
		assert_int_equal(w->text[i], 'a' + (int)(i / 1024) % 26);
	free(w);
}

static void
test_call__paused_before_it_began(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);

	h->vendor.behaviour = SAY_HELLO;
	ask(w, "fake", false, 0);
	call_pause(w->call, true);
	turn_for(h, 100);
	assert_int_equal(w->events, 0);
	assert_int_equal(w->ends, 0);
	call_pause(w->call, false);
	assert_true(turn_until(h, &w->ends, 5000));
	assert_string_equal(w->text, "Hello");
	free(w);
}

/* ---- the daemon stops ---- */

static void
test_call__drain_refuses_new_calls_and_lets_old_ones_end(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h), *late = heard_new(h);

	h->vendor.behaviour = SAY_HELLO;
	ask(w, "fake", false, 0);
	calls_drain(h->calls);
	ask(late, "fake", false, 0);
	assert_null(late->call);
	assert_int_equal(late->code, MP_E_SHUTTING_DOWN);
	assert_true(turn_until(h, &w->ends, 5000));
	assert_int_equal(w->code, 0);
	free(w);
	free(late);
}

static void
test_call__abort_ends_every_call_once(void **state)
{
	struct house *h = *state;
	struct heard *w[5];

	h->vendor.behaviour = HANG_MIDWAY;
	for (size_t i = 0; i < 5; i++) {
		w[i] = heard_new(h);
		ask(w[i], "fake", false, 0);
		if (i < 3)
			assert_true(turn_until(h, &w[i]->events, 5000));
	}
	call_cancel(w[0]->call, false);
	calls_abort(h->calls);
	assert_int_equal(calls_count(h->calls), 0);
	turn_for(h, 50);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(w[i]->ends, 1);
		assert_int_equal(w[i]->code, MP_E_SHUTTING_DOWN);
		assert_int_equal(w[i]->partial, i < 3);
		free(w[i]);
	}
}

static void
test_call__freeing_all_calls_leaves_nothing(void **state)
{
	struct house *h = *state;
	struct heard *w[3];

	h->vendor.behaviour = HANG_MIDWAY;
	for (size_t i = 0; i < 3; i++) {
		w[i] = heard_new(h);
		ask(w[i], i == 2 ? "echo" : "fake", false, i == 0 ? 60000 : 0);
	}
	assert_true(turn_until(h, &w[0]->events, 5000));
	call_cancel(w[0]->call, true); /* dead, not yet gone */
	probes_free(h->probes);
	h->probes = NULL;
	calls_free(h->calls);
	h->calls = NULL;
	turn_for(h, 20);
	for (size_t i = 0; i < 3; i++) {
		if (i < 2)
			assert_int_equal(w[i]->ends, 0);
		free(w[i]);
	}
}

static void
count_calls(void *arg, const struct call *c)
{
	struct call_info info;

	call_info(c, &info);
	assert_string_equal(info.client, "test");
	assert_string_equal(info.state, "streaming");
	assert_true(info.bytes == 3 && info.started_ms > 0);
	++*(int *)arg;
}

static void
test_call__listing_of_what_runs(void **state)
{
	struct house *h = *state;
	struct heard *w = heard_new(h);
	int n = 0;

	h->vendor.behaviour = HANG_MIDWAY;
	ask(w, "fake", false, 0);
	assert_true(turn_until(h, &w->events, 5000));
	calls_each(h->calls, count_calls, &n);
	assert_int_equal(n, 1);
	call_cancel(w->call, true);
	n = 0;
	calls_each(h->calls, count_calls, &n);
	assert_int_equal(n, 0);
	free(w);
}

/* ---- whatever happens: at most one end, and nothing after it ---- */

static unsigned
dice(unsigned *seed, unsigned sides)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % sides;
}

static void
test_call__exactly_one_end_whatever_happens(void **state)
{
	struct house *h = *state;
	unsigned seed = 20260101;

	for (int round = 0; round < 60; round++) {
		struct heard *w[3];
		bool silenced[3] = { false, false, false };

		for (size_t i = 0; i < 3; i++) {
			w[i] = heard_new(h);
			h->vendor.behaviour = (int)dice(&seed, BEHAVIOURS);
			if (dice(&seed, 12) == 0)
				w[i]->cancel_on_event = true;
			ask(w[i], dice(&seed, 8) == 0 ? "echo" : "fake", dice(&seed, 2) == 0, 120);
			if (dice(&seed, 2) == 0)
				turn_for(h, dice(&seed, 10));
		}
		for (int step = 0; step < 4; step++) {
			size_t i = dice(&seed, 3);
			unsigned act = dice(&seed, 5);

			if (w[i]->call != NULL && !silenced[i]) {
				if (act == 0)
					call_cancel(w[i]->call, false);
				else if (act == 1) {
					silenced[i] = true;
					call_cancel(w[i]->call, true);
				} else {
					call_pause(w[i]->call, act == 2);
				}
			}
			turn_for(h, dice(&seed, 15));
		}
		for (int n = 0; n < 200 && calls_count(h->calls) > 0; n++)
			turn_for(h, 5);
		turn_for(h, 5);
		assert_int_equal(calls_count(h->calls), 0);
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(w[i]->ends, silenced[i] ? 0 : 1);
			assert_int_equal(w[i]->after_end, 0);
			free(w[i]);
		}
	}
}

#define HOUSE_TEST(f) cmocka_unit_test_setup_teardown(f, house_open, house_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE_TEST(test_call__whole_answer),
		HOUSE_TEST(test_call__echo),
		HOUSE_TEST(test_call__tool_call),
		HOUSE_TEST(test_call__reasoning_only_when_wanted),
		HOUSE_TEST(test_call__empty_answer_is_an_answer),
		HOUSE_TEST(test_call__refused_signatures_are_left_out_once),
		HOUSE_TEST(test_call__refused_signatures_never_lead_to_a_third_try),
		HOUSE_TEST(test_call__without_signatures_there_is_nothing_to_try),
		HOUSE_TEST(test_call__no_second_try_after_output),
		HOUSE_TEST(test_call__cancelled_by_the_warning_of_a_second_try),
		HOUSE_TEST(test_call__no_credential),
		HOUSE_TEST(test_call__optional_key_is_sent_only_when_there_is_one),
		HOUSE_TEST(test_call__unknown_provider),
		HOUSE_TEST(test_call__rejected_key_tells_what_to_do_and_hides_the_key),
		HOUSE_TEST(test_call__rate_limit_says_how_long),
		HOUSE_TEST(test_call__F73_error_page),
		HOUSE_TEST(test_call__unknown_model_leaves_the_providers_health_alone),
		HOUSE_TEST(test_call__F66_refused_connection_asks_for_the_server),
		HOUSE_TEST(test_call__F69_own_time_limit),
		HOUSE_TEST(test_call__F70_broken_answers_end_honestly),
		HOUSE_TEST(test_call__cancel_before_anything_was_sent),
		HOUSE_TEST(test_call__F61_cancel_ends_the_transfer_at_once),
		HOUSE_TEST(test_call__cancel_from_inside_its_own_callbacks),
		HOUSE_TEST(test_call__cancel_twice_ends_once),
		HOUSE_TEST(test_call__F57_a_paused_call_delivers_no_more_and_loses_nothing),
		HOUSE_TEST(test_call__paused_before_it_began),
		HOUSE_TEST(test_call__drain_refuses_new_calls_and_lets_old_ones_end),
		HOUSE_TEST(test_call__abort_ends_every_call_once),
		HOUSE_TEST(test_call__freeing_all_calls_leaves_nothing),
		HOUSE_TEST(test_call__listing_of_what_runs),
		HOUSE_TEST(test_call__exactly_one_end_whatever_happens),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
