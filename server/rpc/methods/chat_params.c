#include "server/rpc/methods/chat_params.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/json.h"
#include "protocol/base/str.h"
#include "protocol/limits.h"
#include "server/rpc/methods/chat_parts.h"

#define STOPS_MAX 16
#define STOP_BYTES 1024

/* ---- messages ---- */

static bool
role_parse(struct slice s, enum role *out)
{
	static const struct {
		const char *name;
		enum role role;
	} roles[] = {
		{ "system", ROLE_SYSTEM },
		{ "user", ROLE_USER },
		{ "assistant", ROLE_ASSISTANT },
		{ "tool", ROLE_TOOL },
	};

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (slice_eq(s, roles[i].name)) {
			*out = roles[i].role;
			return true;
		}
	}
	return false;
}

static int
content_read(const struct value *content, struct chat_message *m, struct slice call_id,
    const struct place *at, struct error *err)
{
	struct place where = place_in(at, "content");
	struct part *p;
	int r;

	if (value_type(content) == VALUE_STR) {
		struct slice text = value_slice(content);

		p = chat_add_part(m, call_id.data != NULL ? PART_TOOL_RESULT : PART_TEXT);
		p->call_id = call_id.data != NULL ? slice_dup(call_id) : NULL;
		text_set(&p->text, text.data, text.len);
		return 0;
	}
	if (value_type(content) == VALUE_ABSENT)
		return error_field(err, where.text, "%s is missing", where.text);
	if (value_type(content) != VALUE_ARRAY)
		return wrong_type(&where, content, "str or a list of parts", err);
	if (value_size(content) == 0)
		return error_field(err, where.text, "%s is empty", where.text);
	for (size_t i = 0; i < value_size(content); i++) {
		struct place part = place_at(&where, i);

		if ((r = chat_part_read(value_at(content, i), m, call_id, &part, err)) != 0)
			return r;
	}
	return 0;
}

static int
message_read(const struct value *v, struct chat_request *chat, const struct place *at,
    struct error *err)
{
	struct place where = place_in(at, "role");
	struct slice role_name, call_id;
	enum role role;
	int r;

	if ((r = map_check(v, "role content tool_call_id", at, err)) != 0 ||
	    (r = str_member(v, "role", STR_REQUIRED, at, &role_name, err)) != 0 ||
	    (r = str_member(v, "tool_call_id", 0, at, &call_id, err)) != 0)
		return r;
	if (!role_parse(role_name, &role))
		return error_field(err, where.text, "%s must be system, user, assistant or tool",
		    where.text);
	where = place_in(at, "tool_call_id");
	if (role == ROLE_TOOL && call_id.data == NULL &&
	    value_type(value_get(v, "content")) == VALUE_STR)
		return error_field(err, where.text, "%s is missing", where.text);
	if (role != ROLE_TOOL && call_id.data != NULL)
		return error_field(err, where.text, "%s belongs to role tool only", where.text);
	return content_read(value_get(v, "content"), chat_add_message(chat, role), call_id, at,
	    err);
}

static int
messages_read(const struct value *list, struct chat_request *chat, struct error *err)
{
	struct place top = place_of("messages");
	int r;

	if (value_size(list) == 0)
		return error_field(err, "messages", "messages is empty");
	for (size_t i = 0; i < value_size(list); i++) {
		struct place at = place_at(&top, i);

		if ((r = message_read(value_at(list, i), chat, &at, err)) != 0)
			return r;
	}
	return 0;
}

static int
attachments_read(const struct value *list, struct chat_request *chat, struct error *err)
{
	struct place top = place_of("attachments");
	struct chat_message *m = NULL;
	int r;

	if (value_size(list) == 0)
		return 0;
	for (size_t i = chat->message_count; i-- > 0 && m == NULL;)
		if (chat->messages[i].role == ROLE_USER)
			m = &chat->messages[i];
	if (m == NULL)
		return error_field(err, "attachments", "there is no user message to attach to");
	for (size_t i = 0; i < value_size(list); i++) {
		struct place at = place_at(&top, i);

		if ((r = chat_attachment_read(value_at(list, i), m, &at, err)) != 0)
			return r;
	}
	return 0;
}

