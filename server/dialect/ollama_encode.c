/* ollama_encode.c - the body of /api/chat, written straight into the request. */
#include <math.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/extra.h"
#include "server/dialect/ollama.h"

struct encoder {
	struct json_writer w;
	const struct chat_request *chat;
	const struct chat_options *opt;
	const struct event_sink *sink;
	struct error *err;
	struct json extra; /* members of the user's own, which win over ours */
};

static const char *const reserved[] = { "model", "messages", "stream", NULL };

/* The words of Ollama's `options` object: given as members of extra, they are put there. */
static const char *const option_words[] = {"num_ctx", "num_predict", "temperature", "top_k",
    "top_p", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "presence_penalty",
    "frequency_penalty", "seed", "stop", "num_keep", "num_batch", "num_gpu", "main_gpu", "use_mmap",
    "num_thread", "draft_num_predict"};

static bool
is_option_word(const struct json *extra, uint32_t key)
{
	size_t i;

	for (i = 0; i < sizeof option_words / sizeof option_words[0]; i++) {
		if (json_equals(extra, key, option_words[i]))
			return true;
	}
	return false;
}

/* ---- options ---- */

/* Opens an option unless the user gives it himself, in one of two places. */
static bool
option(struct encoder *e, const char *key)
{
	if (extra_has(&e->extra, key) ||
	    json_path(&e->extra, 0, "options", key) != JSON_NONE)
		return false;
	json_key(&e->w, key);
	return true;
}

static void
number(struct encoder *e, const char *key, double v)
{
	if (!isnan(v) && option(e, key))
		json_put_double(&e->w, v);
}

static void
put_stop(struct encoder *e)
{
	char **s = e->opt->stop;

	if (s == NULL || *s == NULL || !option(e, "stop"))
		return;
	json_begin_array(&e->w);
	for (; *s != NULL; s++)
		json_put_string(&e->w, *s);
	json_end_array(&e->w);
}

static bool
has_options(const struct encoder *e)
{
	const struct chat_options *o = e->opt;
	uint32_t key;

	if (o->max_tokens >= 0 || !isnan(o->temperature) || !isnan(o->top_p) || o->top_k >= 0 ||
	    !isnan(o->presence_penalty) || !isnan(o->frequency_penalty) || o->seed != INT64_MIN ||
	    (o->stop != NULL && *o->stop != NULL))
		return true;
	for (key = extra_first(&e->extra); key != JSON_NONE; key = json_next(&e->extra, key)) {
		if (is_option_word(&e->extra, key) || json_equals(&e->extra, key, "options"))
			return true;
	}
	return false;
}

static void
put_own_options(struct encoder *e)
{
	uint32_t mine = json_get(&e->extra, 0, "options"), key;

	for (key = json_first(&e->extra, mine); key != JSON_NONE; key = json_next(&e->extra, key))
		extra_put(&e->w, &e->extra, key);
	for (key = extra_first(&e->extra); key != JSON_NONE; key = json_next(&e->extra, key)) {
		if (is_option_word(&e->extra, key))
			extra_put(&e->w, &e->extra, key);
	}
}

/* An option that the user gives both in "options" and beside it would be there twice. */
static int
check_own_options(const struct encoder *e)
{
	uint32_t mine = json_get(&e->extra, 0, "options");
	size_t i;

	if (mine != JSON_NONE && !json_is(&e->extra, mine, JSON_OBJECT))
		return error_field(e->err, "extra", "\"options\" is no JSON object");
	for (i = 0; i < sizeof option_words / sizeof option_words[0]; i++) {
		if (extra_has(&e->extra, option_words[i]) &&
		    json_get(&e->extra, mine, option_words[i]) != JSON_NONE)
			return error_field(
			    e->err, "extra", "\"%s\" is given twice", option_words[i]);
	}
	return 0;
}

static void
put_options(struct encoder *e)
{
	const struct chat_options *o = e->opt;

	if (!has_options(e))
		return;
	json_key(&e->w, "options");
	json_begin_object(&e->w);
	if (o->max_tokens >= 0 && option(e, "num_predict"))
		json_put_int(&e->w, o->max_tokens);
	number(e, "temperature", o->temperature);
	number(e, "top_p", o->top_p);
	if (o->top_k >= 0 && option(e, "top_k"))
		json_put_int(&e->w, o->top_k);
	number(e, "presence_penalty", o->presence_penalty);
	number(e, "frequency_penalty", o->frequency_penalty);
	if (o->seed != INT64_MIN && option(e, "seed"))
		json_put_int(&e->w, o->seed);
	put_stop(e);
	put_own_options(e);
	json_end_object(&e->w);
}

/* ---- reasoning ---- */

static const struct {
	const char *effort, *think; /* NULL: false */
} efforts[] = {
	{ "off", NULL },
	{ "none", NULL },
	{ "minimal", "low" },
	{ "low", "low" },
	{ "medium", "medium" },
	{ "high", "high" },
	{ "xhigh", "max" },
	{ "max", "max" },
};

