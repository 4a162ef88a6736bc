/* gemini_refuse.c - google.rpc.Status and its details to one class (providers/limits-and-errors.md
 * section 3). One status means many things here: a bad key is a 400, a closed tier is a 429. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/gemini.h"
#include "server/dialect/foreign.h"
#include "server/dialect/refusal.h"

#define WORD_MAX_BYTES ((size_t)128)
#define MESSAGE_LOOK_BYTES ((size_t)16 << 10)
#define LONG_WAIT_MS 300000 /* a minute's limit never asks for so much */

/* What the body says. */
struct complaint {
	int status;
	uint32_t error;
	char *word;   /* "RESOURCE_EXHAUSTED"; NULL = none */
	char *reason; /* of an ErrorInfo: "API_KEY_INVALID"; NULL = none */
	struct buf message;
	bool per_day;    /* a day's quota is used up */
	bool no_quota;   /* the tier has none of it at all */
	int64_t wait_ms; /* -1 = not said */
};

static const struct {
	const char *word;
	enum failure_class class;
} words[] = {
	{ "UNAUTHENTICATED", FAILURE_AUTH },
	{ "PERMISSION_DENIED", FAILURE_PERMISSION },
	{ "RESOURCE_EXHAUSTED", FAILURE_RATE_LIMIT },
	{ "NOT_FOUND", FAILURE_NOT_FOUND },
	{ "UNAVAILABLE", FAILURE_OVERLOADED },
	{ "DEADLINE_EXCEEDED", FAILURE_TIMEOUT },
	{ "CANCELLED", FAILURE_CANCELLED },
	{ "INVALID_ARGUMENT", FAILURE_BAD_REQUEST },
	{ "OUT_OF_RANGE", FAILURE_BAD_REQUEST },
	{ "FAILED_PRECONDITION", FAILURE_BAD_REQUEST },
	{ "UNIMPLEMENTED", FAILURE_UNSUPPORTED },
	{ "ABORTED", FAILURE_SERVER },
	{ "INTERNAL", FAILURE_SERVER },
	{ "UNKNOWN", FAILURE_SERVER },
	{ "DATA_LOSS", FAILURE_SERVER },
};

static bool
says(const struct complaint *c, const char *phrase)
{
	return c->message.len > 0 && strcasestr(c->message.data, phrase) != NULL;
}

/* ---- taking it apart ---- */

/* "limit: 0," but not "limit: 05" or "limit: 0.5". */
static bool
says_limit_zero(const struct complaint *c)
{
	const char *at = c->message.len > 0 ? strcasestr(c->message.data, "limit: 0") : NULL;

	if (at == NULL)
		return false;
	at += 8;
	return (*at < '0' || *at > '9') && !(*at == '.' && at[1] >= '0' && at[1] <= '9');
}

static void
read_violations(struct complaint *c, const struct json *j, uint32_t list)
{
	uint32_t item, value;
	int64_t number;
	char *id;

	if (!json_is(j, list, JSON_ARRAY))
		return;
	for (item = json_first(j, list); item != JSON_NONE; item = json_next(j, item)) {
		id = json_strdup(j, json_get(j, item, "quotaId"), WORD_MAX_BYTES * 2);
		c->per_day |= id != NULL && strstr(id, "PerDay") != NULL;
		free(id);
		value = json_get(j, item, "quotaValue");
		c->no_quota |= json_equals(j, value, "0") ||
		    (json_int(j, value, &number) && number == 0);
	}
}

static void
read_detail(struct complaint *c, const struct json *j, uint32_t item)
{
	struct slice delay;
	int64_t ms;

	if (c->reason == NULL)
		c->reason = json_strdup(j, json_get(j, item, "reason"), WORD_MAX_BYTES);
	if (json_plain(j, json_get(j, item, "retryDelay"), &delay) &&
	    go_duration_parse(delay, &ms) && ms >= 0 && c->wait_ms < 0)
		c->wait_ms = ms;
	read_violations(c, j, json_get(j, item, "violations"));
}

/* Headers come first, then RetryInfo, then the sentence. */
static void
read_wait(struct complaint *c, const struct json *j, const struct wire_head *head, int64_t now_ms)
{
	const struct wire_head none = { 0, NULL, 0 };
	int64_t wait = refusal_wait_ms(head, NULL, now_ms);

	if (wait < 0 && c->wait_ms >= 0)
		wait = c->wait_ms == 0 ? 1000 : c->wait_ms > 86400000 ? 86400000 : c->wait_ms;
	if (wait < 0)
		wait = refusal_wait_ms(&none, j, now_ms);
	c->wait_ms = wait;
}

