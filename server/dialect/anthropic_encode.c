/* anthropic_encode.c - the body of a message request, written straight into the request. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/anthropic_reason.h"
#include "server/dialect/emit.h"
#include "server/dialect/extra.h"

#define DEFAULT_MAX_TOKENS 8192

/* Members that decide what we send and how the answer is read: never the user's own. */
static const char *const reserved[] = { "model", "messages", "stream", NULL };

bool
anthropic_member(struct anthropic_encoder *e, const char *key)
{
	if (extra_has(&e->extra, key))
		return false;
	json_key(&e->w, key);
	return true;
}

/* ---- the system prompt ---- */

static bool
is_system_text(const struct part *p)
{
	return p->type == PART_TEXT && p->text.len > 0;
}

static bool
has_system(const struct anthropic_encoder *e)
{
	for (size_t i = 0; i < e->turns.begin; i++)
		for (size_t k = 0; k < e->chat->messages[i].part_count; k++)
			if (is_system_text(&e->chat->messages[i].parts[k]))
				return true;
	return e->opt->format == FORMAT_JSON;
}

static void
put_paragraph(struct json_writer *w, bool *any, const char *text, size_t n)
{
	if (*any)
		json_string_part(w, "\n\n", 2);
	json_string_part(w, text, n);
	*any = true;
}

/* The leading system texts as one; a wish for JSON without a schema is said in words. */
static int
put_system(struct anthropic_encoder *e)
{
	static const char json_only[] =
	    "Answer with one JSON object and nothing else: no words around it, no code fence.";
	bool any = false;

	if (!has_system(e))
		return 0;
	if (!anthropic_member(e, "system"))
		return error_field(e->err, "extra", "\"system\" cannot be given besides a system message");
	json_begin_string(&e->w);
	for (size_t i = 0; i < e->turns.begin; i++) {
		const struct chat_message *m = &e->chat->messages[i];

		for (size_t k = 0; k < m->part_count; k++)
			if (is_system_text(&m->parts[k]))
				put_paragraph(&e->w, &any, m->parts[k].text.data, m->parts[k].text.len);
	}
	if (e->opt->format == FORMAT_JSON) {
		put_paragraph(&e->w, &any, json_only, sizeof json_only - 1);
		emit_warning(e->sink, "JSON was asked for by an instruction: without a schema there is no "
				      "other way here");
	}
	json_end_string(&e->w);
	return 0;
}

/* ---- tools ---- */

/* The root of a schema must be of type object. */
static int
put_schema_root(struct anthropic_encoder *e, const struct text *schema)
{
	struct json j = JSON_INIT;
	struct slice raw;
	uint32_t key;
	int r = 0;

	if (json_read(&j, schema->data, schema->len, JSON_LAST_KEY_WINS) != 0 ||
	    !json_is(&j, 0, JSON_OBJECT)) {
		r = error_field(e->err, "tools", "the parameters are no JSON object");
	} else if (json_get(&j, 0, "type") != JSON_NONE) {
		raw = json_raw(&j, 0);
		json_put_raw(&e->w, raw.data, raw.len);
	} else {
		json_begin_object(&e->w);
		json_kv_string(&e->w, "type", "object");
		for (key = json_first(&j, 0); key != JSON_NONE; key = json_next(&j, key))
			extra_put(&e->w, &j, key);
		json_end_object(&e->w);
	}
	json_clear(&j);
	return r;
}

static int
put_tool(struct anthropic_encoder *e, const struct tool *t)
{
	char *name = anthropic_fit_name(t->name);
	int r = 0;

	json_begin_object(&e->w);
	json_kv_string(&e->w, "name", name);
	json_kv_string(&e->w, "description", t->description);
	json_key(&e->w, "input_schema");
	if (t->parameters.data != NULL) {
		r = put_schema_root(e, &t->parameters);
	} else {
		json_put_raw(&e->w, "{\"type\":\"object\",\"properties\":{}}", 33);
	}
	if (r == 0 && t->strict == 1)
		json_kv_bool(&e->w, "strict", true);
	if (r == 0)
		json_end_object(&e->w);
	free(name);
	return r;
}

static bool
named_before(const struct turns *t, size_t turn, size_t block, const char *name)
{
	for (size_t i = 0; i <= turn; i++)
		for (size_t k = 0; k < (i < turn ? t->of[i].count : block); k++) {
			const struct block *b = &t->of[i].blocks[k];

			if (b->call_id != NULL && b->part->name != NULL &&
			    strcmp(b->part->name, name) == 0)
				return true;
		}
	return false;
}

