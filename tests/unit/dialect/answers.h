/* answers.h - an answer, written as each dialect's server would write it, in pieces of any size. */
#ifndef TESTS_UNIT_DIALECT_ANSWERS_H
#define TESTS_UNIT_DIALECT_ANSWERS_H

#include "tests/unit/dialect/chats.h"

#define ANSWER_CALLS 3

struct answer {
	struct buf reasoning, text; /* valid UTF-8; may be empty */
	struct {
		char id[32];
		const char *name;      /* as the request told it the server */
		const char *arguments; /* a JSON object */
	} calls[ANSWER_CALLS];
	unsigned call_count;
	bool cut; /* by max_tokens; no calls then */
	int input, output;
};

/* ---- JSON text ---- */

static inline void
put_quoted(struct buf *out, const char *s, size_t n)
{
	json_t *j = json_stringn(s, n);
	char *text;

	assert_non_null(j);
	text = json_dumps(j, JSON_ENCODE_ANY | (dice(2) == 0 ? JSON_ENSURE_ASCII : 0));
	buf_adds(out, text);
	free(text);
	json_decref(j);
}

/* One event of a template in which '$' stands for a quoted text. */
static inline void
put_event(struct buf *out, bool sse, const char *name, const char *fmt, const char *s, size_t n)
{
	const char *at = strchr(fmt, '$');

	if (sse && name != NULL)
		buf_addf(out, "event: %s\n", name);
	buf_adds(out, sse ? "data: " : "");
	if (at == NULL) {
		buf_adds(out, fmt);
	} else {
		buf_add(out, fmt, (size_t)(at - fmt));
		put_quoted(out, s, n);
		buf_adds(out, at + 1);
	}
	buf_adds(out, sse ? "\n\n" : "\n");
}

/* The text in pieces of whole code points, each in an event of its own. */
static inline void
put_pieces(struct buf *out, bool sse, const char *name, const char *fmt, const char *s, size_t n)
{
	size_t from = 0;

	while (from < n) {
		size_t end = from + 1 + dice(12);

		if (end > n)
			end = n;
		end -= utf8_incomplete_tail(s + from, end - from);
		while (end <= from || (end < n && ((unsigned char)s[end] & 0xc0) == 0x80))
			end++;
		put_event(out, sse, name, fmt, s + from, end - from);
		from = end;
	}
}

/* ---- the servers ---- */

#define CHAT_CHUNK(delta, finish)                                                                  \
	"{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,"      \
	"\"delta\":" delta ",\"finish_reason\":" finish "}]}"

