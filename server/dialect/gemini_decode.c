/* gemini_decode.c - chunks, arrays of chunks and whole replies in, events out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/gemini.h"
#include "server/dialect/gemini_state.h"
#include "server/dialect/refusal.h"

#define KEEP_BYTES ((size_t)64 << 10)
#define PIECE_MAX ((size_t)64 << 20)
/* A fault must not become money. */
#define TOKENS_MAX 1000000000

/* ---- begin and clear ---- */

static void
remember_names(struct gemini_state *s, const struct chat_request *chat)
{
	size_t n = 0;

	for (size_t i = 0; i < chat->tool_count; i++)
		n += !gemini_name_fits(chat->tools[i].name);
	if (n == 0)
		return;
	s->renamed = xcalloc(n + 1, sizeof *s->renamed);
	n = 0;
	for (size_t i = 0; i < chat->tool_count; i++) {
		if (!gemini_name_fits(chat->tools[i].name))
			s->renamed[n++] = xstrdup(chat->tools[i].name);
	}
}

void
gemini_begin(void *state, const struct chat_request *chat, const struct dialect_target *to)
{
	struct gemini_state *s = state;

	(void)to;
	buf_init(&s->text, PIECE_MAX);
	s->usage = (struct usage)USAGE_INIT;
	if (chat == NULL)
		return;
	/* a conversation grows: made-up ids of this turn differ from those of the turns before */
	s->seed = call_id_seed(chat);
	remember_names(s, chat);
}

void
gemini_clear(void *state)
{
	struct gemini_state *s = state;

	for (size_t i = 0; s->renamed != NULL && s->renamed[i] != NULL; i++)
		free(s->renamed[i]);
	free(s->renamed);
	foreign_clear(&s->in);
	buf_clear(&s->text);
}

/* ---- the end ---- */

void
gemini_told(const void *state, struct usage *out)
{
	const struct gemini_state *s = state;

	*out = s->usage;
}

static void
wind_up(struct gemini_state *s, const struct event_sink *sink)
{
	gemini_close(s, sink);
	s->over = true;
	if (s->usage_seen)
		emit_usage(sink, &s->usage);
}

static void
fail(struct gemini_state *s, const struct failure *f, const struct event_sink *sink)
{
	wind_up(s, sink);
	emit_error(sink, f);
}

void
gemini_fail_protocol(struct gemini_state *s, const char *kind, const char *message,
    const struct event_sink *sink)
{
	wind_up(s, sink);
	emit_protocol_error(sink, kind, message);
}

/* A call ends with STOP here: the parts tell. Only a filter counts more. */
static void
finish(struct gemini_state *s, const struct event_sink *sink)
{
	enum stop_reason stop = s->stop;

	if (s->call_count > 0 && stop != STOP_CONTENT_FILTER)
		stop = STOP_TOOL_CALL;
	wind_up(s, sink);
	emit_finish(sink, stop);
}

/* ---- reasons to stop ---- */

enum finish_kind {
	FINISH_PLAIN,
	FINISH_POLICY, /* an error when nothing was said yet */
	FINISH_FAULT,  /* the model stumbled: an error in any case */
};

static const struct {
	const char *word;
	enum stop_reason stop;
	enum finish_kind kind;
} finish_words[] = {
	{ "STOP", STOP_END, FINISH_PLAIN },
	{ "MAX_TOKENS", STOP_LENGTH, FINISH_PLAIN },
	{ "SAFETY", STOP_CONTENT_FILTER, FINISH_POLICY },
	{ "RECITATION", STOP_CONTENT_FILTER, FINISH_POLICY },
	{ "BLOCKLIST", STOP_CONTENT_FILTER, FINISH_POLICY },
	{ "PROHIBITED_CONTENT", STOP_CONTENT_FILTER, FINISH_POLICY },
	{ "SPII", STOP_CONTENT_FILTER, FINISH_POLICY },
	{ "IMAGE_SAFETY", STOP_CONTENT_FILTER, FINISH_POLICY },
	{ "IMAGE_PROHIBITED_CONTENT", STOP_CONTENT_FILTER, FINISH_POLICY },
	{ "IMAGE_RECITATION", STOP_CONTENT_FILTER, FINISH_POLICY },
	{ "LANGUAGE", STOP_CONTENT_FILTER, FINISH_PLAIN },
	{ "OTHER", STOP_CONTENT_FILTER, FINISH_PLAIN },
	{ "IMAGE_OTHER", STOP_CONTENT_FILTER, FINISH_PLAIN },
	{ "MALFORMED_FUNCTION_CALL", STOP_OTHER, FINISH_FAULT },
	{ "UNEXPECTED_TOOL_CALL", STOP_OTHER, FINISH_FAULT },
	{ "TOO_MANY_TOOL_CALLS", STOP_OTHER, FINISH_FAULT },
	{ "MALFORMED_RESPONSE", STOP_OTHER, FINISH_FAULT },
};