/* Last of all and then to the front, so that mistakes found before are counted as the client counts. */
static void
system_add(struct slice text, struct chat_request *chat)
{
	struct chat_message first;

	chat_add_text(chat_add_message(chat, ROLE_SYSTEM), text.data, text.len);
	first = chat->messages[chat->message_count - 1];
	memmove(chat->messages + 1, chat->messages,
	    (chat->message_count - 1) * sizeof(*chat->messages));
	chat->messages[0] = first;
}

/* ---- tools ---- */

static void
text_set_json(struct text *to, const struct value *v)
{
	struct buf b = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &b, false);
	value_to_json(v, &w);
	text_set(to, buf_str(&b), b.len);
	buf_clear(&b);
}

static int
tool_read(const struct value *v, struct chat_request *chat, const struct place *at,
    struct error *err)
{
	const struct value *parameters = value_get(v, "parameters");
	const struct value *strict = value_get(v, "strict");
	struct place where;
	struct slice name, description;
	struct tool *t;
	char *copy;
	int r;

	if ((r = map_check(v, "name description parameters strict", at, err)) != 0 ||
	    (r = str_member(v, "name", STR_REQUIRED, at, &name, err)) != 0 ||
	    (r = str_member(v, "description", STR_FREE, at, &description, err)) != 0)
		return r;
	where = place_in(at, "parameters");
	if (parameters != NULL && value_type(parameters) != VALUE_MAP)
		return wrong_type(&where, parameters, "a map", err);
	where = place_in(at, "strict");
	if (strict != NULL && value_type(strict) != VALUE_BOOL)
		return wrong_type(&where, strict, "bool", err);
	copy = slice_dup(name);
	t = chat_add_tool(chat, copy);
	free(copy);
	t->description = description.data != NULL ? slice_dup(description) : NULL;
	if (parameters != NULL)
		text_set_json(&t->parameters, parameters);
	if (strict != NULL)
		t->strict = value_bool(strict, false);
	return 0;
}

static int
tools_read(const struct value *list, struct chat_request *chat, struct error *err)
{
	struct place top = place_of("tools");
	int r;

	for (size_t i = 0; i < value_size(list); i++) {
		struct place at = place_at(&top, i);

		if ((r = tool_read(value_at(list, i), chat, &at, err)) != 0)
			return r;
	}
	return 0;
}

/* ---- options ---- */

static int
stop_read(const struct value *v, struct chat_options *o, const struct place *at, struct error *err)
{
	bool list = value_type(v) == VALUE_ARRAY;
	size_t n = list ? value_size(v) : 1;

	if (!list && value_type(v) != VALUE_STR)
		return wrong_type(at, v, "str or a list of str", err);
	if (n > STOPS_MAX)
		return error_field(err, at->text, "%s holds more than %d texts", at->text,
		    STOPS_MAX);
	o->stop = xcalloc(n + 1, sizeof(*o->stop));
	for (size_t i = 0; i < n; i++) {
		const struct value *item = list ? value_at(v, i) : v;
		struct place where = list ? place_at(at, i) : *at;

		if (value_type(item) != VALUE_STR)
			return wrong_type(&where, item, "str", err);
		if (value_size(item) == 0 || value_size(item) > STOP_BYTES ||
		    (o->stop[i] = value_strdup(item)) == NULL)
			return error_field(err, where.text,
			    "%s must have 1 to %d bytes and no NUL", where.text, STOP_BYTES);
	}
	return 0;
}

static int
effort_read(const struct value *v, struct chat_options *o, const struct place *at,
    struct error *err)
{
	if (value_type(v) != VALUE_STR)
		return wrong_type(at, v, "str", err);
	o->reasoning_effort = value_strdup(v); /* the word itself is chat_check's */
	if (o->reasoning_effort == NULL)
		return error_field(err, at->text, "%s holds a NUL", at->text);
	return 0;
}

static int
tool_choice_read(const struct value *v, struct chat_options *o, const struct place *at,
    struct error *err)
{
	struct slice name;
	int r;

