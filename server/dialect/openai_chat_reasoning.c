/* openai_chat_reasoning.c - OpenRouter's reasoning_details: the state behind the reasoning that is
 * shown. It goes back as it came, and only to the model that made it (providers/openrouter.md). */
#include "server/dialect/emit.h"
#include "server/dialect/history.h"
#include "server/dialect/openai_chat.h"
#include "server/dialect/openai_chat_state.h"

void
openai_details_take(struct openai_chat_state *s, uint32_t list)
{
	const struct json *j = &s->json;
	uint32_t item;

	if (s->flavour != FLAVOUR_OPENROUTER || !json_is(j, list, JSON_ARRAY))
		return;
	for (item = json_first(j, list); item != JSON_NONE; item = json_next(j, item)) {
		struct slice raw = json_raw(j, item);

		if (!json_is(j, item, JSON_OBJECT))
			continue;
		(void)buf_addc(&s->details, s->details.len == 0 ? '[' : ',');
		(void)buf_add(&s->details, raw.data, raw.len);
	}
}

void
openai_details_end(struct openai_chat_state *s, const struct event_sink *sink)
{
	struct event e = { .type = EVENT_REASONING_END };

	if (s->details.len == 0 && !s->details.failed)
		return;
	(void)buf_addc(&s->details, ']');
	/* half of it would be refused the next time */
	if (s->details.failed) {
		emit_warning(sink, "the reasoning is too large to be sent back the next time");
		return;
	}
	e.signature = (struct slice){ s->details.data, s->details.len };
	sink->event(sink->arg, &e);
}

/* Its items go into the array that `open` says was begun. False when it is no list of ours. */
static bool
put_details(struct json_writer *w, const struct text *signature, bool *open)
{
	struct json j = JSON_INIT;
	bool ok = json_read(&j, signature->data, signature->len, JSON_LAST_KEY_WINS) == 0 &&
	    json_is(&j, 0, JSON_ARRAY);
	uint32_t item;

	for (item = ok ? json_first(&j, 0) : JSON_NONE; item != JSON_NONE;
	    item = json_next(&j, item)) {
		struct slice raw = json_raw(&j, item);

		if (!*open) {
			json_key(w, "reasoning_details");
			json_begin_array(w);
			*open = true;
		}
		json_put_raw(w, raw.data, raw.len);
	}
	json_clear(&j);
	return ok;
}

bool
openai_details_put(struct json_writer *w, const struct chat_message *m,
    const struct dialect_target *to)
{
	bool ours = to != NULL && openai_flavour_of(to->provider) == FLAVOUR_OPENROUTER;
	bool open = false, all = true;
	size_t i;

	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type != PART_REASONING)
			continue;
		if (!ours || p->signature.len == 0 || !part_is_of(p, to) ||
		    !put_details(w, &p->signature, &open))
			all = false;
	}
	if (open)
		json_end_array(w);
	return all;
}
