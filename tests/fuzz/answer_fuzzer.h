/* answer_fuzzer.h - whatever a server answers: text stays UTF-8, an answer ends exactly once, and
 * nothing comes after its end. The first byte chooses: a stream, one frame, a whole reply, a
 * refusal with its limits (the second byte chooses status and header), a model list, what one
 * model's page tells; and whether it is the answer of the provider that a target names. A target
 * defines `answers`, which says what is special about its dialect, and includes this. */
#ifndef TESTS_FUZZ_ANSWER_FUZZER_H
#define TESTS_FUZZ_ANSWER_FUZZER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/dialect.h"
#include "server/upstream/ndjson.h"
#include "server/upstream/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADERS 8
#define KNOWN_MAX 2

/* What is special about a dialect. */
struct answers {
	const char *dialect;
	const char *provider;         /* half of the answers are this one's; NULL = nobody's */
	const char *headers[HEADERS]; /* the input gives the value of one */
	struct header known[KNOWN_MAX]; /* these go along with it */
	bool starts;                  /* what ends well has begun with a start */
	bool costs;                   /* it tells what an answer cost */
	void (*signature)(struct slice s); /* more that must hold of one; NULL = nothing */
};
static const struct answers answers;

#define OPENAI_HEADERS                                                                             \
	{ "retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-reset-tokens",        \
		"date", "x-request-id", "x-should-retry", "x-ratelimit-limit-requests" }

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

struct listener {
	unsigned ends, starts, calls;
	uint64_t ended_calls[4];
};

static void
check_failure(const struct failure *f)
{
	MUST(f->class != FAILURE_NONE);
	MUST(memchr(f->message, '\0', sizeof f->message) != NULL);
	MUST(memchr(f->code, '\0', sizeof f->code) != NULL);
	MUST(memchr(f->request_id, '\0', sizeof f->request_id) != NULL);
	MUST(utf8_valid(f->message, strlen(f->message)));
	MUST(utf8_valid(f->code, strlen(f->code)));
	MUST(utf8_valid(f->request_id, strlen(f->request_id)));
	MUST(f->wait_ms >= -1 && f->wait_ms <= 86400000);
}

static void
check_usage(const struct usage *u)
{
	MUST(u->input_tokens >= -1 && u->output_tokens >= -1 && u->cost_microusd >= -1);
	MUST(answers.costs || u->cost_microusd == -1);
	MUST(
	    u->cache_read_tokens >= -1 && u->cache_write_tokens >= -1 && u->reasoning_tokens >= -1);
	MUST(u->input_tokens < 0 || u->cache_read_tokens <= u->input_tokens);
	MUST(u->output_tokens < 0 || u->reasoning_tokens <= u->output_tokens);
}

static void
check_call(struct listener *l, const struct event *e)
{
	if (e->type == EVENT_TOOL_CALL) {
		MUST(e->index == l->calls++ && e->id.len > 0 && e->name.len > 0);
		MUST(e->index < 256);
		return;
	}
	MUST(e->index < l->calls);
	MUST((l->ended_calls[e->index / 64] >> e->index % 64 & 1) == 0);
	if (e->type == EVENT_TOOL_END)
		l->ended_calls[e->index / 64] |= (uint64_t)1 << e->index % 64;
}

static void
on_event(void *arg, const struct event *e)
{
	struct listener *l = arg;

	MUST(l->ends == 0);
	MUST(utf8_valid(e->text.data, e->text.len));
	MUST(utf8_valid(e->id.data, e->id.len));
	MUST(utf8_valid(e->name.data, e->name.len));
	MUST(utf8_valid(e->signature.data, e->signature.len));
	switch (e->type) {
	case EVENT_START:
		MUST(l->starts++ == 0);
		break;
	case EVENT_TOOL_CALL:
	case EVENT_TOOL_ARGS:
	case EVENT_TOOL_END:
		check_call(l, e);
		break;
	case EVENT_REASONING_END:
		MUST(!e->redacted || e->signature.len > 0);
		if (answers.signature != NULL && e->signature.len > 0)
			answers.signature(e->signature);
		break;
	case EVENT_LIMITS:
		break;
	case EVENT_USAGE:
		check_usage(e->usage);
		break;
	case EVENT_ERROR:
		check_failure(e->failure);
		l->ends++;
		break;
	case EVENT_FINISH:
		MUST(l->starts == 1 || !answers.starts);
		l->ends++;
		break;
	case EVENT_TEXT:
	case EVENT_REASONING:
	case EVENT_WARNING:
		MUST(e->text.len > 0);
		break;
	}
}

struct reading {
	const struct dialect *dialect;
	void *state;
	struct event_sink sink;
};

static bool
on_frame(void *arg, struct slice event, struct slice data)
{
	struct reading *r = arg;
	struct frame f = { event, data };

	r->dialect->frame(r->state, &f, &r->sink);
	return true;
}

