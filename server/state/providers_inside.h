/* providers_inside.h - the struct behind providers.h. Private to providers.c and the provider_*.c
 * beside it. */
#ifndef SERVER_STATE_PROVIDERS_INSIDE_H
#define SERVER_STATE_PROVIDERS_INSIDE_H

#include "server/state/provider_entries.h"
#include "server/state/providers.h"

struct providers {
	struct store *store;
	struct changes *changes;
	struct entries entries;
};

/* 0 when e (NULL = a new one) may be called so; MP_E_CONFLICT. */
int providers_claim_name(const struct providers *ps, const struct entry *e, const char *name,
    struct error *err);
/* Reads all of it anew from the store; objects of providers that are what they were stay. */
void providers_reload(struct providers *ps);
/* The user's row of e becomes `p` with `members` of it, in the store, in memory and in the news. Takes p.
 * Nothing is checked. */
int providers_write(struct providers *ps, struct entry *e, struct provider *p, const char *members,
    struct error *err);

#endif
