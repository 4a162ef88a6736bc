/* override_list.h - the rows inside overrides: a mirror of the table, in memory.
 *
 * Private to overrides.c. A row in the list has an id and stands in the table; a row outside has id 0 and
 * belongs to its holder. Rows stay where they are in memory until they are deleted or the list is
 * loaded again. */
#ifndef SERVER_STATE_OVERRIDE_LIST_H
#define SERVER_STATE_OVERRIDE_LIST_H

#include "server/state/overrides.h"
#include "server/store/store.h"

struct override_item {
	struct override o; /* its strings are owned here */
	char *boot_id;
	int64_t expires_boot_ms;
	bool previous; /* kept for undo, not in force */
	bool over;     /* it was seen to have ended: a clock that is set back does not revive it */
};

struct override_list {
	struct store *store;
	struct override_item **items; /* sorted: scope, persistent first, in force first */
	size_t count;
};

/* What is chosen: a provider's model, or a chain. label NULL = "default". */
struct override_choice {
	const struct provider *provider; /* NULL with a chain */
	const char *model, *label;
	const char *chain;
};
/* A new one outside the list. ttl_ms 0 = no end of its own. */
struct override_item *override_item_new(const char *scope, const struct override_choice *what,
    bool temporary, int64_t ttl_ms);
/* The same choice as a new one outside the list. */
struct override_item *override_item_copy(const struct override_item *from);
void override_item_free(struct override_item *i);

/* On the wall clock, and never later than the time since boot allows; temporary ones end with their boot. */
bool override_alive(struct override_item *i);
/* Milliseconds until its time is up; only for one that has an end. */
int64_t override_left_ms(const struct override_item *i);
/* Both NULL, or the same target of the same kind; same_end: with the same end, too. */
bool override_same(const struct override_item *a, const struct override_item *b, bool same_end);

/* Whether this could be added: MP_E_INVALID_PARAMS, MP_E_TOO_MANY. */
int override_list_check(const struct override_list *l, const char *scope,
    const struct override_choice *what, int64_t ttl_ms, struct error *err);
int override_list_load(struct override_list *l, struct store *store); /* replaces what is there */
void override_list_clear(struct override_list *l);
/* Alive ones only. NULL = none. */
struct override_item *override_list_find(const struct override_list *l, const char *scope,
    bool temporary, bool previous);
/* Takes an item from outside and stores it: it gets its id. On failure it is in the list, without an id. */
int override_list_add(struct override_list *l, struct override_item *i, int64_t rev);
/* Stores what was changed in an item of the list; sort afterwards when `previous` was. */
int override_list_put(struct override_list *l, struct override_item *i, int64_t rev);
int override_list_delete(struct override_list *l, struct override_item *i);
/* The scope's state before is nothing any more. */
int override_list_forget_previous(struct override_list *l, const char *scope);
/* Swaps the marks of one kind, unless both sides say the same: then the one in force keeps its id. */
int override_list_swap(struct override_list *l, struct override_item *now, struct override_item *before,
    int64_t rev);
void override_list_sort(struct override_list *l);

#endif
