/* route.h - from a selector (or nothing) to a target, with the reason layer by layer.
 *
 * Precedence, highest first (DESIGN.md section 3): the request's selector, the test session it names, the
 * scope's override, the activated test session, the global temporary override, the global persistent choice,
 * the default (the built-in echo). Chains join here in later versions.
 *
 * A request that names a session and a selector goes where the selector says, with the session's key, as long
 * as that is the session's provider; elsewhere it is refused (MP_E_ORIGIN): a session's key goes to
 * its own provider alone, and the token of one is no way to the user's other keys. */
#ifndef SERVER_CALL_ROUTE_H
#define SERVER_CALL_ROUTE_H

#include "protocol/base/err.h"
#include "server/model/target.h"
#include "server/state/credentials.h"
#include "server/state/models.h"
#include "server/state/overrides.h"
#include "server/state/providers.h"
#include "server/state/sessions.h"

struct routes; /* borrows the modules it reads */

struct routes *routes_new(struct providers *ps, struct models *ms, struct overrides *os,
    struct credentials *cs);
void routes_free(struct routes *r);
/* From now on test sessions count (NULL = none). Borrowed. */
void routes_use_sessions(struct routes *r, struct sessions *ss);

enum layer_kind {
	LAYER_REQUEST,
	LAYER_NAMED_SESSION,
	LAYER_SCOPE_TEMPORARY,
	LAYER_SCOPE_PERSISTENT,
	LAYER_ACTIVATED_SESSION,
	LAYER_GLOBAL_TEMPORARY,
	LAYER_GLOBAL_PERSISTENT,
	LAYER_DEFAULT,
};

/* One layer of the reason. set = it holds a choice; won = that is the one in force. */
struct layer {
	enum layer_kind kind;
	bool set, won;
	struct target target; /* owned; valid when set */
	int64_t id, since_ms, expires_ms; /* 0 = none */
	int64_t rev;
	char scope[257];
};
#define ROUTE_LAYERS 8
struct route {
	struct target target; /* owned */
	struct layer layers[ROUTE_LAYERS];
	size_t layer_count;
	size_t winner;
	char nick[65];   /* nickname of the target, "" = none */
	char scope[257]; /* the request's, "" = none */
	int64_t session; /* the test session whose key it uses and that counts it; 0 = none */
};
void route_init(struct route *r);
void route_clear(struct route *r);

/* What a request says of where it wants to go. */
struct route_wish {
	const char *selector; /* NULL or "" = the live choice */
	struct slice session; /* token of a test session; data NULL = none */
	const char *scope;    /* NULL or "" = no scope */
};
/* The effective route. MP_E_NOT_FOUND or MP_E_AMBIGUOUS with candidates, MP_E_INVALID_PARAMS, MP_E_ORIGIN,
 * MP_E_LOCKED (a session was named). */
int routes_find(struct routes *r, const struct route_wish *wish, struct route *out, struct error *err);
/* The same without a session. */
int routes_effective(struct routes *r, const char *selector, const char *scope, struct route *out,
    struct error *err);
/* What a selector means, without any override. *why (caller frees) is a sentence: "nickname of ...". */
int routes_resolve(struct routes *r, const char *selector, struct target *out, char **why,
    struct error *err);
/* "persistent", "temporary", "session", "request", "default": Route.kind of PROTOCOL.md. */
const char *layer_kind_name(enum layer_kind k);

/* Whether a target could serve now, for status and before a call: 0, or MP_E_NO_CREDENTIAL, MP_E_LOCKED,
 * MP_E_INVALID_STATE (disabled, or a dialect this version does not speak), MP_E_ORIGIN, MP_E_TAMPERED. */
int routes_ready(struct routes *r, const struct target *t, struct error *err);

/* A call with a route of this session (0 = none) is over; cost_microusd -1 = not told. */
void routes_count(struct routes *r, int64_t session, int64_t cost_microusd);

#endif
