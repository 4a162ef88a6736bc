/* openai_responses_encode.c - the body of /responses, written straight into the request. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/extra.h"
#include "server/dialect/openai_responses.h"

struct encoder {
	struct json_writer w;
	const struct chat_request *chat;
	const struct chat_options *opt;
	const struct event_sink *sink;
	struct error *err;
	struct json extra; /* members of the user's own, which win over ours */
};

/* Members that decide what we send and how the answer is read; what would need a memory at the
 * provider; and what this API does not know. */
static const char *const reserved[] = { "model", "input", "instructions", "stream",
	"previous_response_id", "conversation", "background", "stop", "n", NULL };

/* Opens a member unless the user gives it himself. */
static bool
member(struct encoder *e, const char *key)
{
	if (extra_has(&e->extra, key))
		return false;
	json_key(&e->w, key);
	return true;
}

/* ---- limits and sampling ---- */

static int
put_sampling(struct encoder *e)
{
	const struct chat_options *o = e->opt;
	const struct {
		const char *word;
		bool given;
	} unknown[] = {
		{ "seed", o->seed != INT64_MIN },
		{ "top_k", o->top_k >= 0 },
		{ "presence_penalty", !isnan(o->presence_penalty) },
		{ "frequency_penalty", !isnan(o->frequency_penalty) },
	};
	size_t i;

	if (o->stop != NULL && *o->stop != NULL)
		return error_field(e->err, "stop",
		    "stop sequences do not exist in the Responses API: leave them out, or use "
		    "openai-chat");
	for (i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		if (unknown[i].given)
			emit_warning(e->sink, "%s was left out: the Responses API does not know it",
			    unknown[i].word);
	}
	if (o->max_tokens >= 0 && member(e, "max_output_tokens"))
		json_put_int(&e->w, o->max_tokens);
	if (!isnan(o->temperature) && member(e, "temperature"))
		json_put_double(&e->w, o->temperature);
	if (!isnan(o->top_p) && member(e, "top_p"))
		json_put_double(&e->w, o->top_p);
	return 0;
}

static void
put_reasoning(struct encoder *e)
{
	const char *effort = e->opt->reasoning_effort;

	if (effort != NULL && strcmp(effort, "off") == 0)
		effort = "none";
	if (effort == NULL && !e->chat->want_reasoning)
		return;
	if (member(e, "reasoning")) {
		json_begin_object(&e->w);
		json_kv_string(&e->w, "effort", effort);
		if (e->chat->want_reasoning)
			json_kv_string(&e->w, "summary", "auto");
		json_end_object(&e->w);
	}
	/* nothing is stored: the next turn needs it from us. Who does not reason refuses the word */
	if ((effort == NULL || strcmp(effort, "none") != 0) && member(e, "include")) {
		json_begin_array(&e->w);
		json_put_string(&e->w, "reasoning.encrypted_content");
		json_end_array(&e->w);
	}
}

/* ---- tools ---- */

static const char no_parameters[] = "{\"type\":\"object\",\"properties\":{}}";

static int
put_tool(struct encoder *e, const struct tool *t)
{
	int r = 0;

	json_begin_object(&e->w);
	json_kv_string(&e->w, "type", "function");
	json_kv_string(&e->w, "name", t->name);
	json_kv_string(&e->w, "description", t->description);
	json_key(&e->w, "parameters");
	if (t->parameters.data != NULL)
		r = put_checked_json(&e->w, "tools", &t->parameters, JSON_OBJECT, e->err);
	else
		json_put_raw(&e->w, no_parameters, sizeof no_parameters - 1);
	if (r != 0)
		return r;
	/* here silence would mean yes */
	json_kv_bool(&e->w, "strict", t->strict == 1);
	json_end_object(&e->w);
	return 0;
}

