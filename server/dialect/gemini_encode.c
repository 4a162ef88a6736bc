/* gemini_encode.c - the body of generateContent, written straight into the request. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/extra.h"
#include "server/dialect/gemini.h"

#define STOP_MAX 5

/* One request being written. */
struct encoder {
	struct json_writer w;
	const struct chat_request *chat;
	const struct chat_options *opt;
	const struct dialect_target *to;
	const struct event_sink *sink;
	struct error *err;
	struct json extra;   /* members of the user's own, which win over ours */
	uint32_t own_config; /* his generationConfig, JSON_NONE = none */
	bool restricted;     /* the server knows no JSON schema */
};

/* Members that decide what we send and how the answer is read, and spellings that would say a member
 * twice: never the user's own. */
static const char *const reserved[] = { "model", "contents", "systemInstruction",
	"system_instruction", "generation_config", "tool_config" };
static const char *const reserved_config[] = { "candidateCount", "candidate_count" };

/* ---- members ---- */

static bool
is_extra(const struct encoder *e, const char *key)
{
	return json_get(&e->extra, 0, key) != JSON_NONE;
}

/* Opens a member of generationConfig unless the user gives it himself. */
static bool
config(struct encoder *e, const char *key)
{
	if (json_get(&e->extra, e->own_config, key) != JSON_NONE)
		return false;
	json_key(&e->w, key);
	return true;
}

static void
number(struct encoder *e, const char *key, double v)
{
	if (!isnan(v) && config(e, key))
		json_put_double(&e->w, v);
}

/* The members of the object at `object`, but for those named in skip. */
static void
put_members(struct encoder *e, uint32_t object, const char *skip1, const char *skip2)
{
	struct buf key = BUF_INIT;
	struct slice raw;
	uint32_t at;

	for (at = json_first(&e->extra, object); at != JSON_NONE; at = json_next(&e->extra, at)) {
		buf_reset(&key, 4096);
		if ((skip1 != NULL && json_equals(&e->extra, at, skip1)) ||
		    (skip2 != NULL && json_equals(&e->extra, at, skip2)) ||
		    json_string(&e->extra, at, &key) != 0)
			continue;
		json_key_n(&e->w, buf_str(&key), key.len);
		raw = json_raw(&e->extra, json_value(&e->extra, at));
		json_put_raw(&e->w, raw.data, raw.len);
	}
	buf_clear(&key);
}

/* ---- tools ---- */

/* `key` in front of the schema: as it is, or in Google's own form. */
static int
put_schema(struct encoder *e, const struct json *j, const char *plain_key, const char *own_key,
    const char *what, const char *field)
{
	struct slice raw = json_raw(j, 0);

	if (e->restricted) {
		json_key(&e->w, own_key);
		return gemini_schema(&e->w, j, what, field, e->sink, e->err);
	}
	json_key(&e->w, plain_key);
	json_put_raw(&e->w, raw.data, raw.len);
	return 0;
}

static bool
takes_nothing(const struct encoder *e, const struct json *j)
{
	static const char *const open[] = { "additionalProperties", "patternProperties" };

	if (!gemini_schema_is_empty(j))
		return false;
	for (size_t i = 0; i < 2 && !e->restricted; i++) {
		uint32_t at = json_get(j, 0, open[i]);

		if (at != JSON_NONE && !json_is(j, at, JSON_FALSE))
			return false;
	}
	return true;
}

static int
put_tool(struct encoder *e, const struct tool *t)
{
	struct json j = JSON_INIT;
	char name[GEMINI_NAME_MAX + 1], what[160];
	int r = 0;

	gemini_name(t->name, name);
	snprintf(what, sizeof what, "tool %s", t->name);
	json_begin_object(&e->w);
	json_kv_string(&e->w, "name", name);
	json_kv_string(&e->w, "description", t->description);
	if (t->parameters.data != NULL) {
		if (json_read(&j, t->parameters.data, t->parameters.len, JSON_LAST_KEY_WINS) != 0 ||
		    !json_is(&j, 0, JSON_OBJECT))
			r = error_field(e->err, "tools", "the parameters of %s are no JSON object", what);
		else if (!takes_nothing(e, &j))
			r = put_schema(e, &j, "parametersJsonSchema", "parameters", what, "tools");
	}
	if (r == 0)
		json_end_object(&e->w);
	json_clear(&j);
	return r;
}

