#include "server/dialect/gemini.h"

#include <stdio.h>
#include <string.h>

#include "server/dialect/gemini_state.h"

#define PREFIX "models/"

const char *
gemini_model_id(const char *model)
{
	return strncmp(model, PREFIX, sizeof PREFIX - 1) == 0 ? model + sizeof PREFIX - 1 : model;
}

static bool
ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), m = strlen(tail);

	return n >= m && strcmp(s + n - m, tail) == 0;
}

enum gemini_thinking
gemini_thinking_of(const char *model)
{
	const char *id = gemini_model_id(model);

	if (strncmp(id, "gemma", 5) == 0 || strncmp(id, "learnlm", 7) == 0)
		return GEMINI_THINKING_NONE;
	if (strncmp(id, "gemini-", 7) != 0)
		return GEMINI_THINKING_UNKNOWN;
	id += 7;
	if (strncmp(id, "2.5", 3) == 0)
		return GEMINI_THINKING_BUDGET;
	if ((id[0] == '1' || id[0] == '2') && (id[1] < '0' || id[1] > '9'))
		return GEMINI_THINKING_NONE;
	if (id[0] >= '1' && id[0] <= '9')
		return GEMINI_THINKING_LEVEL;
	return ends_with(id, "-latest") ? GEMINI_THINKING_LEVEL : GEMINI_THINKING_UNKNOWN;
}

const char *
gemini_version(const struct provider *p)
{
	static const char *const versions[] = { "/v1beta", "/v1", "/v1alpha" };
	char base[2048];
	size_t n;

	if (p == NULL || p->base_url == NULL)
		return "/v1beta";
	n = strlen(p->base_url);
	while (n > 0 && p->base_url[n - 1] == '/')
		n--;
	if (n >= sizeof base)
		return "/v1beta";
	memcpy(base, p->base_url, n);
	base[n] = '\0';
	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		if (ends_with(base, versions[i]))
			return "";
	}
	return "/v1beta";
}

/* Nothing in a model's name may end its piece of the path. */
int
gemini_path(const struct dialect_target *to, struct wire_request *out, struct error *err)
{
	const char *id = gemini_model_id(to->model);
	bool tuned = strncmp(id, "tunedModels/", 12) == 0;
	struct buf path = BUF_INIT;
	int r = 0;

	(void)buf_adds(&path, gemini_version(to->provider));
	(void)buf_adds(&path, tuned ? "/tunedModels/" : "/models/");
	id += tuned ? 12 : 0;
	text_percent_encode(&path, slice_of(id));
	(void)buf_adds(&path, out->stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
	if (*id == '\0' || path.len >= sizeof out->path)
		r = error_field(err, "model", "the model's name is empty or too long");
	else
		memcpy(out->path, path.data, path.len + 1);
	buf_clear(&path);
	return r;
}

static int
list_request(const struct provider *p, struct wire_request *out)
{
	wire_request_init(out);
	out->method = "GET";
	snprintf(out->path, sizeof out->path, "%s/models?pageSize=1000", gemini_version(p));
	return 0;
}

/* Embeddings, images and films are in the list too. A list that does not tell is believed. */
static bool
can_chat(const struct json *j, uint32_t model)
{
	uint32_t list = json_get(j, model, "supportedGenerationMethods"), item;

	if (list == JSON_NONE)
		list = json_get(j, model, "supportedActions");
	if (!json_is(j, list, JSON_ARRAY))
		return true;
	for (item = json_first(j, list); item != JSON_NONE; item = json_next(j, item)) {
		if (json_equals(j, item, "generateContent"))
			return true;
	}
	return false;
}

static struct slice
string_of(const struct json *j, uint32_t at, struct buf *scratch)
{
	struct slice s = { NULL, 0 };

	buf_reset(scratch, 4096);
	if (!json_plain(j, at, &s) && json_string(j, at, scratch) == 0)
		s = (struct slice){ scratch->data, scratch->len };
	return s;
}

static int64_t
tokens_of(const struct json *j, uint32_t at)
{
	int64_t v;

	return json_int(j, at, &v) && v > 0 ? v : 0;
}

static void
list_model(const struct json *j, uint32_t at, struct buf scratch[2],
    void (*each)(void *arg, const struct listed_model *m), void *arg)
{
	struct listed_model m = LISTED_MODEL_INIT;
	bool thinking;

	if (!json_is(j, at, JSON_OBJECT) || !can_chat(j, at))
		return;
	m.id = string_of(j, json_get(j, at, "name"), &scratch[0]);
	if (slice_starts(m.id, PREFIX)) {
		m.id.data += sizeof PREFIX - 1;
		m.id.len -= sizeof PREFIX - 1;
	}
	m.title = string_of(j, json_get(j, at, "displayName"), &scratch[1]);
	m.context_tokens = tokens_of(j, json_get(j, at, "inputTokenLimit"));
	m.output_tokens = tokens_of(j, json_get(j, at, "outputTokenLimit"));
	if (json_bool(j, json_get(j, at, "thinking"), &thinking) && thinking)
		m.abilities |= ABILITY_REASONING;
	if (m.id.len > 0)
		each(arg, &m);
}

static int
list_reply(struct slice text, void (*each)(void *arg, const struct listed_model *m), void *arg)
{
	struct json j = JSON_INIT;
	struct buf scratch[2] = { BUF_INIT, BUF_INIT };
	uint32_t list, item;
	int r;

	if ((r = json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS)) != 0)
		goto out;
	list = json_get(&j, 0, "models");
	if (!json_is(&j, list, JSON_ARRAY)) {
		r = MP_E_INVALID_PARAMS;
		goto out;
	}
	for (item = json_first(&j, list); item != JSON_NONE; item = json_next(&j, item))
		list_model(&j, item, scratch, each, arg);
out:
	buf_clear(&scratch[0]);
	buf_clear(&scratch[1]);
	json_clear(&j);
	return r;
}

static const struct list_pages pages = { NULL, "nextPageToken", "pageToken" };

const struct dialect dialect_gemini = {
	.name = "gemini",
	.carrier = CARRIER_HTTP,
	.framing = FRAMING_SSE,
	.auth_style = AUTH_STYLE_X_GOOG_API_KEY,
	.state_size = sizeof(struct gemini_state),
	.encode = gemini_encode,
	.begin = gemini_begin,
	.frame = gemini_frame,
	.body = gemini_body,
	.end = gemini_end,
	.told = gemini_told,
	.clear = gemini_clear,
	.refuse = gemini_refuse,
	.list_request = list_request,
	.list_reply = list_reply,
	.pages = &pages,
};