/* An error that a word tells inside a 200: the word is the code, its sentence follows ours. */
static void
fail_with_word(struct gemini_state *s, enum failure_class class, const char *what, uint32_t word,
    uint32_t sentence, const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;
	struct buf text = BUF_INIT;
	char *code = json_strdup(&s->in.json, word, sizeof f.code - 1);

	f.class = class;
	failure_set_text(f.code, sizeof f.code, slice_of(code));
	(void)buf_addf(&text, "%s (%s)", what, f.code);
	if (json_is(&s->in.json, sentence, JSON_STRING)) {
		(void)buf_adds(&text, ": ");
		(void)json_string(&s->in.json, sentence, &text);
	}
	failure_set_text(f.message, sizeof f.message, (struct slice){ text.data, text.len });
	buf_clear(&text);
	free(code);
	fail(s, &f, sink);
}

static bool
take_finish(struct gemini_state *s, uint32_t candidate, const struct event_sink *sink)
{
	uint32_t word = json_get(&s->in.json, candidate, "finishReason");
	uint32_t sentence = json_get(&s->in.json, candidate, "finishMessage");
	enum finish_kind kind = FINISH_PLAIN;

	if (!json_is(&s->in.json, word, JSON_STRING))
		return true;
	s->finish_seen = true;
	s->stop = STOP_OTHER;
	for (size_t i = 0; i < sizeof finish_words / sizeof finish_words[0]; i++) {
		if (!json_equals(&s->in.json, word, finish_words[i].word))
			continue;
		s->stop = finish_words[i].stop;
		kind = finish_words[i].kind;
	}
	if (kind == FINISH_FAULT) {
		fail_with_word(s, FAILURE_SERVER, "the model's answer broke off", word, sentence, sink);
		return false;
	}
	if (kind == FINISH_POLICY && !s->said_anything) {
		fail_with_word(s, FAILURE_CONTENT_POLICY, "the provider withheld the answer", word,
		    sentence, sink);
		return false;
	}
	return true;
}

static bool
take_candidate(struct gemini_state *s, uint32_t candidate, const struct event_sink *sink)
{
	uint32_t parts = json_path(&s->in.json, candidate, "content", "parts"), part;

	if (json_is(&s->in.json, parts, JSON_ARRAY)) {
		for (part = json_first(&s->in.json, parts); part != JSON_NONE;
		    part = json_next(&s->in.json, part)) {
			if (!gemini_part(s, part, sink))
				return false;
		}
	}
	return take_finish(s, candidate, sink);
}

/* ---- usage ---- */

static int64_t
count_of(const struct json *j, uint32_t at)
{
	int64_t v;

	return json_int(j, at, &v) && v >= 0 && v <= TOKENS_MAX ? v : -1;
}

static int64_t
sum(int64_t a, int64_t b)
{
	if (a < 0)
		return b;
	return b < 0 ? a : a + b;
}

/* The last one counts, as a whole. */
static void
take_usage(struct gemini_state *s, uint32_t at)
{
	const struct json *j = &s->in.json;
	struct usage u = USAGE_INIT;
	int64_t total = count_of(j, json_get(j, at, "totalTokenCount"));
	int64_t thoughts = count_of(j, json_get(j, at, "thoughtsTokenCount"));

	if (!json_is(j, at, JSON_OBJECT))
		return;
	u.input_tokens = count_of(j, json_get(j, at, "promptTokenCount"));
	if (u.input_tokens >= 0)
		u.input_tokens = sum(u.input_tokens,
		    count_of(j, json_get(j, at, "toolUsePromptTokenCount")));
	u.output_tokens = sum(count_of(j, json_get(j, at, "candidatesTokenCount")), thoughts);
	/* zeros are left out on this wire */
	if (u.output_tokens < 0 && u.input_tokens >= 0 && total >= u.input_tokens)
		u.output_tokens = total - u.input_tokens;
	u.cache_read_tokens = count_of(j, json_get(j, at, "cachedContentTokenCount"));
	if (u.input_tokens >= 0 && u.cache_read_tokens > u.input_tokens)
		u.cache_read_tokens = -1;
	u.reasoning_tokens = thoughts;
	if (!usage_known(&u))
		return;
	s->usage = u;
	s->usage_seen = true;
}

/* ---- chunks ---- */

static void
take_start(struct gemini_state *s, uint32_t root, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;

	if (s->started)
		return;
	s->started = true;
	s->seed = foreign_start(j, json_get(j, root, "responseId"), json_get(j, root, "modelVersion"),
	    s->seed, sink);
}

