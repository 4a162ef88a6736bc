/* rows.h - the families of rows in state.db, and the functions that read and write them.
 *
 * Loaders call `each` per row with borrowed data. Writers replace by key. A row's rev is the state
 * revision that wrote it. */
#ifndef SERVER_STORE_ROWS_H
#define SERVER_STORE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/model/provider.h"
#include "server/store/store.h"

/* ---- providers: the user's own, and the user's changes to catalogue ones ----
 * A row holds the whole provider except that `changed` names the members the user set ("base_url
 * enabled"), so that a newer catalogue still improves the others; "*" = all (the user's own). */
struct provider_row {
	const struct provider *provider;
	const char *changed;
};
int store_provider_each(struct store *s, void (*each)(void *arg, const struct provider_row *row),
    void *arg);
int store_provider_put(struct store *s, const struct provider_row *row); /* key: provider->id */
int store_provider_delete(struct store *s, const char *id);

/* ---- credentials: sealed ---- */
struct credential_row {
	const char *id;          /* UUID of the row, part of what the seal covers */
	const char *provider_id; /* providers.id or the catalogue id */
	const char *label;
	const char *source;      /* "" = the key itself is sealed; else "KIND TEXT" (state/key_source.h) */
	const char *origin;      /* scheme://host:port it is bound to */
	bool origin_moved;       /* the user moved the provider: refused as `origin`, not `tampered` */
	const void *sealed;
	size_t sealed_len;
	int64_t generation;      /* of the master key */
	const char *fingerprint; /* 8 hex digits */
	const char *last4;       /* "" when the key has < 20 characters */
	int64_t created_ms;
	int64_t last_ok_ms;      /* 0 = never */
	int64_t last_fail_ms;    /* 0 = never */
	const char *last_code;   /* wire error code of the last failure, "" = none */
	int64_t session_id;      /* of the test session it belongs to; 0 = none, an ordinary one */
	int64_t expires_ms;      /* 0 = never */
	int64_t weight;          /* its share, where keys share calls */
	int64_t rev;
};
int store_credential_each(struct store *s, void (*each)(void *arg, const struct credential_row *row),
    void *arg);
int store_credential_put(struct store *s, const struct credential_row *row); /* key: provider_id+label */
int store_credential_delete(struct store *s, const char *provider_id, const char *label);
int store_credential_checked(struct store *s, const char *id, int64_t ok_ms, int64_t fail_ms,
    const char *code);
/* After a delete: nothing of it stays in the WAL. */
int store_checkpoint(struct store *s);

/* ---- vault: key slots that wrap the master key ---- */
struct key_slot_row {
	int64_t id;
	const char *type;   /* "key-file", "passphrase", ... */
	const char *source; /* the command of a slot that has one, else "" */
	const void *salt;
	size_t salt_len;
	int64_t ops, mem_bytes;
	int64_t generation;
	const void *wrapped;
	size_t wrapped_len;
	int64_t created_ms;
};
int store_key_slot_each(struct store *s, void (*each)(void *arg, const struct key_slot_row *row),
    void *arg);
int store_key_slot_put(struct store *s, const struct key_slot_row *row, int64_t *id);
int store_key_slot_delete(struct store *s, int64_t id);

/* ---- models the user added, and nicknames ---- */
struct model_row {
	const char *provider_id;
	const char *model;
	const char *nick; /* NULL = none; unique over all */
	int64_t added_ms;
	int64_t expires_ms; /* 0 = never */
	bool listed;        /* false: the row exists for its nickname only */
	int64_t rev;
};
int store_model_each(struct store *s, void (*each)(void *arg, const struct model_row *row), void *arg);
int store_model_put(struct store *s, const struct model_row *row); /* key: provider_id + model */
int store_model_delete(struct store *s, const char *provider_id, const char *model);

/* ---- lists of models as the providers gave them: a cache, never the user's word ---- */
struct discovered_list_row {
	const char *provider_id;
	const char *base_url; /* who was asked, "" = nobody in particular */
	int64_t fetched_ms;
};
struct discovered_model_row {
	const char *provider_id;
	const char *model;
	const char *title;      /* NULL = none */
	int64_t context_tokens; /* 0 = unknown, as output_tokens */
	int64_t output_tokens;
	unsigned abilities;     /* enum model_ability */
	int loaded;             /* 1, 0; -1 = not said */
};
/* Sorted by provider, then by the bytes of the model. */
int store_discovered_list_each(struct store *s,
    void (*each)(void *arg, const struct discovered_list_row *row), void *arg);
