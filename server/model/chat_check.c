/* chat_check.c - what no dialect could send is refused here, once, with the place of the mistake. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/json.h"
#include "protocol/base/str.h"
#include "server/model/chat.h"

#define NAME_MAX_BYTES 128
#define CALL_ID_MAX_BYTES 256

static const char *const efforts[] = {
	"off", "none", "minimal", "low", "medium", "high", "xhigh", "max",
};

/* Tool and schema names: what the vendors' rules have in common, and '.' and ':' which one of them takes. */
static bool
identifier_valid(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= NAME_MAX_BYTES
	    && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:") == n;
}

/* Goes into a header or a JSON string of the provider: visible ASCII only. */
static bool
visible(const char *s, size_t max)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x21 || s[i] > 0x7e)
			return false;
	return n > 0 && n <= max;
}

static bool
is_json_object(const struct text *t)
{
	struct json j = JSON_INIT;
	bool ok = json_read(&j, t->data, t->len, JSON_LAST_KEY_WINS) == 0
	    && json_is(&j, 0, JSON_OBJECT);

	json_clear(&j);
	return ok;
}

/* Whether a tool call with that id stands before message `upto`. Looks backwards: the call is nearly
 * always in the message just before. */
static bool
call_known(const struct chat_request *r, size_t upto, const char *id)
{
	for (size_t i = upto; i-- > 0;) {
		const struct chat_message *m = &r->messages[i];

		for (size_t k = 0; k < m->part_count; k++)
			if (m->parts[k].type == PART_TOOL_CALL
			    && strcmp(m->parts[k].call_id, id) == 0)
				return true;
	}
	return false;
}

static int
check_bytes(const struct part *p, const char *at, struct error *err)
{
	bool url = p->url != NULL, bytes = p->bytes.data != NULL;

	if (url == bytes)
		return error_field(err, at, "%s needs either bytes or a URL", at);
	if (bytes && (p->media_type == NULL || !visible(p->media_type, 128)))
		return error_field(err, at, "%s needs a media type such as image/png", at);
	if (url && strncmp(p->url, "https://", 8) != 0)
		return error_field(err, at, "the URL of %s must begin with https://", at);
	if (url && !visible(p->url, 8192))
		return error_field(err, at, "the URL of %s holds bad characters", at);
	return 0;
}

static int
check_tool_call(const struct part *p, enum role role, const char *at, struct error *err)
{
	if (role != ROLE_ASSISTANT)
		return error_field(err, at, "a tool call belongs to the assistant (%s)", at);
	if (p->call_id == NULL || !visible(p->call_id, CALL_ID_MAX_BYTES))
		return error_field(err, at, "the tool call at %s needs an id", at);
	if (p->name == NULL || !identifier_valid(p->name))
		return error_field(err, at, "the tool call at %s needs a valid name", at);
	return 0;
}

static int
check_tool_result(const struct chat_request *r, size_t message, const struct part *p,
    const char *at, struct error *err)
{
	enum role role = r->messages[message].role;

	if (role != ROLE_TOOL && role != ROLE_USER)
		return error_field(err, at, "a tool result belongs to role tool (%s)", at);
	if (p->call_id == NULL || !visible(p->call_id, CALL_ID_MAX_BYTES))
		return error_field(err, at, "the tool result at %s names no tool call", at);
	if (!call_known(r, message, p->call_id))
		return error_field(err, at, "the tool result at %s answers no call in the history",
		    at);
	return 0;
}

static int
check_part(const struct chat_request *r, size_t message, size_t part, struct error *err)
{
	const struct part *p = &r->messages[message].parts[part];
	enum role role = r->messages[message].role;
	char at[64];

	snprintf(at, sizeof at, "messages[%zu].content[%zu]", message, part);
	switch (p->type) {
	case PART_TEXT:
		if (p->text.data == NULL)
			return error_field(err, at, "%s has no text", at);
		if (role == ROLE_TOOL)
			return error_field(err, at, "role tool holds tool results only (%s)", at);
		return 0;
	case PART_IMAGE:
	case PART_DOCUMENT:
		if (role != ROLE_USER)
			return error_field(err, at, "only the user attaches files (%s)", at);
		return check_bytes(p, at, err);
	case PART_TOOL_CALL:
		return check_tool_call(p, role, at, err);
	case PART_TOOL_RESULT:
		return check_tool_result(r, message, p, at, err);
	case PART_REASONING:
		if (role != ROLE_ASSISTANT)
			return error_field(err, at, "reasoning belongs to the assistant (%s)", at);
		return 0;
	}
	return error_field(err, at, "%s is of no known type", at);
}

