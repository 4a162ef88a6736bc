/* credential_list.h - the rows inside credentials: sealed keys in memory, and those that were opened.
 *
 * Private to credentials.c. An opened secret belongs to its item: it is known to the log's redactor from
 * opening to freeing, and freeing wipes it. */
#ifndef SERVER_STATE_CREDENTIAL_LIST_H
#define SERVER_STATE_CREDENTIAL_LIST_H

#include "server/state/credentials.h"

struct credential_item {
	struct credential c; /* its strings are owned here */
	char *id;            /* UUID */
	char *provider_id;
	bool origin_moved;
	char *sealed;
	size_t sealed_len;
	int64_t generation;
	int64_t session_id, expires_ms; /* 0 in this version, but read back: they are part of the seal */
	struct secret *opened;          /* NULL = not opened yet */
	bool unsaved;                   /* last_ok and last_fail are newer than the table's */
	int64_t saved_ms;
};

struct credential_list {
	struct store *store;
	struct credential_item **items; /* sorted by provider, label */
	size_t count;
};

struct credential_item *credential_item_new(const struct provider *p, const char *label,
    const char *origin);
void credential_item_free(struct credential_item *i);
/* What its seal covers. Borrows from the item. */
struct seal_binding credential_binding(const struct credential_item *i);

/* Replaces what is there; secrets that were open and whose rows are the same stay open. Rows whose provider
 * is not there now are left out, not deleted. */
int credential_list_load(struct credential_list *l, struct store *store, const struct providers *ps);
void credential_list_clear(struct credential_list *l);
struct credential_item *credential_list_find(const struct credential_list *l,
    const char *provider_id, const char *label);
/* Stores an item; it need not be in the list. */
int credential_list_put(struct credential_list *l, struct credential_item *i, int64_t rev);
/* Takes the item into the list, in place of the one with its provider and label: true if there was one. */
bool credential_list_replace(struct credential_list *l, struct credential_item *i);
int credential_list_delete(struct credential_list *l, struct credential_item *i);
/* Stores when it last worked and failed. */
void credential_list_checked(struct credential_list *l, struct credential_item *i);
/* Names of providers are copied here: follows renames, drops those of removed ones. */
void credential_list_follow(struct credential_list *l, const struct providers *ps);

#endif
