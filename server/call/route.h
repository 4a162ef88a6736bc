/* route.h - from a selector (or nothing) to a target, with the reason layer by layer.
 *
 * Precedence, highest first (DESIGN.md section 3): the request's selector, the test session it names, the
 * scope's override, the activated test session, the global temporary override, the global persistent choice,
 * the default (the built-in echo).
 *
 * The choice is a target or a chain. A chain is a list of targets: the first that can serve now is the
 * route's, those before it are passed over with the reason. Behind a target that an override chose lies the
 * chain named "default", if there is one; a request's own selector and a test session mean their target
 * alone.
 *
 * A request that names a session and a selector goes where the selector says, with the session's key, as long
 * as that is the session's provider; elsewhere it is refused (MP_E_ORIGIN): a session's key goes to
 * its own provider alone, and the token of one is no way to the user's other keys. */
#ifndef SERVER_CALL_ROUTE_H
#define SERVER_CALL_ROUTE_H

#include "protocol/base/err.h"
#include "server/model/target.h"
#include "server/state/chains.h"
#include "server/state/credentials.h"
#include "server/state/models.h"
#include "server/state/overrides.h"
#include "server/state/providers.h"
#include "server/state/sessions.h"

struct cooldowns;
struct purses;
struct routes; /* borrows the modules it reads */

struct routes *routes_new(struct providers *ps, struct models *ms, struct overrides *os,
    struct credentials *cs);
void routes_free(struct routes *r);
/* From now on test sessions count (NULL = none). Borrowed. */
void routes_use_sessions(struct routes *r, struct sessions *ss);
/* From now on what cools down is passed over (NULL = nothing does). Borrowed. */
void routes_use_cooldowns(struct routes *r, struct cooldowns *cs);
/* The same for what a used up budget is for. */
void routes_use_purses(struct routes *r, struct purses *ps);
/* The same for chains. */
void routes_use_chains(struct routes *r, struct chains *cs);

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
	char chain[65]; /* the choice is this chain, target its first; "" = none */
};
#define ROUTE_LAYERS 8

/* One of the targets of a route. */
struct route_step {
	struct target target; /* owned */
	int passed;           /* why it is passed over: MP_E_..., 0 = it can serve */
	char why[320];        /* the same for people */
	int64_t until_ms;     /* until then, wall clock; 0 = not known */
	bool guessed;         /* that time is only our guess: better than nobody */
};
struct route {
	struct target target; /* owned; that of step `at` */
	struct route_step *steps; /* owned; at least one */
	size_t step_count, at;
	char chain[65];       /* where the steps come from; "" = none, there is one step */
	bool behind;          /* that chain only stands behind the choice, which is the first step */
	uint64_t fall_on;     /* codes after which the next step is asked: chain_codes.h */
	struct layer layers[ROUTE_LAYERS];
	size_t layer_count;
	size_t winner;
	char nick[65];   /* nickname of the target, "" = none */
	char scope[257]; /* the request's, "" = none */
	bool auxiliary;  /* a check: nothing is learned from it for others */
	int64_t session; /* the test session whose key it uses and that counts it; 0 = none */
};
void route_init(struct route *r);
void route_clear(struct route *r);

/* What a request says of where it wants to go. */
struct route_wish {
	const char *selector; /* NULL or "" = the live choice */
	const char *label;    /* of the key that shall be used; NULL = the usual one */
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
/* The same for what may also be a chain: then its name is in chain, and target is its first. */
int routes_choose(struct routes *r, const char *selector, struct target *out, char chain[65], char **why,
    struct error *err);
/* Has the target use the key of that label. MP_E_NO_CREDENTIAL when its provider has none. */
int routes_label(struct routes *r, struct target *t, const char *label, struct error *err);
/* What a chain leads to, as a route without layers. False when nothing of it is there now. */
bool routes_chain(struct routes *r, const struct chain *c, struct route *out);
/* "persistent", "temporary", "session", "request", "default": Route.kind of PROTOCOL.md. */
const char *layer_kind_name(enum layer_kind k);

/* Why a target of that route is passed over now, into step; its code, 0 = it can serve. Not ready, cooling
 * down, at a limit that its provider announced, or a budget is used up. */
int routes_unfit(struct routes *r, const struct route *of, struct route_step *step);
struct cooldowns *routes_cooldowns(const struct routes *r); /* NULL = none */
struct purses *routes_purses(const struct routes *r);       /* NULL = none */

/* What its provider said is left; NULL = nothing. A test session's key is under no limit that is known. */
const struct limits *routes_limits(const struct routes *r, const struct target *t);
/* How many tokens of context its model has, as its provider or the catalogue says; 0 = unknown. */
int64_t routes_context_tokens(const struct routes *r, const struct target *t);

/* The keys of a provider that share the calls of a target. Borrowed until the next change. */
struct route_keys {
	enum key_sharing how;
	const char *provider_id;
	const struct credential *of[CREDENTIALS_PER_PROVIDER];
	size_t count;
};
/* False when none do: they do not share, there is none (a management key is none), or t names one (that with
 * another label than "default", the usual one's). */
bool routes_keys(const struct routes *r, const struct target *t, struct route_keys *out);
/* Whether t's provider would serve it now with the key of that label, as far as it is the key's own: it
 * opens, does not cool down, and no limit of it is used up. Else *until_ms: when it may again; 0 = not
 * known. */
bool routes_key_fits(struct routes *r, const struct target *t, const char *label, int64_t *until_ms);
/* Whether any of those that share would. Else *soonest_ms: when the first may again. False, too, when none
 * share. */
bool routes_any_key_fits(struct routes *r, const struct target *t, int64_t *soonest_ms);
/* routes_ready with the key of that very label. */
int routes_key_ready(struct routes *r, const struct target *t, struct error *err);

/* Whether a target could serve now, with any of the keys that share, for status and before a call: 0, or
 * MP_E_NO_CREDENTIAL, MP_E_LOCKED, MP_E_INVALID_STATE (disabled, or a dialect this version does not speak),
 * MP_E_ORIGIN, MP_E_TAMPERED. */
int routes_ready(struct routes *r, const struct target *t, struct error *err);

#endif
