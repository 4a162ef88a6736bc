/* listener.h - a sink that remembers an answer as one text, so that two readings can be compared. */
#ifndef TESTS_UNIT_DIALECT_LISTENER_H
#define TESTS_UNIT_DIALECT_LISTENER_H

#include "tests/jansson_apart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/dialect/dialect.h"
#include "server/upstream/ndjson.h"
#include "server/upstream/sse.h"

#define CALLS_MAX 16

struct heard {
	struct buf text, reasoning, refusal, warnings;
	struct {
		struct buf id, name, arguments, signature;
		bool ended;
	} calls[CALLS_MAX];
	unsigned call_count;
	unsigned starts, finishes, errors, usages, texts, warning_count;
	char model[64];
	enum stop_reason stop;
	struct usage usage;
	struct failure failure;
	struct buf signature; /* of reasoning; several follow each other with a blank */
	unsigned reasoning_ends, redacted;
	struct limits limits;
	bool after_end;
	bool bad_utf8;
};

static inline void
heard_clear(struct heard *h)
{
	buf_clear(&h->text);
	buf_clear(&h->reasoning);
	buf_clear(&h->refusal);
	buf_clear(&h->warnings);
	buf_clear(&h->signature);
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		buf_clear(&h->calls[i].id);
		buf_clear(&h->calls[i].name);
		buf_clear(&h->calls[i].arguments);
		buf_clear(&h->calls[i].signature);
	}
	memset(h, 0, sizeof *h);
}

static inline void
hear(void *arg, const struct event *e)
{
	struct heard *h = arg;

	if (h->finishes + h->errors > 0)
		h->after_end = true;
	if (!utf8_valid(e->text.data, e->text.len) || !utf8_valid(e->id.data, e->id.len) ||
	    !utf8_valid(e->name.data, e->name.len))
		h->bad_utf8 = true;
	switch (e->type) {
	case EVENT_START:
		h->starts++;
		snprintf(h->model, sizeof h->model, "%.*s", (int)e->name.len, e->name.data);
		break;
	case EVENT_TEXT:
		h->texts++;
		buf_add(e->refusal ? &h->refusal : &h->text, e->text.data, e->text.len);
		break;
	case EVENT_REASONING:
		buf_add(&h->reasoning, e->text.data, e->text.len);
		break;
	case EVENT_TOOL_CALL:
		assert_int_equal(e->index, h->call_count);
		assert_true(h->call_count < CALLS_MAX);
		assert_true(e->id.len > 0);
		buf_add(&h->calls[e->index].id, e->id.data, e->id.len);
		buf_add(&h->calls[e->index].name, e->name.data, e->name.len);
		h->call_count++;
		break;
	case EVENT_TOOL_ARGS:
		assert_true(e->index < h->call_count);
		assert_false(h->calls[e->index].ended);
		buf_add(&h->calls[e->index].arguments, e->text.data, e->text.len);
		break;
	case EVENT_TOOL_END:
		assert_true(e->index < h->call_count);
		h->calls[e->index].ended = true;
		buf_add(&h->calls[e->index].signature, e->signature.data, e->signature.len);
		break;
	case EVENT_REASONING_END:
		h->reasoning_ends++;
		h->redacted += e->redacted;
		if (h->signature.len > 0 && e->signature.len > 0)
			buf_addc(&h->signature, ' ');
		buf_add(&h->signature, e->signature.data, e->signature.len);
		break;
	case EVENT_LIMITS:
		limits_merge(&h->limits, e->limits);
		break;
	case EVENT_USAGE:
		h->usages++;
		h->usage = *e->usage;
		break;
	case EVENT_FINISH:
		h->finishes++;
		h->stop = e->stop;
		break;
	case EVENT_WARNING:
		h->warning_count++;
		buf_add(&h->warnings, e->text.data, e->text.len);
		buf_adds(&h->warnings, "\n");
		break;
	case EVENT_ERROR:
		h->errors++;
		h->failure = *e->failure;
		break;
	}
}

