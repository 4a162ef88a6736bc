/* prompt: ask, and stream the answer (UX.md section 9). */
#include <stdio.h>
#include <string.h>

#include "client/answer.h"
#include "client/app.h"
#include "client/help.h"
#include "client/input.h"
#include "client/interrupt.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "protocol/base/buf.h"
#include "protocol/client.h"

#define CANCEL_WAIT_MS 2000

struct prompt {
	struct app *a;
	struct answer answer;
	struct buf text, system, files, options;
	bool reasoning;
	int64_t stream; /* -1 until the daemon has named it */
	bool cancelled;
	int signal;
	int exit_code;
};

static void
write_raw(struct pack *p, const char *key, const struct buf *b)
{
	pack_str(p, key);
	pack_raw(p, buf_str(b), b->len);
}

/* The parameters of prompt.start and prompt.run. */
static void
write_params(struct prompt *q, struct pack *p)
{
	struct args *args = &q->a->args;

	pack_str(p, "text");
	pack_str_n(p, buf_str(&q->text), q->text.len);
	pack_kv_str(p, "ref", args_value(args, "model"));
	pack_kv_str(p, "label", args_value(args, "label"));
	if (q->system.len > 0) {
		pack_str(p, "system");
		pack_str_n(p, buf_str(&q->system), q->system.len);
	}
	if (args_has(args, "file"))
		write_raw(p, "attachments", &q->files);
	if (args_has(args, "option"))
		write_raw(p, "options", &q->options);
	if (q->reasoning)
		pack_kv_bool(p, "reasoning", true);
	if (q->a->timeout_ms > 0)
		pack_kv_int(p, "timeout_ms", q->a->timeout_ms);
}

static int
read_reasoning(struct prompt *q)
{
	const char *when = args_value(&q->a->args, "reasoning");

	q->reasoning = q->a->out_tty && q->a->form == FORM_TEXT;
	if (when == NULL)
		return 0;
	if (strcmp(when, "show") != 0 && strcmp(when, "hide") != 0)
		return fail_usage(q->a, "--reasoning is show or hide, not \"%.40s\"", when);
	q->reasoning = strcmp(when, "show") == 0;
	return 0;
}

/* Everything that can be wrong before the daemon is asked. 0 or an exit code. */
static int
collect(struct prompt *q)
{
	struct error err = ERROR_INIT;
	size_t total;
	struct pack p;
	bool given;
	int r;

	if ((r = read_reasoning(q)) != 0)
		return r;
	if (input_text(q->a, &q->text, &given, &err) != 0)
		return fail_err(q->a, &err);
	if (!given && !args_has(&q->a->args, "file")) {
		help_print(q->a, q->a->args.command);
		return EXIT_USAGE;
	}
	if (q->text.len == 0 && !args_has(&q->a->args, "file"))
		return fail_usage(q->a, "there is nothing to ask: no words, and stdin is empty");
	if (input_system(q->a, &q->system, &err) != 0)
		return fail_err(q->a, &err);
	total = q->text.len + q->system.len;
	pack_init(&p, &q->files);
	if (input_files(q->a, &p, &total, &err) != 0)
		return fail_err(q->a, &err);
	pack_init(&p, &q->options);
	if (input_options(q->a, &p, &err) != 0)
		return fail_err(q->a, &err);
	return 0;
}

static void
print_usage_line(struct prompt *q, const struct value *e)
{
	const struct value *u = value_get(e, "usage");
	int64_t in = value_int(value_get(u, "input_tokens"), -1),
		out = value_int(value_get(u, "output_tokens"), -1);
	int64_t cost = value_int(value_get(u, "cost_microusd"), -1),
		ms = value_int(value_get(e, "duration_ms"), -1);

	if (!q->a->err_tty || q->a->quiet)
		return;
	fflush(stdout);
	fprintf(
	    stderr, "%s%s %s", sgr_err(q->a, "2"), glyph_dash(q->a), app_member(q->a, e, "ref"));
	if (in >= 0)
		fprintf(stderr, "  %s in", out_count(q->a, in));
	if (out >= 0)
		fprintf(stderr, "  %s out", out_count(q->a, out));
	if (cost >= 0)
		fprintf(stderr, "  %s", out_money(q->a, cost));
	if (ms >= 0)
		fprintf(stderr, "  %.1f s", (double)ms / 1000);
	fprintf(stderr, "%s\n", sgr_err(q->a, "0"));
}

/* An answer that stopped early says why, where a person looks. */
static void
note_stop(struct prompt *q, const struct value *e)
{
	const struct value *stop = value_get(e, "stop");

	if (value_equals(stop, "length"))
		note(q->a, "the answer was cut at the length limit (-o max_tokens=N)");
	else if (value_equals(stop, "content_filter"))
		note(q->a, "the provider's content filter stopped the answer");
}

