/* sessions.h - test sessions: a target for a time, with the stored key or one of its own, addressed by an id
 * and by a token (DESIGN.md section 1).
 *
 * A session ends when it is stopped, when its time is up and when the machine reboots. Its end is judged at
 * every use, on the wall clock and never later than the time since boot allows: a clock that is set, a
 * suspend, a restart or kill -9 never extends it (FAULTS.md F10, F34, F35). With it goes its own key, at
 * once; row and sealed key leave the file within a second. At most one session is activated: it outranks
 * the global choice.
 *
 * What calls count is kept in memory and stored every few seconds: kill -9 may lose those. */
#ifndef SERVER_STATE_SESSIONS_H
#define SERVER_STATE_SESSIONS_H

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "protocol/base/str.h"
#include "server/base/loop.h"
#include "server/state/changes.h"
#include "server/state/credentials.h"
#include "server/state/providers.h"

#define SESSION_MIN_MS INT64_C(1000)
#define SESSION_MAX_MS (INT64_C(24) * 3600 * 1000) /* in all, extensions included */
#define SESSIONS_MAX 2048 /* open at once */

struct sessions;

struct session {
	int64_t id;
	const char *provider_id;
	const char *model;
	const char *label; /* of the credential: a stored one, or its own */
	bool has_key;      /* its own */
	bool activated;
	int64_t started_ms, expires_ms;
	int64_t ended_ms;      /* 0 = open */
	const char *ended_why; /* "expired", "stopped", ...; "" while open */
	int64_t rev;
};

int sessions_new(struct store *store, struct vault *vault, struct providers *providers,
    struct credentials *credentials, struct changes *changes, struct loop *loop,
    struct sessions **out, struct error *err);
void sessions_free(struct sessions *ss); /* stores what was counted */

/* ---- looking: open ones, judged at the moment of asking. Borrowed until the next change. ---- */

const struct session *sessions_find(const struct sessions *ss, int64_t id); /* NULL = none */
const struct session *sessions_activated(const struct sessions *ss);        /* NULL = none */
/* MP_E_NOT_FOUND with a story (it has ended), or MP_E_LOCKED. */
int sessions_find_token(const struct sessions *ss, struct slice token, const struct session **out,
    struct error *err);
void sessions_each(const struct sessions *ss, void (*each)(void *arg, const struct session *s),
    void *arg); /* by id */
size_t sessions_count(const struct sessions *ss);
/* One of those that ended lately (the last 64 of this run). NULL = not remembered. */
const struct session *sessions_ended(const struct sessions *ss, int64_t id);
/* Milliseconds it may last; 0 when it has ended. */
int64_t session_left_ms(const struct session *s);

/* ---- inside changes_begin/commit; afterwards sessions_scrub ---- */

struct session_start {
	const struct provider *provider;
	const char *model;
	const char *label;        /* of a stored credential; NULL = "default" */
	const struct secret *key; /* its own, NULL = none; copied */
	int64_t duration_ms;      /* SESSION_MIN_MS..SESSION_MAX_MS */
	bool activate;            /* in place of the one that is */
};
/* *token (caller frees) is given once and kept as a keyed hash only. */
int sessions_start(struct sessions *ss, const struct session_start *start, struct secret **token,
    const struct session **out, struct error *err);
int sessions_activate(struct sessions *ss, int64_t id, struct error *err);
/* The activated one stays open. False when there is none. */
bool sessions_deactivate(struct sessions *ss, int *r, struct error *err);
/* Adds to its end. MP_E_INVALID_PARAMS (field duration_ms) beyond SESSION_MAX_MS in all. */
int sessions_extend(struct sessions *ss, int64_t id, int64_t ms, struct error *err);
int sessions_stop(struct sessions *ss, int64_t id, const char *why, struct error *err);
int sessions_remove_provider(struct sessions *ss, const struct provider *p, struct error *err);

bool sessions_uses_provider(const struct sessions *ss, const struct provider *p);
/* Deleted rows and keys leave the write-ahead log. */
void sessions_scrub(struct sessions *ss);


/* MP_E_NOT_FOUND, with what is known of one that has ended. */
int sessions_unknown(const struct sessions *ss, int64_t id, struct error *err);

#endif
