/* provider.h - what a provider is: plain data, owned strings. */
#ifndef SERVER_MODEL_PROVIDER_H
#define SERVER_MODEL_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum provider_type {
	PROVIDER_UNIVERSAL_GATEWAY,
	PROVIDER_DIRECT_API,
	PROVIDER_PLAN_BASED,
	PROVIDER_LOCAL,
};

enum auth_type {
	AUTH_API_KEY,
	AUTH_OAUTH_PERSONAL, /* the provider's own program holds the login */
	AUTH_OPTIONAL_KEY,
	AUTH_NONE,
};

/* Whether the keys of a provider share its calls: not (the usual one is asked with), by their weights, or the
 * one with the fewest calls for its weight. */
enum key_sharing { KEY_SHARING_OFF, KEY_SHARING_WEIGHTED, KEY_SHARING_LEAST_LOADED };
#define KEY_WEIGHT_MAX 100 /* of a key; the least is 1 */

/* Where the row comes from; the user's own rows lie over bundles, those over the catalogue. */
enum provider_origin { ORIGIN_CATALOGUE, ORIGIN_BUNDLE, ORIGIN_USER };

struct model_alias {
	char *alias; /* "claude-sonnet-4" */
	char *model; /* "anthropic/claude-sonnet-4" */
};

struct provider {
	char *id;           /* UUID: survives a rename; sealed keys are bound to it */
	char *name;         /* name_valid() */
	char *display_name; /* may be NULL */
	enum provider_type type;
	enum auth_type auth;
	char *dialect;      /* "openai-chat"; may be one that does not exist yet */
	char *base_url;     /* NULL where there is none (echo, claude-cli); no trailing slash */
	char *key_env;      /* "OPENAI_API_KEY"; NULL = none */
	bool enabled;
	enum provider_origin origin;
	char **features;    /* "fallback-routing", ...; NULL-terminated, never NULL itself */
	struct {
		int64_t weekly, rolling; /* requests; 0 = unknown */
		int32_t window_hours;
	} rate_limits;
	char *login_command; /* NULL = none */
	bool auto_detect;
	char *health_check;  /* path below base_url, "/models"; NULL = none */
	char *ca_file;       /* NULL = the system's */
	char *proxy;         /* NULL = none, also when the environment names one */
	enum key_sharing key_sharing;
	char *program;       /* the full path of a program that is the provider; NULL = looked for */
	struct model_alias *aliases;
	size_t alias_count;
	int64_t rev;         /* state revision of the last change; 0 for untouched catalogue rows */
};

struct provider *provider_new(void); /* enabled, empty feature list, a new UUID */
struct provider *provider_copy(const struct provider *p);
void provider_free(struct provider *p);
const char *provider_alias_model(const struct provider *p, const char *alias); /* NULL = none */
int provider_alias_add(struct provider *p, const char *alias, const char *model);
bool provider_has_feature(const struct provider *p, const char *feature);

/* "universal-gateway" <-> enum, as in PROTOCOL.md; false for an unknown word. */
const char *provider_type_name(enum provider_type t);
bool provider_type_parse(const char *s, enum provider_type *out);
const char *auth_type_name(enum auth_type t);
bool auth_type_parse(const char *s, enum auth_type *out);
const char *key_sharing_name(enum key_sharing k);
bool key_sharing_parse(const char *s, enum key_sharing *out);
const char *provider_origin_name(enum provider_origin o);

/* scheme://host:port of a URL, lower case, default port made explicit, IPv6 in brackets: what a key is
 * bound to (THREATS.md section 3). *loopback says whether the host is a literal loopback address or
 * "localhost". MP_E_INVALID_PARAMS for anything but http(s) without user info; also for control
 * characters, a query or a fragment. Caller frees *out. */
int url_origin(const char *url, char **out, bool *loopback);

/* Whether b's address belongs to somebody else than a's: keys stored for a must not go there. */
bool provider_origin_differs(const struct provider *a, const struct provider *b);

#endif
