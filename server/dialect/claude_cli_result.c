/* claude_cli_result.c - the last line decides: its subtype says "success" for failures too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/claude_cli.h"
#include "server/dialect/emit.h"
#include "server/dialect/refusal.h"

/* ---- the plan's windows ---- */

static const struct {
	const char *theirs, *ours;
} windows[] = {
	{ "five_hour", "5h" },
	{ "seven_day", "7d" },
	{ "seven_day_opus", "7d-opus" },
	{ "seven_day_sonnet", "7d-sonnet" },
};

static void
window_add(struct limits *l, const struct json *j, const char *name, uint32_t at)
{
	struct limit *one;
	int64_t v;

	for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
		if (strcmp(windows[i].theirs, name) == 0)
			name = windows[i].ours;
	if ((one = limits_name(l, name)) == NULL)
		return;
	if (json_decimal(j, json_get(j, at, "utilization"), 3, &v) && v <= 1000000)
		one->used_permille = (int32_t)v;
	if (json_int(j, json_get(j, at, "resetsAt"), &v) && v > 0 && v < 100000000000)
		one->resets_ms = v * 1000;
	one->rejected = json_equals(j, json_get(j, at, "status"), "rejected");
}

void
claude_cli_windows(struct claude_cli_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t info = json_get(j, 0, "rate_limit_info"), all = json_get(j, info, "unifiedWindows");
	struct limits l = { .count = 0 };
	struct event e = { .type = EVENT_LIMITS, .limits = &l };
	bool overage = false;
	char *name;

	if (json_is(j, all, JSON_OBJECT)) {
		for (uint32_t at = json_first(j, all); at != JSON_NONE; at = json_next(j, at)) {
			if ((name = foreign_word(j, at, sizeof l.of[0].name - 1)) != NULL)
				window_add(&l, j, name, json_value(j, at));
			free(name);
		}
	}
	name = foreign_word(j, json_get(j, info, "rateLimitType"), sizeof l.of[0].name - 1);
	if (name != NULL && l.count == 0)
		window_add(&l, j, name, info);
	free(name);
	s->used_up |= json_equals(j, json_get(j, info, "status"), "rejected");
	if (l.count > 0)
		sink->event(sink->arg, &e);
	(void)json_bool(j, json_get(j, info, "isUsingOverage"), &overage);
	if (overage && !s->overage_told)
		emit_warning(sink, "the plan's window is used up: extra usage is being paid for");
	s->overage_told |= overage;
}

/* ---- usage ---- */

/* By list, of this turn: the program adds up since its start. -1 = not said. */
static int64_t
turn_cost(struct claude_cli_state *s)
{
	const struct json *j = &s->in.json;

	if (!json_decimal(j, json_get(j, 0, "total_cost_usd"), 6, &s->spent))
		s->spent = -1;
	return s->spent >= s->spent_before && s->spent_before >= 0 ? s->spent - s->spent_before : -1;
}

static void
add(int64_t *to, int64_t more)
{
	if (more >= 0)
		*to = *to < 0 ? more : *to + more;
}

void
claude_cli_told(const void *state, struct usage *out)
{
	const struct claude_cli_state *s = state;

	anthropic_counts_usage(&s->counts, out);
	add(&out->input_tokens, s->before.input_tokens);
	add(&out->output_tokens, s->before.output_tokens);
	add(&out->cache_read_tokens, s->before.cache_read_tokens);
	add(&out->cache_write_tokens, s->before.cache_write_tokens);
	add(&out->reasoning_tokens, s->before.reasoning_tokens);
}

void
claude_cli_count_on(struct claude_cli_state *s)
{
	struct usage sum;

	claude_cli_told(s, &sum);
	s->before = sum;
	s->counts = (struct anthropic_counts)ANTHROPIC_COUNTS_INIT;
}

/* The result counts the whole turn: it wins over what its messages told. */
static void
report_usage(struct claude_cli_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t at = json_get(j, 0, "usage");
	int64_t cost = turn_cost(s);
	struct usage u;

	if (!json_is(j, at, JSON_OBJECT))
		return;
	s->before = (struct usage)USAGE_INIT;
	s->counts = (struct anthropic_counts)ANTHROPIC_COUNTS_INIT;
	anthropic_counts_take(&s->counts, j, at, false);
	anthropic_counts_usage(&s->counts, &u);
	u.cost_microusd = s->paid ? cost : 0;
	u.list_microusd = s->paid || cost < 0 ? 0 : cost;
	if (usage_counted(&u))
		emit_usage(sink, &u);
}

/* ---- the verdict ---- */

struct verdict {
	const char *word;
	enum failure_class class;
};

static const struct verdict codes[] = {
	{ "usage_limit_reached", FAILURE_QUOTA },
	{ "prompt_too_long", FAILURE_CONTEXT_LENGTH },
	{ "authentication_error", FAILURE_AUTH },
	{ "permission_error", FAILURE_PERMISSION },
	{ "billing_error", FAILURE_QUOTA },
	{ "rate_limit_error", FAILURE_RATE_LIMIT },
	{ "not_found_error", FAILURE_NOT_FOUND },
	{ "overloaded_error", FAILURE_OVERLOADED },
	{ "timeout_error", FAILURE_TIMEOUT },
	{ "request_too_large", FAILURE_CONTEXT_LENGTH },
	{ "api_error", FAILURE_SERVER },
	/* classes of the error text */
	{ "authentication_failed", FAILURE_AUTH },
	{ "oauth_org_not_allowed", FAILURE_AUTH },
	{ "account_on_hold", FAILURE_AUTH },
	{ "verification_required", FAILURE_AUTH },
	{ "cloud_credential_error", FAILURE_AUTH },
	{ "rate_limit", FAILURE_RATE_LIMIT },
	{ "overloaded", FAILURE_OVERLOADED },
	{ "model_not_found", FAILURE_NOT_FOUND },
	{ "server_error", FAILURE_SERVER },
};