static int
put_tools(struct encoder *e)
{
	size_t i;
	int r;

	if (e->chat->tool_count == 0)
		return 0;
	if (extra_has(&e->extra, "tools"))
		return error_field(e->err, "extra", "tools are given twice");
	json_key(&e->w, "tools");
	json_begin_array(&e->w);
	for (i = 0; i < e->chat->tool_count; i++) {
		if ((r = put_tool(e, &e->chat->tools[i])) != 0)
			return r;
	}
	json_end_array(&e->w);
	return 0;
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
		if (choice == TOOL_CHOICE_REQUIRED || choice == TOOL_CHOICE_ONE)
			return error_field(
			    e->err, "tool_choice", "a tool is required but none is given");
		return 0;
	}
	if (choice == TOOL_CHOICE_ONE && e->opt->tool_choice_name == NULL)
		return error_field(e->err, "tool_choice", "the tool is not named");
	if (choice == TOOL_CHOICE_ONE && member(e, "tool_choice")) {
		json_begin_object(&e->w);
		json_kv_string(&e->w, "type", "function");
		json_kv_string(&e->w, "name", e->opt->tool_choice_name);
		json_end_object(&e->w);
	} else if (words[choice] != NULL && member(e, "tool_choice")) {
		json_put_string(&e->w, words[choice]);
	}
	if (e->opt->parallel_tool_calls >= 0 && member(e, "parallel_tool_calls"))
		json_put_bool(&e->w, e->opt->parallel_tool_calls != 0);
	return 0;
}

/* ---- the form of the answer ---- */

static int
put_format(struct encoder *e)
{
	const struct chat_options *o = e->opt;
	int r = 0;

	if (o->format == FORMAT_UNSET)
		return 0;
	if (extra_has(&e->extra, "text"))
		return error_field(e->err, "extra", "the format of the answer is given twice");
	json_key(&e->w, "text");
	json_begin_object(&e->w);
	json_key(&e->w, "format");
	json_begin_object(&e->w);
	if (o->format == FORMAT_JSON_SCHEMA) {
		json_kv_string(&e->w, "type", "json_schema");
		json_kv_string(&e->w, "name", o->schema_name != NULL ? o->schema_name : "answer");
		json_key(&e->w, "schema");
		r = put_checked_json(&e->w, "schema", &o->schema, JSON_OBJECT, e->err);
	} else {
		json_kv_string(&e->w, "type", o->format == FORMAT_JSON ? "json_object" : "text");
	}
	if (r != 0)
		return r;
	json_end_object(&e->w);
	json_end_object(&e->w);
	return 0;
}

/* ---- the whole ---- */

static int
put_body(struct encoder *e, const struct dialect_target *to)
{
	uint32_t key;
	int r;

	json_begin_object(&e->w);
	json_kv_string(&e->w, "model", to->model);
	if ((r = openai_responses_input(&e->w, e->chat, to, e->sink, e->err)) != 0 ||
	    (r = put_tools(e)) != 0 || (r = put_tool_choice(e)) != 0 ||
	    (r = put_sampling(e)) != 0)
		return r;
	put_reasoning(e);
	if ((r = put_format(e)) != 0)
		return r;
	/* the default is to keep every answer for a month */
	if (member(e, "store"))
		json_put_bool(&e->w, false);
	if (e->opt->stream != 0)
		json_kv_bool(&e->w, "stream", true);
	for (key = extra_first(&e->extra); key != JSON_NONE; key = json_next(&e->extra, key))
		extra_put(&e->w, &e->extra, key);
	json_end_object(&e->w);
	return 0;
}

int
openai_responses_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err)
{
	struct encoder e = { .chat = chat, .opt = &chat->options, .sink = sink, .err = err };
	int r;

	wire_request_init(out);
	out->method = "POST";
	snprintf(out->path, sizeof out->path, "/responses");
	out->stream = chat->options.stream != 0;
	if ((r = wire_request_header(out, "Content-Type", "application/json")) != 0)
		return error_set(err, r, "the request's head does not fit");
	json_writer_init(&e.w, &out->body, false);
	if ((r = extra_read(&e.extra, &chat->options.extra, reserved, err)) == 0)
		r = put_body(&e, to);
	return encode_end(&e.extra, out, r, err);
}
