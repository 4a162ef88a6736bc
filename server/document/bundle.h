/* bundle.h - a team's bundle: what it is made of, and what taking it does (DESIGN.md section 4).
 *
 * The content of an envelope is a document of its own: what it is, whose and which version it is,
 * sections that sections.def calls shared, and keys, each sealed for some members:
 *
 *   bundle: 1
 *   team: acme
 *   version: 7
 *   providers: ...
 *   keys:
 *     lab:
 *       default:
 *         origin: https://lab.example:443
 *         for:
 *           <fingerprint of a member>: <sealed, base64>
 *
 * What it says lies over the catalogue and below the user's own rows. It is for any machine and for
 * somebody else: no files, programs, proxies or plan logins of who made it. It touches no override,
 * and a stored key of the user goes nowhere else because of it. */
#ifndef SERVER_DOCUMENT_BUNDLE_H
#define SERVER_DOCUMENT_BUNDLE_H

#include "server/document/document.h"
#include "server/state/team.h"
#include "server/vault/envelope.h"

#define BUNDLE_FORMAT 1

/* ---- making one ---- */

struct bundle_key_order {
	const char *provider, *label;
};

/* Borrowed. */
struct bundle_order {
	const char *team;
	const char *sections; /* names, space separated; NULL = all that are shared */
	const struct team_member *members;
	size_t member_count;
	const struct bundle_key_order *keys;
	size_t key_count;
};

struct bundle_made {
	struct buf text; /* the envelope */
	int64_t version;
	struct sentences notes; /* what was left out, and why */
};
void bundle_made_clear(struct bundle_made *m);

/* A bundle of the user's own rows, signed, with the next version of that team. Makes our team keys
 * when there are none. MP_E_INVALID_PARAMS, MP_E_NOT_FOUND, MP_E_LOCKED, MP_E_TOO_LARGE, and what
 * opening keys says. */
int bundle_seal(const struct document_parts *parts, const struct bundle_order *order,
    const struct document_cause *cause, struct bundle_made *out, struct error *err);

/* ---- taking one ---- */

struct bundle_result {
	struct document_result what; /* places count the lines of the whole file */
	char *team;                  /* NULL when it could not be read */
	int64_t version;
	int64_t held_version; /* 0 = that team's is not held */
	unsigned char signer[TEAM_KEY_BYTES];
	bool is_signed; /* the signer above is known to have made it */
	bool is_ours;   /* and that was us */
	size_t keys;    /* opened for us */
};
void bundle_result_clear(struct bundle_result *r);

/* Finds out what taking it would do, and changes nothing. 0 whether there are problems or not;
 * MP_E_INVALID_PARAMS, MP_E_VERSION_MISMATCH, MP_E_TOO_LARGE and MP_E_TAMPERED as envelope_read;
 * MP_E_NOT_PERMITTED: another signer than of the one that is held; MP_E_CONFLICT: older than what
 * was here, or the same version with another content; MP_E_LOCKED when a key is for us and cannot
 * be stored. */
int bundle_check(const struct document_parts *parts, const char *text, size_t n,
    struct bundle_result *out, struct error *err);

struct bundle_consent {
	const char *signer; /* a fingerprint or id: who must have signed it, or MP_E_NOT_PERMITTED */
	bool losses;
};
/* Takes it, or changes nothing: the errors of check; MP_E_INVALID_PARAMS with problems;
 * MP_E_CONFLICT when there are losses and no consent to them. */
int bundle_add(const struct document_parts *parts, const char *text, size_t n,
    const struct bundle_consent *consent, const struct bundle_source *from,
    const struct document_cause *cause, struct bundle_result *out, struct error *err);

/* Everything is as if it had never been; its version is remembered. MP_E_NOT_FOUND; MP_E_CONFLICT
 * as above. With `only_try` nothing is changed, and losses are no error. */
int bundle_remove(const struct document_parts *parts, const char *team, bool only_try, bool consent,
    const struct document_cause *cause, struct bundle_result *out, struct error *err);

#endif