/* Everything that was heard, as one text. */
static inline void
heard_print(const struct heard *h, struct buf *out)
{
	buf_addf(out, "text %zu ", h->text.len);
	buf_add(out, buf_str(&h->text), h->text.len);
	buf_addf(out, "\nreasoning %s\nrefusal %s\nwarnings %s\n", buf_str(&h->reasoning),
	    buf_str(&h->refusal), buf_str(&h->warnings));
	for (unsigned i = 0; i < h->call_count; i++)
		buf_addf(out, "call %s %s %s %d\n", buf_str(&h->calls[i].id),
		    buf_str(&h->calls[i].name), buf_str(&h->calls[i].arguments),
		    h->calls[i].ended);
	buf_addf(out, "%u %u %u %u stop %d class %d %s usage %lld %lld %lld %lld %lld %lld %d %d\n",
	    h->starts, h->finishes, h->errors, h->usages, (int)h->stop, (int)h->failure.class,
	    h->failure.message, (long long)h->usage.input_tokens,
	    (long long)h->usage.output_tokens, (long long)h->usage.cache_read_tokens,
	    (long long)h->usage.cache_write_tokens, (long long)h->usage.reasoning_tokens,
	    (long long)h->usage.cost_microusd, h->after_end, h->bad_utf8);
}

/* A dialect that reads one answer. */
struct reading {
	const struct dialect *dialect;
	void *state;
	struct event_sink sink;
	struct sse sse;
	struct ndjson ndjson;
};

static inline bool
reading_event(void *arg, struct slice event, struct slice data)
{
	struct reading *r = arg;
	struct frame f = { event, data };

	r->dialect->frame(r->state, &f, &r->sink);
	return true;
}

static inline bool
reading_line(void *arg, struct slice line)
{
	return reading_event(arg, (struct slice){ NULL, 0 }, line);
}

static inline void
reading_begin(struct reading *r, const char *dialect, struct heard *h)
{
	r->dialect = dialect_find(dialect);
	assert_non_null(r->dialect);
	r->state = calloc(1, r->dialect->state_size);
	r->sink = (struct event_sink){ hear, h };
	if (r->dialect->begin != NULL)
		r->dialect->begin(r->state, NULL, NULL);
	sse_init(&r->sse);
	ndjson_init(&r->ndjson);
}

static inline void
reading_feed(struct reading *r, const char *bytes, size_t n)
{
	size_t used;

	if (r->dialect->framing == FRAMING_NDJSON)
		assert_int_equal(ndjson_feed(&r->ndjson, bytes, n, &used, reading_line, r), 0);
	else
		assert_int_equal(sse_feed(&r->sse, bytes, n, &used, reading_event, r), 0);
	assert_int_equal(used, n);
}

static inline void
reading_finish(struct reading *r)
{
	if (r->dialect->framing == FRAMING_NDJSON)
		assert_int_equal(ndjson_end(&r->ndjson, reading_line, r), 0);
	else
		assert_int_equal(sse_end(&r->sse, reading_event, r), 0);
	r->dialect->end(r->state, &r->sink);
	r->dialect->clear(r->state);
	free(r->state);
	sse_clear(&r->sse);
	ndjson_clear(&r->ndjson);
}

/* The frames of one answer, each the data of an event, NULL-terminated. */
static inline void
read_frames_of(const char *dialect, const char *const *frames, struct heard *h)
{
	struct reading r;

	memset(h, 0, sizeof *h);
	reading_begin(&r, dialect, h);
	for (; *frames != NULL; frames++)
		reading_event(&r, (struct slice){ NULL, 0 }, slice_of(*frames));
	reading_finish(&r);
}

static inline void
read_frames(const char *const *frames, struct heard *h)
{
	read_frames_of("openai-chat", frames, h);
}

static inline void
read_reply_of(const char *dialect, const char *body, size_t n, struct heard *h)
{
	struct reading r;

	memset(h, 0, sizeof *h);
	reading_begin(&r, dialect, h);
	r.dialect->body(r.state, (struct slice){ body, n }, &r.sink);
	reading_finish(&r);
}

static inline void
read_reply(const char *body, size_t n, struct heard *h)
{
	read_reply_of("openai-chat", body, n, h);
}

static inline char *
file_read(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *data;
	long size;

	if (f == NULL)
		fail_msg("cannot read %s", path);
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	data = malloc((size_t)size + 1);
	assert_int_equal(fread(data, 1, (size_t)size, f), (size_t)size);
	data[size] = '\0';
	fclose(f);
	*n = (size_t)size;
	return data;
}

static inline json_t *
expected_read(const char *path)
{
	json_error_t problem;
	json_t *j = json_load_file(path, JSON_ALLOW_NUL, &problem);

	if (j == NULL)
		fail_msg("%s: %s", path, problem.text);
	return j;
}

#endif
