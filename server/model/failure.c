#include "server/model/failure.h"

#include <stddef.h>
#include <string.h>

#include "protocol/base/err.h"

static const struct {
	const char *name;
	int code;
} classes[] = {
	[FAILURE_NONE] = { "none", 0 },
	[FAILURE_AUTH] = { "auth", MP_E_AUTH_REJECTED },
	[FAILURE_PERMISSION] = { "permission", MP_E_NOT_PERMITTED },
	[FAILURE_QUOTA] = { "quota", MP_E_QUOTA_EXCEEDED },
	[FAILURE_RATE_LIMIT] = { "rate_limit", MP_E_RATE_LIMITED },
	[FAILURE_OVERLOADED] = { "overloaded", MP_E_PROVIDER_UNAVAILABLE },
	[FAILURE_SERVER] = { "server", MP_E_PROVIDER_UNAVAILABLE },
	[FAILURE_TIMEOUT] = { "timeout", MP_E_TIMEOUT },
	[FAILURE_NETWORK] = { "network", MP_E_PROVIDER_UNAVAILABLE },
	[FAILURE_BAD_REQUEST] = { "bad_request", MP_E_UPSTREAM },
	[FAILURE_CONTEXT_LENGTH] = { "context_length", MP_E_UPSTREAM },
	[FAILURE_NOT_FOUND] = { "not_found", MP_E_NOT_FOUND },
	[FAILURE_CONTENT_POLICY] = { "content_policy", MP_E_UPSTREAM },
	[FAILURE_UNSUPPORTED] = { "unsupported", MP_E_INVALID_PARAMS },
	[FAILURE_PROTOCOL] = { "protocol", MP_E_UPSTREAM },
	[FAILURE_CANCELLED] = { "cancelled", MP_E_CANCELLED },
	[FAILURE_CONFIG] = { "config", MP_E_PROVIDER_UNAVAILABLE },
};
_Static_assert(sizeof classes / sizeof classes[0] == FAILURE_CONFIG + 1, "a row per class");

const char *
failure_class_name(enum failure_class c)
{
	return classes[c].name;
}

int
failure_error_code(enum failure_class c)
{
	return classes[c].code;
}

bool
failure_is_keys(const struct failure *f)
{
	return f->class == FAILURE_AUTH || f->class == FAILURE_PERMISSION || f->class == FAILURE_QUOTA ||
	    f->class == FAILURE_RATE_LIMIT || strcmp(f->kind, "key_source") == 0;
}
