/* model_list.h - the rows inside models: a mirror of the table, in memory. Private to models.c.
 *
 * Sorted by provider name and model; an item's place changes with every add, drop and sort. */
#ifndef SERVER_STATE_MODEL_LIST_H
#define SERVER_STATE_MODEL_LIST_H

#include "server/state/models.h"
#include "server/store/store.h"

#define MODEL_REF_BYTES 330

struct model_item {
	struct model_entry e; /* its strings are owned here */
	char *provider_id;
};

struct model_list {
	struct store *store;
	struct model_item *items;
	size_t count;
};

/* Replaces what is there. Rows whose provider is not there now are left out, not deleted. */
int model_list_load(struct model_list *l, struct store *store, const struct providers *ps);
void model_list_clear(struct model_list *l);
struct model_item *model_list_find(const struct model_list *l, const char *provider_id,
    const char *model);
struct model_item *model_list_find_nick(const struct model_list *l, const char *nick);
/* In memory only; its place in the order is right. */
struct model_item *model_list_add(struct model_list *l, const struct provider *p, const char *model);
void model_list_drop(struct model_list *l, struct model_item *i);
/* Stores an item; deletes one from the table and the list. */
int model_list_put(struct model_list *l, struct model_item *i, int64_t rev);
int model_list_delete(struct model_list *l, struct model_item *i);
/* Names of providers are copied here: follows renames, drops those of removed ones. */
void model_list_follow(struct model_list *l, const struct providers *ps);

bool model_item_ended(const struct model_item *i);
void model_item_set_nick(struct model_item *i, const char *nick);
/* "provider:model", cut to fit. */
const char *model_item_ref(const struct model_item *i, char out[MODEL_REF_BYTES]);

#endif
