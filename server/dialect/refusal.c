#include "server/dialect/refusal.h"

#include <stdio.h>
#include <string.h>

#include "protocol/base/buf.h"

#define WAIT_MAX_MS ((int64_t)24 * 3600 * 1000)
#define PAGE_LOOK_BYTES 4096

/* ---- the class of a status (section 2) ---- */

static const struct {
	int from, to;
	enum failure_class class;
} statuses[] = {
	{ 300, 399, FAILURE_CONFIG },
	{ 401, 401, FAILURE_AUTH },
	{ 402, 402, FAILURE_QUOTA },
	{ 403, 403, FAILURE_PERMISSION },
	{ 404, 404, FAILURE_NOT_FOUND },
	{ 408, 408, FAILURE_TIMEOUT },
	{ 409, 409, FAILURE_SERVER },
	{ 413, 413, FAILURE_CONTEXT_LENGTH },
	{ 425, 425, FAILURE_SERVER },
	{ 429, 429, FAILURE_RATE_LIMIT },
	{ 451, 451, FAILURE_CONTENT_POLICY },
	{ 498, 499, FAILURE_CANCELLED },
	{ 503, 503, FAILURE_OVERLOADED },
	{ 504, 504, FAILURE_TIMEOUT },
	{ 524, 524, FAILURE_TIMEOUT },
	{ 529, 529, FAILURE_OVERLOADED },
	{ 400, 499, FAILURE_BAD_REQUEST },
	{ 500, 599, FAILURE_SERVER },
};

enum failure_class
refusal_status_class(int status)
{
	size_t i;

	for (i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		if (status >= statuses[i].from && status <= statuses[i].to)
			return statuses[i].class;
	}
	return FAILURE_PROTOCOL;
}

/* ---- waits (section 4) ---- */

/* Decimal text times `unit` in ms; false when it is no plain non-negative number. */
static bool
decimal_ms(struct slice s, double unit, double *out)
{
	double v = 0, scale = 1;
	bool dot = false, any = false;
	size_t i;

	for (i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (c == '.' && !dot) {
			dot = true;
		} else if (c >= '0' && c <= '9') {
			any = true;
			if (dot)
				v += (c - '0') * (scale /= 10);
			else
				v = v * 10 + (c - '0');
		} else {
			return false;
		}
	}
	*out = v * unit;
	return any;
}

static int64_t
capped(double ms)
{
	if (ms > (double)WAIT_MAX_MS)
		return WAIT_MAX_MS;
	return (int64_t)(ms + 0.999);
}

/* A moment in time as a wait; the provider's own clock is the better judge of its dates. */
static int64_t
until(int64_t epoch_ms, const struct wire_head *head, int64_t now_ms)
{
	int64_t then;

	if (http_date_parse(wire_header(head, "date"), &then))
		now_ms = then;
	return epoch_ms < now_ms ? -1 : epoch_ms - now_ms;
}

/* A bare number: seconds from now, Unix seconds or Unix milliseconds, by its size. */
static int64_t
bare_reset(double v, const struct wire_head *head, int64_t now_ms)
{
	if (v < 1e6)
		return capped(v * 1000);
	if (v >= 1e9 && v < 1e11)
		return until((int64_t)(v * 1000), head, now_ms);
	if (v >= 1e12 && v < 1e15)
		return until((int64_t)v, head, now_ms);
	return -1;
}

static int64_t
retry_after(struct slice value, const struct wire_head *head, int64_t now_ms)
{
	double ms;
	int64_t epoch;

	if (decimal_ms(value, 1000, &ms))
		return capped(ms);
	if (http_date_parse(value, &epoch))
		return until(epoch, head, now_ms);
	return -1;
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Every header of that name; of duplicates the larger wait. */
static int64_t
header_wait(const struct wire_head *head, const char *name, int64_t now_ms)
{
	bool in_ms = strcmp(name, "retry-after-ms") == 0;
	int64_t wait = -1;
	double ms;
	size_t i;

	for (i = 0; i < head->header_count; i++) {
		struct slice value = head->headers[i].value;

		if (!slice_eq(head->headers[i].name, name))
			continue;
		if (!in_ms)
			wait = larger(wait, retry_after(value, head, now_ms));
		else if (decimal_ms(value, 1, &ms))
			wait = larger(wait, capped(ms));
	}
	return wait;
}

/* x-ratelimit-reset-requests and -tokens, of those that have nothing left. */
static int64_t
dimension_wait(const struct wire_head *head)
{
	static const char *const names[][2] = {
		{ "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests" },
		{ "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens" },
		{ "x-ratelimit-remaining-project-tokens", "x-ratelimit-reset-project-tokens" },
	};
	int64_t wait = -1, ms;
	double v;
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct slice reset = wire_header(head, names[i][1]);

		if (!slice_eq(wire_header(head, names[i][0]), "0"))
			continue;
		if (go_duration_parse(reset, &ms))
			wait = larger(wait, ms);
		else if (decimal_ms(reset, 1000, &v))
			wait = larger(wait, capped(v)); /* Azure: plain seconds */
	}
	return wait;
}

static int64_t
platform_reset(const struct wire_head *head, int64_t now_ms)
{
	struct slice reset = wire_header(head, "x-ratelimit-reset");
	double v;

	return decimal_ms(reset, 1, &v) ? bare_reset(v, head, now_ms) : -1;
}

/* The error object of a body, wherever it lies. */
static uint32_t
error_object(const struct json *body)
{
	uint32_t root = 0, error;

	if (json_is(body, root, JSON_ARRAY))
		root = json_item(body, root, 0);
	error = json_get(body, root, "error");
	return json_is(body, error, JSON_OBJECT) ? error : root;
}

