/* openai_chat_encode.c - the body of a chat completion, written straight into the request. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/extra.h"
#include "server/dialect/openai_chat.h"

#define STOP_MAX 4

/* One request being written. */
struct encoder {
	struct json_writer w;
	const struct chat_request *chat;
	const struct chat_options *opt;
	enum openai_flavour flavour;
	const struct event_sink *sink;
	struct error *err;
	struct json extra; /* members of the user's own, which win over ours */
	bool stream;
};

/* Members that decide what we send and how the answer is read: never the user's own. */
static const char *const reserved[] = { "model", "messages", "stream", "n", NULL };

/* Opens a member unless the user gives it himself. */
static bool
member(struct encoder *e, const char *key)
{
	if (extra_has(&e->extra, key))
		return false;
	json_key(&e->w, key);
	return true;
}

static void
number(struct encoder *e, const char *key, double v)
{
	if (!isnan(v) && member(e, key))
		json_put_double(&e->w, v);
}

/* ---- limits and sampling ---- */

static int
put_limits(struct encoder *e)
{
	const struct chat_options *o = e->opt;
	const char *key = e->flavour == FLAVOUR_OPENAI ? "max_completion_tokens" : "max_tokens";
	size_t i, n = 0;

	if (o->max_tokens >= 0 && member(e, key))
		json_put_int(&e->w, o->max_tokens);
	while (o->stop != NULL && o->stop[n] != NULL)
		n++;
	if (n > STOP_MAX)
		return error_field(e->err, "stop", "at most %d stop sequences are possible here", STOP_MAX);
	if (n == 0 || !member(e, "stop"))
		return 0;
	json_begin_array(&e->w);
	for (i = 0; i < n; i++)
		json_put_string(&e->w, o->stop[i]);
	json_end_array(&e->w);
	return 0;
}

static void
put_sampling(struct encoder *e)
{
	const struct chat_options *o = e->opt;

	number(e, "temperature", o->temperature);
	number(e, "top_p", o->top_p);
	number(e, "presence_penalty", o->presence_penalty);
	number(e, "frequency_penalty", o->frequency_penalty);
	if (o->seed != INT64_MIN && member(e, "seed"))
		json_put_int(&e->w, o->seed);
	if (o->top_k < 0)
		return;
	if (e->flavour == FLAVOUR_OPENAI)
		emit_warning(e->sink, "top_k was left out: OpenAI does not know it");
	else if (member(e, "top_k"))
		json_put_int(&e->w, o->top_k);
}

/* ---- reasoning ---- */

static const char *
plain_effort(const char *effort)
{
	return strcmp(effort, "off") == 0 ? "none" : effort;
}

static void
put_openrouter_effort(struct encoder *e, const char *effort)
{
	if (!member(e, "reasoning"))
		return;
	json_begin_object(&e->w);
	json_kv_string(&e->w, "effort", effort);
	json_end_object(&e->w);
}

/* DashScope thinks or does not, with a budget (providers/mapping.md section 6). */
static void
put_qwen_effort(struct encoder *e, const char *effort)
{
	static const struct {
		const char *effort;
		int64_t budget;
	} budgets[] = { { "minimal", 1024 }, { "low", 2048 }, { "medium", 8192 } };
	bool on = strcmp(effort, "none") != 0;
	size_t i;

	if (on && !e->stream) {
		emit_warning(e->sink, "reasoning was left out: Qwen thinks only while streaming");
		on = false;
	}
	if (member(e, "enable_thinking"))
		json_put_bool(&e->w, on);
	for (i = 0; on && i < sizeof budgets / sizeof budgets[0]; i++) {
		if (strcmp(effort, budgets[i].effort) == 0 && member(e, "thinking_budget"))
			json_put_int(&e->w, budgets[i].budget);
	}
}

static const char *
ollama_effort(const char *effort)
{
	if (strcmp(effort, "minimal") == 0)
		return "low";
	return strcmp(effort, "xhigh") == 0 ? "max" : effort;
}

static void
put_reasoning(struct encoder *e)
{
	const char *effort = e->opt->reasoning_effort;

	if (effort == NULL)
		return;
	effort = plain_effort(effort);
	switch (e->flavour) {
	case FLAVOUR_OPENROUTER:
		put_openrouter_effort(e, effort);
		return;
	case FLAVOUR_QWEN:
		put_qwen_effort(e, effort);
		return;
	case FLAVOUR_OLLAMA:
		effort = ollama_effort(effort);
		break;
	case FLAVOUR_OPENAI:
	case FLAVOUR_OTHER:
		break;
	}
	if (member(e, "reasoning_effort"))
		json_put_string(&e->w, effort);
}

/* ---- tools ---- */

static int
put_tool(struct encoder *e, const struct tool *t)
{
	int r = 0;

	json_begin_object(&e->w);
	json_kv_string(&e->w, "type", "function");
	json_key(&e->w, "function");
	json_begin_object(&e->w);
	json_kv_string(&e->w, "name", t->name);
	json_kv_string(&e->w, "description", t->description);
	if (t->parameters.data != NULL) {
		json_key(&e->w, "parameters");
		if ((r = put_checked_json(&e->w, "tools", &t->parameters, JSON_OBJECT, e->err)) != 0)
			return r;
	}
	if (t->strict >= 0)
		json_kv_bool(&e->w, "strict", t->strict != 0);
	json_end_object(&e->w);
	json_end_object(&e->w);
	return 0;
}

