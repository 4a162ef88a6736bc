/* credentials.h - keys of providers: write-only, sealed, bound to an origin. */
#ifndef SERVER_STATE_CREDENTIALS_H
#define SERVER_STATE_CREDENTIALS_H

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "server/state/changes.h"
#include "server/state/key_source.h"
#include "server/state/providers.h"
#include "server/vault/vault.h"

struct credentials;

#define CREDENTIALS_PER_PROVIDER 64 /* ordinary ones */

struct credential {
	const char *id;       /* of this very one: another key in its place has another */
	const char *provider; /* name */
	const char *label;    /* "default" */
	enum key_source_kind source;
	const char *source_text; /* "" when the key itself is stored */
	const char *fingerprint; /* "" when it was not read from its source yet */
	const char *last4;    /* "" when unknown */
	const char *origin;
	unsigned weight;      /* 1..KEY_WEIGHT_MAX: its share, where the provider's keys share calls */
	int64_t created_ms, last_ok_ms, last_fail_ms;
	const char *last_code;
	int64_t session_id;   /* of the test session it ends with; 0 = an ordinary key, -1 = only tried */
	struct limits limits; /* what is left, as its provider said; of the usual one: providers_limits */
	int64_t ends_ms;      /* when the provider said it expires; 0 = never, or not told since the start */
};

int credentials_new(struct store *store, struct vault *vault, struct providers *providers,
    struct changes *changes, struct credentials **out, struct error *err);
void credentials_free(struct credentials *cs);

/* NULL label = "default". Borrowed until the next change. Finds keys of test sessions by their label, too. */
const struct credential *credentials_find(const struct credentials *cs, const char *provider,
    const char *label);
/* The ordinary ones. */
void credentials_each(const struct credentials *cs, const char *provider,
    void (*each)(void *arg, const struct credential *c), void *arg);

/* Opens the key for sending to that provider now. MP_E_NO_CREDENTIAL, MP_E_LOCKED, MP_E_ORIGIN (the
 * provider moved since), MP_E_TAMPERED; err names what to do. The secret is the module's, borrowed until
 * the next change, and is registered with the log's redactor. NULL with 0: it must be read from its source
 * first (call/key_reader.h). */
int credentials_open(struct credentials *cs, const struct provider *p, const char *label,
    const struct secret **out, struct error *err);

/* Inside changes_begin/commit. set: the secret is checked (secret_text_valid) and copied; origin NULL = that
 * of the provider's base URL. Replaces. */
int credentials_set(struct credentials *cs, const struct provider *p, const char *label,
    const struct secret *s, const char *origin, struct error *err);
/* Of a key that is there. One that replaces another has the same. */
int credentials_weigh(struct credentials *cs, const struct provider *p, const char *label, unsigned weight,
    struct error *err);
int credentials_delete(struct credentials *cs, const struct provider *p, const char *label,
    struct error *err);
int credentials_delete_all(struct credentials *cs, const struct provider *p, struct error *err);
/* The user moved the provider to another origin: its keys stay but are refused. */
int credentials_origin_moved(struct credentials *cs, const struct provider *p, struct error *err);

/* The id of the row, by which a key is known to be the one that a team's bundle brought; NULL = there is no
 * such key. Borrowed until the next change. */
const char *credentials_row_id(const struct credentials *cs, const struct provider *p, const char *label);
/* Inside changes_begin/commit: the key of that row goes; it may be gone already. */
int credentials_delete_row(struct credentials *cs, const char *row_id, struct error *err);

/* What a call learned about a key; stored lazily, no change event. */
void credentials_report(struct credentials *cs, const char *provider, const char *label, int code);

/* What a provider said is left, when it was asked with that key (NULL = the usual one, whose limits are the
 * provider's: providers_limits). What one key has used up stands in no other's way. Kept in memory, until the
 * key is replaced; told on topic providers when a wall is reached or gone. */
void credentials_report_limits(struct credentials *cs, const char *provider, const char *label,
    const struct limits *l);
/* Borrowed until the next report or change; NULL = nothing was said. */
const struct limits *credentials_limits(const struct credentials *cs, const char *provider,
    const char *label);
/* What the provider said of it; kept in memory. 0 = it does not expire. */
void credentials_note_expiry(struct credentials *cs, const char *provider, const char *label,
    int64_t ends_ms);