	if (value_type(v) == VALUE_MAP) {
		if ((r = map_check(v, "name", at, err)) != 0 ||
		    (r = str_member(v, "name", STR_REQUIRED, at, &name, err)) != 0)
			return r;
		o->tool_choice = TOOL_CHOICE_ONE;
		o->tool_choice_name = slice_dup(name);
		return 0;
	}
	if (value_type(v) != VALUE_STR)
		return wrong_type(at, v, "str or {name}", err);
	if (value_equals(v, "auto"))
		o->tool_choice = TOOL_CHOICE_AUTO;
	else if (value_equals(v, "none"))
		o->tool_choice = TOOL_CHOICE_NONE;
	else if (value_equals(v, "required"))
		o->tool_choice = TOOL_CHOICE_REQUIRED;
	else
		return error_field(err, at->text, "%s must be auto, none, required or {name}",
		    at->text);
	return 0;
}

static int
response_format_read(const struct value *v, struct chat_options *o, const struct place *at,
    struct error *err)
{
	const struct value *schema = value_get(v, "schema");
	struct place where = place_in(at, "schema");
	struct slice name;
	int r;

	if (value_type(v) == VALUE_MAP) {
		if ((r = map_check(v, "name schema", at, err)) != 0 ||
		    (r = str_member(v, "name", STR_REQUIRED, at, &name, err)) != 0)
			return r;
		if (schema == NULL)
			return error_field(err, where.text, "%s is missing", where.text);
		if (value_type(schema) != VALUE_MAP)
			return wrong_type(&where, schema, "a map", err);
		o->format = FORMAT_JSON_SCHEMA;
		o->schema_name = slice_dup(name);
		text_set_json(&o->schema, schema);
		return 0;
	}
	if (value_type(v) != VALUE_STR)
		return wrong_type(at, v, "str or {name, schema}", err);
	if (value_equals(v, "text"))
		o->format = FORMAT_TEXT;
	else if (value_equals(v, "json"))
		o->format = FORMAT_JSON;
	else
		return error_field(err, at->text, "%s must be text, json or {name, schema}",
		    at->text);
	return 0;
}

static int
extra_read(const struct value *v, struct chat_options *o, const struct place *at,
    struct error *err)
{
	if (value_type(v) != VALUE_MAP)
		return wrong_type(at, v, "a map", err);
	text_set_json(&o->extra, v);
	return 0;
}

enum option_kind { OPTION_COUNT, OPTION_REAL, OPTION_FLAG, OPTION_OWN };

/* A count is int64_t, a real is double, a flag is an int of 0 or 1, at `offset` of chat_options. */
struct option {
	const char *name;
	enum option_kind kind;
	size_t offset;
	double min, max;
	int (*read)(const struct value *v, struct chat_options *o, const struct place *at,
	    struct error *err);
};

#define AT(member) offsetof(struct chat_options, member)
static const struct option option_table[] = {
	{ "max_tokens", OPTION_COUNT, AT(max_tokens), 1, 1e9, NULL },
	{ "temperature", OPTION_REAL, AT(temperature), 0, 2, NULL },
	{ "top_p", OPTION_REAL, AT(top_p), 0, 1, NULL },
	{ "top_k", OPTION_COUNT, AT(top_k), 0, 1e9, NULL },
	{ "presence_penalty", OPTION_REAL, AT(presence_penalty), -2, 2, NULL },
	{ "frequency_penalty", OPTION_REAL, AT(frequency_penalty), -2, 2, NULL },
	{ "seed", OPTION_COUNT, AT(seed), -(double)LIMIT_INT_MAX, (double)LIMIT_INT_MAX, NULL },
	{ "parallel_tool_calls", OPTION_FLAG, AT(parallel_tool_calls), 0, 1, NULL },
	{ "stream", OPTION_FLAG, AT(stream), 0, 1, NULL },
	{ "stop", OPTION_OWN, 0, 0, 0, stop_read },
	{ "reasoning_effort", OPTION_OWN, 0, 0, 0, effort_read },
	{ "tool_choice", OPTION_OWN, 0, 0, 0, tool_choice_read },
	{ "response_format", OPTION_OWN, 0, 0, 0, response_format_read },
	{ "extra", OPTION_OWN, 0, 0, 0, extra_read },
};
#define OPTION_COUNT_ALL (sizeof(option_table) / sizeof(option_table[0]))
#undef AT

