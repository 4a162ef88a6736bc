#include "server/dialect/ollama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- addresses ---- */

/* The path of a URL without its slashes at the end, and without what other dialects need there. */
static struct slice
base_path(const char *url)
{
	static const char *const ends[] = { "/v1", "/api" };
	const char *at = url != NULL ? strstr(url, "://") : NULL;
	struct slice path = { NULL, 0 };
	size_t i, n;

	if (at == NULL || (at = strchr(at + 3, '/')) == NULL)
		return path;
	path = slice_of(at);
	while (path.len > 0 && path.data[path.len - 1] == '/')
		path.len--;
	for (i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		n = strlen(ends[i]);
		if (path.len >= n && memcmp(path.data + path.len - n, ends[i], n) == 0) {
			path.len -= n;
			break;
		}
	}
	return path;
}

int
ollama_address(const struct provider *p, const char *method, const char *path,
    struct wire_request *out)
{
	struct slice base = base_path(p->base_url);

	wire_request_init(out);
	out->method = method;
	out->at_origin = true;
	if (base.len + strlen(path) >= sizeof out->path)
		return MP_E_INVALID_PARAMS;
	snprintf(out->path, sizeof out->path, "%.*s%s", (int)base.len,
	    base.data != NULL ? base.data : "", path);
	return strcmp(method, "POST") == 0
	    ? wire_request_header(out, "Content-Type", "application/json")
	    : 0;
}

/* ---- models ---- */

static const struct {
	const char *word;
	unsigned ability;
} abilities[] = {
	{ "tools", ABILITY_TOOLS },
	{ "vision", ABILITY_IMAGES },
	{ "thinking", ABILITY_REASONING },
};

/* False when the model is none to chat with (it embeds, or fills in). A server that does not tell
 * gets the benefit of the doubt. */
static bool
take_capabilities(const struct json *j, uint32_t list, struct listed_model *m)
{
	bool chats = false;
	uint32_t word;
	size_t i;

	if (!json_is(j, list, JSON_ARRAY) || json_size(j, list) == 0)
		return true;
	for (word = json_first(j, list); word != JSON_NONE; word = json_next(j, word)) {
		chats |= json_equals(j, word, "completion");
		for (i = 0; i < sizeof abilities / sizeof abilities[0]; i++) {
			if (json_equals(j, word, abilities[i].word))
				m->abilities |= abilities[i].ability;
		}
	}
	return chats;
}

static int
list_request(const struct provider *p, struct wire_request *out)
{
	return ollama_address(p, "GET", "/api/tags", out);
}

static void
list_one(const struct json *j, uint32_t item, struct buf *id,
    void (*each)(void *arg, const struct listed_model *m), void *arg)
{
	struct listed_model m = LISTED_MODEL_INIT;
	uint32_t name = json_get(j, item, "model");
	int64_t context = foreign_count(j, json_path(j, item, "details", "context_length"));

	if (!json_is(j, name, JSON_STRING))
		name = json_get(j, item, "name");
	buf_reset(id, 4096);
	if (json_string(j, name, id) != 0 || id->len == 0)
		return;
	m.id = (struct slice){ id->data, id->len };
	if (context > 0)
		m.context_tokens = context;
	if (take_capabilities(j, json_get(j, item, "capabilities"), &m))
		each(arg, &m);
}

static int
list_reply(struct slice text, void (*each)(void *arg, const struct listed_model *m), void *arg)
{
	struct json j = JSON_INIT;
	struct buf id = BUF_INIT;
	uint32_t list, item;
	int r = json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS);

	list = json_get(&j, 0, "models");
	if (r == 0 && !json_is(&j, list, JSON_ARRAY)) {
		/* a server without models says null */
		r = json_is(&j, 0, JSON_OBJECT) && list != JSON_NONE ? 0 : MP_E_INVALID_PARAMS;
		list = JSON_NONE;
	}
	for (item = json_first(&j, r == 0 ? list : JSON_NONE); item != JSON_NONE;
	    item = json_next(&j, item))
		list_one(&j, item, &id, each, arg);
	buf_clear(&id);
	json_clear(&j);
	return r;
}

static int
show_request(const struct provider *p, struct slice model, struct wire_request *out)
{
	struct json_writer w;
	int r = ollama_address(p, "POST", "/api/show", out);

	if (r != 0)
		return r;
	json_writer_init(&w, &out->body, false);
	json_begin_object(&w);
	json_key(&w, "model");
	json_put_string_n(&w, model.data, model.len);
	json_end_object(&w);
	return out->body.failed ? MP_E_TOO_LARGE : 0;
}

/* What the model can hold: model_info["<architecture>.context_length"]. */
static int64_t
model_context(const struct json *j)
{
	uint32_t info = json_get(j, 0, "model_info");
	char *name = foreign_word(j, json_get(j, info, "general.architecture"), 128);
	struct buf key = BUF_INIT;
	int64_t n = -1;

	if (name != NULL && buf_addf(&key, "%s.context_length", name) == 0)
		n = foreign_count(j, json_get(j, info, key.data));
	buf_clear(&key);
	free(name);
	return n;
}

/* What its maker set for it: a line "num_ctx 8192" among the parameters. */
static int64_t
set_context(const struct json *j)
{
	char *text = json_strdup(j, json_get(j, 0, "parameters"), (size_t)64 << 10);
	const char *line;
	long long n = -1;

	for (line = text; line != NULL; line = strchr(line, '\n')) {
		line += strspn(line, "\n \t");
		if (strncmp(line, "num_ctx", 7) == 0 && (line[7] == ' ' || line[7] == '\t'))
			n = strtoll(line + 7, NULL, 10);
	}
	free(text);
	return n > 0 && n < INT32_MAX ? n : -1;
}

/* MP_E_NOT_FOUND when it is no model to chat with. */
static int
show_reply(struct slice text, struct listed_model *m)
{
	struct json j = JSON_INIT;
	int64_t holds, set;
	int r = json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS);

	if (r == 0 && !json_is(&j, 0, JSON_OBJECT))
		r = MP_E_INVALID_PARAMS;
	if (r == 0 && !take_capabilities(&j, json_get(&j, 0, "capabilities"), m))
		r = MP_E_NOT_FOUND;
	if (r == 0) {
		holds = model_context(&j);
		set = set_context(&j);
		if (set > 0 && (holds <= 0 || set < holds))
			holds = set;
		if (holds > 0)
			m->context_tokens = holds;
	}
	json_clear(&j);
	return r;
}

const struct dialect dialect_ollama = {
	.name = "ollama",
	.carrier = CARRIER_HTTP,
	.framing = FRAMING_NDJSON,
	.auth_style = AUTH_STYLE_BEARER,
	.state_size = sizeof(struct ollama_state),
	.encode = ollama_encode,
	.begin = ollama_begin,
	.frame = ollama_frame,
	.body = ollama_body,
	.end = ollama_end,
	.clear = ollama_clear,
	.refuse = ollama_refuse,
	.list_request = list_request,
	.list_reply = list_reply,
	.show_request = show_request,
	.show_reply = show_reply,
};
