/* session_list.h - the rows inside sessions: a mirror of the table, and the last that ended.
 *
 * Private to sessions.c and session_changes.c. Items stay where they are in memory until they end or the
 * list is loaded again. */
#ifndef SERVER_STATE_SESSION_LIST_H
#define SERVER_STATE_SESSION_LIST_H

#include "server/state/sessions.h"
#include "server/store/store.h"

#define ENDED_MAX 64

struct session_item {
	struct session s; /* its strings are owned here */
	unsigned char token_hash[VAULT_HASH_BYTES];
	char *boot_id;
	int64_t expires_boot_ms;
	bool over;    /* it was seen to have ended, or its key is not there: nothing revives it */
};

struct session_list {
	struct store *store;
	struct session_item **items; /* by id */
	size_t count;
	struct session_item *ended[ENDED_MAX]; /* a ring */
	size_t ended_count;
};

struct sessions {
	struct session_list list;
	struct vault *vault;
	struct providers *providers;
	struct credentials *credentials;
	struct changes *changes;
	struct loop_timer *timer;
	bool scrub;       /* something was deleted */
	bool expiry_told; /* ended ones could not be deleted, but their end was told */
};

/* ---- shared by the two ---- */

int sessions_stored(struct sessions *ss, int r, struct error *err);
/* Inside a change: the session, its provider and the route are news. */
void sessions_note(struct sessions *ss, enum change_op op, const struct session_item *i);
/* Inside a change: row, key and all. The item is among those that ended afterwards; why is static. */
int sessions_end(struct sessions *ss, struct session_item *i, const char *why, struct error *err);
/* Inside a change: ends those whose time is up. */
int sessions_sweep(struct sessions *ss, struct error *err);
/* After ends were moved. */
void sessions_arm(struct sessions *ss);

/* ---- items ---- */

struct session_item *session_item_new(const struct session_start *start, const char *label);
void session_item_free(struct session_item *i);
bool session_alive(struct session_item *i);
int64_t session_item_left_ms(const struct session_item *i); /* may be negative */

/* Replaces what is there; counts that were not stored yet are kept. */
int session_list_load(struct session_list *l, struct store *store);
void session_list_clear(struct session_list *l);
/* Alive or not; NULL = none. */
struct session_item *session_list_find(const struct session_list *l, int64_t id);
struct session_item *session_list_ended(const struct session_list *l, int64_t id);
/* Takes an item from outside and stores it: it gets its id. On failure it is in the list, without an id. */
int session_list_add(struct session_list *l, struct session_item *i, int64_t rev);
int session_list_put(struct session_list *l, struct session_item *i, int64_t rev);
/* Deletes the row; the item moves to those that ended. */
int session_list_end(struct session_list *l, struct session_item *i, const char *why);

#endif
