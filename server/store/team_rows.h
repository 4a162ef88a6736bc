/* team_rows.h - team bundles in state.db: who we are, what is held, what was seen. The providers of
 * a bundle lie among the rows of providers, their ids begin with "bundle:". */
#ifndef SERVER_STORE_TEAM_ROWS_H
#define SERVER_STORE_TEAM_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/store/store.h"

/* ---- our own keys; there is at most one row ---- */
struct team_identity_row {
	const void *public; /* the signing and the box key */
	size_t public_len;
	const void *sealed; /* the seed */
	size_t sealed_len;
	int64_t generation; /* of the master key */
	int64_t created_ms;
};
/* 1 and a call of each, 0 when there is none, or MP_E_STORAGE. */
int store_team_identity_get(struct store *s, void (*each)(void *arg, const struct team_identity_row *row),
    void *arg);
int store_team_identity_put(struct store *s, const struct team_identity_row *row);

/* ---- the bundles that are held ---- */
struct bundle_row {
	const char *team;
	const void *signer;
	size_t signer_len;
	int64_t version;
	const void *content; /* as it was signed */
	size_t content_len;
	const char *source;  /* the file or URL it came from, "" = unknown */
	const char *ca_file; /* for that URL; "" = the system's */
	bool local;          /* that URL may be on this machine or a private network */
	int64_t added_ms, updated_ms;
	int64_t rev;
};
int store_bundle_each(struct store *s, void (*each)(void *arg, const struct bundle_row *row), void *arg);
int store_bundle_put(struct store *s, const struct bundle_row *row); /* key: team */
int store_bundle_delete(struct store *s, const char *team);

/* ---- the newest version of each that was ever seen or made here, also when it is not held ---- */
struct bundle_seen_row {
	const char *team;
	const void *signer;
	size_t signer_len;
	int64_t version;
	const void *digest; /* of the content; empty for a version that was only counted */
	size_t digest_len;
};
int store_bundle_seen_each(struct store *s, void (*each)(void *arg, const struct bundle_seen_row *row),
    void *arg);
int store_bundle_seen_put(struct store *s, const struct bundle_seen_row *row); /* key: team + signer */

/* ---- credentials that came with a bundle, by the id of their row ---- */
struct bundle_key_row {
	const char *credential_id;
	const char *team;
};
int store_bundle_key_each(struct store *s, void (*each)(void *arg, const struct bundle_key_row *row),
    void *arg);
int store_bundle_key_put(struct store *s, const struct bundle_key_row *row);
int store_bundle_keys_delete(struct store *s, const char *team); /* all of a team */

/* ---- rows of shared sections that bundles brought ---- */
struct bundle_item_row {
	const char *section, *item;
	const char *value; /* as it is exported */
};
int store_bundle_item_each(struct store *s, void (*each)(void *arg, const struct bundle_item_row *row),
    void *arg);
int store_bundle_item_put(struct store *s, const struct bundle_item_row *row); /* key: section + item */
/* One, or with item NULL all of a section. */
int store_bundle_items_delete(struct store *s, const char *section, const char *item);

#endif