/* Tools of Google's own (a search, a sandbox) that the user adds stand beside his functions. */
static void
put_extra_tools(struct encoder *e)
{
	uint32_t list = json_get(&e->extra, 0, "tools"), item;
	struct slice raw;

	if (!json_is(&e->extra, list, JSON_ARRAY))
		return;
	for (item = json_first(&e->extra, list); item != JSON_NONE; item = json_next(&e->extra, item)) {
		raw = json_raw(&e->extra, item);
		json_put_raw(&e->w, raw.data, raw.len);
	}
}

static int
put_tools(struct encoder *e)
{
	bool strict = false;
	int r = 0;

	if (e->chat->tool_count == 0 && !is_extra(e, "tools"))
		return 0;
	json_key(&e->w, "tools");
	json_begin_array(&e->w);
	if (e->chat->tool_count > 0) {
		json_begin_object(&e->w);
		json_key(&e->w, "functionDeclarations");
		json_begin_array(&e->w);
		for (size_t i = 0; i < e->chat->tool_count && r == 0; i++) {
			strict |= e->chat->tools[i].strict == 1;
			r = put_tool(e, &e->chat->tools[i]);
		}
		if (r != 0)
			return r;
		json_end_array(&e->w);
		json_end_object(&e->w);
	}
	put_extra_tools(e);
	json_end_array(&e->w);
	if (strict)
		emit_warning(e->sink, "strict was left out: Gemini's tools have no such mark");
	return 0;
}

static void
put_mode(struct encoder *e, const char *mode, const char *only)
{
	char name[GEMINI_NAME_MAX + 1];

	json_key(&e->w, "toolConfig");
	json_begin_object(&e->w);
	json_key(&e->w, "functionCallingConfig");
	json_begin_object(&e->w);
	json_kv_string(&e->w, "mode", mode);
	if (only != NULL) {
		gemini_name(only, name);
		json_key(&e->w, "allowedFunctionNames");
		json_begin_array(&e->w);
		json_put_string(&e->w, name);
		json_end_array(&e->w);
	}
	json_end_object(&e->w);
	json_end_object(&e->w);
}

static int
put_tool_choice(struct encoder *e)
{
	static const char *const modes[] = {
		[TOOL_CHOICE_UNSET] = NULL,
		[TOOL_CHOICE_AUTO] = "AUTO",
		[TOOL_CHOICE_NONE] = "NONE",
		[TOOL_CHOICE_REQUIRED] = "ANY",
		[TOOL_CHOICE_ONE] = "ANY",
	};
	enum tool_choice choice = e->opt->tool_choice;
	const char *only = choice == TOOL_CHOICE_ONE ? e->opt->tool_choice_name : NULL;

	if (choice == TOOL_CHOICE_ONE && only == NULL)
		return error_field(e->err, "tool_choice", "the tool is not named");
	if (e->chat->tool_count == 0) {
		if (choice == TOOL_CHOICE_REQUIRED || choice == TOOL_CHOICE_ONE)
			return error_field(e->err, "tool_choice", "a tool is required but none is given");
		return 0;
	}
	if (e->opt->parallel_tool_calls == 0)
		emit_warning(e->sink, "parallel_tool_calls was left out: Gemini cannot be told");
	if (modes[choice] != NULL && !is_extra(e, "toolConfig"))
		put_mode(e, modes[choice], only);
	return 0;
}

/* ---- generationConfig ---- */

static int
put_stop(struct encoder *e)
{
	char **stop = e->opt->stop;
	size_t n = 0;

	while (stop != NULL && stop[n] != NULL)
		n++;
	if (n > STOP_MAX)
		return error_field(e->err, "stop", "at most %d stop sequences are possible here", STOP_MAX);
	if (n == 0 || !config(e, "stopSequences"))
		return 0;
	json_begin_array(&e->w);
	for (size_t i = 0; i < n; i++)
		json_put_string(&e->w, stop[i]);
	json_end_array(&e->w);
	return 0;
}

