#include "server/dialect/openai_chat.h"

#include <stdlib.h>
#include <string.h>

#include "server/dialect/openai_chat_state.h"

static const struct {
	const char *suffix; /* of "host:port"; a leading dot or the whole host */
	enum openai_flavour flavour;
} hosts[] = {
	{ "api.openai.com:443", FLAVOUR_OPENAI },
	{ ".openai.azure.com:443", FLAVOUR_OPENAI },
	{ "openrouter.ai:443", FLAVOUR_OPENROUTER },
	{ ".openrouter.ai:443", FLAVOUR_OPENROUTER },
	{ ".aliyuncs.com:443", FLAVOUR_QWEN },
	{ ":11434", FLAVOUR_OLLAMA },
};

static const struct {
	const char *name;
	enum openai_flavour flavour;
} names[] = {
	{ "openai", FLAVOUR_OPENAI },
	{ "openrouter", FLAVOUR_OPENROUTER },
	{ "qwen", FLAVOUR_QWEN },
	{ "dashscope", FLAVOUR_QWEN },
	{ "ollama", FLAVOUR_OLLAMA },
};

static bool
host_matches(const char *host, const char *suffix)
{
	size_t n = strlen(host), m = strlen(suffix);

	if (suffix[0] != '.' && suffix[0] != ':')
		return strcmp(host, suffix) == 0;
	return n > m && strcmp(host + n - m, suffix) == 0;
}

static bool
flavour_by_host(const char *base_url, enum openai_flavour *out)
{
	char *origin = NULL;
	const char *host;
	bool found = false;
	size_t i;

	if (base_url == NULL || url_origin(base_url, &origin, NULL) != 0)
		return false;
	host = strstr(origin, "://");
	for (i = 0; host != NULL && i < sizeof hosts / sizeof hosts[0] && !found; i++) {
		found = host_matches(host + 3, hosts[i].suffix);
		if (found)
			*out = hosts[i].flavour;
	}
	free(origin);
	return found;
}

enum openai_flavour
openai_flavour_of(const struct provider *p)
{
	enum openai_flavour flavour;
	size_t i;

	if (p == NULL)
		return FLAVOUR_OTHER;
	if (flavour_by_host(p->base_url, &flavour))
		return flavour;
	if (provider_has_feature(p, "max-completion-tokens"))
		return FLAVOUR_OPENAI;
	for (i = 0; p->name != NULL && i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(p->name, names[i].name) == 0)
			return names[i].flavour;
	}
	return FLAVOUR_OTHER;
}

const struct dialect dialect_openai_chat = {
	.name = "openai-chat",
	.carrier = CARRIER_HTTP,
	.framing = FRAMING_SSE,
	.auth_style = AUTH_STYLE_BEARER,
	.state_size = sizeof(struct openai_chat_state),
	.encode = openai_chat_encode,
	.begin = openai_chat_begin,
	.frame = openai_chat_frame,
	.body = openai_chat_body,
	.end = openai_chat_end,
	.told = openai_chat_told,
	.clear = openai_chat_clear,
	.refuse = openai_chat_refuse,
	.limits = openai_chat_limits,
	.list_request = openai_chat_list_request,
	.list_reply = openai_chat_list_reply,
};
