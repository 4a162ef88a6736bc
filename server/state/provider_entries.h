/* provider_entries.h - the list inside providers: the catalogue, the bundles of teams over it, and the user's
 * rows over both.
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
	struct provider *below; /* as it is without the user's row, where a bundle says something;
	    else NULL */
	char *team;         /* whose bundle that is; NULL = none */
	char *changed;      /* members of the user's row; NULL = no row */
	struct health health;
};

struct entries {
	struct entry *list;
	size_t count;
	size_t hidden; /* of the catalogue or a bundle, whose name one of the user's own has */
};

/* The row of a team's bundle about a provider lies in the store as "bundle:TEAM/" and the provider's id; the
 * id of a provider that a bundle brings is "team:TEAM/NAME". */
#define BUNDLE_ROW_PREFIX "bundle:"
#define BUNDLE_ID_PREFIX "team:"

/* As it is without the user's row: fresh, for the caller to free; NULL for the user's own. */
struct provider *entry_shipped(const struct entry *e);
bool entry_is_shipped(const struct entry *e);

int entries_load(struct entries *es, struct store *store);
void entries_clear(struct entries *es);
/* Takes p; changed is copied. Sort afterwards. */
struct entry *entries_add(struct entries *es, struct provider *p, size_t catalogue,
    const char *changed);
void entries_remove(struct entries *es, struct entry *e);
/* A provider that is called as it was shipped has no name of the user's: takes that member out. */
void entry_forget_name(const struct entry *e, const char *name, char **changed);
void entries_sort(struct entries *es);
struct entry *entries_by_id(const struct entries *es, const char *id);
/* By name; else by another name that the catalogue gives it. */
struct entry *entries_by_name(const struct entries *es, const char *name);

#endif
