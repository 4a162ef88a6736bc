#include "server/dialect/anthropic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/anthropic_state.h"

#define NEWEST 9999
#define NAME_MAX_BYTES 64

/* ---- what an id tells ---- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A number of one or two digits and what follows it; longer ones are dates. -1 = none. */
static int
small_number(const char **at)
{
	const char *p = *at;
	int v = 0;

	while (is_digit(*p) && p - *at < 3)
		v = v * 10 + (*p++ - '0');
	if (p == *at || p - *at > 2)
		return -1;
	*at = p;
	return v;
}

/* The first small number of "sonnet-5-5", "3-5-sonnet-20241022", "2.1" with its minor one. */
static int
version_of(const char *p)
{
	int major, minor;

	for (; *p != '\0'; p++) {
		if (!is_digit(*p))
			continue;
		if ((major = small_number(&p)) < 0)
			break;
		if (*p != '-' && *p != '.')
			return major * 100;
		p++;
		minor = small_number(&p);
		return major * 100 + (minor > 0 ? minor : 0);
	}
	return NEWEST;
}

static bool
refuses_forced_tools(const char *name, int version)
{
	if (strstr(name, "fable") != NULL || strstr(name, "mythos") != NULL)
		return version >= 501;
	if (strstr(name, "haiku") != NULL)
		return version > 505;
	return version >= 505;
}

/* Too large a max_tokens is refused: known only for those that reason by a budget, which is added. */
static int64_t
output_max(const char *name, int version)
{
	if (version >= 406)
		return 128000;
	if (version < 307)
		return version < 305 ? 4096 : 8192;
	return strstr(name, "opus") != NULL && version < 405 ? 32000 : 64000;
}

struct anthropic_model
anthropic_model_of(const char *id)
{
	struct anthropic_model m = { .sampling = true, .forced_tools = true, .prefill = true };
	const char *name = strstr(id, "claude");

	if (name == NULL)
		return m;
	m.claude = true;
	m.version = version_of(name);
	m.sampling = m.version <= 406;
	m.adaptive = m.version > 406;
	m.always_thinks = m.version >= 505 ||
	    (m.version >= 500 && (strstr(name, "fable") != NULL || strstr(name, "mythos") != NULL));
	m.forced_tools = !refuses_forced_tools(name, m.version);
	m.prefill = m.version < 406;
	m.output_max = output_max(name, m.version);
	return m;
}

/* ---- names that fit ---- */

static bool
fits(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

/* Whatever does not fit becomes '_', and a sum of the whole text at the end keeps different texts apart. */
static char *
fit(const char *text, size_t max)
{
	size_t n = strlen(text), i;
	uint32_t sum = 0x811c9dc5;
	bool good = n > 0 && n <= max;
	char *out;

	for (i = 0; i < n; i++) {
		good = good && fits(text[i]);
		sum = (sum ^ (unsigned char)text[i]) * 0x01000193;
	}
	if (good)
		return xstrdup(text);
	if (n > max - 9)
		n = max - 9;
	out = xcalloc(1, n + 10);
	for (i = 0; i < n; i++)
		out[i] = fits(text[i]) ? text[i] : '_';
	snprintf(out + n, 10, "_%08x", (unsigned)sum);
	return out;
}

char *
anthropic_fit_name(const char *name)
{
	return fit(name, NAME_MAX_BYTES);
}

char *
anthropic_fit_id(const char *id)
{
	return fit(id, SIZE_MAX);
}

void
anthropic_path(const struct provider *p, const char *rest, struct wire_request *out)
{
	size_t n = p != NULL && p->base_url != NULL ? strlen(p->base_url) : 0;
	bool versioned = n >= 3 && strcmp(p->base_url + n - 3, "/v1") == 0;

	snprintf(out->path, sizeof out->path, "%s%s", versioned ? "" : "/v1", rest);
}

/* ---- the list of models ---- */

static int
list_request(const struct provider *p, struct wire_request *out)
{
	wire_request_init(out);
	out->method = "GET";
	anthropic_path(p, "/models?limit=1000", out);
	return wire_request_header(out, "anthropic-version", ANTHROPIC_OLD_VERSION);
}

static bool
can(const struct json *j, uint32_t capabilities, const char *what)
{
	bool v = false;

	return json_bool(j, json_path(j, capabilities, what, "supported"), &v) && v;
}

static unsigned
abilities_of(const struct json *j, uint32_t model, bool claude)
{
	static const struct {
		const char *leaf;
		unsigned ability;
	} leaves[] = {
		{ "image_input", ABILITY_IMAGES },
		{ "pdf_input", ABILITY_DOCUMENTS },
		{ "thinking", ABILITY_REASONING },
	};
	uint32_t capabilities = json_get(j, model, "capabilities");
	/* there is no leaf for it, because all of them have it */
	unsigned abilities = claude ? ABILITY_TOOLS : 0;
	size_t i;

	for (i = 0; i < sizeof leaves / sizeof leaves[0]; i++) {
		if (can(j, capabilities, leaves[i].leaf))
			abilities |= leaves[i].ability;
	}
	return abilities;
}

static int64_t
tokens_of(const struct json *j, uint32_t model, const char *key)
{
	int64_t v;

	return json_int(j, json_get(j, model, key), &v) && v > 0 ? v : 0;
}

static void
list_model(const struct json *j, uint32_t at,
    void (*each)(void *arg, const struct listed_model *m), void *arg)
{
	struct listed_model m = LISTED_MODEL_INIT;
	char *id = json_strdup(j, json_get(j, at, "id"), 256);
	char *title = json_strdup(j, json_get(j, at, "display_name"), 256);

	m.id = slice_of(id);
	m.title = slice_of(title);
	m.context_tokens = tokens_of(j, at, "max_input_tokens");
	if (m.context_tokens == 0)
		m.context_tokens = tokens_of(j, at, "context_length");
	m.output_tokens = tokens_of(j, at, "max_tokens");
	if (m.id.len > 0 && !json_equals(j, json_get(j, at, "lifecycle"), "retired")) {
		m.abilities = abilities_of(j, at, anthropic_model_of(id).claude);
		each(arg, &m);
	}
	free(id);
	free(title);
}

static int
list_reply(struct slice text, void (*each)(void *arg, const struct listed_model *m), void *arg)
{
	struct json j = JSON_INIT;
	uint32_t list, item;
	int r;

	if ((r = json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS)) != 0)
		goto out;
	list = json_get(&j, 0, "data");
	if (!json_is(&j, list, JSON_ARRAY)) {
		/* other servers give an empty list as null */
		r = list != JSON_NONE && json_is(&j, list, JSON_NULL) ? 0 : MP_E_INVALID_PARAMS;
		goto out;
	}
	for (item = json_first(&j, list); item != JSON_NONE; item = json_next(&j, item))
		list_model(&j, item, each, arg);
out:
	json_clear(&j);
	return r;
}

static const struct list_pages pages = { "has_more", "last_id", "after_id" };

const struct dialect dialect_anthropic_messages = {
	.name = "anthropic-messages",
	.carrier = CARRIER_HTTP,
	.framing = FRAMING_SSE,
	.auth_style = AUTH_STYLE_X_API_KEY,
	.state_size = sizeof(struct anthropic_state),
	.encode = anthropic_encode,
	.begin = anthropic_begin,
	.frame = anthropic_frame,
	.body = anthropic_body,
	.end = anthropic_end,
	.told = anthropic_told,
	.clear = anthropic_clear,
	.refuse = anthropic_refuse,
	.limits = anthropic_limits,
	.list_request = list_request,
	.list_reply = list_reply,
	.pages = &pages,
};
