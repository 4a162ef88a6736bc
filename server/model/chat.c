#include "server/model/chat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

struct chat_request *
chat_request_new(void)
{
	struct chat_request *r = xcalloc(1, sizeof *r);
	struct chat_options *o = &r->options;

	o->max_tokens = o->top_k = -1;
	o->temperature = o->top_p = NAN;
	o->presence_penalty = o->frequency_penalty = NAN;
	o->seed = INT64_MIN;
	o->parallel_tool_calls = o->stream = -1;
	return r;
}

static void
text_clear(struct text *t)
{
	free(t->data);
	t->data = NULL;
	t->len = 0;
}

static void
part_clear(struct part *p)
{
	text_clear(&p->text);
	text_clear(&p->bytes);
	text_clear(&p->arguments);
	free(p->media_type);
	free(p->url);
	free(p->name);
	free(p->call_id);
	free(p->signature.data);
	free(p->signed_by);
}

static void
options_clear(struct chat_options *o)
{
	for (size_t i = 0; o->stop != NULL && o->stop[i] != NULL; i++)
		free(o->stop[i]);
	free(o->stop);
	free(o->reasoning_effort);
	free(o->tool_choice_name);
	free(o->schema_name);
	text_clear(&o->schema);
	text_clear(&o->extra);
}

void
chat_request_free(struct chat_request *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->message_count; i++) {
		for (size_t k = 0; k < r->messages[i].part_count; k++)
			part_clear(&r->messages[i].parts[k]);
		free(r->messages[i].parts);
	}
	free(r->messages);
	for (size_t i = 0; i < r->tool_count; i++) {
		free(r->tools[i].name);
		free(r->tools[i].description);
		text_clear(&r->tools[i].parameters);
	}
	free(r->tools);
	options_clear(&r->options);
	free(r);
}

/* Room for one more item, zeroed; doubles at every power of two, so no capacity is kept. */
static void *
grow(void *list, size_t count, size_t size)
{
	if ((count & (count - 1)) == 0)
		list = xrealloc(list, (count == 0 ? 1 : count * 2) * size);
	memset((char *)list + count * size, 0, size);
	return list;
}

struct chat_message *
chat_add_message(struct chat_request *r, enum role role)
{
	struct chat_message *m;

	r->messages = grow(r->messages, r->message_count, sizeof *r->messages);
	m = &r->messages[r->message_count++];
	m->role = role;
	return m;
}

struct part *
chat_add_part(struct chat_message *m, enum part_type type)
{
	struct part *p;

	m->parts = grow(m->parts, m->part_count, sizeof *m->parts);
	p = &m->parts[m->part_count++];
	p->type = type;
	return p;
}

void
chat_add_text(struct chat_message *m, const char *text, size_t n)
{
	text_set(&chat_add_part(m, PART_TEXT)->text, text, n);
}

struct tool *
chat_add_tool(struct chat_request *r, const char *name)
{
	struct tool *t;

	r->tools = grow(r->tools, r->tool_count, sizeof *r->tools);
	t = &r->tools[r->tool_count++];
	t->name = xstrdup(name);
	t->strict = -1;
	return t;
}

void
text_set(struct text *t, const void *data, size_t n)
{
	char *fresh = NULL;

	if (data != NULL || n == 0) {
		fresh = xrealloc(NULL, n + 1);
		if (n > 0)
			memcpy(fresh, data, n);
		fresh[n] = '\0';
	}
	free(t->data);
	t->data = fresh;
	t->len = fresh != NULL ? n : 0;
}

size_t
chat_text_bytes(const struct chat_request *r)
{
	size_t sum = 0;

	for (size_t i = 0; i < r->message_count; i++) {
		for (size_t k = 0; k < r->messages[i].part_count; k++) {
			const struct part *p = &r->messages[i].parts[k];

			sum += p->text.len + p->arguments.len;
		}
	}
	for (size_t i = 0; i < r->tool_count; i++) {
		sum += strlen(r->tools[i].name) + r->tools[i].parameters.len;
		if (r->tools[i].description != NULL)
			sum += strlen(r->tools[i].description);
	}
	return sum + r->options.schema.len;
}

bool
chat_drop_signatures(struct chat_request *r, const char *signed_by)
{
	bool other = false;

	for (size_t i = 0; i < r->message_count; i++) {
		for (size_t k = 0; k < r->messages[i].part_count; k++) {
			struct part *p = &r->messages[i].parts[k];

			other |= p->type == PART_TOOL_CALL;
			if (p->signed_by == NULL || strcmp(p->signed_by, signed_by) != 0)
				continue;
			other = true;
			text_clear(&p->signature);
			free(p->signed_by);
			p->signed_by = NULL;
		}
	}
	other &= !r->signatures_refused;
	r->signatures_refused = true;
	return other;
}
