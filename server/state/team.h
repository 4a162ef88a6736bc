/* team.h - who we are in a team, and the bundles that are held.
 *
 * What a bundle says lies with those it is about (providers, credentials, ...); here is where it
 * came from, who signed it, and which versions were seen, so that nothing older comes after. */
#ifndef SERVER_STATE_TEAM_H
#define SERVER_STATE_TEAM_H

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/state/changes.h"
#include "server/vault/team_key.h"
#include "server/vault/vault.h"

#define TEAMS_MAX 16
#define TEAM_VERSION_MAX INT64_C(1000000000)

struct team;

struct bundle_held {
	const char *team;
	unsigned char signer[TEAM_KEY_BYTES];
	int64_t version;
	struct slice content; /* as it was signed */
	const char *source;   /* "" = unknown */
	const char *ca_file;  /* "" = the system's */
	bool local;
	int64_t added_ms, updated_ms;
};

/* Where a bundle came from. */
struct bundle_source {
	const char *source, *ca_file; /* NULL = "" */
	bool local;
};

int team_new(struct store *store, struct vault *vault, struct changes *changes, struct team **out,
    struct error *err);
void team_free(struct team *t);

/* ---- who we are ---- */

/* False when nobody asked for an id yet. */
bool team_me(const struct team *t, struct team_member *out);
/* Inside changes_begin/commit: makes our keys when there are none. MP_E_LOCKED, MP_E_STORAGE. */
int team_make_me(struct team *t, struct error *err);
/* The seed, opened for a moment: the caller frees it. MP_E_NOT_FOUND when there is none,
 * MP_E_LOCKED, MP_E_TAMPERED. */
int team_seed(struct team *t, struct secret **out, struct error *err);
/* Inside changes_begin/commit, between vault_next_begin and vault_next_take: seals the seed anew. One that
 * does not open stays as it is. */
int team_rekey(struct team *t, struct error *err);

/* ---- bundles ---- */

size_t team_count(const struct team *t);
/* Sorted by team; borrowed until the next change. */
const struct bundle_held *team_at(const struct team *t, size_t i);
const struct bundle_held *team_find(const struct team *t, const char *team);

/* The newest version that was seen of this team by this signer: 0 = none. *digest (32 bytes, NULL =
 * only counted) is borrowed until the next change. */
int64_t team_seen(const struct team *t, const char *team, const unsigned char signer[TEAM_KEY_BYTES],
    const unsigned char **digest);

/* Inside changes_begin/commit. Content is copied. */
int team_put(struct team *t, const char *team, int64_t version,
    const unsigned char signer[TEAM_KEY_BYTES], struct slice content,
    const struct bundle_source *from, struct error *err);
int team_remove(struct team *t, const char *team, struct error *err);
int team_note_seen(struct team *t, const char *team, const unsigned char signer[TEAM_KEY_BYTES],
    int64_t version, const unsigned char digest[TEAM_DIGEST_BYTES], struct error *err);

/* ---- keys that came with one ---- */

/* The team whose bundle brought the key of that row; NULL = none, or NULL was asked for. */
const char *team_of_key(const struct team *t, const char *row_id);
void team_each_key(const struct team *t, const char *team, void (*each)(void *arg, const char *row_id),
    void *arg);
/* Inside changes_begin/commit. */
int team_note_key(struct team *t, const char *team, const char *row_id, struct error *err);
int team_forget_keys(struct team *t, const char *team, struct error *err);

/* ---- rows of shared sections that bundles brought ---- */

/* What it said when it was brought; NULL = no bundle brought it. Borrowed until the next change. */
const char *team_item(const struct team *t, const char *section, const char *item);
bool team_has_items(const struct team *t, const char *section);
/* Inside changes_begin/commit. */
int team_note_item(struct team *t, const char *section, const char *item, const char *value,
    struct error *err);
int team_forget_items(struct team *t, const char *section, struct error *err);
/* One of them: it is the user's now. Harmless when none brought it. */
int team_forget_item(struct team *t, const char *section, const char *item, struct error *err);

#endif
