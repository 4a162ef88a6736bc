/* provider_entries.h - the list inside providers: the catalogue with the user's rows laid over it.
 *
 * Private to providers.c. Entries are sorted by name; pointers live until the list changes. */
#ifndef SERVER_STATE_PROVIDER_ENTRIES_H
#define SERVER_STATE_PROVIDER_ENTRIES_H

#include "server/model/provider.h"
#include "server/state/provider_health.h"
#include "server/store/store.h"

#define NOT_SHIPPED ((size_t)-1)

struct entry {
	struct provider *p; /* as it is in force */
	size_t catalogue;   /* row of the catalogue it comes from, or NOT_SHIPPED */
	char *changed;      /* members of the user's row; NULL = no row */
	struct health health;
};

struct entries {
	struct entry *list;
	size_t count;
};

int entries_load(struct entries *es, struct store *store);
void entries_clear(struct entries *es);
/* Takes p; changed is copied. Sort afterwards. */
struct entry *entries_add(struct entries *es, struct provider *p, size_t catalogue,
    const char *changed);
void entries_remove(struct entries *es, struct entry *e);
/* A provider that is called as it was shipped has no name of the user's: takes that member out. */
void entry_forget_name(size_t catalogue, const char *name, char **changed);
void entries_sort(struct entries *es);
struct entry *entries_by_id(const struct entries *es, const char *id);
/* By name; else by another name that the catalogue gives it. */
struct entry *entries_by_name(const struct entries *es, const char *name);

#endif
