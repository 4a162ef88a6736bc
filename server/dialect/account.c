#include "server/dialect/account.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/base/err.h"
#include "protocol/base/json.h"
#include "server/dialect/refusal.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define MICROUSD 6 /* decimals */

/* Dollars as micro-USD, -1 = not said. Less than nothing is nothing. */
static int64_t
money_of(const struct json *j, uint32_t at)
{
	int64_t v;
	double d;

	if (json_decimal(j, at, MICROUSD, &v))
		return v;
	return json_double(j, at, &d) && d < 0 ? 0 : -1;
}

static int64_t
count_of(const struct json *j, uint32_t at)
{
	int64_t v;

	if (!json_int(j, at, &v))
		return -1;
	return v > 0 ? v : 0;
}

static int64_t
next_month(int64_t now_ms)
{
	time_t now = (time_t)(now_ms / 1000);
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL)
		return 0;
	tm = (struct tm){ .tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1 };
	return (int64_t)timegm(&tm) * 1000;
}

/* At midnight UTC; a week begins on Monday, and 1970 began on a Thursday. */
static int64_t
reset_of(const struct json *j, uint32_t at, int64_t now_ms)
{
	int64_t day = now_ms / DAY_MS;

	if (json_equals(j, at, "daily"))
		return (day + 1) * DAY_MS;
	if (json_equals(j, at, "weekly"))
		return (day + 7 - (day + 3) % 7) * DAY_MS;
	if (json_equals(j, at, "monthly"))
		return next_month(now_ms);
	return 0;
}

static void
read_credit(const struct json *j, uint32_t data, int64_t now_ms, struct limits *out)
{
	struct limit *l = limits_name(out, "credit");

	if (l == NULL)
		return;
	l->limit = money_of(j, json_get(j, data, "limit"));
	l->remaining = money_of(j, json_get(j, data, "limit_remaining"));
	l->microusd = true;
	/* a key without a limit of its own says null */
	l->none = l->limit < 0 && l->remaining < 0;
	if (!l->none)
		l->resets_ms = reset_of(j, json_get(j, data, "limit_reset"), now_ms);
}

static void
read_free(const struct json *j, uint32_t data, int64_t now_ms, struct limits *out)
{
	uint32_t free_requests = json_get(j, data, "free_model_daily_requests");
	struct limit *l = limits_name(out, "free-requests");

	if (l == NULL)
		return;
	l->limit = count_of(j, json_get(j, free_requests, "limit"));
	l->remaining = count_of(j, json_get(j, free_requests, "remaining"));
	l->partial = true;
	l->none = l->limit < 0 && l->remaining < 0;
	if (!l->none)
		l->resets_ms = (now_ms / DAY_MS + 1) * DAY_MS;
}

static int
read_data(struct json *j, struct slice text, uint32_t *data)
{
	int r = json_read(j, text.data, text.len, JSON_LAST_KEY_WINS);

	if (r != 0)
		return r;
	*data = json_get(j, 0, "data");
	return json_is(j, *data, JSON_OBJECT) ? 0 : MP_E_INVALID_PARAMS;
}

int
account_key_reply(struct slice text, int64_t now_ms, struct account *out)
{
	struct json j = JSON_INIT;
	struct slice expires;
	uint32_t data;
	int64_t at;
	int r = read_data(&j, text, &data);

	/* every such reply tells what was used; other objects with "data" are none */
	if (r == 0 && json_get(&j, data, "usage") == JSON_NONE &&
	    json_get(&j, data, "limit_remaining") == JSON_NONE)
		r = MP_E_INVALID_PARAMS;
	if (r == 0) {
		out->limits.at_ms = now_ms;
		read_credit(&j, data, now_ms, &out->limits);
		read_free(&j, data, now_ms, &out->limits);
		if (json_plain(&j, json_get(&j, data, "expires_at"), &expires) &&
		    rfc3339_parse(expires, &at) && at > 0)
			out->key_expires_ms = at;
	}
	json_clear(&j);
	return r;
}

int
account_credits_reply(struct slice text, int64_t now_ms, struct account *out)
{
	struct json j = JSON_INIT;
	int64_t bought = -1, used = -1;
	struct limit *l;
	uint32_t data;
	int r = read_data(&j, text, &data);

	if (r == 0) {
		bought = money_of(&j, json_get(&j, data, "total_credits"));
		used = money_of(&j, json_get(&j, data, "total_usage"));
	}
	if (r == 0 && (bought < 0 || used < 0))
		r = MP_E_INVALID_PARAMS;
	if (r == 0 && (l = limits_name(&out->limits, "balance")) != NULL) {
		out->limits.at_ms = now_ms;
		l->remaining = bought > used ? bought - used : 0;
		l->microusd = true;
		/* who never bought any lives on free models */
		l->partial = bought == 0;
	}
	json_clear(&j);
	return r;
}