/* A history with calls is refused without definitions: each name gets an empty one. True when there was
 * any; they must not be called. */
static bool
put_stubs(struct anthropic_encoder *e)
{
	const struct turns *t = &e->turns;
	bool any = false;

	for (size_t i = 0; i < t->count; i++)
		for (size_t k = 0; k < t->of[i].count; k++) {
			const struct block *b = &t->of[i].blocks[k];
			struct tool stub = { .strict = -1 };

			if (b->call_id == NULL || b->part->name == NULL ||
			    named_before(t, i, k, b->part->name))
				continue;
			if (!any) {
				json_key(&e->w, "tools");
				json_begin_array(&e->w);
			}
			any = true;
			stub.name = b->part->name;
			(void)put_tool(e, &stub);
		}
	if (any)
		json_end_array(&e->w);
	return any;
}

static void
put_choice(struct anthropic_encoder *e, const char *type, const char *name)
{
	int parallel = e->opt->parallel_tool_calls;

	if (!anthropic_member(e, "tool_choice"))
		return;
	json_begin_object(&e->w);
	json_kv_string(&e->w, "type", type);
	if (name != NULL) {
		char *fitted = anthropic_fit_name(name);

		json_kv_string(&e->w, "name", fitted);
		free(fitted);
	}
	if (parallel >= 0 && strcmp(type, "none") != 0)
		json_kv_bool(&e->w, "disable_parallel_tool_use", parallel == 0);
	json_end_object(&e->w);
}

/* Newer models refuse forced use, and every Claude does while it reasons by a budget. */
static bool
may_force(const struct anthropic_encoder *e)
{
	uint32_t thinking = json_get(&e->extra, 0, "thinking");

	if (!e->model.claude)
		return true;
	if (json_equals(&e->extra, json_get(&e->extra, thinking, "type"), "enabled"))
		return false;
	return e->model.forced_tools && e->thinking.budget == 0;
}

static int
put_tool_choice(struct anthropic_encoder *e)
{
	enum tool_choice choice = e->opt->tool_choice;
	const char *name = e->opt->tool_choice_name;

	if ((choice == TOOL_CHOICE_REQUIRED || choice == TOOL_CHOICE_ONE) && !may_force(e)) {
		emit_warning(e->sink, "this model cannot be made to call a tool%s%.64s%s; it may choose",
		    name != NULL ? " (" : "", name != NULL ? name : "", name != NULL ? ")" : "");
		choice = TOOL_CHOICE_AUTO;
	}
	switch (choice) {
	case TOOL_CHOICE_UNSET:
		if (e->opt->parallel_tool_calls == 0)
			put_choice(e, "auto", NULL);
		return 0;
	case TOOL_CHOICE_AUTO:
		put_choice(e, "auto", NULL);
		return 0;
	case TOOL_CHOICE_NONE:
		put_choice(e, "none", NULL);
		return 0;
	case TOOL_CHOICE_REQUIRED:
		put_choice(e, "any", NULL);
		return 0;
	case TOOL_CHOICE_ONE:
		if (name == NULL)
			return error_field(e->err, "tool_choice", "the tool is not named");
		put_choice(e, "tool", name);
		return 0;
	}
	return 0;
}

static int
put_tools(struct anthropic_encoder *e)
{
	enum tool_choice choice = e->opt->tool_choice;
	int r;

	if (e->chat->tool_count == 0 && !extra_has(&e->extra, "tools")) {
		if (choice == TOOL_CHOICE_REQUIRED || choice == TOOL_CHOICE_ONE)
			return error_field(e->err, "tool_choice", "a tool is required but none is given");
		if (put_stubs(e))
			put_choice(e, "none", NULL);
		return 0;
	}
	if (e->chat->tool_count > 0 && anthropic_member(e, "tools")) {
		json_begin_array(&e->w);
		for (size_t i = 0; i < e->chat->tool_count; i++) {
			if ((r = put_tool(e, &e->chat->tools[i])) != 0)
				return r;
		}
		json_end_array(&e->w);
	}
	return put_tool_choice(e);
}

/* ---- limits ---- */

/* The answer's limit means what can be read: reasoning comes on top of it. */
static void
put_max_tokens(struct anthropic_encoder *e)
{
	if (anthropic_member(e, "max_tokens"))
		json_put_int(&e->w, e->thinking.max_tokens);
}