static inline void
answer_openai_chat(const struct answer *a, struct buf *out)
{
	char fmt[512];

	put_event(out, true, NULL, CHAT_CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null"), NULL, 0);
	put_pieces(out, true, NULL, CHAT_CHUNK("{\"reasoning_content\":$}", "null"), a->reasoning.data,
	    a->reasoning.len);
	put_pieces(out, true, NULL, CHAT_CHUNK("{\"content\":$}", "null"), a->text.data, a->text.len);
	for (unsigned i = 0; i < a->call_count; i++) {
		snprintf(fmt, sizeof fmt, CHAT_CHUNK("{\"tool_calls\":[{\"index\":%u,\"id\":\"%s\",\"type\":"
		    "\"function\",\"function\":{\"name\":\"%s\",\"arguments\":\"\"}}]}", "null"), i,
		    a->calls[i].id, a->calls[i].name);
		put_event(out, true, NULL, fmt, NULL, 0);
		snprintf(fmt, sizeof fmt, CHAT_CHUNK("{\"tool_calls\":[{\"index\":%u,\"function\":"
		    "{\"arguments\":$}}]}", "null"), i);
		put_pieces(out, true, NULL, fmt, a->calls[i].arguments, strlen(a->calls[i].arguments));
	}
	put_event(out, true, NULL, a->call_count > 0 ? CHAT_CHUNK("{}", "\"tool_calls\"")
	    : a->cut ? CHAT_CHUNK("{}", "\"length\"") : CHAT_CHUNK("{}", "\"stop\""), NULL, 0);
	snprintf(fmt, sizeof fmt, "{\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":%d,"
	    "\"completion_tokens\":%d}}", a->input, a->output);
	put_event(out, true, NULL, fmt, NULL, 0);
	put_event(out, true, NULL, "[DONE]", NULL, 0);
}

static inline void
put_response_item(struct buf *out, unsigned *index, const char *kind, const char *delta_kind,
    const char *added, const struct buf *text)
{
	char fmt[512], name[96];

	snprintf(fmt, sizeof fmt, "{\"type\":\"response.output_item.added\",\"output_index\":%u,\"item\":%s}",
	    *index, added);
	put_event(out, true, "response.output_item.added", fmt, NULL, 0);
	snprintf(name, sizeof name, "response.%s.delta", delta_kind);
	snprintf(fmt, sizeof fmt, "{\"type\":\"%s\",\"output_index\":%u,\"item_id\":\"i%u\",\"%s\":0,"
	    "\"delta\":$}", name, *index, *index,
	    strcmp(kind, "reasoning") == 0 ? "summary_index" : "content_index");
	put_pieces(out, true, name, fmt, text->data, text->len);
	snprintf(fmt, sizeof fmt, "{\"type\":\"response.output_item.done\",\"output_index\":%u,\"item\":%s}",
	    *index, added);
	put_event(out, true, "response.output_item.done", fmt, NULL, 0);
	(*index)++;
}

static inline void
answer_openai_responses(const struct answer *a, struct buf *out)
{
	unsigned index = 0;
	char fmt[768], args[256];

	put_event(out, true, "response.created", "{\"type\":\"response.created\",\"response\":{\"id\":\"r\","
	    "\"model\":\"m\",\"status\":\"in_progress\"}}", NULL, 0);
	if (a->reasoning.len > 0)
		put_response_item(out, &index, "reasoning", "reasoning_summary_text",
		    "{\"type\":\"reasoning\",\"id\":\"i0\",\"summary\":[]}", &a->reasoning);
	if (a->text.len > 0) {
		snprintf(fmt, sizeof fmt, "{\"type\":\"message\",\"id\":\"i%u\",\"role\":\"assistant\","
		    "\"content\":[]}", index);
		put_response_item(out, &index, "message", "output_text", fmt, &a->text);
	}
	for (unsigned i = 0; i < a->call_count; i++, index++) {
		snprintf(fmt, sizeof fmt, "{\"type\":\"response.output_item.added\",\"output_index\":%u,"
		    "\"item\":{\"type\":\"function_call\",\"id\":\"i%u\",\"call_id\":\"%s\",\"name\":\"%s\","
		    "\"arguments\":\"\"}}", index, index, a->calls[i].id, a->calls[i].name);
		put_event(out, true, "response.output_item.added", fmt, NULL, 0);
		snprintf(fmt, sizeof fmt, "{\"type\":\"response.function_call_arguments.delta\","
		    "\"output_index\":%u,\"item_id\":\"i%u\",\"delta\":$}", index, index);
		put_pieces(out, true, "response.function_call_arguments.delta", fmt, a->calls[i].arguments,
		    strlen(a->calls[i].arguments));
		snprintf(args, sizeof args, "%s", a->calls[i].arguments);
		snprintf(fmt, sizeof fmt, "{\"type\":\"response.output_item.done\",\"output_index\":%u,"
		    "\"item\":{\"type\":\"function_call\",\"id\":\"i%u\",\"call_id\":\"%s\",\"name\":\"%s\","
		    "\"arguments\":$}}", index, index, a->calls[i].id, a->calls[i].name);
		put_event(out, true, "response.output_item.done", fmt, args, strlen(args));
	}
	snprintf(fmt, sizeof fmt, "{\"type\":\"response.%s\",\"response\":{\"id\":\"r\",\"model\":\"m\","
	    "\"status\":\"%s\",%s\"usage\":{\"input_tokens\":%d,\"output_tokens\":%d}}}",
	    a->cut ? "incomplete" : "completed", a->cut ? "incomplete" : "completed",
	    a->cut ? "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}," : "", a->input, a->output);
	put_event(out, true, a->cut ? "response.incomplete" : "response.completed", fmt, NULL, 0);
}

/* A line of the claude program wraps the event. */
static inline void
put_message_event(struct buf *out, bool wrapped, const char *name, const char *fmt, const char *s, size_t n,
    bool pieces)
{
	char all[768];

	snprintf(all, sizeof all, wrapped
	    ? "{\"type\":\"stream_event\",\"event\":%s,\"parent_tool_use_id\":null}" : "%s", fmt);
	if (pieces)
		put_pieces(out, !wrapped, wrapped ? NULL : name, all, s, n);
	else
		put_event(out, !wrapped, wrapped ? NULL : name, all, s, n);
}

static inline void
put_block(struct buf *out, bool wrapped, unsigned index, const char *block, const char *delta,
    const char *s, size_t n)
{
	char fmt[512];

	snprintf(fmt, sizeof fmt, "{\"type\":\"content_block_start\",\"index\":%u,"
	    "\"content_block\":%s}", index, block);
	put_message_event(out, wrapped, "content_block_start", fmt, NULL, 0, false);
	snprintf(fmt, sizeof fmt, "{\"type\":\"content_block_delta\",\"index\":%u,\"delta\":%s}",
	    index, delta);
	put_message_event(out, wrapped, "content_block_delta", fmt, s, n, true);
	snprintf(fmt, sizeof fmt, "{\"type\":\"content_block_stop\",\"index\":%u}", index);
	put_message_event(out, wrapped, "content_block_stop", fmt, NULL, 0, false);
}

static inline void
put_message_events(const struct answer *a, struct buf *out, bool wrapped)
{
	unsigned index = 0;
	char fmt[512];

	snprintf(fmt, sizeof fmt, "{\"type\":\"message_start\",\"message\":{\"id\":\"m\","
	    "\"role\":\"assistant\","
	    "\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":%d,\"output_tokens\":1}}}", a->input);
	put_message_event(out, wrapped, "message_start", fmt, NULL, 0, false);
	if (a->reasoning.len > 0)
		put_block(out, wrapped, index++, "{\"type\":\"thinking\",\"thinking\":\"\"}",
		    "{\"type\":\"thinking_delta\",\"thinking\":$}", a->reasoning.data, a->reasoning.len);
	if (a->text.len > 0)
		put_block(out, wrapped, index++, "{\"type\":\"text\",\"text\":\"\"}",
		    "{\"type\":\"text_delta\",\"text\":$}", a->text.data, a->text.len);
	for (unsigned i = 0; i < a->call_count; i++) {
		snprintf(fmt, sizeof fmt,
		    "{\"type\":\"tool_use\",\"id\":\"%s\",\"name\":\"%s\",\"input\":{}}",
		    a->calls[i].id, a->calls[i].name);
		put_block(out, wrapped, index++, fmt, "{\"type\":\"input_json_delta\",\"partial_json\":$}",
		    a->calls[i].arguments, strlen(a->calls[i].arguments));
	}
	snprintf(fmt, sizeof fmt, "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\"},"
	    "\"usage\":{\"output_tokens\":%d}}", a->call_count > 0 ? "tool_use" : a->cut ? "max_tokens"
	    : "end_turn", a->output);
	put_message_event(out, wrapped, "message_delta", fmt, NULL, 0, false);
	put_message_event(out, wrapped, "message_stop", "{\"type\":\"message_stop\"}", NULL, 0, false);
}

static inline void
answer_anthropic(const struct answer *a, struct buf *out)
{
	put_message_events(a, out, false);
}

static inline void
answer_claude_cli(const struct answer *a, struct buf *out)
{
	char fmt[512];

	put_event(out, false, NULL,
	    "{\"type\":\"system\",\"subtype\":\"init\",\"apiKeySource\":\"none\"}", NULL, 0);
	put_message_events(a, out, true);
	snprintf(fmt, sizeof fmt,
	    "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":$,"
	    "\"stop_reason\":\"%s\",\"usage\":{\"input_tokens\":%d,\"output_tokens\":%d}}",
	    a->cut ? "max_tokens" : "end_turn", a->input, a->output);
	put_event(out, false, NULL, fmt, buf_str(&a->text), a->text.len);
}

#define GEMINI_PARTS(parts, more)                                                                  \
	"{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[" parts "]},\"index\":0" more "}],"   \
	"\"modelVersion\":\"m\",\"responseId\":\"r\"}"

static inline void
answer_gemini(const struct answer *a, struct buf *out)
{
	char fmt[768];

	put_pieces(out, true, NULL, GEMINI_PARTS("{\"text\":$,\"thought\":true}", ""), a->reasoning.data,
	    a->reasoning.len);
	put_pieces(out, true, NULL, GEMINI_PARTS("{\"text\":$}", ""), a->text.data, a->text.len);
	for (unsigned i = 0; i < a->call_count; i++) {
		snprintf(fmt, sizeof fmt, GEMINI_PARTS("{\"functionCall\":{\"id\":\"%s\",\"name\":\"%s\","
		    "\"args\":%s}}", ""), a->calls[i].id, a->calls[i].name, a->calls[i].arguments);
		put_event(out, true, NULL, fmt, NULL, 0);
	}
	snprintf(fmt, sizeof fmt,
	    "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[]},\"index\":0,"
	    "\"finishReason\":\"%s\"}],\"usageMetadata\":{\"promptTokenCount\":%d,"
	    "\"candidatesTokenCount\":%d,"
	    "\"totalTokenCount\":%d},\"modelVersion\":\"m\"}", a->cut ? "MAX_TOKENS" : "STOP", a->input,
	    a->output, a->input + a->output);
	put_event(out, true, NULL, fmt, NULL, 0);
}

#define OLLAMA_LINE(message)                                                                       \
	"{\"model\":\"m\",\"message\":{\"role\":\"assistant\"," message "},\"done\":false}"

static inline void
answer_ollama(const struct answer *a, struct buf *out)
{
	char fmt[512];

	put_pieces(out, false, NULL, OLLAMA_LINE("\"content\":\"\",\"thinking\":$"), a->reasoning.data,
	    a->reasoning.len);
	put_pieces(out, false, NULL, OLLAMA_LINE("\"content\":$"), a->text.data, a->text.len);
	for (unsigned i = 0; i < a->call_count; i++) {
		snprintf(fmt, sizeof fmt, OLLAMA_LINE("\"content\":\"\",\"tool_calls\":[{\"id\":\"%s\","
		    "\"function\":{\"name\":\"%s\",\"arguments\":%s}}]"), a->calls[i].id, a->calls[i].name,
		    a->calls[i].arguments);
		put_event(out, false, NULL, fmt, NULL, 0);
	}
	snprintf(fmt, sizeof fmt, "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},"
	    "\"done\":true,\"done_reason\":\"%s\",\"prompt_eval_count\":%d,\"eval_count\":%d}",
	    a->cut ? "length" : "stop", a->input, a->output);
	put_event(out, false, NULL, fmt, NULL, 0);
}

static const struct {
	const char *dialect;
	void (*write)(const struct answer *a, struct buf *out);
} writers[] = {
	{ "openai-chat", answer_openai_chat },
	{ "openai-responses", answer_openai_responses },
	{ "anthropic-messages", answer_anthropic },
	{ "claude-cli", answer_claude_cli },
	{ "gemini", answer_gemini },
	{ "ollama", answer_ollama },
};

#endif