/* Words that say more than status and type do. */
static const struct verdict phrases[] = {
	{ "Not logged in", FAILURE_AUTH },
	{ "Credit balance is too low", FAILURE_QUOTA },
	{ "Prompt is too long", FAILURE_CONTEXT_LENGTH },
	{ "There's an issue with the selected model", FAILURE_NOT_FOUND },
};

static bool
by_code(const char *word, enum failure_class *class)
{
	for (size_t i = 0; word != NULL && i < sizeof codes / sizeof codes[0]; i++) {
		if (strcmp(codes[i].word, word) == 0) {
			*class = codes[i].class;
			return true;
		}
	}
	return false;
}

static bool
by_member(const struct json *j, const char *key, enum failure_class *class)
{
	char *word = foreign_word(j, json_get(j, 0, key), 64);
	bool known = by_code(word, class);

	free(word);
	return known;
}

static enum failure_class
classify(const struct claude_cli_state *s, const char *text, int status)
{
	const struct json *j = &s->in.json;
	enum failure_class class = FAILURE_SERVER;

	/* "api_error" is also the general reason of every failure: only a finer one counts */
	if (by_code(s->error_code, &class) || by_member(j, "api_error", &class))
		return class;
	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (strncmp(text, phrases[i].word, strlen(phrases[i].word)) == 0)
			return phrases[i].class;
	if (json_equals(j, json_get(j, 0, "terminal_reason"), "prompt_too_long"))
		return FAILURE_CONTEXT_LENGTH;
	if (by_member(j, "api_error_type", &class))
		return class;
	if (status >= 300 && status <= 599)
		return refusal_status_class(status);
	(void)by_code(s->error_class, &class);
	return class;
}

/* The sentence: of an error's own list, else of the answer's text. */
static void
result_text(const struct json *j, struct buf *out)
{
	(void)json_string(j, json_item(j, json_get(j, 0, "errors"), 0), out);
	if (out->len == 0)
		(void)json_string(j, json_get(j, 0, "result"), out);
}

/* class: known already, or NONE. */
static void
fail(struct claude_cli_state *s, enum failure_class class, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	struct failure f = FAILURE_INIT;
	int64_t status = 0;
	char *code;

	buf_reset(&s->text, 0);
	result_text(j, &s->text);
	if (json_int(j, json_get(j, 0, "api_error_status"), &status) && status >= 100 && status <= 599)
		f.http_status = (int)status;
	f.class = class != FAILURE_NONE ? class : classify(s, buf_str(&s->text), f.http_status);
	/* older ones call both by the same name */
	if (f.class == FAILURE_RATE_LIMIT && s->used_up)
		f.class = FAILURE_QUOTA;
	failure_set_text(f.message, sizeof f.message, (struct slice){ s->text.data, s->text.len });
	if (f.message[0] == '\0')
		snprintf(f.message, sizeof f.message, "claude gave no reason");
	code = foreign_word(j, json_get(j, 0, "api_error"), 64);
	if (code == NULL)
		code = foreign_word(j, json_get(j, 0, "api_error_type"), 64);
	if (code == NULL)
		code = foreign_word(j, json_get(j, 0, "subtype"), 64);
	failure_set_text(f.code, sizeof f.code, slice_of(code));
	free(code);
	emit_error(sink, &f);
}

static enum stop_reason
stop_of(const struct json *j)
{
	static const struct {
		const char *word;
		enum stop_reason stop;
	} stops[] = {
		{ "end_turn", STOP_END },
		{ "stop_sequence", STOP_END },
		{ "max_tokens", STOP_LENGTH },
		{ "model_context_window_exceeded", STOP_LENGTH },
		{ "refusal", STOP_CONTENT_FILTER },
	};
	uint32_t at = json_get(j, 0, "stop_reason");

	for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
		if (json_equals(j, at, stops[i].word))
			return stops[i].stop;
	return json_is(j, at, JSON_STRING) ? STOP_OTHER : STOP_END;
}

/* Whether what was told is what it remembers having said. */
static bool
agrees(struct claude_cli_state *s)
{
	const struct json *j = &s->in.json;
	uint32_t at = json_get(j, 0, "result");

	buf_reset(&s->text, 0);
	return json_is(j, at, JSON_STRING) && json_string(j, at, &s->text) == 0 && !s->answer.failed &&
	    s->text.len == s->answer.len &&
	    (s->text.len == 0 || memcmp(s->text.data, s->answer.data, s->text.len) == 0);
}

void
claude_cli_result(struct claude_cli_state *s, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t reason = json_get(j, 0, "stop_reason");
	bool error = false;

	(void)json_bool(j, json_get(j, 0, "is_error"), &error);
	report_usage(s, sink);
	if (!error) {
		s->may_go_on = stop_of(j) == STOP_END && !s->has_forgotten && agrees(s);
		emit_finish(sink, stop_of(j));
	} else if (json_equals(j, reason, "refusal") && s->said_anything) {
		emit_finish(sink, STOP_CONTENT_FILTER);
	} else if (json_equals(j, reason, "refusal")) {
		fail(s, FAILURE_CONTENT_POLICY, sink);
	} else if (s->said_anything && (strcmp(s->error_code, "max_output_tokens") == 0 ||
	    json_equals(j, json_get(j, 0, "api_error"), "max_output_tokens"))) {
		emit_finish(sink, STOP_LENGTH);
	} else {
		fail(s, FAILURE_NONE, sink);
	}
}