static void
end_done(struct prompt *q, const struct value *e)
{
	answer_end(&q->answer);
	if (value_equals(value_get(e, "stop"), "cancelled") || q->cancelled) {
		q->exit_code = q->signal != 0 ? 128 + q->signal : EXIT_INTERRUPTED;
		return;
	}
	note_stop(q, e);
	print_usage_line(q, e);
}

static void
end_error(struct prompt *q, const struct value *e)
{
	struct error err = ERROR_INIT;

	if (q->a->form != FORM_JSON)
		answer_end(&q->answer);
	message_read_error(e, &err);
	q->exit_code = fail_err(q->a, &err);
}

/* What was wrong with a target, behind its name. */
static const char *
fallback_words(struct app *a, const struct value *e)
{
	static const struct {
		const char *word; /* a class of failures, or a code */
		const char *said;
	} rows[] = {
		{ "overloaded", "overloaded" },
		{ "rate_limit", "rate limited" },
		{ "quota", "used up" },
		{ "server", "failed" },
		{ "timeout", "too slow" },
		{ "network", "out of reach" },
		{ "auth", "rejected the key" },
		{ "permission", "not permitted" },
		{ "config", "not usable" },
		{ "protocol", "answered nonsense" },
		{ "context_length", "too small for this" },
		{ "content_policy", "refused the content" },
		{ "rate_limited", "still rate limited" },
		{ "quota_exceeded", "still used up" },
		{ "budget_exceeded", "over its budget" },
		{ "provider_unavailable", "still out of order" },
		{ "no_credential", "has no key" },
		{ "locked", "locked" },
		{ "invalid_state", "not usable" },
	};
	const struct value *class = value_get(e, "class"), *code = value_get(e, "code");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (value_equals(class != NULL ? class : code, rows[i].word))
			return rows[i].said;
	return app_text(a, code);
}

/* Before the first word of the answer: on stderr, so that the answer stays the answer. */
static void
say_fallback(struct prompt *q, const struct value *e)
{
	struct app *a = q->a;
	const char *from = app_member(a, e, "from"), *to = app_member(a, e, "to");
	const char *colon = strchr(from, ':');
	int name = colon != NULL ? (int)(colon - from) : (int)strlen(from);
	const char *from_key = app_member(a, e, "from_key"), *to_key = app_member(a, e, "to_key");
	int64_t wait = value_int(value_get(e, "wait_ms"), 0);

	if (a->quiet)
		return;
	if (strcmp(from, to) == 0 && *to_key != '\0' && strcmp(from_key, to_key) != 0) {
		fflush(stdout);
		fprintf(stderr, "%s %.*s (key %s) %s, ", a->utf8 ? "\u21aa" : "->", name, from, from_key,
		    fallback_words(a, e));
		fprintf(stderr, "continuing with another key of %.*s: %s\n", name, from, to_key);
		return;
	}
	/* two models of one provider are told apart by their whole names */
	if (strncmp(from, to, (size_t)name + 1) == 0)
		name = (int)strlen(from);
	fflush(stdout);
	fprintf(stderr, "%s %.*s %s, ", a->utf8 ? "\u21aa" : "->", name, from, fallback_words(a, e));
	if (strcmp(from, to) == 0)
		fprintf(stderr, "asking it again");
	else
		fprintf(stderr, "continuing with @%s[%lld] %s", app_member(a, e, "chain"),
		    (long long)value_int(value_get(e, "position"), 0), to);
	if (wait > 0)
		fprintf(stderr, " in %.1f s", (double)wait / 1000);
	fputc('\n', stderr);
}

/* True when it was the last one. */
static bool
on_event(struct prompt *q, const struct value *e)
{
	const struct value *type = value_get(e, "type");
	bool json = q->a->form == FORM_JSON,
	     last = value_equals(type, "done") || value_equals(type, "error");

	if (json)
		out_json_line(e);
	if (value_equals(type, "error")) {
		end_error(q, e);
	} else if (json) {
		if (last && value_equals(value_get(e, "stop"), "cancelled"))
			q->exit_code = q->signal != 0 ? 128 + q->signal : EXIT_INTERRUPTED;
	} else if (value_equals(type, "done")) {
		end_done(q, e);
	} else if (value_equals(type, "delta")) {
		answer_text(&q->answer, value_slice(value_get(e, "text")));
	} else if (value_equals(type, "reasoning") && q->reasoning) {
		answer_reasoning(&q->answer, value_slice(value_get(e, "text")));
	} else if (value_equals(type, "tool_call")) {
		note(q->a, "the model calls %s(%s)", app_member(q->a, e, "name"),
		    app_member(q->a, e, "arguments"));
	} else if (value_equals(type, "warning")) {
		note(q->a, "%s",
		    app_member(q->a, e, *app_member(q->a, e, "text") != '\0' ? "text" : "message"));
	} else if (value_equals(type, "fallback")) {
		say_fallback(q, e);
	} else if (value_equals(type, "start") && q->a->verbose) {
		note(
		    q->a, "asking %s (%s)", app_member(q->a, e, "ref"), app_member(q->a, e, "why"));
	}
	return last;
}