/* Only when asked: a model that cannot think refuses the word. */
static void
put_think(struct encoder *e)
{
	const char *effort = e->opt->reasoning_effort;
	size_t i;

	if ((effort == NULL && !e->chat->want_reasoning) || extra_has(&e->extra, "think"))
		return;
	json_key(&e->w, "think");
	for (i = 0; effort != NULL && i < sizeof efforts / sizeof efforts[0]; i++) {
		if (strcmp(effort, efforts[i].effort) != 0)
			continue;
		if (efforts[i].think != NULL)
			json_put_string(&e->w, efforts[i].think);
		else
			json_put_bool(&e->w, false);
		return;
	}
	json_put_bool(&e->w, true);
}

/* ---- tools ---- */

static const char no_parameters[] = "{\"type\":\"object\",\"properties\":{}}";

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
	json_key(&e->w, "parameters");
	if (t->parameters.data != NULL)
		r = put_checked_json(&e->w, "tools", &t->parameters, JSON_OBJECT, e->err);
	else
		json_put_raw(&e->w, no_parameters, sizeof no_parameters - 1);
	if (r != 0)
		return r;
	json_end_object(&e->w);
	json_end_object(&e->w);
	return 0;
}

/* There is no tool_choice: what it means is done by which tools are sent. */
static bool
is_sent(const struct chat_options *o, const struct tool *t)
{
	switch (o->tool_choice) {
	case TOOL_CHOICE_NONE:
		return false;
	case TOOL_CHOICE_ONE:
		return o->tool_choice_name != NULL && strcmp(t->name, o->tool_choice_name) == 0;
	case TOOL_CHOICE_UNSET:
	case TOOL_CHOICE_AUTO:
	case TOOL_CHOICE_REQUIRED:
		return true;
	}
	return true;
}

static void
warn_about_tools(struct encoder *e, bool strict)
{
	const struct chat_options *o = e->opt;

	if (o->tool_choice == TOOL_CHOICE_REQUIRED)
		emit_warning(
		    e->sink, "tool_choice was left out: Ollama cannot be made to call a tool");
	if (o->tool_choice == TOOL_CHOICE_ONE)
		emit_warning(e->sink,
		    "Ollama cannot be made to call %.64s; it is the only tool it was told of",
		    o->tool_choice_name);
	if (o->parallel_tool_calls == 0)
		emit_warning(e->sink, "parallel_tool_calls was left out: Ollama does not know it");
	if (strict)
		emit_warning(e->sink, "strict was left out of the tools: Ollama does not know it");
}

static int
put_tools(struct encoder *e)
{
	const struct chat_request *c = e->chat;
	bool strict = false;
	size_t i, n = 0;
	int r;

	for (i = 0; i < c->tool_count; i++)
		n += is_sent(e->opt, &c->tools[i]);
	if (e->opt->tool_choice == TOOL_CHOICE_ONE && n == 0)
		return error_field(e->err, "tool_choice", "the chosen tool is not among the tools");
	if (n == 0)
		return 0;
	if (extra_has(&e->extra, "tools"))
		return error_field(e->err, "extra", "tools are given twice");
	json_key(&e->w, "tools");
	json_begin_array(&e->w);
	for (i = 0; i < c->tool_count; i++) {
		if (!is_sent(e->opt, &c->tools[i]))
			continue;
		strict |= c->tools[i].strict == 1;
		if ((r = put_tool(e, &c->tools[i])) != 0)
			return r;
	}
	json_end_array(&e->w);
	warn_about_tools(e, strict);
	return 0;
}

/* ---- the whole ---- */

static int
put_format(struct encoder *e)
{
	const struct chat_options *o = e->opt;

	if (o->format == FORMAT_UNSET || o->format == FORMAT_TEXT)
		return 0;
	if (extra_has(&e->extra, "format"))
		return error_field(e->err, "extra", "the format of the answer is given twice");
	json_key(&e->w, "format");
	if (o->format == FORMAT_JSON_SCHEMA)
		return put_checked_json(&e->w, "schema", &o->schema, JSON_OBJECT, e->err);
	json_put_string(&e->w, "json");
	return 0;
}

static int
put_body(struct encoder *e, const struct dialect_target *to)
{
	uint32_t key;
	int r;

	json_begin_object(&e->w);
	json_kv_string(&e->w, "model", to->model);
	json_key(&e->w, "messages");
	if ((r = ollama_messages(&e->w, e->chat, to, e->sink, e->err)) != 0 ||
	    (r = put_tools(e)) != 0 || (r = put_format(e)) != 0)
		return r;
	put_think(e);
	put_options(e);
	/* it streams unless told not to */
	json_kv_bool(&e->w, "stream", e->opt->stream != 0);
	for (key = extra_first(&e->extra); key != JSON_NONE; key = json_next(&e->extra, key)) {
		if (!is_option_word(&e->extra, key) && !json_equals(&e->extra, key, "options"))
			extra_put(&e->w, &e->extra, key);
	}
	json_end_object(&e->w);
	return 0;
}

int
ollama_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err)
{
	struct encoder e = { .chat = chat, .opt = &chat->options, .sink = sink, .err = err };
	int r;

	if (ollama_address(to->provider, "POST", "/api/chat", out) != 0)
		return error_field(err, "base_url", "the base URL's path is too long");
	out->stream = chat->options.stream != 0;
	json_writer_init(&e.w, &out->body, false);
	if ((r = extra_read(&e.extra, &chat->options.extra, reserved, err)) == 0 &&
	    (r = check_own_options(&e)) == 0)
		r = put_body(&e, to);
	return encode_end(&e.extra, out, r, err);
}
