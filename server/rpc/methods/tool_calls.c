#include "server/rpc/methods/tool_calls.h"

#include <stdlib.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"

void
tool_calls_clear(struct tool_calls *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->items[i].id);
		free(t->items[i].name);
		buf_clear(&t->items[i].arguments);
		buf_clear(&t->items[i].signature);
	}
	free(t->items);
	*t = (struct tool_calls){ NULL, 0, 0 };
}

static struct tool_call *
find(const struct tool_calls *t, unsigned index)
{
	/* The newest first: it is nearly always the one that grows. */
	for (size_t i = t->count; i-- > 0;)
		if (t->items[i].index == index)
			return &t->items[i];
	return NULL;
}

const struct tool_call *
tool_calls_at(const struct tool_calls *t, unsigned index)
{
	return find(t, index);
}

static int
add(struct tool_calls *t, const struct event *e)
{
	size_t n = e->id.len + e->name.len;
	struct tool_call *c;

	if (t->count == TOOL_CALLS_MAX || n > TOOL_ARGUMENTS_MAX - t->bytes)
		return MP_E_TOO_LARGE;
	t->bytes += n;
	t->items = xrealloc(t->items, (t->count + 1) * sizeof(*t->items));
	c = &t->items[t->count++];
	*c = (struct tool_call){ .index = e->index };
	c->id = slice_dup(e->id);
	c->name = slice_dup(e->name);
	buf_init(&c->arguments, TOOL_ARGUMENTS_MAX);
	buf_init(&c->signature, TOOL_ARGUMENTS_MAX);
	return 0;
}

int
tool_calls_event(struct tool_calls *t, const struct event *e, const struct tool_call **whole)
{
	struct tool_call *c;

	*whole = NULL;
	if (e->type == EVENT_TOOL_CALL)
		return add(t, e);
	c = find(t, e->index);
	if (c == NULL || c->whole)
		return 0;
	if (e->type == EVENT_TOOL_END) {
		c->whole = true;
		*whole = c;
		if (e->signature.len > TOOL_ARGUMENTS_MAX - t->bytes)
			return MP_E_TOO_LARGE;
		t->bytes += e->signature.len;
		return buf_add(&c->signature, e->signature.data, e->signature.len);
	}
	if (e->text.len > TOOL_ARGUMENTS_MAX - t->bytes)
		return MP_E_TOO_LARGE;
	t->bytes += e->text.len;
	return buf_add(&c->arguments, e->text.data, e->text.len);
}

size_t
tool_calls_whole(const struct tool_calls *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++)
		n += t->items[i].whole;
	return n;
}

void
pack_tool_call_members(struct pack *p, const struct tool_call *c, const char *signed_by)
{
	pack_kv_str(p, "id", c->id);
	pack_kv_str(p, "name", c->name);
	pack_str(p, "arguments");
	if (c->arguments.len > 0)
		pack_str_n(p, c->arguments.data, c->arguments.len);
	else
		pack_str(p, "{}");
	if (c->signature.len == 0)
		return;
	pack_kv_slice(p, "signature", (struct slice){ c->signature.data, c->signature.len });
	pack_kv_str(p, "signed_by", signed_by);
}