static void
take_error(struct gemini_state *s, uint32_t root, const struct event_sink *sink)
{
	const struct wire_head none = { 0, NULL, 0 };
	struct failure f = FAILURE_INIT;

	gemini_classify(&none, &s->in.json, root, 0, &f);
	fail(s, &f, sink);
}

static bool
has_error(const struct json *j, uint32_t root)
{
	uint32_t error = json_get(j, root, "error");

	return json_is(j, error, JSON_OBJECT) || json_is(j, error, JSON_STRING);
}

/* The prompt was blocked, with 200 and without a candidate. */
static bool
take_feedback(struct gemini_state *s, uint32_t root, const struct event_sink *sink)
{
	uint32_t feedback = json_get(&s->in.json, root, "promptFeedback");
	uint32_t word = json_get(&s->in.json, feedback, "blockReason");

	if (!json_is(&s->in.json, word, JSON_STRING))
		return true;
	if (!s->said_anything) {
		fail_with_word(s, FAILURE_CONTENT_POLICY, "the provider blocked the prompt", word,
		    json_get(&s->in.json, feedback, "blockReasonMessage"), sink);
		return false;
	}
	s->finish_seen = true;
	s->stop = STOP_CONTENT_FILTER;
	return true;
}

/* One chunk or one reply. False when the answer is over. */
static bool
take_chunk(struct gemini_state *s, uint32_t root, const struct event_sink *sink)
{
	const struct json *j = &s->in.json;
	uint32_t list = json_get(j, root, "candidates"), candidate;
	int64_t index;

	take_usage(s, json_get(j, root, "usageMetadata"));
	if (has_error(j, root)) {
		take_error(s, root, sink);
		return false;
	}
	take_start(s, root, sink);
	if (!json_is(j, list, JSON_ARRAY) || json_size(j, list) == 0)
		return take_feedback(s, root, sink);
	for (candidate = json_first(j, list); candidate != JSON_NONE;
	    candidate = json_next(j, candidate)) {
		/* one answer was asked for; others are somebody's mistake */
		if (json_int(j, json_get(j, candidate, "index"), &index) && index != 0)
			continue;
		if (!take_candidate(s, candidate, sink))
			return false;
	}
	return true;
}

/* A chunk, or the array that a stream without alt=sse is. */
static void
take_root(struct gemini_state *s, const struct event_sink *sink)
{
	uint32_t item;

	if (!json_is(&s->in.json, 0, JSON_ARRAY)) {
		(void)take_chunk(s, 0, sink);
		return;
	}
	for (item = json_first(&s->in.json, 0); item != JSON_NONE && !s->over;
	    item = json_next(&s->in.json, item)) {
		if (json_is(&s->in.json, item, JSON_OBJECT))
			(void)take_chunk(s, item, sink);
	}
}

/* ---- frames and replies ---- */

static bool
read_json(struct gemini_state *s, struct slice text, const struct event_sink *sink)
{
	return foreign_read(&s->in, text, sink) &&
	    (json_is(&s->in.json, 0, JSON_OBJECT) || json_is(&s->in.json, 0, JSON_ARRAY));
}

static void
fail_unreadable(struct gemini_state *s, struct slice data, const struct event_sink *sink)
{
	struct failure f = FAILURE_INIT;

	foreign_unreadable(&s->in, data, &f);
	fail(s, &f, sink);
}

void
gemini_frame(void *state, const struct frame *frame, const struct event_sink *sink)
{
	struct gemini_state *s = state;
	struct slice data = foreign_trim(frame->data);

	/* the stream ends with its connection; a proxy may add the mark of another dialect */
	if (s->over || data.len == 0 || slice_eq(data, "[DONE]"))
		return;
	if (read_json(s, data, sink))
		take_root(s, sink);
	else
		fail_unreadable(s, data, sink);
}

void
gemini_body(void *state, struct slice text, const struct event_sink *sink)
{
	struct gemini_state *s = state;
	struct failure f = FAILURE_INIT;

	if (s->over)
		return;
	text = foreign_trim(text);
	if (text.len == 0) {
		gemini_fail_protocol(s, "empty", "the provider answered with nothing", sink);
		return;
	}
	if (!read_json(s, text, sink)) {
		failure_no_json(&f, text);
		fail(s, &f, sink);
		return;
	}
	take_root(s, sink);
	if (!s->over && !s->started)
		gemini_fail_protocol(s, "empty", "the answer is JSON, but holds nothing", sink);
	gemini_end(s, sink);
}

void
gemini_end(void *state, const struct event_sink *sink)
{
	struct gemini_state *s = state;

	if (s->over)
		return;
	if (s->finish_seen)
		finish(s, sink);
	else if (s->said_anything || s->reasoning_open || s->usage_seen)
		gemini_fail_protocol(s, "cut", "the answer ended before it was complete", sink);
	else
		gemini_fail_protocol(s, "empty", "the provider answered with nothing", sink);
}