static void
put_sampling(struct encoder *e)
{
	const struct chat_options *o = e->opt;

	if (o->max_tokens >= 0 && config(e, "maxOutputTokens"))
		json_put_int(&e->w, o->max_tokens);
	number(e, "temperature", o->temperature);
	number(e, "topP", o->top_p);
	if (o->top_k >= 0 && config(e, "topK"))
		json_put_int(&e->w, o->top_k);
	number(e, "presencePenalty", o->presence_penalty);
	number(e, "frequencyPenalty", o->frequency_penalty);
	if (o->seed == INT64_MIN)
		return;
	if (o->seed < INT32_MIN || o->seed > INT32_MAX)
		emit_warning(e->sink, "seed was left out: it must fit into 32 bits here");
	else if (config(e, "seed"))
		json_put_int(&e->w, o->seed);
}

static int
put_format(struct encoder *e)
{
	const struct chat_options *o = e->opt;
	struct json j = JSON_INIT;
	int r = 0;

	if (o->format == FORMAT_UNSET)
		return 0;
	if (config(e, "responseMimeType"))
		json_put_string(&e->w, o->format == FORMAT_TEXT ? "text/plain" : "application/json");
	if (o->format != FORMAT_JSON_SCHEMA ||
	    json_get(&e->extra, e->own_config, "responseSchema") != JSON_NONE ||
	    json_get(&e->extra, e->own_config, "responseJsonSchema") != JSON_NONE)
		return 0;
	if (json_read(&j, o->schema.data, o->schema.len, JSON_LAST_KEY_WINS) != 0 ||
	    !json_is(&j, 0, JSON_OBJECT))
		r = error_field(e->err, "schema", "it is no JSON object");
	else
		r = put_schema(e, &j, "responseJsonSchema", "responseSchema", "the answer", "schema");
	json_clear(&j);
	return r;
}

/* ---- thinking (providers/mapping.md section 6) ---- */

static const struct {
	const char *effort, *level;
	int64_t budget;
} efforts[] = {
	{ "off", "MINIMAL", 0 },
	{ "none", "MINIMAL", 0 },
	{ "minimal", "MINIMAL", 512 },
	{ "low", "LOW", 1024 },
	{ "medium", "MEDIUM", 8192 },
	{ "high", "HIGH", 24576 },
	{ "xhigh", "HIGH", 32768 },
	{ "max", "HIGH", 32768 },
};

/* The larger models of a family, and those from 4 on, refuse the lowest level. */
static bool
refuses_minimal(const char *model)
{
	const char *id = gemini_model_id(model);

	return strstr(id, "-pro") != NULL || strstr(id, "argon") != NULL ||
	    (strncmp(id, "gemini-", 7) == 0 && id[7] >= '4' && id[7] <= '9');
}

static void
put_level(struct encoder *e, size_t effort)
{
	const char *level = efforts[effort].level;

	if (effort < 2)
		emit_warning(e->sink, "reasoning cannot be switched off here; it was set to the lowest");
	if (strcmp(level, "MINIMAL") == 0 && refuses_minimal(e->to->model)) {
		level = "LOW";
		if (effort >= 2)
			emit_warning(e->sink, "reasoning \"minimal\" became \"low\": this model has no less");
	}
	json_kv_string(&e->w, "thinkingLevel", level);
}

static void
put_budget(struct encoder *e, size_t effort)
{
	int64_t budget = efforts[effort].budget;

	if (strstr(e->to->model, "-pro") != NULL) {
		if (budget == 0)
			emit_warning(e->sink,
			    "reasoning cannot be switched off here; it was set to the lowest");
		budget = budget < 128 ? 128 : budget;
	} else if (budget > 24576) {
		budget = 24576; /* the most that a Flash takes */
	}
	json_kv_int(&e->w, "thinkingBudget", budget);
}