static bool
on_line(void *arg, struct slice line)
{
	return on_frame(arg, (struct slice){ NULL, 0 }, line);
}

static void
read_stream(struct reading *r, struct slice bytes)
{
	struct ndjson lines;
	struct sse sse;
	size_t used;

	if (r->dialect->framing == FRAMING_NDJSON) {
		ndjson_init(&lines);
		if (ndjson_feed(&lines, bytes.data, bytes.len, &used, on_line, r) == 0)
			(void)ndjson_end(&lines, on_line, r);
		ndjson_clear(&lines);
	} else {
		sse_init(&sse);
		if (sse_feed(&sse, bytes.data, bytes.len, &used, on_frame, r) == 0)
			(void)sse_end(&sse, on_frame, r);
		sse_clear(&sse);
	}
}

static void
read_answer(const struct dialect *d, unsigned how, bool named, struct slice bytes)
{
	char name[32] = "", *none[] = { NULL };
	struct provider p = { .name = name, .features = none };
	struct dialect_target to = { &p, "m" };
	struct listener l = { 0 };
	struct reading r = { d, calloc(1, d->state_size), { on_event, &l } };

	MUST(r.state != NULL);
	if (answers.provider != NULL)
		strncat(name, answers.provider, sizeof name - 1);
	d->begin(r.state, NULL, named && answers.provider != NULL ? &to : NULL);
	if (how == 0)
		read_stream(&r, bytes);
	else if (how == 1)
		on_frame(&r, (struct slice){ NULL, 0 }, bytes);
	else
		d->body(r.state, bytes, &r.sink);
	d->end(r.state, &r.sink);
	MUST(l.ends == 1);
	d->clear(r.state);
	free(r.state);
}

static void
on_id(void *arg, const struct listed_model *m)
{
	(void)arg;
	MUST(m->id.len > 0 && utf8_valid(m->id.data, m->id.len));
	MUST(utf8_valid(m->title.data, m->title.len));
	MUST(m->context_tokens >= 0 && m->output_tokens >= 0);
}

static void
check_limits(const struct limits *l)
{
	MUST(l->count <= LIMITS_MAX);
	for (size_t i = 0; i < l->count; i++) {
		const struct limit *of = &l->of[i];

		MUST(of->name[0] != '\0' && memchr(of->name, '\0', sizeof of->name) != NULL);
		MUST(of->limit >= -1 && of->remaining >= -1);
		MUST(of->used_permille >= -1 && of->resets_ms >= 0);
	}
}

/* The first line is a header's value, the rest the body. */
static void
read_refusal(const struct dialect *d, unsigned choice, struct slice bytes)
{
	static const int statuses[] = { 301, 400, 401, 403, 404, 429, 500, 529 };
	const char *lf = memchr(bytes.data, '\n', bytes.len);
	struct slice value = { bytes.data, lf != NULL ? (size_t)(lf - bytes.data) : 0 };
	struct header headers[1 + KNOWN_MAX] = { { slice_of(answers.headers[choice % HEADERS]), value } };
	struct wire_head head = { statuses[choice / HEADERS % 8], headers, 1 };
	struct limits l = { .count = 0 };
	struct failure f;

	for (size_t i = 0; i < KNOWN_MAX && answers.known[i].name.len > 0 && choice < 128; i++)
		headers[head.header_count++] = answers.known[i];
	if (lf != NULL) {
		bytes.data += value.len + 1;
		bytes.len -= value.len + 1;
	}
	d->refuse(NULL, &head, bytes, 1795330000000, &f);
	check_failure(&f);
	if (d->limits != NULL)
		d->limits(NULL, &head, 1795330000000, &l);
	check_limits(&l);
}

/* A list of models, or what a program says about its login. */
static void
read_list(const struct dialect *d, struct slice bytes)
{
	struct failure f;

	if (d->list_reply != NULL)
		(void)d->list_reply(bytes, on_id, NULL);
	if (d->login_reply == NULL)
		return;
	d->login_reply(bytes, &f);
	if (f.class != FAILURE_NONE)
		check_failure(&f);
}

static void
read_page(const struct dialect *d, struct slice bytes)
{
	struct listed_model m = LISTED_MODEL_INIT;

	if (d->show_reply != NULL)
		(void)d->show_reply(bytes, &m);
	MUST(m.context_tokens >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dialect *d = dialect_find(answers.dialect);
	struct slice bytes = { (const char *)data + 1, size - 1 };

	if (size < 1)
		return 0;
	switch (data[0] % 6) {
	case 0:
	case 1:
	case 2:
		read_answer(d, data[0] % 6, data[0] / 6 % 2 == 1, bytes);
		break;
	case 3:
		if (size < 2)
			break;
		bytes.data++;
		bytes.len--;
		read_refusal(d, data[1], bytes);
		break;
	case 4:
		read_list(d, bytes);
		break;
	case 5:
		read_page(d, bytes);
		break;
	}
	return 0;
}

#endif
