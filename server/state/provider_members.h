/* provider_members.h - the members of a provider by name: copied one by one from a user's row over the
 * catalogue, and checked before they are stored. */
#ifndef SERVER_STATE_PROVIDER_MEMBERS_H
#define SERVER_STATE_PROVIDER_MEMBERS_H

#include "protocol/base/err.h"
#include "server/model/provider.h"

/* Copies the named members (space separated; "*" = all but the id). Words are those of Provider in
 * PROTOCOL.md; `auth` and `aliases` also mean `auth_type` and `models`. Unknown words are skipped (a
 * newer version may have written them). */
void provider_members_copy(struct provider *to, const struct provider *from, const char *members);
/* Whether the named members ("*" = all but the id) are the same in both. */
bool provider_members_same(const struct provider *a, const struct provider *b, const char *members);
/* MP_E_INVALID_PARAMS with the first word that is no member. */
int provider_members_known(const char *members, struct error *err);
bool provider_members_has(const char *members, const char *member);
/* The words without this one, in canonical spelling. Caller frees. */
char *provider_members_without(const char *members, const char *member);
/* Every word of both, each once, in canonical spelling. Caller frees. */
char *provider_members_join(const char *a, const char *b);

/* Whether a provider could be stored: name, URL (https unless loopback and local), words, values that are
 * safe in a header, a log line or on a command line. Names the member in err.field. */
int provider_check(const struct provider *p, struct error *err);

#endif
