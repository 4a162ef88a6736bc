/* openai_chat_list.c - GET /models, as OpenAI, OpenRouter, vLLM, llama.cpp and others answer it. */
#include <string.h>

#include "server/dialect/foreign.h"
#include "server/dialect/openai_chat.h"

int
openai_chat_list_request(const struct provider *p, struct wire_request *out)
{
	(void)p;
	wire_request_init(out);
	out->method = "GET";
	strcpy(out->path, "/models");
	return 0;
}

static bool
has_word(const struct json *j, uint32_t list, const char *word)
{
	for (uint32_t at = json_first(j, json_is(j, list, JSON_ARRAY) ? list : JSON_NONE);
	     at != JSON_NONE; at = json_next(j, at))
		if (json_equals(j, at, word))
			return true;
	return false;
}

/* False for what cannot hold a chat, where the list says so. */
static bool
chats(const struct json *j, uint32_t item)
{
	uint32_t out = json_path(j, item, "architecture", "output_modalities");
	uint32_t type = json_get(j, item, "type");

	if (json_is(j, out, JSON_ARRAY) && json_size(j, out) > 0 && !has_word(j, out, "text"))
		return false;
	return !json_equals(j, type, "embedding") && !json_equals(j, type, "embeddings");
}

/* The first count that is there and more than nothing. */
static int64_t
first_count(const struct json *j, const uint32_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t count = foreign_count(j, at[i]);

		if (count > 0)
			return count;
	}
	return 0;
}

static int64_t
context_of(const struct json *j, uint32_t item)
{
	const uint32_t places[] = {
		json_get(j, item, "context_length"),
		json_get(j, item, "max_model_len"), /* vLLM */
		json_path(j, item, "meta", "n_ctx"), /* llama.cpp */
		json_path(j, item, "meta", "n_ctx_train"),
		json_get(j, item, "context_window"),
		json_get(j, item, "max_context_length"),
	};
	int64_t n = first_count(j, places, sizeof places / sizeof places[0]);
	int64_t top = foreign_count(j, json_path(j, item, "top_provider", "context_length"));

	/* the endpoint that will answer may hold less than the model could */
	return top > 0 && (n == 0 || top < n) ? top : n;
}

static void
facts_of(const struct json *j, uint32_t item, struct listed_model *m)
{
	const uint32_t output[] = {
		json_path(j, item, "top_provider", "max_completion_tokens"),
		json_get(j, item, "max_completion_tokens"),
		json_get(j, item, "max_output_tokens"),
	};
	uint32_t takes = json_get(j, item, "supported_parameters");
	uint32_t in = json_path(j, item, "architecture", "input_modalities");

	m->context_tokens = context_of(j, item);
	m->output_tokens = first_count(j, output, sizeof output / sizeof output[0]);
	if (has_word(j, takes, "tools"))
		m->abilities |= ABILITY_TOOLS;
	if (has_word(j, takes, "reasoning"))
		m->abilities |= ABILITY_REASONING;
	if (has_word(j, in, "image"))
		m->abilities |= ABILITY_IMAGES;
	if (has_word(j, in, "file"))
		m->abilities |= ABILITY_DOCUMENTS;
}

static struct slice
text_of(const struct json *j, uint32_t at, struct buf *scratch)
{
	struct slice s = { NULL, 0 };

	buf_reset(scratch, 4096);
	if (!json_plain(j, at, &s) && json_string(j, at, scratch) == 0)
		s = (struct slice){ scratch->data, scratch->len };
	return s;
}

int
openai_chat_list_reply(struct slice text,
    void (*each)(void *arg, const struct listed_model *m), void *arg)
{
	struct json j = JSON_INIT;
	struct buf id = BUF_INIT, title = BUF_INIT;
	uint32_t list, item;
	int r;

	if ((r = json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS)) != 0)
		goto out;
	list = json_is(&j, 0, JSON_ARRAY) ? 0 : json_get(&j, 0, "data");
	/* LM Studio and llama.cpp give an empty list as null when nothing is loaded */
	if (!json_is(&j, list, JSON_ARRAY)) {
		r = json_is(&j, 0, JSON_OBJECT) && list != JSON_NONE && json_is(&j, list, JSON_NULL)
		    ? 0 : MP_E_INVALID_PARAMS;
		goto out;
	}
	for (item = json_first(&j, list); item != JSON_NONE; item = json_next(&j, item)) {
		struct listed_model m = LISTED_MODEL_INIT;

		m.id = text_of(&j, json_get(&j, item, "id"), &id);
		if (m.id.len == 0 || !chats(&j, item))
			continue;
		m.title = text_of(&j, json_get(&j, item, "name"), &title);
		facts_of(&j, item, &m);
		each(arg, &m);
	}
out:
	buf_clear(&id);
	buf_clear(&title);
	json_clear(&j);
	return r;
}