static int
put_tools(struct encoder *e)
{
	size_t i;
	int r;

	if (e->chat->tool_count == 0 || !member(e, "tools"))
		return 0;
	json_begin_array(&e->w);
	for (i = 0; i < e->chat->tool_count; i++) {
		if ((r = put_tool(e, &e->chat->tools[i])) != 0)
			return r;
	}
	json_end_array(&e->w);
	return 0;
}

static void
put_one_tool(struct encoder *e, const char *name)
{
	json_begin_object(&e->w);
	json_kv_string(&e->w, "type", "function");
	json_key(&e->w, "function");
	json_begin_object(&e->w);
	json_kv_string(&e->w, "name", name);
	json_end_object(&e->w);
	json_end_object(&e->w);
}

static int
put_tool_choice(struct encoder *e)
{
	static const char *const words[] = {
		[TOOL_CHOICE_UNSET] = NULL,
		[TOOL_CHOICE_AUTO] = "auto",
		[TOOL_CHOICE_NONE] = "none",
		[TOOL_CHOICE_REQUIRED] = "required",
		[TOOL_CHOICE_ONE] = NULL,
	};
	enum tool_choice choice = e->opt->tool_choice;

	if (e->chat->tool_count == 0 && !extra_has(&e->extra, "tools")) {
		/* without tools "auto" and "none" say nothing, and OpenAI refuses them */
		if (choice == TOOL_CHOICE_REQUIRED || choice == TOOL_CHOICE_ONE)
			return error_field(e->err, "tool_choice", "a tool is required but none is given");
		return 0;
	}
	if (choice == TOOL_CHOICE_ONE) {
		if (e->opt->tool_choice_name == NULL)
			return error_field(e->err, "tool_choice", "the tool is not named");
		if (member(e, "tool_choice"))
			put_one_tool(e, e->opt->tool_choice_name);
	} else if (words[choice] != NULL && member(e, "tool_choice")) {
		json_put_string(&e->w, words[choice]);
	}
	if (e->opt->parallel_tool_calls >= 0 && member(e, "parallel_tool_calls"))
		json_put_bool(&e->w, e->opt->parallel_tool_calls != 0);
	return 0;
}

/* ---- the form of the answer ---- */

static int
put_schema(struct encoder *e)
{
	const struct chat_options *o = e->opt;
	int r;

	json_kv_string(&e->w, "type", "json_schema");
	json_key(&e->w, "json_schema");
	json_begin_object(&e->w);
	json_kv_string(&e->w, "name", o->schema_name != NULL ? o->schema_name : "answer");
	json_key(&e->w, "schema");
	if ((r = put_checked_json(&e->w, "schema", &o->schema, JSON_OBJECT, e->err)) != 0)
		return r;
	json_end_object(&e->w);
	return 0;
}

static int
put_format(struct encoder *e)
{
	enum response_format format = e->opt->format;
	int r = 0;

	if (format == FORMAT_UNSET || !member(e, "response_format"))
		return 0;
	json_begin_object(&e->w);
	if (format == FORMAT_JSON_SCHEMA)
		r = put_schema(e);
	else
		json_kv_string(&e->w, "type", format == FORMAT_JSON ? "json_object" : "text");
	if (r == 0)
		json_end_object(&e->w);
	return r;
}

static void
put_stream(struct encoder *e)
{
	if (!e->stream)
		return;
	json_kv_bool(&e->w, "stream", true);
	if (!member(e, "stream_options"))
		return;
	json_begin_object(&e->w);
	json_kv_bool(&e->w, "include_usage", true);
	json_end_object(&e->w);
}

/* ---- the whole ---- */

static int
put_body(struct encoder *e, const struct dialect_target *to)
{
	uint32_t key;
	int r;

	json_begin_object(&e->w);
	json_kv_string(&e->w, "model", to->model);
	json_key(&e->w, "messages");
	if ((r = openai_chat_messages(&e->w, e->chat, to, e->sink, e->err)) != 0 ||
	    (r = put_tools(e)) != 0 || (r = put_tool_choice(e)) != 0 || (r = put_limits(e)) != 0)
		return r;
	put_sampling(e);
	put_reasoning(e);
	if ((r = put_format(e)) != 0)
		return r;
	put_stream(e);
	for (key = extra_first(&e->extra); key != JSON_NONE; key = json_next(&e->extra, key))
		extra_put(&e->w, &e->extra, key);
	json_end_object(&e->w);
	return 0;
}

static int
put_head(const struct encoder *e, struct wire_request *out)
{
	int r;

	out->method = "POST";
	snprintf(out->path, sizeof out->path, "/chat/completions");
	out->stream = e->stream;
	if ((r = wire_request_header(out, "Content-Type", "application/json")) != 0)
		return r;
	if (e->flavour == FLAVOUR_OPENROUTER)
		return wire_request_header(out, "X-OpenRouter-Title", "mpd");
	return 0;
}

int
openai_chat_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err)
{
	struct encoder e = { .chat = chat, .opt = &chat->options, .sink = sink, .err = err };
	int r;

	wire_request_init(out);
	e.flavour = openai_flavour_of(to->provider);
	e.stream = chat->options.stream != 0;
	if ((r = put_head(&e, out)) != 0)
		return error_set(err, r, "the request's head does not fit");
	json_writer_init(&e.w, &out->body, false);
	if ((r = extra_read(&e.extra, &chat->options.extra, reserved, err)) == 0)
		r = put_body(&e, to);
	return encode_end(&e.extra, out, r, err);
}