static void
complaint_read(struct complaint *c, const struct json *j, uint32_t root,
    const struct wire_head *head, int64_t now_ms)
{
	uint32_t details, item;
	int64_t code;

	memset(c, 0, sizeof *c);
	c->status = head->status;
	c->wait_ms = -1;
	buf_init(&c->message, MESSAGE_LOOK_BYTES);
	if (json_is(j, root, JSON_ARRAY))
		root = json_item(j, root, 0);
	c->error = json_get(j, root, "error");
	if (json_is(j, c->error, JSON_STRING)) {
		(void)json_string(j, c->error, &c->message); /* a proxy on the way */
		return;
	}
	if (!json_is(j, c->error, JSON_OBJECT))
		c->error = root;
	(void)json_string(j, json_get(j, c->error, "message"), &c->message);
	c->word = json_strdup(j, json_get(j, c->error, "status"), WORD_MAX_BYTES);
	if ((c->status == 0 || c->status / 100 == 2) &&
	    json_int(j, json_get(j, c->error, "code"), &code) && code >= 400 && code <= 599)
		c->status = (int)code;
	details = json_get(j, c->error, "details");
	if (json_is(j, details, JSON_ARRAY)) {
		for (item = json_first(j, details); item != JSON_NONE; item = json_next(j, item))
			read_detail(c, j, item);
	}
	read_wait(c, j, head, now_ms);
}

static void
complaint_clear(struct complaint *c)
{
	free(c->word);
	free(c->reason);
	buf_clear(&c->message);
}

/* ---- judging it ---- */

static bool
word_is(const struct complaint *c, const char *word)
{
	return c->word != NULL && strcmp(c->word, word) == 0;
}

static bool
is_about_the_key(const struct complaint *c)
{
	static const char *const phrases[] = { "API key not valid", "API key expired",
		"API key not found", "reported as leaked" };

	/* API_KEY_SERVICE_BLOCKED and its like are of the same kind as API_KEY_INVALID */
	if (c->reason != NULL && strncmp(c->reason, "API_KEY", 7) == 0)
		return true;
	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
		if (says(c, phrases[i]))
			return true;
	}
	return false;
}

static enum failure_class
limit_class(const struct complaint *c)
{
	if (c->no_quota || says_limit_zero(c) || c->per_day || c->wait_ms > LONG_WAIT_MS)
		return FAILURE_QUOTA;
	return FAILURE_RATE_LIMIT;
}

static enum failure_class
word_class(const struct complaint *c)
{
	for (size_t i = 0; c->word != NULL && i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(c->word, words[i].word) == 0)
			return words[i].class;
	}
	return c->status != 0 ? refusal_status_class(c->status) : FAILURE_SERVER;
}

static enum failure_class
classify(const struct complaint *c)
{
	if (c->status < 500 && is_about_the_key(c))
		return FAILURE_AUTH;
	if (c->status == 401)
		return FAILURE_AUTH;
	if (c->status == 402)
		return FAILURE_QUOTA;
	if (c->status == 429 || word_is(c, "RESOURCE_EXHAUSTED"))
		return limit_class(c);
	if (says(c, "token count") && says(c, "exceeds"))
		return FAILURE_CONTEXT_LENGTH;
	if (word_is(c, "FAILED_PRECONDITION") &&
	    (says(c, "location") || says(c, "billing") || says(c, "free tier")))
		return FAILURE_PERMISSION;
	/* 5xx: the status says it as well, and proxies know only that */
	if (c->status >= 500 && c->word == NULL)
		return refusal_status_class(c->status);
	return word_class(c);
}

void
gemini_classify(const struct wire_head *head, const struct json *j, uint32_t root,
    int64_t now_ms, struct failure *out)
{
	struct complaint c;
	bool hopeless;

	complaint_read(&c, j, root, head, now_ms);
	out->class = classify(&c);
	out->http_status = c.status;
	out->unsigned_may_pass = refusal_of_signatures(out->class, buf_str(&c.message));
	hopeless = out->class == FAILURE_QUOTA && (c.no_quota || says_limit_zero(&c));
	/* the time it names brings nothing: the tier has no access */
	out->wait_ms = hopeless ? -1 : c.wait_ms;
	if (hopeless)
		out->retry_said = 0;
	failure_set_text(out->message, sizeof out->message,
	    (struct slice){ c.message.data, c.message.len });
	failure_set_text(out->code, sizeof out->code,
	    slice_of(c.reason != NULL && *c.reason != '\0' ? c.reason : c.word));
	complaint_clear(&c);
}

void
gemini_refuse(const struct provider *p, const struct wire_head *head, struct slice body,
    int64_t now_ms, struct failure *out)
{
	struct foreign in = { 0 };

	(void)p;
	*out = (struct failure)FAILURE_INIT;
	if (body.len > 0 && foreign_read(&in, body, NULL)) {
		gemini_classify(head, &in.json, 0, now_ms, out);
	} else {
		out->class = refusal_status_class(head->status);
		out->wait_ms = refusal_wait_ms(head, NULL, now_ms);
		failure_set_from_page(out, body);
	}
	out->http_status = head->status;
	failure_take_head(out, head);
	foreign_clear(&in);
}
