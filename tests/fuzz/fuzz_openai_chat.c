/* fuzz_openai_chat.c - whatever a server answers: text stays UTF-8, an answer ends exactly once, and
 * nothing comes after its end. The first byte chooses: a stream, one frame, a whole reply, a refusal, a
 * model list. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/json.h"
#include "server/dialect/dialect.h"
#include "server/upstream/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	MUST(utf8_valid(f->message, strlen(f->message)));
	MUST(utf8_valid(f->code, strlen(f->code)));
	MUST(f->wait_ms >= -1 && f->wait_ms <= 86400000);
}

static void
check_usage(const struct usage *u)
{
	MUST(u->input_tokens >= -1 && u->output_tokens >= -1 && u->cost_microusd >= -1);
	MUST(u->cache_read_tokens >= -1 && u->cache_write_tokens >= -1 && u->reasoning_tokens >= -1);
	MUST(u->input_tokens < 0 || u->cache_read_tokens <= u->input_tokens);
	MUST(u->output_tokens < 0 || u->reasoning_tokens <= u->output_tokens);
}

/* What goes back to OpenRouter: a list, whatever it sent. */
static void
check_details(struct slice signature)
{
	struct json j = JSON_INIT;

	MUST(json_read(&j, signature.data, signature.len, JSON_LAST_KEY_WINS) == 0);
	MUST(json_is(&j, 0, JSON_ARRAY) && json_size(&j, 0) > 0);
	json_clear(&j);
}

static void
on_event(void *arg, const struct event *e)
{
	struct listener *l = arg;

	MUST(l->ends == 0);
	MUST(utf8_valid(e->text.data, e->text.len));
	MUST(utf8_valid(e->id.data, e->id.len));
	MUST(utf8_valid(e->name.data, e->name.len));
	switch (e->type) {
	case EVENT_START:
		MUST(l->starts++ == 0);
		break;
	case EVENT_TOOL_CALL:
		MUST(e->index == l->calls++ && e->id.len > 0 && e->name.len > 0);
		MUST(e->index < 256);
		break;
	case EVENT_TOOL_ARGS:
	case EVENT_TOOL_END:
		MUST(e->index < l->calls);
		MUST((l->ended_calls[e->index / 64] >> e->index % 64 & 1) == 0);
		if (e->type == EVENT_TOOL_END)
			l->ended_calls[e->index / 64] |= (uint64_t)1 << e->index % 64;
		break;
	case EVENT_REASONING_END:
		check_details(e->signature);
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

static void
read_answer(const struct dialect *d, unsigned how, bool openrouter, struct slice bytes)
{
	char name[] = "openrouter";
	char *none[] = { NULL };
	struct provider p = { .name = name, .features = none };
	struct dialect_target to = { &p, "m" };
	struct listener l = { 0 };
	struct reading r = { d, calloc(1, d->state_size), { on_event, &l } };
	struct sse sse;
	size_t used;

	MUST(r.state != NULL);
	if (d->begin != NULL)
		d->begin(r.state, NULL, openrouter ? &to : NULL);
	if (how == 0) {
		sse_init(&sse);
		if (sse_feed(&sse, bytes.data, bytes.len, &used, on_frame, &r) == 0)
			(void)sse_end(&sse, on_frame, &r);
		sse_clear(&sse);
	} else if (how == 1) {
		on_frame(&r, (struct slice){ NULL, 0 }, bytes);
	} else {
		d->body(r.state, bytes, &r.sink);
	}
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
}

/* The first line is a header's value, the rest the body. */
static void
read_refusal(const struct dialect *d, unsigned choice, struct slice bytes)
{
	static const int statuses[] = { 301, 400, 401, 403, 429, 429, 500, 503 };
	static const char *const names[] = { "retry-after", "retry-after-ms", "x-ratelimit-reset",
		"x-ratelimit-reset-tokens", "date", "x-request-id", "x-should-retry", "x" };
	const char *lf = memchr(bytes.data, '\n', bytes.len);
	struct slice value = { bytes.data, lf != NULL ? (size_t)(lf - bytes.data) : 0 };
	struct header headers[] = { { slice_of(names[choice % 8]), value },
		{ SLICE("x-ratelimit-remaining-tokens"), SLICE("0") } };
	struct wire_head head = { statuses[choice / 8 % 8], headers, 2 };
	struct limits l = { .count = 0 };
	struct failure f;

	if (lf != NULL) {
		bytes.data += value.len + 1;
		bytes.len -= value.len + 1;
	}
	d->refuse(NULL, &head, bytes, 1795330000000, &f);
	check_failure(&f);
	d->limits(NULL, &head, 1795330000000, &l);
	MUST(l.count <= LIMITS_MAX);
	for (size_t i = 0; i < l.count; i++)
		MUST(l.of[i].limit >= -1 && l.of[i].remaining >= -1 && l.of[i].resets_ms >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dialect *d = dialect_find("openai-chat");
	struct slice bytes = { (const char *)data + 1, size - 1 };

	if (size < 1)
		return 0;
	switch (data[0] % 5) {
	case 0:
	case 1:
	case 2:
		read_answer(d, data[0] % 5, data[0] / 5 % 2 == 1, bytes);
		break;
	case 3:
		read_refusal(d, data[0] / 5, bytes);
		break;
	case 4:
		(void)d->list_reply(bytes, on_id, NULL);
		break;
	}
	return 0;
}
