#include "server/dialect/local_lists.h"

#include "protocol/base/err.h"
#include "server/dialect/foreign.h"

#define LOADED_MAX 256 /* nobody has more models in memory at once */

typedef void each_fn(void *arg, const struct listed_model *m);

struct reading {
	struct json j;
	struct buf id, title;
	each_fn *each;
	void *arg;
};

static struct slice
text_of(const struct json *j, uint32_t at, struct buf *scratch)
{
	buf_reset(scratch, 4096);
	if (json_string(j, at, scratch) != 0)
		return (struct slice){ NULL, 0 };
	return (struct slice){ scratch->data, scratch->len };
}

static int64_t
count_of(const struct json *j, uint32_t at)
{
	int64_t n = foreign_count(j, at);

	return n > 0 ? n : 0;
}

static bool
is_true(const struct json *j, uint32_t at)
{
	bool v = false;

	return json_bool(j, at, &v) && v;
}

/* Reads the text and hands every item of the root's array `name` to `item`. */
static int
read_list(struct slice text, const char *name, uint32_t max,
    void (*item)(struct reading *r, uint32_t at), each_fn *each, void *arg)
{
	struct reading r = { .j = JSON_INIT, .each = each, .arg = arg };
	uint32_t list;
	int rc = json_read(&r.j, text.data, text.len, JSON_LAST_KEY_WINS);

	if (rc == 0) {
		list = json_get(&r.j, 0, name);
		if (!json_is(&r.j, list, JSON_ARRAY))
			rc = MP_E_INVALID_PARAMS;
		for (uint32_t at = json_first(&r.j, rc == 0 ? list : JSON_NONE);
		     at != JSON_NONE && max > 0; at = json_next(&r.j, at), max--)
			item(&r, at);
	}
	buf_clear(&r.id);
	buf_clear(&r.title);
	json_clear(&r.j);
	return rc;
}

/* ---- LM Studio ---- */

static void
lmstudio_item(struct reading *r, uint32_t at)
{
	const struct json *j = &r->j;
	struct listed_model m = LISTED_MODEL_INIT;
	uint32_t instance = json_first(j, json_get(j, at, "loaded_instances"));
	uint32_t can = json_get(j, at, "capabilities");

	if (!json_equals(j, json_get(j, at, "type"), "llm"))
		return;
	m.id = text_of(j, json_get(j, at, "key"), &r->id);
	m.title = text_of(j, json_get(j, at, "display_name"), &r->title);
	m.loaded = instance != JSON_NONE;
	/* a loaded model holds what it was loaded with, not what it could */
	m.context_tokens = count_of(j, json_path(j, instance, "config", "context_length"));
	if (m.context_tokens == 0)
		m.context_tokens = count_of(j, json_get(j, at, "max_context_length"));
	if (is_true(j, json_get(j, can, "trained_for_tool_use")))
		m.abilities |= ABILITY_TOOLS;
	if (is_true(j, json_get(j, can, "vision")))
		m.abilities |= ABILITY_IMAGES;
	if (json_is(j, json_get(j, can, "reasoning"), JSON_OBJECT))
		m.abilities |= ABILITY_REASONING;
	if (m.id.len > 0)
		r->each(r->arg, &m);
}

int
lmstudio_list_reply(struct slice text, each_fn *each, void *arg)
{
	return read_list(text, "models", UINT32_MAX, lmstudio_item, each, arg);
}

static void
lmstudio_old_item(struct reading *r, uint32_t at)
{
	const struct json *j = &r->j;
	struct listed_model m = LISTED_MODEL_INIT;
	uint32_t type = json_get(j, at, "type"), can = json_get(j, at, "capabilities");
	bool sees = json_equals(j, type, "vlm");

	if (!sees && !json_equals(j, type, "llm"))
		return;
	m.id = text_of(j, json_get(j, at, "id"), &r->id);
	m.loaded = json_equals(j, json_get(j, at, "state"), "loaded");
	if (m.loaded)
		m.context_tokens = count_of(j, json_get(j, at, "loaded_context_length"));
	if (m.context_tokens == 0)
		m.context_tokens = count_of(j, json_get(j, at, "max_context_length"));
	if (sees)
		m.abilities |= ABILITY_IMAGES;
	for (uint32_t word = json_first(j, json_is(j, can, JSON_ARRAY) ? can : JSON_NONE);
	     word != JSON_NONE; word = json_next(j, word))
		if (json_equals(j, word, "tool_use"))
			m.abilities |= ABILITY_TOOLS;
	if (m.id.len > 0)
		r->each(r->arg, &m);
}

int
lmstudio_old_list_reply(struct slice text, each_fn *each, void *arg)
{
	return read_list(text, "data", UINT32_MAX, lmstudio_old_item, each, arg);
}

/* ---- Ollama ---- */

static void
ollama_item(struct reading *r, uint32_t at)
{
	const struct json *j = &r->j;
	struct listed_model m = LISTED_MODEL_INIT;
	uint32_t name = json_get(j, at, "model");

	if (!json_is(j, name, JSON_STRING))
		name = json_get(j, at, "name");
	m.id = text_of(j, name, &r->id);
	m.context_tokens = count_of(j, json_get(j, at, "context_length"));
	m.loaded = 1;
	if (m.id.len > 0)
		r->each(r->arg, &m);
}

int
ollama_loaded_reply(struct slice text, each_fn *each, void *arg)
{
	return read_list(text, "models", LOADED_MAX, ollama_item, each, arg);
}

/* ---- llama.cpp ---- */

int
llamacpp_props_reply(struct slice text, each_fn *each, void *arg)
{
	struct listed_model m = LISTED_MODEL_INIT;
	struct json j = JSON_INIT;
	int r = json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS);

	m.context_tokens = count_of(&j, json_path(&j, 0, "default_generation_settings", "n_ctx"));
	if (is_true(&j, json_path(&j, 0, "modalities", "vision")))
		m.abilities |= ABILITY_IMAGES;
	m.loaded = 1;
	if (r == 0 && m.context_tokens > 0)
		each(arg, &m);
	else
		r = MP_E_INVALID_PARAMS;
	json_clear(&j);
	return r;
}
