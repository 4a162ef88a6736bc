/* complete.c - what of a provider follows from the language it speaks and from where it is. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/dialect/dialect.h"

int
dialect_complete(struct provider *p, bool type_known, bool auth_known, struct error *err)
{
	const struct dialect *d;
	bool loopback = false, program, echo;

	if (p->dialect == NULL)
		p->dialect = xstrdup("openai-chat");
	d = dialect_find(p->dialect);
	program = d != NULL && d->login_request != NULL;
	echo = strcmp(p->dialect, "echo") == 0;
	if (p->base_url != NULL && url_origin(p->base_url, NULL, &loopback) != 0)
		return error_field(err, "base_url", "base_url must be an http or https URL without user, query "
		    "or fragment");
	if (!type_known)
		p->type = program ? PROVIDER_PLAN_BASED
		    : loopback || echo ? PROVIDER_LOCAL : PROVIDER_DIRECT_API;
	if (auth_known)
		return 0;
	if (echo)
		p->auth = AUTH_NONE;
	else if (program)
		p->auth = AUTH_OAUTH_PERSONAL;
	else
		p->auth = p->type == PROVIDER_LOCAL ? AUTH_OPTIONAL_KEY : AUTH_API_KEY;
	return 0;
}