int store_discovered_model_each(struct store *s,
    void (*each)(void *arg, const struct discovered_model_row *row), void *arg);
int store_discovered_list_put(struct store *s, const struct discovered_list_row *row);
int store_discovered_model_put(struct store *s, const struct discovered_model_row *row);
int store_discovered_model_delete(struct store *s, const char *provider_id, const char *model);
/* The list with all its models. */
int store_discovered_delete(struct store *s, const char *provider_id);

/* ---- settings that differ from their default ---- */
struct setting_row {
	const char *name;
	const char *value; /* as people write it: "30m" */
	int64_t rev;
};
int store_setting_each(struct store *s, void (*each)(void *arg, const struct setting_row *row), void *arg);
int store_setting_put(struct store *s, const struct setting_row *row); /* key: name */
int store_setting_delete(struct store *s, const char *name);

/* ---- overrides: the live choice ---- */
struct override_row {
	int64_t id;        /* 0 = assign */
	const char *scope; /* "" = global */
	bool temporary;
	const char *provider_id;
	const char *model; /* as chosen: alias or upstream id */
	const char *label;
	const char *chain; /* the choice is that chain, provider_id and model are ""; NULL = none */
	int64_t since_ms;
	int64_t expires_ms;      /* wall clock; 0 = no end of its own */
	int64_t expires_boot_ms; /* the same moment in clock_boot_ms; 0 = none */
	const char *boot_id;     /* temporary ones end with the boot that made them */
	bool previous;           /* kept for undo, not in force */
	int64_t rev;
};
int store_override_each(struct store *s, void (*each)(void *arg, const struct override_row *row),
    void *arg);
int store_override_put(struct store *s, const struct override_row *row, int64_t *id);
int store_override_delete(struct store *s, int64_t id);

/* ---- fallback chains, each with its links in order ---- */
struct chain_row {
	const char *name;
	const char *fall_on; /* wire codes, space separated */
	int64_t rev;
};
struct chain_link_row {
	const char *chain;
	int64_t position;        /* from 1 */
	const char *provider_id; /* "" = another chain */
	const char *model;       /* as chosen; or the name of that chain */
};
/* Sorted by name, and by chain and position. */
int store_chain_each(struct store *s, void (*each)(void *arg, const struct chain_row *row), void *arg);
int store_chain_link_each(struct store *s, void (*each)(void *arg, const struct chain_link_row *row),
    void *arg);
int store_chain_put(struct store *s, const struct chain_row *row); /* key: name */
int store_chain_link_put(struct store *s, const struct chain_link_row *row);
int store_chain_links_delete(struct store *s, const char *chain);
int store_chain_delete(struct store *s, const char *name); /* with its links */

/* ---- test sessions; their own keys are credentials labelled session-ID ---- */
struct session_row {
	int64_t id;             /* 0 = assign */
	const void *token_hash; /* keyed */
	size_t token_hash_len;
	const char *provider_id;
	const char *model; /* as chosen: alias or upstream id */
	const char *label; /* of the credential */
	bool has_key;      /* that credential is its own and goes with it */
	bool activated;
	int64_t started_ms;
	int64_t expires_ms;      /* wall clock */
	int64_t expires_boot_ms; /* the same moment in clock_boot_ms */
	const char *boot_id;     /* it ends with the boot that made it */
	int64_t rev;
};
int store_session_each(struct store *s, void (*each)(void *arg, const struct session_row *row),
    void *arg);
int store_session_put(struct store *s, const struct session_row *row, int64_t *id);
int store_session_delete(struct store *s, int64_t id);

/* ---- keys minted at a provider, from before they are asked for until they are deleted there ---- */
struct minted_row {
	int64_t id; /* 0 = assign */
	const char *provider_id;
	const char *name;   /* there, unique */
	const char *hash;   /* its id there; "" = not known (yet) */
	int64_t session_id; /* 0 = of none (yet) */
	int64_t created_ms;
	int64_t expires_ms; /* there */
	int64_t tries;      /* to delete it */
	const char *last_code; /* of the last one that failed, "" = none */
	int64_t rev;
};
int store_minted_each(struct store *s, void (*each)(void *arg, const struct minted_row *row), void *arg);
int store_minted_put(struct store *s, const struct minted_row *row, int64_t *id);
int store_minted_delete(struct store *s, int64_t id);

#endif