static int
number_read(const struct option *row, const struct value *v, struct chat_options *o,
    const struct place *at, struct error *err)
{
	void *to = (char *)o + row->offset;
	double real = value_type(v) == VALUE_INT ? (double)value_int(v, 0) : value_double(v, NAN);

	if (value_type(v) != VALUE_INT &&
	    (row->kind == OPTION_COUNT || value_type(v) != VALUE_FLOAT))
		return wrong_type(at, v, row->kind == OPTION_COUNT ? "int" : "a number", err);
	if (!(real >= row->min && real <= row->max)) /* NaN falls through here too */
		return error_field(err, at->text, "%s must be between %.16g and %.16g", at->text,
		    row->min, row->max);
	if (row->kind == OPTION_COUNT)
		*(int64_t *)to = value_int(v, 0);
	else
		*(double *)to = real;
	return 0;
}

static int
option_read(const struct option *row, const struct value *v, struct chat_options *o,
    const struct place *at, struct error *err)
{
	switch (row->kind) {
	case OPTION_COUNT:
	case OPTION_REAL:
		return number_read(row, v, o, at, err);
	case OPTION_FLAG:
		if (value_type(v) != VALUE_BOOL)
			return wrong_type(at, v, "bool", err);
		*(int *)((char *)o + row->offset) = value_bool(v, false);
		return 0;
	case OPTION_OWN:
		return row->read(v, o, at, err);
	}
	return MP_E_INTERNAL;
}

static int
options_read(const struct value *map, struct chat_options *o, struct error *err)
{
	struct place top = place_of("options"), at;
	struct buf known = BUF_INIT;
	int r;

	for (size_t i = 0; i < OPTION_COUNT_ALL; i++)
		buf_addf(&known, "%s%s", i > 0 ? " " : "", option_table[i].name);
	r = map_check(map, buf_str(&known), &top, err);
	buf_clear(&known);
	for (size_t i = 0; r == 0 && i < OPTION_COUNT_ALL; i++) {
		const struct value *v = value_get(map, option_table[i].name);

		if (v == NULL)
			continue;
		at = place_in(&top, option_table[i].name);
		r = option_read(&option_table[i], v, o, &at, err);
	}
	return r;
}

/* ---- the whole ---- */

static int
read_all(const struct chat_params *in, struct chat_request *chat, struct error *err)
{
	struct slice text = value_slice(in->text);
	int r = 0;

	if ((in->text != NULL) == (in->messages != NULL))
		return error_field(err, in->text != NULL ? "messages" : "text",
		    "exactly one of text and messages is needed");
	if (in->text != NULL) {
		if (text.len == 0 && value_size(in->attachments) == 0)
			return error_field(err, "text", "text is empty");
		struct chat_message *m = chat_add_message(chat, ROLE_USER);

		if (text.len > 0)
			chat_add_text(m, text.data, text.len);
	} else {
		r = messages_read(in->messages, chat, err);
	}
	if (r == 0 && in->attachments != NULL)
		r = attachments_read(in->attachments, chat, err);
	if (r == 0 && in->tools != NULL)
		r = tools_read(in->tools, chat, err);
	if (r == 0 && in->options != NULL)
		r = options_read(in->options, &chat->options, err);
	if (r == 0)
		r = chat_check(chat, err);
	if (r == 0 && in->system != NULL && value_size(in->system) > 0)
		system_add(value_slice(in->system), chat);
	return r;
}

int
chat_params_read(const struct chat_params *in, struct chat_request **out, struct error *err)
{
	struct chat_request *chat = chat_request_new();
	int r;

	chat->want_reasoning = in->reasoning;
	r = read_all(in, chat, err);
	if (r == 0)
		*out = chat;
	else
		chat_request_free(chat);
	return r;
}