static int64_t
body_wait(const struct json *body, const struct wire_head *head, int64_t now_ms)
{
	uint32_t error = error_object(body);
	struct slice text;
	int64_t ms;

	if (json_decimal(body, json_path(body, error, "availability", "retry_after"), 3, &ms))
		return ms;
	if (json_plain(body, json_path(body, error, "metadata", "resets_at"), &text) &&
	    rfc3339_parse(text, &ms))
		return until(ms, head, now_ms);
	return -1;
}

/* "Please try again in 7.66s." */
static int64_t
message_wait(const struct json *body)
{
	static const char *const phrases[] = { "try again in ", "retry in " };
	struct buf text = BUF_INIT;
	int64_t ms, wait = -1;
	size_t i;

	(void)json_string(body, json_get(body, error_object(body), "message"), &text);
	for (i = 0; i < 2 && wait < 0 && text.len > 0; i++) {
		const char *at = strcasestr(text.data, phrases[i]);
		struct slice s;

		if (at == NULL)
			continue;
		s.data = at + strlen(phrases[i]);
		s.len = strspn(s.data, "0123456789.hmsun\xc2\xb5");
		/* the full stop of the sentence is no part of the number */
		while (s.len > 0 && s.data[s.len - 1] == '.')
			s.len--;
		if (go_duration_parse(s, &ms))
			wait = ms;
	}
	buf_clear(&text);
	return wait;
}

int64_t
refusal_wait_ms(const struct wire_head *head, const struct json *body, int64_t now_ms)
{
	int64_t wait = header_wait(head, "retry-after-ms", now_ms);

	if (wait < 0)
		wait = header_wait(head, "retry-after", now_ms);
	if (wait < 0 && head->status == 429)
		wait = dimension_wait(head);
	if (wait < 0 && head->status == 429)
		wait = platform_reset(head, now_ms);
	if (wait < 0 && body != NULL)
		wait = body_wait(body, head, now_ms);
	if (wait < 0 && body != NULL)
		wait = message_wait(body);
	if (wait < 0)
		return -1;
	return wait == 0 ? 1000 : wait > WAIT_MAX_MS ? WAIT_MAX_MS : wait;
}

/* ---- foreign text ---- */

void
failure_set_text(char *to, size_t size, struct slice s)
{
	struct buf clean = BUF_INIT;
	size_t n;

	/* what is far too long is not even escaped */
	if (s.len > size * 2)
		s.len = size * 2;
	s.len -= s.len > 0 ? utf8_incomplete_tail(s.data, s.len) : 0;
	if (s.len > 0)
		text_escape(&clean, s.data, s.len, false);
	n = clean.len;
	if (n >= size) {
		n = size - 4;
		n -= utf8_incomplete_tail(clean.data, n);
	}
	if (n > 0)
		memcpy(to, clean.data, n);
	to[n] = '\0';
	if (n < clean.len)
		memcpy(to + n, "...", sizeof "...");
	buf_clear(&clean);
}

bool
refusal_of_signatures(enum failure_class class, const char *message)
{
	bool thought = strcasestr(message, "thought") != NULL,
	     thinking = strcasestr(message, "thinking") != NULL;

	if (class != FAILURE_BAD_REQUEST)
		return false;
	return ((thought || thinking) && strcasestr(message, "signature") != NULL) ||
	    (thinking && strcasestr(message, "cannot be modified") != NULL);
}

/* White space of any length becomes one blank. */
static void
squeeze(struct buf *out, const char *p, size_t n)
{
	size_t i;
	bool blank = false;

	for (i = 0; i < n; i++) {
		bool space = p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r';

		if (!space) {
			if (blank && out->len > 0)
				(void)buf_addc(out, ' ');
			(void)buf_addc(out, p[i]);
		}
		blank = space;
	}
}

void
failure_set_from_page(struct failure *f, struct slice body)
{
	struct buf look = BUF_INIT, text = BUF_INIT;
	const char *title, *end = NULL;

	(void)utf8_repair(&look, body.data, body.len < PAGE_LOOK_BYTES ? body.len : PAGE_LOOK_BYTES);
	title = look.len > 0 ? strcasestr(look.data, "<title") : NULL;
	if (title != NULL && (title = strchr(title, '>')) != NULL)
		end = strchr(++title, '<');
	if (title != NULL && end != NULL)
		squeeze(&text, title, (size_t)(end - title));
	else if (look.len > 0)
		squeeze(&text, look.data, look.len);
	if (end == NULL && text.len > 0 && text.data[0] == '<') {
		buf_reset(&text, 0);
		(void)buf_adds(&text, "an HTML page without a title");
	}
	if (text.len > 0)
		failure_set_text(f->message, sizeof f->message,
		    (struct slice){ text.data, text.len });
	buf_clear(&look);
	buf_clear(&text);
}

void
failure_of_protocol(struct failure *f, const char *kind, const char *message)
{
	f->class = FAILURE_PROTOCOL;
	snprintf(f->kind, sizeof f->kind, "%s", kind);
	snprintf(f->message, sizeof f->message, "%s", message);
}

void
failure_no_json(struct failure *f, struct slice body)
{
	failure_of_protocol(f, "json", "");
	failure_set_from_page(f, body);
}

void
failure_take_head(struct failure *f, const struct wire_head *head)
{
	static const char *const ids[] = { "x-request-id", "request-id", "x-generation-id", "cf-ray" };
	struct slice retry = wire_header(head, "x-should-retry");

	if (slice_eq_nocase(retry, "true"))
		f->retry_said = 1;
	else if (slice_eq_nocase(retry, "false"))
		f->retry_said = 0;
	for (size_t i = 0; i < sizeof ids / sizeof ids[0] && f->request_id[0] == '\0'; i++)
		failure_set_text(f->request_id, sizeof f->request_id, wire_header(head, ids[i]));
}