static void
put_thinking(struct encoder *e)
{
	enum gemini_thinking kind = gemini_thinking_of(e->to->model);
	const char *word = e->opt->reasoning_effort;
	size_t n = sizeof efforts / sizeof efforts[0], effort = 0;
	bool off;

	while (effort < n && (word == NULL || strcmp(word, efforts[effort].effort) != 0))
		effort++;
	off = effort < 2;
	if (kind == GEMINI_THINKING_NONE) {
		if (effort < n && !off)
			emit_warning(e->sink, "reasoning_effort was left out: this model does not think");
		return;
	}
	/* of a name that tells nothing no more is asked than the user asked for */
	if (effort == n && (!e->chat->want_reasoning || kind == GEMINI_THINKING_UNKNOWN))
		return;
	if (!config(e, "thinkingConfig"))
		return;
	json_begin_object(&e->w);
	if (effort < n && kind == GEMINI_THINKING_BUDGET)
		put_budget(e, effort);
	else if (effort < n)
		put_level(e, effort);
	if (e->chat->want_reasoning && !off)
		json_kv_bool(&e->w, "includeThoughts", true);
	json_end_object(&e->w);
}

static int
put_config(struct encoder *e)
{
	int r;

	json_key(&e->w, "generationConfig");
	json_begin_object(&e->w);
	put_sampling(e);
	if ((r = put_stop(e)) != 0 || (r = put_format(e)) != 0)
		return r;
	put_thinking(e);
	put_members(e, e->own_config, NULL, NULL);
	json_end_object(&e->w);
	return 0;
}

/* ---- the whole ---- */

static int
check_reserved(struct encoder *e, uint32_t object, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (json_get(&e->extra, object, words[i]) != JSON_NONE)
			return error_field(e->err, "extra", "\"%s\" cannot be given here", words[i]);
	}
	return 0;
}

static int
read_extra(struct encoder *e)
{
	const struct text *t = &e->opt->extra;
	uint32_t tools;
	int r;

	e->own_config = JSON_NONE;
	if (t->data == NULL || t->len == 0)
		return 0;
	if (json_read(&e->extra, t->data, t->len, JSON_STRICT) != 0 ||
	    !json_is(&e->extra, 0, JSON_OBJECT))
		return error_field(e->err, "extra", "it is no JSON object");
	e->own_config = json_get(&e->extra, 0, "generationConfig");
	if (e->own_config != JSON_NONE && !json_is(&e->extra, e->own_config, JSON_OBJECT))
		return error_field(e->err, "extra", "\"generationConfig\" is no JSON object");
	tools = json_get(&e->extra, 0, "tools");
	if (tools != JSON_NONE && !json_is(&e->extra, tools, JSON_ARRAY))
		return error_field(e->err, "extra", "\"tools\" is no JSON array");
	r = check_reserved(e, 0, reserved, sizeof reserved / sizeof reserved[0]);
	if (r == 0)
		r = check_reserved(e, e->own_config, reserved_config,
		    sizeof reserved_config / sizeof reserved_config[0]);
	return r;
}

static int
put_body(struct encoder *e)
{
	int r;

	json_begin_object(&e->w);
	if ((r = gemini_contents(&e->w, e->chat, e->to, e->sink, e->err)) != 0 ||
	    (r = put_tools(e)) != 0 || (r = put_tool_choice(e)) != 0 || (r = put_config(e)) != 0)
		return r;
	if (e->extra.count > 0)
		put_members(e, 0, "generationConfig", "tools");
	json_end_object(&e->w);
	return 0;
}

int
gemini_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err)
{
	struct encoder e = { .chat = chat, .opt = &chat->options, .to = to, .sink = sink, .err = err };
	int r;

	wire_request_init(out);
	out->method = "POST";
	out->stream = chat->options.stream != 0;
	e.restricted = to->provider != NULL && provider_has_feature(to->provider, "restricted-schema");
	json_writer_init(&e.w, &out->body, false);
	if ((r = gemini_path(to, out, err)) == 0 &&
	    (r = wire_request_header(out, "Content-Type", "application/json")) == 0 &&
	    (r = read_extra(&e)) == 0)
		r = put_body(&e);
	return encode_end(&e.extra, out, r, err);
}