/* Deleted and replaced keys: wiped from the WAL after the commit. */
void credentials_scrub(struct credentials *cs);

/* Inside changes_begin/commit, between vault_next_begin and vault_next_take: seals every key anew, those of
 * test sessions as well. Rows that do not open stay as they are, and are counted. */
int credentials_rekey(struct credentials *cs, size_t *unreadable, struct error *err);
/* After its commit, before vault_next_take: what is sealed in memory alone follows. */
void credentials_rekeyed(struct credentials *cs);

/* Wipes everything that was opened, keys that are only tried as well: the vault was locked. */
void credentials_close_all(struct credentials *cs);

/* ---- keys that are read from a source (credential_sources.c) ---- */

/* As credentials_set. The text was checked (key_source_check); it is stored, and sealed with the origin. */
int credentials_set_source(struct credentials *cs, const struct provider *p, const char *label,
    enum key_source_kind kind, const char *text, const char *origin, struct error *err);
/* How long what was read is kept. */
void credentials_keep_read(struct credentials *cs, int64_t keep_ms);
/* Takes what was read for the key of that id. It is wiped when that key is gone, or the vault locked. */
void credentials_was_read(struct credentials *cs, const char *id, struct secret *value);
/* Wipes what was read too long ago. Milliseconds until the next will be; -1 = none. */
int64_t credentials_drop_stale(struct credentials *cs);

/* Takes what sources name out of the environment, seals it in memory once the vault is open, and has
 * everything else forgotten (base/inherited.h). At the start, and before a variable is asked for. */
void credentials_take_environment(struct credentials *cs);
/* Whether the daemon was started with that variable. */
bool credentials_has_variable(struct credentials *cs, const char *name);
/* 0 and a new secret, or MP_E_NO_CREDENTIAL with the reason as the end of a sentence. */
int credentials_variable(struct credentials *cs, const char *name, struct secret **out,
    struct error *err);

/* ---- keys of test sessions (credential_sessions.c): never listed, and nobody else can give them their
 * labels. Whether one may be used now is for its session to say. ---- */

#define CREDENTIAL_LABEL_BYTES 32
/* "session-3". */
void credentials_session_label(int64_t session_id, char out[CREDENTIAL_LABEL_BYTES]);
bool credentials_label_reserved(const char *label);
/* Asked at every use with what the key's seal says; 0, or an error with a story. */
void credentials_judge_sessions(struct credentials *cs,
    int (*judge)(void *arg, int64_t session_id, int64_t expires_ms, struct error *err), void *arg);
/* Not opened, only whether one is there: a session that lost its key is none. */
bool credentials_has_session(const struct credentials *cs, int64_t session_id);

/* Whether s could be a key of p now: what set_session would refuse, before anybody pays for a probe. */
int credentials_check(struct credentials *cs, const struct provider *p, const struct secret *s,
    struct error *err);

/* A key in memory alone, for a probe; its label goes to out. Dropped (and wiped) by its label. */
int credentials_try(struct credentials *cs, const struct provider *p, const struct secret *s,
    char out[CREDENTIAL_LABEL_BYTES], struct error *err);
void credentials_try_end(struct credentials *cs, const char *label);

/* Inside changes_begin/commit. */
int credentials_set_session(struct credentials *cs, const struct provider *p, int64_t session_id,
    int64_t expires_ms, const struct secret *s, struct error *err);
/* Seals it anew for another end. */
int credentials_extend_session(struct credentials *cs, int64_t session_id, int64_t expires_ms,
    struct error *err);
/* Becomes an ordinary key of p; the session's own stays until it is ended. */
int credentials_keep_session(struct credentials *cs, const struct provider *p, int64_t session_id,
    const char *label, struct error *err);
/* Also of a provider that is gone. */
int credentials_end_session(struct credentials *cs, const char *provider_id, int64_t session_id,
    struct error *err);
/* At the start: keys whose session `alive` does not know. */
bool credentials_any_orphan(const struct credentials *cs,
    bool (*alive)(void *arg, int64_t session_id), void *arg);
int credentials_end_orphans(struct credentials *cs, bool (*alive)(void *arg, int64_t session_id),
    void *arg, struct error *err);

/* Its plain bytes leave memory at once, also when the row cannot be deleted. */
void credentials_close_session(struct credentials *cs, int64_t session_id);

#endif
