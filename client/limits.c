#include "client/limits.h"

#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/out.h"
#include "protocol/base/buf.h"

/* How much of it there is, without its name; "" when nothing is known. */
static const char *
amount(struct app *a, const struct value *l)
{
	bool money = value_get(l, "limit_microusd") != NULL ||
		value_get(l, "remaining_microusd") != NULL;
	int64_t limit = value_int(value_get(l, money ? "limit_microusd" : "limit"), -1),
		left = value_int(value_get(l, money ? "remaining_microusd" : "remaining"), -1),
		used = value_int(value_get(l, "used_permille"), -1);
	const char *(*words)(struct app *, int64_t) = money ? out_money : out_count;

	if (limit >= 0 && left >= 0)
		return app_format(a, " %s of %s", words(a, left), words(a, limit));
	if (left >= 0)
		return app_format(a, " %s left", words(a, left));
	if (used >= 0)
		return app_format(a, " %lld %% used", (long long)((used + 5) / 10));
	if (limit >= 0)
		return app_format(a, " at most %s", words(a, limit));
	return "";
}

/* "resets in 6 min"; a time that is over means that the numbers are, too. */
static const char *
resets(struct app *a, const struct value *l, int64_t now_ms)
{
	int64_t at = value_int(value_get(l, "resets_ms"), 0), ms = at - now_ms;
	char span[32];

	if (at <= 0)
		return "";
	if (ms <= 0)
		return "has reset since";
	/* minutes that have begun count, seconds too */
	ms = ms > 60000 ? (ms + 59999) / 60000 * 60000 : (ms + 999) / 1000 * 1000;
	duration_format(ms, span, sizeof(span));
	return app_format(a, "resets in %s", span);
}

const char *
limits_words(struct app *a, const struct value *list, int64_t now_ms)
{
	struct buf b = BUF_INIT;
	const char *out, *reset, *next;

	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *l = value_at(list, i);

		buf_addf(&b, "%s%s%s%s", i > 0 ? ", " : "", app_member(a, l, "name"),
		    value_bool(value_get(l, "estimated"), false) ? " about" : "", amount(a, l));
		reset = resets(a, l, now_ms);
		if (value_bool(value_get(l, "rejected"), false) &&
		    strcmp(reset, "has reset since") != 0)
			buf_addf(&b, ", used up");
		/* several that reset together say so once, at the last of them */
		next = i + 1 < value_size(list) ? resets(a, value_at(list, i + 1), now_ms) : "";
		if (*reset != '\0' && strcmp(reset, next) != 0)
			buf_addf(&b, " (%s)", reset);
	}
	out = app_format(a, "%s", buf_str(&b));
	buf_clear(&b);
	return out;
}

/* How full the fullest window is that counts now, in percent; -1 = nobody told. */
static int64_t
window_used(const struct value *limits, int64_t now_ms)
{
	int64_t most = -1;

	for (size_t i = 0; i < value_size(limits); i++) {
		const struct value *l = value_at(limits, i);
		int64_t resets_ms = value_int(value_get(l, "resets_ms"), 0);
		int64_t used = value_int(value_get(l, "used_permille"), -1);

		if (used > most && (resets_ms == 0 || resets_ms > now_ms))
			most = used;
	}
	return most < 0 ? -1 : (most + 5) / 10;
}

const char *
limits_status(struct app *a, const struct value *provider, int64_t now_ms)
{
	const char *status = app_member(a, provider, "status"),
		   *why = app_member(a, provider, "status_message");
	int64_t until = value_int(value_get(provider, "status_until_ms"), 0);
	int64_t used = window_used(value_get(provider, "limits"), now_ms);
	const struct value *test = value_get(provider, "session");

	if (test != NULL && strcmp(status, "active") == 0)
		return app_format(
		    a, "active, test %s left", out_span(a, value_int(value_get(test, "left_ms"), 0)));
	if (until > now_ms)
		return app_format(a, "%s, %s", status, out_left(a, until, now_ms));
	if (*why == '\0' && used >= 0)
		return app_format(a, "%s, %lld %% of window used", status, (long long)used);
	if (*why == '\0')
		return status;
	return app_format(a, "%s: %s", status, after_subject(why));
}
