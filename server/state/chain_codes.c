#include "server/state/chain_codes.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"

/* The first ones hold when nothing is said. */
static const int codes[] = {
	MP_E_RATE_LIMITED,
	MP_E_QUOTA_EXCEEDED,
	MP_E_PROVIDER_UNAVAILABLE,
	MP_E_TIMEOUT,
	MP_E_AUTH_REJECTED,
	MP_E_NOT_PERMITTED,
	MP_E_NOT_FOUND,
	MP_E_UPSTREAM,
};
#define CODES (sizeof codes / sizeof codes[0])
#define CODES_DEFAULT 4

uint64_t
chain_code_bit(int code)
{
	return code < 0 && code > -64 ? UINT64_C(1) << -code : 0;
}

uint64_t
chain_fall_on_default(void)
{
	uint64_t set = 0;

	for (size_t i = 0; i < CODES_DEFAULT; i++)
		set |= chain_code_bit(codes[i]);
	return set;
}

const char *
chain_code_at(size_t i)
{
	return i < CODES ? error_code(codes[i]) : NULL;
}

bool
chain_code_parse(const char *code, uint64_t *bit)
{
	for (size_t i = 0; i < CODES; i++) {
		if (strcmp(error_code(codes[i]), code) != 0)
			continue;
		*bit = chain_code_bit(codes[i]);
		return true;
	}
	return false;
}

void
chain_codes_format(uint64_t set, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < CODES; i++) {
		if ((set & chain_code_bit(codes[i])) == 0)
			continue;
		buf_addf(out, "%s%s", any ? " " : "", error_code(codes[i]));
		any = true;
	}
}

uint64_t
chain_codes_read(const char *text)
{
	uint64_t set = 0, bit;

	for (const char *at = text + strspn(text, " "); *at != '\0';) {
		size_t n = strcspn(at, " ");
		char *word = slice_dup((struct slice){ at, n });

		if (chain_code_parse(word, &bit))
			set |= bit;
		free(word);
		at += n;
		at += strspn(at, " ");
	}
	return set;
}
