/* credential_list.h - the rows inside credentials: sealed keys in memory, and those that were opened.
 *
 * Private to credentials.c and credential_sessions.c. An opened secret belongs to its item: it is known to
 * the log's redactor from opening to freeing, and freeing wipes it. */
#ifndef SERVER_STATE_CREDENTIAL_LIST_H
#define SERVER_STATE_CREDENTIAL_LIST_H

#include "server/state/credentials.h"

struct credential_item {
	struct credential c; /* its strings are owned here */
	char *id;            /* UUID */
	char *provider_id;
	char *source;        /* "KIND TEXT", what c.source and c.source_text say; "" = stored */
	bool origin_moved;
	char *sealed;
	size_t sealed_len;
	int64_t generation;
	int64_t expires_ms;    /* of a test session's key, else 0; as the session's id, part of the seal */
	struct secret *opened;          /* NULL = not opened, or not read from its source */
	bool verified;                  /* the source is the one that was sealed */
	int64_t stale_ms;               /* since boot: what was read from a source is kept until then */
	bool unsaved;                   /* last_ok and last_fail are newer than the table's */
	int64_t saved_ms;
};

struct credential_list {
	struct store *store;
	struct credential_item **items; /* sorted by provider, label */
	size_t count;
};

/* What a variable held when the daemon started, sealed. */
struct environment_value {
	char *name;
	struct buf sealed;
	int64_t generation;
};

struct credentials {
	struct credential_list list;
	struct environment_value *environment;
	size_t environment_count;
	int64_t keep_ms; /* of what was read from a source; credentials_keep_read */
	struct credential_list trials; /* in memory only, opened: keys that are being tried */
	int64_t last_trial;
	struct vault *vault;
	struct providers *providers;
	struct changes *changes;
	bool scrub; /* something sealed was replaced or deleted */
	/* whether a test session's key may be used; told by sessions */
	int (*judge)(void *arg, int64_t session_id, int64_t expires_ms, struct error *err);
	void *judge_arg;
};

/* ---- shared by the two ---- */

int credential_stored(struct credentials *cs, int r, struct error *err);
int credential_unlocked(const struct credentials *cs, struct error *err); /* 0 or MP_E_LOCKED */
int credential_tampered(const struct credential_item *i, const char *what, struct error *err);
/* The key may be of a session, and would be sealed with a row of its own; s NULL = it is read from a source.
 * 0 or an error. */
int credential_check(struct credentials *cs, const struct provider *p, const struct secret *s,
    struct error *err);
/* The origin a new key is bound to. Caller frees. */
int credential_bind_origin(const struct provider *p, const char *wanted, char **out,
    struct error *err);
/* Seals s as the item's secret, in place of what was there. */
int credential_seal(struct credentials *cs, struct credential_item *i, const struct secret *s,
    struct error *err);
/* A new item for that provider and label, bound to its origin; then, once sealed, stored and taken in place
 * of what was there. */
int credential_begin(struct credentials *cs, const struct provider *p, const char *label,
    const char *origin, struct credential_item **out, struct error *err);
int credential_finish(struct credentials *cs, const struct provider *p, struct credential_item *fresh,
    struct error *err);
/* Stores "last worked, last failed" of all keys that have news. */
void credential_reports_flush(struct credentials *cs);
/* Whether the source is the sealed one; drops what was read from it too long ago. */
int credential_source_verify(struct credentials *cs, struct credential_item *i, struct error *err);
void credential_environment_clear(struct credentials *cs);
/* What the seal of a variable's value covers. Borrows name. */
struct seal_binding credential_variable_binding(const char *name);
/* Whether its label says so, too: an ordinary key that somebody gave a session is none of one. */
bool credential_is_session_s(const struct credential_item *i);
int credential_open(struct credentials *cs, struct credential_item *i, struct error *err);

/* Inside a change: this key is news, if anybody may hear of it. */
void credential_note(struct credentials *cs, enum change_op op, const struct credential_item *i);

/* ---- items ---- */

struct credential_item *credential_item_new(const struct provider *p, const char *label,
    const char *origin);
void credential_item_free(struct credential_item *i);
/* What was opened leaves memory. */
void credential_item_close(struct credential_item *i);
/* What its seal covers. Borrows from the item. */
struct seal_binding credential_binding(const struct credential_item *i);

/* Replaces what is there; secrets that were open and whose rows are the same stay open. Rows whose provider
 * is not there now are left out, not deleted; ps NULL = none is left out. */
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
/* Takes the item, which is not stored. */
void credential_list_append(struct credential_list *l, struct credential_item *i);
/* Drops it from memory alone. */
void credential_list_drop(struct credential_list *l, const struct credential_item *i);

#endif
