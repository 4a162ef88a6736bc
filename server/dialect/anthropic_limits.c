/* anthropic_limits.c - the rate-limit headers: per-minute limits, and the windows of a plan
 * (providers/anthropic-messages.md section 10). */
#include <stdio.h>
#include <string.h>

#include "server/dialect/anthropic.h"
#include "server/dialect/refusal.h"

#define WAIT_MAX_MS ((int64_t)24 * 3600 * 1000)
#define PREFIX "anthropic-ratelimit-"
#define UNIFIED PREFIX "unified-"

static const char *const dimensions[] = { "requests", "tokens", "input-tokens", "output-tokens" };

/* A plain number times `scale`, cut off; false when it is none or absurd. */
static bool
number_of(struct slice s, int64_t scale, int64_t *out)
{
	int64_t v = 0;
	bool any = false, dot = false;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (c == '.' && !dot) {
			dot = true;
			continue;
		}
		if (c < '0' || c > '9' || v > INT64_MAX / 100000)
			return false;
		any = true;
		if (dot && scale == 1)
			continue;
		v = v * 10 + (c - '0');
		if (dot)
			scale /= 10;
	}
	*out = v * scale;
	return any;
}

/* Unix seconds or RFC 3339 (proxies rewrite one into the other); 0 = none. */
static int64_t
moment_of(struct slice s)
{
	int64_t v;

	if (rfc3339_parse(s, &v))
		return v > 0 ? v : 0;
	if (!number_of(s, 1, &v) || v < 1000000000)
		return 0;
	return v < 100000000000 ? v * 1000 : v < 1000000000000000 ? v : 0;
}

static struct slice
dimension_header(const struct wire_head *head, const char *dimension, const char *what)
{
	char name[80];

	snprintf(name, sizeof name, PREFIX "%s-%s", dimension, what);
	return wire_header(head, name);
}

static void
take_dimension(const struct wire_head *head, const char *name, struct limits *out)
{
	int64_t most = -1, left = -1;
	bool any = number_of(dimension_header(head, name, "limit"), 1, &most);
	struct limit *l;

	if (!number_of(dimension_header(head, name, "remaining"), 1, &left) && !any)
		return;
	if ((l = limits_name(out, name)) == NULL)
		return;
	l->limit = most;
	l->remaining = left;
	l->resets_ms = moment_of(dimension_header(head, name, "reset"));
	l->rejected = left == 0 && head->status == 429;
}

/* ---- the windows of a plan ---- */

/* "anthropic-ratelimit-unified-5h-reset" -> "5h". Extra paid usage is no window. */
static bool
window_of(struct slice header, const char *what, char *name, size_t size)
{
	size_t prefix = sizeof UNIFIED - 1, suffix = strlen(what), n;

	if (!slice_starts(header, UNIFIED) || header.len <= prefix + suffix ||
	    memcmp(header.data + header.len - suffix, what, suffix) != 0)
		return false;
	n = header.len - prefix - suffix;
	if (n >= size)
		return false;
	memcpy(name, header.data + prefix, n);
	name[n] = '\0';
	return utf8_valid(name, n) && strlen(name) == n && strcmp(name, "overage") != 0;
}

static void
take_window_header(const struct header *h, struct limits *out)
{
	char name[sizeof out->of[0].name];
	struct limit *l;
	int64_t v;

	if (window_of(h->name, "-status", name, sizeof name)) {
		if ((l = limits_name(out, name)) != NULL)
			l->rejected = slice_eq(h->value, "rejected");
	} else if (window_of(h->name, "-reset", name, sizeof name)) {
		if ((l = limits_name(out, name)) != NULL)
			l->resets_ms = moment_of(h->value);
	} else if (window_of(h->name, "-utilization", name, sizeof name) &&
	    number_of(h->value, 1000, &v) && v <= INT32_MAX) {
		if ((l = limits_name(out, name)) != NULL)
			l->used_permille = (int32_t)v;
	}
}

/* The window that counts, where it tells nothing of its own. */
static void
take_claim(const struct wire_head *head, struct limits *out)
{
	static const char *const claims[][2] = { { "five_hour", "5h" }, { "seven_day", "7d" } };
	struct slice claim = wire_header(head, UNIFIED "representative-claim");
	bool rejected = slice_eq(wire_header(head, UNIFIED "status"), "rejected");
	char name[sizeof out->of[0].name];
	struct limit *l;

	if (!rejected || claim.len == 0 || claim.len >= sizeof name)
		return;
	for (size_t i = 0; i < out->count; i++)
		if (out->of[i].rejected)
			return;
	snprintf(name, sizeof name, "%.*s", (int)claim.len, claim.data);
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != claim.len)
		return;
	for (size_t i = 0; i < 2; i++)
		if (slice_starts(claim, claims[i][0]))
			snprintf(name, sizeof name, "%s%.*s", claims[i][1],
			    (int)(claim.len - strlen(claims[i][0])),
			    claim.data + strlen(claims[i][0]));
	if ((l = limits_name(out, name)) == NULL)
		return;
	l->rejected = true;
	if (l->resets_ms == 0)
		l->resets_ms = moment_of(wire_header(head, UNIFIED "reset"));
}

void
anthropic_limits(const struct provider *p, const struct wire_head *head, int64_t now_ms,
    struct limits *out)
{
	(void)p;
	memset(out, 0, sizeof *out);
	out->at_ms = now_ms;
	for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++)
		take_dimension(head, dimensions[i], out);
	for (size_t i = 0; i < head->header_count; i++)
		take_window_header(&head->headers[i], out);
	take_claim(head, out);
}

int64_t
anthropic_limits_wait_ms(const struct wire_head *head, int64_t now_ms)
{
	struct limits l;
	bool plan = slice_eq(wire_header(head, UNIFIED "status"), "rejected");
	int64_t latest = 0, date, wait;

	anthropic_limits(NULL, head, now_ms, &l);
	for (size_t i = 0; i < l.count; i++) {
		/* of several that refuse the latest counts */
		if (l.of[i].rejected && (l.of[i].used_permille >= 0 || l.of[i].limit < 0 || !plan) &&
		    l.of[i].resets_ms > latest)
			latest = l.of[i].resets_ms;
	}
	if (latest == 0 && plan)
		latest = moment_of(wire_header(head, UNIFIED "reset"));
	if (latest == 0)
		return -1;
	/* the provider's own clock is the better judge of its dates */
	if (http_date_parse(wire_header(head, "date"), &date))
		now_ms = date;
	wait = latest - now_ms;
	if (wait < 0)
		return -1;
	return wait == 0 ? 1000 : wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS;
}
