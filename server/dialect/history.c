#include "server/dialect/history.h"

#include <string.h>

#include "server/dialect/emit.h"

size_t
message_parts(const struct chat_message *m, enum part_type type)
{
	size_t i, n = 0;

	for (i = 0; i < m->part_count; i++)
		n += m->parts[i].type == type;
	return n;
}

bool
media_type_is_text(const char *type)
{
	static const char *const types[] = { "application/json", "application/xml",
		"application/yaml", "application/x-yaml", "application/toml",
		"application/javascript", "application/x-sh", "image/svg+xml" };
	size_t i;

	if (strncmp(type, "text/", 5) == 0)
		return true;
	for (i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

bool
document_is_text(const struct part *p)
{
	return p->media_type != NULL && p->bytes.data != NULL &&
	    utf8_valid(p->bytes.data, p->bytes.len) && media_type_is_text(p->media_type);
}

bool
part_is_of(const struct part *p, const struct dialect_target *to)
{
	const char *name = to->provider != NULL ? to->provider->name : NULL;
	size_t n;

	if (p->signed_by == NULL || name == NULL || to->model == NULL)
		return false;
	n = strlen(name);
	return strncmp(p->signed_by, name, n) == 0 && p->signed_by[n] == ':' &&
	    strcmp(p->signed_by + n + 1, to->model) == 0;
}

/* The first part of that kind and call id in a message. */
static const struct part *
find_part(const struct chat_message *m, enum part_type type, const char *id)
{
	size_t i;

	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type == type && p->call_id != NULL && strcmp(p->call_id, id) == 0)
			return p;
	}
	return NULL;
}

const struct part *
history_call(const struct chat_request *c, size_t before, const char *id)
{
	const struct part *p = NULL;

	while (id != NULL && before-- > 0 && p == NULL)
		p = find_part(&c->messages[before], PART_TOOL_CALL, id);
	return p;
}

const struct part *
history_result(const struct chat_request *c, size_t from, size_t to, const char *id)
{
	const struct part *p = NULL;

	for (; id != NULL && from < to && p == NULL; from++)
		p = find_part(&c->messages[from], PART_TOOL_RESULT, id);
	return p;
}

size_t
history_next_answer(const struct chat_request *c, size_t from)
{
	while (from < c->message_count && c->messages[from].role != ROLE_ASSISTANT)
		from++;
	return from;
}

void
put_object_arguments(struct json_writer *w, const char *key, const struct part *call,
    const struct event_sink *sink)
{
	const struct text *t = &call->arguments;
	struct json j = JSON_INIT;

	json_key(w, key);
	if (t->len == 0) {
		json_put_raw(w, "{}", 2);
	} else if (json_read(&j, t->data, t->len, JSON_LAST_KEY_WINS) == 0 && json_is(&j, 0, JSON_OBJECT)) {
		struct slice raw = json_raw(&j, 0);

		json_put_raw(w, raw.data, raw.len);
	} else {
		emit_warning(sink, "the arguments of a call of %.64s are no JSON object; they were wrapped",
		    call->name != NULL ? call->name : "a tool");
		json_begin_object(w);
		json_key(w, "_raw");
		json_put_string_n(w, t->data, t->len);
		json_end_object(w);
	}
	json_clear(&j);
}