static int
check_message(const struct chat_request *r, size_t i, struct error *err)
{
	const struct chat_message *m = &r->messages[i];
	char at[64];
	int rc;

	if (m->part_count == 0) {
		snprintf(at, sizeof at, "messages[%zu]", i);
		return error_field(err, at, "%s is empty", at);
	}
	for (size_t k = 0; k < m->part_count; k++)
		if ((rc = check_part(r, i, k, err)) != 0)
			return rc;
	return 0;
}

static int
check_tool(const struct chat_request *r, size_t i, struct error *err)
{
	const struct tool *t = &r->tools[i];
	char at[64];

	snprintf(at, sizeof at, "tools[%zu]", i);
	if (!identifier_valid(t->name))
		return error_field(err, at, "the name of %s is not valid: use letters, digits, _ and -",
		    at);
	for (size_t k = 0; k < i; k++)
		if (strcmp(r->tools[k].name, t->name) == 0)
			return error_field(err, at, "tool %s is there twice", t->name);
	if (t->parameters.data != NULL && !is_json_object(&t->parameters))
		return error_field(err, at, "the parameters of tool %s are no JSON object", t->name);
	return 0;
}

static bool
tool_exists(const struct chat_request *r, const char *name)
{
	for (size_t i = 0; i < r->tool_count; i++)
		if (strcmp(r->tools[i].name, name) == 0)
			return true;
	return false;
}

static int
check_numbers(const struct chat_options *o, struct error *err)
{
	const struct {
		const char *field;
		double value, min, max;
	} rows[] = {
		{ "options.temperature", o->temperature, 0, 2 },
		{ "options.top_p", o->top_p, 0, 1 },
		{ "options.presence_penalty", o->presence_penalty, -2, 2 },
		{ "options.frequency_penalty", o->frequency_penalty, -2, 2 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (!isnan(rows[i].value)
		    && (rows[i].value < rows[i].min || rows[i].value > rows[i].max))
			return error_field(err, rows[i].field, "%s must be between %g and %g",
			    rows[i].field, rows[i].min, rows[i].max);
	if (o->max_tokens == 0 || o->max_tokens < -1)
		return error_field(err, "options.max_tokens", "options.max_tokens must be positive");
	if (o->top_k < -1)
		return error_field(err, "options.top_k", "options.top_k must not be negative");
	return 0;
}

static int
check_choice(const struct chat_request *r, struct error *err)
{
	const struct chat_options *o = &r->options;
	const char *field = "options.tool_choice";

	if (o->tool_choice == TOOL_CHOICE_REQUIRED && r->tool_count == 0)
		return error_field(err, field, "a tool is required but there is none");
	if (o->tool_choice != TOOL_CHOICE_ONE)
		return 0;
	if (o->tool_choice_name == NULL || !tool_exists(r, o->tool_choice_name))
		return error_field(err, field, "the chosen tool %s is not among the tools",
		    o->tool_choice_name != NULL ? o->tool_choice_name : "");
	return 0;
}

static int
check_options(const struct chat_request *r, struct error *err)
{
	const struct chat_options *o = &r->options;
	bool known = o->reasoning_effort == NULL;
	int rc;

	if ((rc = check_numbers(o, err)) != 0 || (rc = check_choice(r, err)) != 0)
		return rc;
	for (size_t i = 0; !known && i < sizeof efforts / sizeof efforts[0]; i++)
		known = strcmp(efforts[i], o->reasoning_effort) == 0;
	if (!known)
		return error_field(err, "options.reasoning_effort",
		    "options.reasoning_effort must be off, none, minimal, low, medium, high, xhigh or "
		    "max");
	if (o->format == FORMAT_JSON_SCHEMA
	    && (o->schema.data == NULL || !is_json_object(&o->schema)))
		return error_field(err, "options.schema", "the answer's schema is no JSON object");
	if (o->schema_name != NULL && !identifier_valid(o->schema_name))
		return error_field(err, "options.schema_name", "the schema's name is not valid");
	if (o->extra.data != NULL && !is_json_object(&o->extra))
		return error_field(err, "options.extra", "options.extra is no JSON object");
	return 0;
}

int
chat_check(const struct chat_request *r, struct error *err)
{
	bool said = false;
	int rc;

	for (size_t i = 0; i < r->message_count; i++) {
		if ((rc = check_message(r, i, err)) != 0)
			return rc;
		said = said || r->messages[i].role != ROLE_SYSTEM;
	}
	if (!said)
		return error_field(err, "messages", "there is nothing to answer: no message");
	for (size_t i = 0; i < r->tool_count; i++)
		if ((rc = check_tool(r, i, err)) != 0)
			return rc;
	return check_options(r, err);
}
