#include "server/rpc/methods/content.h"

#include "protocol/base/err.h"
#include "protocol/base/str.h"

void
content_init(struct content *c, size_t max)
{
	*c = (struct content){ .parts = BUF_INIT };
	buf_init(&c->parts, max);
	buf_init(&c->text, max);
	pack_init(&c->pack, &c->parts);
	pack_array_begin(&c->pack);
}

void
content_clear(struct content *c)
{
	buf_clear(&c->parts);
	buf_clear(&c->text);
}

static int
state_of(const struct content *c)
{
	return c->parts.failed || c->text.failed ? MP_E_TOO_LARGE : 0;
}

static void
part_begin(struct content *c, const char *type)
{
	pack_map_begin(&c->pack);
	pack_kv_str(&c->pack, "type", type);
}

/* What was said so far is a part; what was only thought is none without a signature. */
static void
end_text(struct content *c)
{
	if (c->text.len > 0 && !c->text_is_reasoning) {
		part_begin(c, "text");
		pack_kv_slice(&c->pack, "text", (struct slice){ c->text.data, c->text.len });
		pack_map_end(&c->pack);
	}
	buf_reset(&c->text, 0);
}

static void
add_text(struct content *c, struct slice text, bool reasoning)
{
	if (c->text_is_reasoning != reasoning)
		end_text(c);
	c->text_is_reasoning = reasoning;
	(void)buf_add(&c->text, text.data, text.len);
}

static void
end_reasoning(struct content *c, const struct event *e, const char *signed_by)
{
	if (!c->text_is_reasoning)
		end_text(c);
	if (e->signature.len > 0) {
		part_begin(c, "reasoning");
		if (c->text.len > 0 && !e->redacted)
			pack_kv_slice(&c->pack, "text",
			    (struct slice){ c->text.data, c->text.len });
		pack_kv_slice(&c->pack, "signature", e->signature);
		pack_kv_str(&c->pack, "signed_by", signed_by);
		if (e->redacted)
			pack_kv_bool(&c->pack, "redacted", true);
		pack_map_end(&c->pack);
	}
	buf_reset(&c->text, 0);
}

int
content_event(struct content *c, const struct event *e, const char *signed_by)
{
	if (e->type == EVENT_TEXT)
		add_text(c, e->text, false);
	else if (e->type == EVENT_REASONING)
		add_text(c, e->text, true);
	else if (e->type == EVENT_REASONING_END)
		end_reasoning(c, e, signed_by);
	return state_of(c);
}

int
content_tool_call(struct content *c, const struct tool_call *call, const char *signed_by)
{
	end_text(c);
	part_begin(c, "tool_call");
	pack_tool_call_members(&c->pack, call, signed_by);
	pack_map_end(&c->pack);
	return state_of(c);
}

int
content_end(struct content *c)
{
	end_text(c);
	pack_array_end(&c->pack);
	return state_of(c);
}

void
content_pack(const struct content *c, struct pack *into)
{
	pack_str(into, "content");
	pack_raw(into, c->parts.data, c->parts.len);
}
