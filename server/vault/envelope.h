/* envelope.h - a signed text: what a team bundle is in a file or behind a URL.
 *
 *   modelpd-team-bundle 1
 *   signer: <43 characters>
 *   signature: <86 characters>
 *   <an empty line>
 *   <the content, to the last byte>
 *
 * Keys and signatures are base64url without padding, and there is one spelling of each: no byte of
 * the file can be another without being noticed. Signed are a line of context, the signer and the
 * content as it lies there; nobody looks into the content before that fits. */
#ifndef SERVER_VAULT_ENVELOPE_H
#define SERVER_VAULT_ENVELOPE_H

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/vault/team_key.h"

#define ENVELOPE_HEAD_BYTES 173
#define ENVELOPE_CONTENT_MAX ((size_t)1 << 20)
#define ENVELOPE_MAX_BYTES (ENVELOPE_HEAD_BYTES + ENVELOPE_CONTENT_MAX)

struct envelope {
	unsigned char signer[TEAM_KEY_BYTES];
	unsigned char digest[TEAM_DIGEST_BYTES]; /* of the content */
	struct slice content;                    /* a piece of the text that was read */
};

/* Appends the envelope of a content. MP_E_TOO_LARGE, MP_E_TAMPERED (the seed), MP_E_INTERNAL. */
int envelope_write(const struct secret *seed, struct slice content, struct buf *out);
/* 0 when it is one and the signature fits. MP_E_INVALID_PARAMS: it is none (err names the place);
 * MP_E_TOO_LARGE; MP_E_VERSION_MISMATCH: of a newer kind; MP_E_TAMPERED: the signature does not
 * fit. */
int envelope_read(const char *text, size_t n, struct envelope *out, struct error *err);

#endif
