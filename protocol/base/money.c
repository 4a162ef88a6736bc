/* money.c - amounts as people write them, without a binary fraction on the way. */
#include <stdio.h>

#include "protocol/base/str.h"

#define MAX_USD 1000000000 /* far beyond anybody's money, far below what overflows */

bool
money_parse(const char **s, int64_t *microusd)
{
	int64_t whole = 0, part = 0, unit = 100000;
	const char *at = *s;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++)
		if ((whole = whole * 10 + (*at - '0')) > MAX_USD)
			return false;
	if (*at == '.') {
		if (at[1] < '0' || at[1] > '9')
			return false;
		for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10) {
			if (unit == 0)
				return false;
			part += (*at - '0') * unit;
		}
	}
	*s = at;
	*microusd = whole * 1000000 + part;
	return true;
}

void
money_text(int64_t microusd, char *out, size_t size)
{
	char decimals[8];
	int n = 6;

	snprintf(decimals, sizeof decimals, "%06d", (int)(microusd % 1000000));
	while (n > 2 && decimals[n - 1] == '0')
		n--;
	snprintf(out, size, "%lld.%.*s", (long long)(microusd / 1000000), n, decimals);
}
