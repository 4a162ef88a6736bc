/* provider_check.c - what may be stored as a provider (THREATS.md sections 3.4 and 9). */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/state/provider_members.h"

#define URL_MAX_BYTES 2048
#define TEXT_MAX_BYTES 256
#define PATH_MAX_BYTES 1024
#define LIST_MAX 64
#define ALIASES_MAX 1024

/* Valid UTF-8 without control characters. */
static bool
clean_text(const char *s)
{
	size_t n = strlen(s);

	if (!utf8_valid(s, n))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		/* U+0080..U+009F */
		if (c == 0xc2 && (unsigned char)s[i + 1] < 0xa0)
			return false;
	}
	return true;
}

/* A model id: what may stand in a selector. */
static bool
clean_word(const char *s, size_t max)
{
	return *s != '\0' && strlen(s) <= max && strchr(s, ' ') == NULL && clean_text(s);
}

static int
check_text(const char *field, const char *s, size_t max, struct error *err)
{
	if (s == NULL)
		return 0;
	if (*s == '\0' || strlen(s) > max)
		return error_field(err, field, "%s must have 1 to %zu bytes", field, max);
	if (!clean_text(s))
		return error_field(err, field, "%s holds control characters or invalid UTF-8", field);
	return 0;
}

/* The built-in echo and the providers that are programs have no URL; everybody else has. */
static bool
needs_url(const struct provider *p)
{
	return strcmp(p->dialect, "echo") != 0 && p->type != PROVIDER_PLAN_BASED;
}

static int
check_url(const struct provider *p, struct error *err)
{
	char *origin = NULL;
	bool loopback = false, https;

	if (p->base_url == NULL) {
		if (!needs_url(p))
			return 0;
		return error_field(err, "base_url", "provider %s needs a base URL", p->name);
	}
	if (strlen(p->base_url) > URL_MAX_BYTES || url_origin(p->base_url, &origin, &loopback) != 0) {
		error_field(err, "base_url", "\"%.160s\" is not a URL that can be used", p->base_url);
		error_hint(err, "scheme, host and path only, such as https://api.example.com/v1: no user, "
		    "password, query or fragment");
		return MP_E_INVALID_PARAMS;
	}
	https = strncmp(origin, "https:", 6) == 0;
	free(origin);
	if (https)
		return 0;
	if (!loopback) {
		error_field(err, "base_url", "%.160s must use https: keys would travel unprotected",
		    p->base_url);
		error_hint(err, "http is for this machine only (127.0.0.1, [::1], localhost); use https, or a "
		    "tunnel that ends here");
		return MP_E_INVALID_PARAMS;
	}
	if (p->type != PROVIDER_LOCAL) {
		error_field(err, "base_url", "http is only for providers of type local");
		error_hint(err, "set type local, or use https");
		return MP_E_INVALID_PARAMS;
	}
	return 0;
}

static int
check_proxy(const char *proxy, struct error *err)
{
	const char *field = "proxy";

	if (proxy == NULL)
		return 0;
	/* http proxies take the plain CONNECT line; what is inside stays TLS */
	if (url_origin(proxy, NULL, NULL) == 0)
		return 0;
	error_field(err, field, "\"%.160s\" is not a proxy URL that can be used", proxy);
	error_hint(err, "http://HOST:PORT or https://HOST:PORT, without user and password");
	return MP_E_INVALID_PARAMS;
}

static int
check_words(const struct provider *p, struct error *err)
{
	size_t n = 0;

	if (p->dialect == NULL || !name_valid(p->dialect))
		return error_field(err, "dialect", "the dialect is not a valid word");
	for (; p->features[n] != NULL; n++)
		if (n == LIST_MAX || !clean_word(p->features[n], 64))
			return error_field(err, "features", "features are up to %d short words", LIST_MAX);
	if (p->key_env != NULL
	    && (strspn(p->key_env, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
	            != strlen(p->key_env)
	        || *p->key_env == '\0' || strlen(p->key_env) > 128))
		return error_field(err, "key_env", "key_env is not the name of an environment variable");
	return 0;
}

static int
check_aliases(const struct provider *p, struct error *err)
{
	if (p->alias_count > ALIASES_MAX)
		return error_field(err, "models", "at most %d aliases", ALIASES_MAX);
	for (size_t i = 0; i < p->alias_count; i++) {
		const struct model_alias *a = &p->aliases[i];

		if (!clean_word(a->alias, TEXT_MAX_BYTES) || !clean_word(a->model, TEXT_MAX_BYTES))
			return error_field(err, "models", "\"%.64s\" = \"%.64s\" is not a valid alias",
			    a->alias, a->model);
	}
	return 0;
}

static int
check_limits(const struct provider *p, struct error *err)
{
	if (p->rate_limits.weekly < 0 || p->rate_limits.rolling < 0
	    || p->rate_limits.window_hours < 0)
		return error_field(err, "rate_limits", "rate limits cannot be negative");
	return 0;
}

static int
check_health_path(const char *path, struct error *err)
{
	if (path == NULL)
		return 0;
	if (path[0] == '/' && path[1] != '/' && strlen(path) < TEXT_MAX_BYTES
	    && strpbrk(path, " \\#@") == NULL && clean_text(path))
		return 0;
	return error_field(err, "health_check", "health_check is a path below the base URL: /models");
}

/* Keys share calls where there can be several. */
static int
check_sharing(const struct provider *p, struct error *err)
{
	if (p->key_sharing == KEY_SHARING_OFF)
		return 0;
	if (p->type == PROVIDER_PLAN_BASED || p->auth == AUTH_OAUTH_PERSONAL) {
		error_field(err, "key_sharing", "%s has a login, which its own program holds, and no keys "
		    "that could share calls", p->name);
		error_hint(err, "leave it off: key_sharing=off");
		return MP_E_INVALID_PARAMS;
	}
	if (p->auth != AUTH_NONE)
		return 0;
	error_field(err, "key_sharing", "%s takes no keys (its auth type is none) that could share calls",
	    p->name);
	error_hint(err, "leave it off: key_sharing=off; or if it takes keys: auth_type=optional-key");
	return MP_E_INVALID_PARAMS;
}

int
provider_check(const struct provider *p, struct error *err)
{
	int r;

	if (p->name == NULL || !name_valid(p->name)) {
		error_field(err, "name", "\"%.80s\" is not a valid name", p->name != NULL ? p->name : "");
		error_hint(err, "lower-case letters, digits, '.', '_' and '-'; up to 64");
		return MP_E_INVALID_PARAMS;
	}
	if ((r = check_words(p, err)) != 0 || (r = check_url(p, err)) != 0
	    || (r = check_text("display_name", p->display_name, 128, err)) != 0
	    || (r = check_text("login_command", p->login_command, TEXT_MAX_BYTES, err)) != 0
	    || (r = check_text("ca_file", p->ca_file, PATH_MAX_BYTES, err)) != 0
	    || (r = check_text("program", p->program, PATH_MAX_BYTES, err)) != 0
	    || (r = check_proxy(p->proxy, err)) != 0
	    || (r = check_health_path(p->health_check, err)) != 0
	    || (r = check_limits(p, err)) != 0
	    || (r = check_sharing(p, err)) != 0)
		return r;
	if (p->ca_file != NULL && p->ca_file[0] != '/')
		return error_field(err, "ca_file", "ca_file must be a full path");
	if (p->program != NULL && p->program[0] != '/')
		return error_field(err, "program", "program must be a full path");
	return check_aliases(p, err);
}
