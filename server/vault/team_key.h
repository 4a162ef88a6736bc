/* team_key.h - the two key pairs of a person in a team: one signs bundles (Ed25519), the other
 * opens what members sealed for him (X25519). The private halves are one secret, the seed. */
#ifndef SERVER_VAULT_TEAM_KEY_H
#define SERVER_VAULT_TEAM_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/buf.h"
#include "protocol/base/secret.h"

#define TEAM_KEY_BYTES ((size_t)32)
#define TEAM_SIGNATURE_BYTES 64
#define TEAM_SEED_BYTES 64
#define TEAM_DIGEST_BYTES 32
#define TEAM_ID_BYTES 98          /* the text of an id and its NUL */
#define TEAM_FINGERPRINT_BYTES 40 /* 32 hex digits in groups of four, and NUL */
#define TEAM_BOX_EXTRA_BYTES 48   /* a sealed box is so much longer than what is in it */

/* What others may know of a person. */
struct team_member {
	unsigned char sign[TEAM_KEY_BYTES];
	unsigned char box[TEAM_KEY_BYTES];
};

/* A new person; NULL without locked memory. The caller frees it. */
struct secret *team_seed_new(void);
/* The public halves. MP_E_TAMPERED for a seed that has not TEAM_SEED_BYTES. */
int team_seed_member(const struct secret *seed, struct team_member *out);

/* "team1-" and 91 characters: both keys and a check sum against slips of the pen. */
void team_id_text(const struct team_member *m, char out[TEAM_ID_BYTES]);
/* MP_E_INVALID_PARAMS for anything but such a text; blanks around it are passed over. */
int team_id_parse(const char *text, size_t n, struct team_member *out);

/* What people compare: 128 bits of a hash of the signing key, "3f2a-91bc-...". */
void team_fingerprint(const unsigned char sign[TEAM_KEY_BYTES], char out[TEAM_FINGERPRINT_BYTES]);
/* Whether a text that somebody typed is that fingerprint (with or without the strokes, in any case)
 * or the id of who has it. */
bool team_fingerprint_is(const unsigned char sign[TEAM_KEY_BYTES], const char *text);

/* Signs n bytes. MP_E_TAMPERED as team_seed_member. */
int team_sign(const struct secret *seed, const void *bytes, size_t n,
    unsigned char out[TEAM_SIGNATURE_BYTES]);
bool team_signed(const unsigned char sign[TEAM_KEY_BYTES], const void *bytes, size_t n,
    const unsigned char signature[TEAM_SIGNATURE_BYTES]);
/* A hash of n bytes, to know them again. */
void team_digest(const void *bytes, size_t n, unsigned char out[TEAM_DIGEST_BYTES]);

/* Appends what only this member opens. MP_E_INTERNAL; MP_E_INVALID_PARAMS for a key that cannot be one. */
int team_box_seal(const struct team_member *to, const struct secret *plain, struct buf *out);
/* 0 and a new secret; MP_E_TAMPERED when it is not for this seed or was changed. */
int team_box_open(const struct secret *seed, const void *sealed, size_t n, struct secret **out);

#endif