static int
put_stop(struct anthropic_encoder *e)
{
	char *const *stop = e->opt->stop;

	if (stop == NULL || stop[0] == NULL)
		return 0;
	for (size_t i = 0; stop[i] != NULL; i++)
		if (stop[i][strspn(stop[i], " \t\r\n\f\v")] == '\0')
			return error_field(e->err, "stop", "a stop sequence of blanks is not possible here");
	if (!anthropic_member(e, "stop_sequences"))
		return 0;
	json_begin_array(&e->w);
	for (size_t i = 0; stop[i] != NULL; i++)
		json_put_string(&e->w, stop[i]);
	json_end_array(&e->w);
	return 0;
}

/* ---- members of the user's own ---- */

static void
put_extra(struct anthropic_encoder *e)
{
	uint32_t key = extra_first(&e->extra);

	for (; key != JSON_NONE; key = json_next(&e->extra, key)) {
		/* an object of that name was joined with ours */
		if (json_equals(&e->extra, key, "output_config") &&
		    json_is(&e->extra, json_value(&e->extra, key), JSON_OBJECT))
			continue;
		extra_put(&e->w, &e->extra, key);
	}
}

/* ---- the whole ---- */

static int
put_body(struct anthropic_encoder *e, const char *model)
{
	int r;

	json_begin_object(&e->w);
	json_kv_string(&e->w, "model", model);
	put_max_tokens(e);
	if ((r = put_system(e)) != 0)
		return r;
	json_key(&e->w, "messages");
	if ((r = turns_put(&e->turns, &e->w, !e->model.claude, e->sink, e->err)) != 0 ||
	    (r = put_tools(e)) != 0 || (r = put_stop(e)) != 0)
		return r;
	anthropic_put_thinking(e);
	if ((r = anthropic_put_output_config(e)) != 0)
		return r;
	anthropic_put_sampling(e);
	if (e->stream)
		json_kv_bool(&e->w, "stream", true);
	put_extra(e);
	json_end_object(&e->w);
	return 0;
}

static int
put_head(const struct anthropic_encoder *e, const struct provider *p, struct wire_request *out)
{
	bool old = !e->model.claude || e->sampled || extra_has(&e->extra, "temperature") ||
	    extra_has(&e->extra, "top_p") || extra_has(&e->extra, "top_k");
	int r;

	out->method = "POST";
	anthropic_path(p, "/messages", out);
	out->stream = e->stream;
	if ((r = wire_request_header(out, "Content-Type", "application/json")) != 0)
		return r;
	return wire_request_header(out, "anthropic-version",
	    old ? ANTHROPIC_OLD_VERSION : ANTHROPIC_NEW_VERSION);
}

static int
encode(struct anthropic_encoder *e, const struct dialect_target *to, struct wire_request *out)
{
	int r;

	if ((r = extra_read(&e->extra, &e->opt->extra, reserved, e->err)) != 0)
		return r;
	if (turns_end_with_assistant(&e->turns) && !e->model.prefill)
		return error_field(e->err, "messages",
		    "this model does not continue an answer: the last message must be the user's");
	anthropic_decide_thinking(e,
	    e->opt->max_tokens >= 0                              ? e->opt->max_tokens
	    : e->model.output_max > 0 &&
	            e->model.output_max < DEFAULT_MAX_TOKENS ? e->model.output_max
	                                                         : DEFAULT_MAX_TOKENS);
	json_writer_init(&e->w, &out->body, false);
	if ((r = put_body(e, to->model)) != 0)
		return r;
	if ((r = put_head(e, to->provider, out)) != 0)
		return error_set(e->err, r, "the request's head does not fit");
	return 0;
}

int
anthropic_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err)
{
	struct anthropic_encoder e = { .chat = chat, .opt = &chat->options, .sink = sink, .err = err };
	struct target self;
	char ref[400];
	int r;

	wire_request_init(out);
	target_init(&self);
	target_set(&self, to->provider->name, to->model, NULL, NULL);
	e.model = anthropic_model_of(to->model);
	e.stream = chat->options.stream != 0;
	turns_build(&e.turns, chat, target_ref(&self, ref, sizeof ref), sink);
	r = encode(&e, to, out);
	turns_clear(&e.turns);
	target_clear(&self);
	return encode_end(&e.extra, out, r, err);
}