/* Ctrl-C: the daemon stops it upstream; what arrived is kept, the end is waited for a moment. */
static int
cancel(struct prompt *q)
{
	struct error err = ERROR_INIT;
	struct pack *p;
	uint32_t id;

	q->signal = interrupt_take();
	if (q->cancelled || q->stream < 0)
		return MP_E_CANCELLED;
	q->cancelled = true;
	p = link_begin(q->a, "prompt.cancel");
	pack_kv_int(p, "stream", q->stream);
	return link_send(q->a, &id, &err);
}

/* Our own stream's event, or NULL. */
static const struct value *
event_of(const struct prompt *q, const struct message *m)
{
	const struct value *e = value_at(m->params, 0);

	if (m->kind != MESSAGE_NOTIFICATION || !slice_eq(m->method, "prompt.event") ||
	    value_int(value_get(e, "stream"), -1) != q->stream)
		return NULL;
	return e;
}

static int
connection_lost(struct prompt *q, const struct error *err)
{
	if (q->a->form != FORM_JSON)
		answer_end(&q->answer);
	if (err->code == MP_E_CANCELLED)
		return q->signal != 0 ? 128 + q->signal : EXIT_INTERRUPTED;
	return link_fail(q->a, err);
}

/* Waits for the answer to its last event. */
static int
follow(struct prompt *q, uint32_t msgid)
{
	struct error err = ERROR_INIT;
	const struct value *e;
	struct message m;
	int r;

	for (;;) {
		r = link_next(q->a, &m, q->cancelled ? CANCEL_WAIT_MS : -1, &err);
		if (r == MP_E_CANCELLED && cancel(q) == 0)
			continue;
		if (r == 0)
			error_set(&err, MP_E_CANCELLED, "cancelled");
		if (r <= 0)
			return connection_lost(q, &err);
		if (m.kind == MESSAGE_REPLY && m.msgid == msgid) {
			if (value_type(m.error) != VALUE_NIL) {
				message_read_error(m.error, &err);
				return fail_err(q->a, &err);
			}
			q->stream = value_int(value_get(m.result, "stream"), -1);
		} else if ((e = event_of(q, &m)) != NULL && on_event(q, e)) {
			return q->exit_code;
		}
	}
}

static int
run_stream(struct prompt *q)
{
	struct error err = ERROR_INIT;
	uint32_t msgid;
	int r;

	write_params(q, link_begin(q->a, "prompt.start"));
	if (link_send(q->a, &msgid, &err) != 0)
		return link_fail(q->a, &err);
	client_set_interrupt(q->a->client, interrupt_catch());
	r = follow(q, msgid);
	client_set_interrupt(q->a->client, -1);
	interrupt_release();
	return r;
}

static int
run_whole(struct prompt *q)
{
	const struct value *result, *calls;
	int r;

	write_params(q, link_begin(q->a, "prompt.run"));
	link_long(q->a);
	if ((r = link_end(q->a, &result)) != 0)
		return r;
	if (q->a->form == FORM_JSON) {
		out_json(q->a, result);
		return 0;
	}
	if (q->reasoning)
		answer_reasoning(&q->answer, value_slice(value_get(result, "reasoning")));
	answer_text(&q->answer, value_slice(value_get(result, "text")));
	answer_end(&q->answer);
	calls = value_get(result, "tool_calls");
	for (size_t i = 0; i < value_size(calls); i++)
		note(q->a, "the model calls %s(%s)", app_member(q->a, value_at(calls, i), "name"),
		    app_member(q->a, value_at(calls, i), "arguments"));
	note_stop(q, result);
	print_usage_line(q, result);
	return 0;
}

int
cmd_prompt(struct app *a)
{
	struct prompt q = {.a = a, .stream = -1};
	int r;

	buf_init(&q.text, INPUT_MAX_BYTES);
	answer_init(&q.answer, a, args_has(&a->args, "raw"));
	r = collect(&q);
	if (r == 0)
		r = link_find_scope(a);
	if (r == 0)
		r = args_has(&a->args, "no-stream") ? run_whole(&q) : run_stream(&q);
	answer_clear(&q.answer);
	buf_clear(&q.text);
	buf_clear(&q.system);
	buf_clear(&q.files);
	buf_clear(&q.options);
	return r;
}
