#include "server/vault/envelope.h"

#include <string.h>

#include <sodium.h>

#define FIRST_WORD "modelpd-team-bundle "
#define FIRST FIRST_WORD "1\n"
#define SIGNER "signer: "
#define SIGNATURE "signature: "
#define KEY_CHARS 43
#define SIGNATURE_CHARS 86
#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

#define LENGTH(literal) (sizeof(literal) - 1)
_Static_assert(ENVELOPE_HEAD_BYTES == LENGTH(FIRST) + LENGTH(SIGNER) + KEY_CHARS + 1 + LENGTH(SIGNATURE) +
	SIGNATURE_CHARS + 1 + 1, "head size");

/* What is signed. */
static int
signed_bytes(const unsigned char signer[TEAM_KEY_BYTES], struct slice content, struct buf *out)
{
	buf_init(out, ENVELOPE_MAX_BYTES + 64);
	buf_add(out, FIRST, sizeof FIRST); /* with the NUL */
	buf_add(out, signer, TEAM_KEY_BYTES);
	return buf_add(out, content.data, content.len);
}

static void
add_text(struct buf *out, const char *name, const unsigned char *bytes, size_t n)
{
	char text[SIGNATURE_CHARS + 1];

	sodium_bin2base64(text, sizeof text, bytes, n, VARIANT);
	buf_addf(out, "%s%s\n", name, text);
}

int
envelope_write(const struct secret *seed, struct slice content, struct buf *out)
{
	unsigned char signature[TEAM_SIGNATURE_BYTES];
	struct team_member me;
	struct buf bytes;
	int r;

	if (content.len > ENVELOPE_CONTENT_MAX)
		return MP_E_TOO_LARGE;
	if ((r = team_seed_member(seed, &me)) != 0)
		return r;
	if ((r = signed_bytes(me.sign, content, &bytes)) == 0)
		r = team_sign(seed, bytes.data, bytes.len, signature);
	buf_clear(&bytes);
	if (r != 0)
		return r;
	buf_adds(out, FIRST);
	add_text(out, SIGNER, me.sign, sizeof me.sign);
	add_text(out, SIGNATURE, signature, sizeof signature);
	buf_addc(out, '\n');
	buf_add(out, content.data, content.len);
	return out->failed ? MP_E_INTERNAL : 0;
}

/* ---- reading ---- */

static int
no_bundle(int line, const char *wanted, struct error *err)
{
	error_set(err, MP_E_INVALID_PARAMS, "this is no team bundle: line %d is not %s", line, wanted);
	error_hint(err, "a bundle is what mpc team seal wrote, unchanged to the last byte");
	return MP_E_INVALID_PARAMS;
}

/* A line "name: value" whose value has exactly this one spelling. */
static bool
take_line(const char **at, const char *name, size_t chars, unsigned char *out, size_t bytes)
{
	size_t skip = strlen(name), got = 0;
	char again[SIGNATURE_CHARS + 1];
	const char *value = *at + skip;

	if (memcmp(*at, name, skip) != 0 || value[chars] != '\n' ||
	    sodium_base642bin(out, bytes, value, chars, NULL, &got, NULL, VARIANT) != 0 || got != bytes)
		return false;
	sodium_bin2base64(again, sizeof again, out, bytes, VARIANT);
	*at = value + chars + 1;
	return memcmp(again, value, chars) == 0;
}

static int
read_head(const char *text, size_t n, struct envelope *out, unsigned char *signature,
    struct error *err)
{
	const char *at = text + LENGTH(FIRST);

	if (n < LENGTH(FIRST) || memcmp(text, FIRST_WORD, LENGTH(FIRST_WORD)) != 0)
		return no_bundle(1, "\"" FIRST_WORD "1\"", err);
	if (memcmp(text, FIRST, LENGTH(FIRST)) != 0) {
		error_set(err, MP_E_VERSION_MISMATCH, "this team bundle is of a kind that is not known here");
		error_hint(err, "update modelpd, or have it sealed by an older one");
		return MP_E_VERSION_MISMATCH;
	}
	if (n < ENVELOPE_HEAD_BYTES)
		return no_bundle(2, "the signer, the signature and an empty line after it", err);
	if (!take_line(&at, SIGNER, KEY_CHARS, out->signer, sizeof out->signer))
		return no_bundle(2, "\"" SIGNER "\" and a key", err);
	if (!take_line(&at, SIGNATURE, SIGNATURE_CHARS, signature, TEAM_SIGNATURE_BYTES))
		return no_bundle(3, "\"" SIGNATURE "\" and a signature", err);
	return *at == '\n' ? 0 : no_bundle(4, "empty", err);
}

int
envelope_read(const char *text, size_t n, struct envelope *out, struct error *err)
{
	unsigned char signature[TEAM_SIGNATURE_BYTES];
	struct buf bytes;
	bool good;
	int r;

	if (n > ENVELOPE_MAX_BYTES)
		return error_set(err, MP_E_TOO_LARGE, "a team bundle has at most %zu KiB",
		    ENVELOPE_MAX_BYTES >> 10);
	if ((r = read_head(text, n, out, signature, err)) != 0)
		return r;
	out->content = (struct slice){ text + ENVELOPE_HEAD_BYTES, n - ENVELOPE_HEAD_BYTES };
	good = signed_bytes(out->signer, out->content, &bytes) == 0 &&
	       team_signed(out->signer, bytes.data, bytes.len, signature);
	buf_clear(&bytes);
	if (!good) {
		error_set(err, MP_E_TAMPERED, "the signature of the team bundle does not fit: it was changed "
					      "after it was signed, or is cut off");
		error_hint(err, "get it again from who signed it");
		return MP_E_TAMPERED;
	}
	team_digest(out->content.data, out->content.len, out->digest);
	return 0;
}
