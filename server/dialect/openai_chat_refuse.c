/* openai_chat_refuse.c - what an OpenAI-like server means by its errors
 * (providers/limits-and-errors.md section 3). First the words of the body, then the status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/openai_chat.h"
#include "server/dialect/foreign.h"
#include "server/dialect/refusal.h"

#define WORD_MAX_BYTES 128
#define MESSAGE_LOOK_BYTES ((size_t)16 << 10)

/* What the body says, taken out of whichever form it has. */
struct complaint {
	int status;
	uint32_t error;        /* the error object, or JSON_NONE */
	char *code, *type;     /* NULL = none */
	char *error_type;      /* OpenRouter's metadata.error_type */
	struct buf message;
};

struct marker {
	const char *word; /* exact; a '*' at the end takes any rest */
	enum failure_class class;
};

/* DashScope: the same words as OpenAI with other meanings. */
static const struct marker qwen_words[] = {
	{ "Arrearage", FAILURE_QUOTA },
	{ "AllocationQuota.FreeTierOnly", FAILURE_QUOTA },
	{ "insufficient_quota", FAILURE_RATE_LIMIT },
	{ "limit_requests", FAILURE_RATE_LIMIT },
	{ "limit_burst_rate", FAILURE_RATE_LIMIT },
	{ "Throttling*", FAILURE_RATE_LIMIT },
	{ "data_inspection_failed", FAILURE_CONTENT_POLICY },
	{ "DataInspectionFailed", FAILURE_CONTENT_POLICY },
	{ "InvalidApiKey", FAILURE_AUTH },
	{ "ModelNotFound", FAILURE_NOT_FOUND },
	{ "Model.AccessDenied", FAILURE_PERMISSION },
	{ "AccessDenied*", FAILURE_PERMISSION },
	{ "InternalError*", FAILURE_SERVER },
	{ "internal_error", FAILURE_SERVER },
	{ "ModelServingError", FAILURE_SERVER },
	{ "ModelUnavailable", FAILURE_OVERLOADED },
};

static const struct marker openrouter_types[] = {
	{ "authentication", FAILURE_AUTH },
	{ "permission_denied", FAILURE_PERMISSION },
	{ "payment_required", FAILURE_QUOTA },
	{ "rate_limit_exceeded", FAILURE_RATE_LIMIT },
	{ "provider_overloaded", FAILURE_OVERLOADED },
	{ "provider_unavailable", FAILURE_SERVER },
	{ "server", FAILURE_SERVER },
	{ "unmapped", FAILURE_SERVER },
	{ "timeout", FAILURE_TIMEOUT },
	{ "context_length_exceeded", FAILURE_CONTEXT_LENGTH },
	{ "token_limit_exceeded", FAILURE_CONTEXT_LENGTH },
	{ "string_too_long", FAILURE_CONTEXT_LENGTH },
	{ "payload_too_large", FAILURE_CONTEXT_LENGTH },
	{ "content_policy_violation", FAILURE_CONTENT_POLICY },
	{ "refusal", FAILURE_CONTENT_POLICY },
	{ "not_found", FAILURE_NOT_FOUND },
	{ "*", FAILURE_BAD_REQUEST },
};

/* OpenAI, and what its many imitators made of it. */
static const struct marker common_words[] = {
	{ "credit_balance_exhausted", FAILURE_QUOTA },
	{ "organization_spend_limit_exceeded", FAILURE_QUOTA },
	{ "project_spend_limit_exceeded", FAILURE_QUOTA },
	{ "organization_usage_limit_exceeded", FAILURE_QUOTA },
	{ "billing_hard_limit_reached", FAILURE_QUOTA },
	{ "billing_not_active", FAILURE_QUOTA },
	{ "insufficient_quota", FAILURE_QUOTA },
	{ "rate_limit_exceeded", FAILURE_RATE_LIMIT },
	{ "rate_limit_error", FAILURE_RATE_LIMIT },
	{ "invalid_api_key", FAILURE_AUTH },
	{ "authentication_error", FAILURE_AUTH },
	{ "permission_error", FAILURE_PERMISSION },
	{ "unsupported_country_region_territory", FAILURE_PERMISSION },
	{ "server_is_overloaded", FAILURE_OVERLOADED },
	{ "service_unavailable_error", FAILURE_OVERLOADED },
	{ "unavailable_error", FAILURE_OVERLOADED },
	{ "context_length_exceeded", FAILURE_CONTEXT_LENGTH },
	{ "string_above_max_length", FAILURE_CONTEXT_LENGTH },
	{ "exceed_context_size_error", FAILURE_CONTEXT_LENGTH },
	{ "model_not_found", FAILURE_NOT_FOUND },
	{ "not_found_error", FAILURE_NOT_FOUND },
	{ "content_policy_violation", FAILURE_CONTENT_POLICY },
	{ "content_filter", FAILURE_CONTENT_POLICY },
	{ "bio_policy", FAILURE_CONTENT_POLICY },
	{ "misalignment_policy_violation", FAILURE_CONTENT_POLICY },
	{ "invalid_prompt", FAILURE_CONTENT_POLICY },
	{ "not_supported_error", FAILURE_UNSUPPORTED },
	{ "server_error", FAILURE_SERVER },
	{ "api_error", FAILURE_SERVER },
};

/* Google's endpoint names its status. */
static const struct marker google_words[] = {
	{ "UNAUTHENTICATED", FAILURE_AUTH },
	{ "PERMISSION_DENIED", FAILURE_PERMISSION },
	{ "RESOURCE_EXHAUSTED", FAILURE_RATE_LIMIT },
	{ "NOT_FOUND", FAILURE_NOT_FOUND },
	{ "UNAVAILABLE", FAILURE_OVERLOADED },
	{ "DEADLINE_EXCEEDED", FAILURE_TIMEOUT },
	{ "INTERNAL", FAILURE_SERVER },
};

/* The last resort: what the sentence says. from..to: the statuses for which it counts; 0 = an error inside
 * a stream. */
static const struct {
	const char *phrase;
	int from, to;
	enum failure_class class;
} phrases[] = {
	{ "API key not valid", 0, 499, FAILURE_AUTH },
	{ "API key expired", 0, 499, FAILURE_AUTH },
	{ "Request too large for", 429, 429, FAILURE_CONTEXT_LENGTH },
	{ "free-models-per-day", 429, 429, FAILURE_QUOTA },
	{ "Range of input length", 0, 499, FAILURE_CONTEXT_LENGTH },
	{ "maximum context length", 0, 599, FAILURE_CONTEXT_LENGTH },
	{ "exceeds the available context size", 0, 599, FAILURE_CONTEXT_LENGTH },
	{ "exceed context window", 0, 599, FAILURE_CONTEXT_LENGTH },
	{ "prompt is too long", 0, 499, FAILURE_CONTEXT_LENGTH },
	{ "No models loaded", 0, 499, FAILURE_NOT_FOUND },
	{ "does not support tools", 400, 400, FAILURE_UNSUPPORTED },
	{ "does not support thinking", 400, 400, FAILURE_UNSUPPORTED },
	{ "does not support chat", 400, 400, FAILURE_UNSUPPORTED },
	{ "image input is not supported", 400, 500, FAILURE_UNSUPPORTED },
	{ "Failed to load model", 0, 599, FAILURE_SERVER },
	{ "overloaded", 500, 500, FAILURE_OVERLOADED },
	{ "server busy", 0, 599, FAILURE_OVERLOADED },
};

static bool
word_matches(const char *word, const char *pattern)
{
	size_t n = strlen(pattern);

	if (n > 0 && pattern[n - 1] == '*')
		return strncmp(word, pattern, n - 1) == 0;
	return strcmp(word, pattern) == 0;
}

static enum failure_class
look_up(const struct marker *rows, size_t n, const char *word)
{
	size_t i;

	for (i = 0; word != NULL && i < n; i++) {
		if (word_matches(word, rows[i].word))
			return rows[i].class;
	}
	return FAILURE_NONE;
}
#define LOOK_UP(rows, word) look_up((rows), sizeof(rows) / sizeof((rows)[0]), (word))

/* ---- taking the complaint apart ---- */

static char *
number_word(const struct json *j, uint32_t at)
{
	struct slice raw = json_raw(j, at);

	return json_is(j, at, JSON_NUMBER) && raw.len < WORD_MAX_BYTES ? slice_dup(raw) : NULL;
}

static void
take_status(struct complaint *c, const struct json *j)
{
	int64_t v;

	if ((c->status == 0 || c->status / 100 == 2) &&
	    json_int(j, json_get(j, c->error, "code"), &v) && v >= 400 && v <= 599)
		c->status = (int)v;
}

static void
complaint_read(struct complaint *c, const struct json *j, int status)
{
	uint32_t root = json_is(j, 0, JSON_ARRAY) ? json_item(j, 0, 0) : 0;
	uint32_t choices = json_get(j, root, "choices");
	uint32_t text;

	memset(c, 0, sizeof *c);
	c->status = status;
	c->error = json_get(j, root, "error");
	if (!json_is(j, c->error, JSON_OBJECT) && !json_is(j, c->error, JSON_STRING) &&
	    json_is(j, choices, JSON_ARRAY))
		c->error = json_get(j, json_item(j, choices, 0), "error");
	buf_init(&c->message, MESSAGE_LOOK_BYTES);
	text = c->error;
	if (!json_is(j, c->error, JSON_STRING)) {
		if (!json_is(j, c->error, JSON_OBJECT))
			c->error = root; /* DashScope's native form, vLLM, FastAPI */
		text = json_get(j, c->error, "message");
		if (!json_is(j, text, JSON_STRING))
			text = json_get(j, c->error, "detail");
	}
	(void)json_string(j, text, &c->message);
	c->code = json_strdup(j, json_get(j, c->error, "code"), WORD_MAX_BYTES);
	if (c->code == NULL)
		c->code = number_word(j, json_get(j, c->error, "code"));
	c->type = json_strdup(j, json_get(j, c->error, "type"), WORD_MAX_BYTES);
	c->error_type =
	    json_strdup(j, json_path(j, c->error, "metadata", "error_type"), WORD_MAX_BYTES);
	take_status(c, j);
}

static void
complaint_clear(struct complaint *c)
{
	free(c->code);
	free(c->type);
	free(c->error_type);
	buf_clear(&c->message);
}

static bool
says(const struct complaint *c, const char *phrase)
{
	return c->message.len > 0 && strcasestr(c->message.data, phrase) != NULL;
}

/* ---- judging it ---- */

static enum failure_class
qwen_class(const struct complaint *c)
{
	enum failure_class class;

	if (says(c, "free allocated quota exceeded") || says(c, "free tier"))
		return FAILURE_QUOTA;
	if (c->code != NULL && strcmp(c->code, "access_denied") == 0 && says(c, "overdue"))
		return FAILURE_QUOTA;
	class = LOOK_UP(qwen_words, c->code);
	if (class == FAILURE_NONE)
		class = LOOK_UP(qwen_words, c->type);
	return class;
}

static enum failure_class
openrouter_class(const struct complaint *c, const struct json *j, const struct wire_head *head)
{
	uint32_t metadata = json_get(j, c->error, "metadata");
	uint32_t source = json_get(j, metadata, "limit_source");

	if (!json_is(j, metadata, JSON_OBJECT))
		return FAILURE_NONE;
	if (json_get(j, metadata, "reasons") != JSON_NONE ||
	    json_get(j, metadata, "flagged_input") != JSON_NONE ||
	    json_get(j, metadata, "patterns") != JSON_NONE)
		return FAILURE_CONTENT_POLICY;
	/* a budget that others hold for a moment, unless no end is in sight */
	if (json_equals(j, source, "openrouter_in_flight_budget"))
		return wire_header(head, "retry-after").len > 0 ? FAILURE_RATE_LIMIT : FAILURE_QUOTA;
	if (json_is(j, source, JSON_STRING))
		return FAILURE_QUOTA;
	if (c->error_type != NULL && strcmp(c->error_type, "rate_limit_exceeded") == 0 &&
	    says(c, "free-models-per-day"))
		return FAILURE_QUOTA;
	return LOOK_UP(openrouter_types, c->error_type);
}

static enum failure_class
google_class(const struct complaint *c, const struct json *j)
{
	uint32_t details = json_get(j, c->error, "details"), item, reason;
	char *status;
	enum failure_class class;

	if (json_is(j, details, JSON_ARRAY)) {
		for (item = json_first(j, details); item != JSON_NONE; item = json_next(j, item)) {
			reason = json_get(j, item, "reason");
			if (json_equals(j, reason, "API_KEY_INVALID"))
				return FAILURE_AUTH;
		}
	}
	status = json_strdup(j, json_get(j, c->error, "status"), WORD_MAX_BYTES);
	class = LOOK_UP(google_words, status);
	free(status);
	return class;
}

static enum failure_class
common_class(const struct complaint *c)
{
	enum failure_class class = LOOK_UP(common_words, c->code);

	/* "slow_down" is a limit with 429 and overload with 503: the status says it */
	if (class == FAILURE_NONE)
		class = LOOK_UP(common_words, c->type);
	/* a gated model is not missing */
	if (class == FAILURE_NOT_FOUND && c->status == 403)
		class = FAILURE_PERMISSION;
	/* "api_error" says less than the status */
	if (class == FAILURE_SERVER && c->status != 0)
		class = FAILURE_NONE;
	return class;
}

static enum failure_class
phrase_class(const struct complaint *c)
{
	size_t i;

	for (i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
		if (c->status >= phrases[i].from && c->status <= phrases[i].to &&
		    says(c, phrases[i].phrase))
			return phrases[i].class;
	}
	return FAILURE_NONE;
}

static enum failure_class
classify(enum openai_flavour flavour, const struct complaint *c, const struct json *j,
    const struct wire_head *head)
{
	enum failure_class class = FAILURE_NONE;
	/* behind an address of one's own DashScope still signs with a request_id */
	bool qwen = flavour == FLAVOUR_QWEN ||
	    (flavour == FLAVOUR_OTHER && json_is(j, json_get(j, 0, "request_id"), JSON_STRING));

	if (qwen)
		class = qwen_class(c);
	if (class == FAILURE_NONE)
		class = openrouter_class(c, j, head);
	if (class == FAILURE_NONE && c->status == 401)
		class = FAILURE_AUTH;
	if (class == FAILURE_NONE)
		class = phrase_class(c);
	if (class == FAILURE_NONE)
		class = common_class(c);
	if (class == FAILURE_NONE)
		class = google_class(c, j);
	if (class == FAILURE_NONE)
		class = c->status != 0 ? refusal_status_class(c->status) : FAILURE_SERVER;
	return class;
}

/* ---- the story ---- */

/* OpenRouter's older form hides the upstream's own words in metadata.raw. */
static void
set_message(struct failure *out, const struct complaint *c, const struct json *j)
{
	uint32_t raw = json_path(j, c->error, "metadata", "raw");
	struct buf text = BUF_INIT;

	if (c->message.len > 0)
		(void)buf_add(&text, c->message.data, c->message.len);
	if (json_is(j, raw, JSON_STRING)) {
		(void)buf_adds(&text, text.len > 0 ? ": " : "");
		(void)json_string(j, raw, &text);
	}
	if (text.len > 0)
		failure_set_text(out->message, sizeof out->message,
		    (struct slice){ text.data, text.len });
	buf_clear(&text);
}

static void
set_code(struct failure *out, const struct complaint *c)
{
	const char *word = c->error_type;

	if (word == NULL || *word == '\0')
		word = c->code;
	if (word == NULL || *word == '\0')
		word = c->type;
	failure_set_text(out->code, sizeof out->code, slice_of(word));
}

static void
set_retry(struct failure *out, const struct complaint *c, const struct json *j)
{
	bool retryable;

	if (out->retry_said >= 0)
		return;
	if (json_bool(j, json_path(j, c->error, "availability", "retryable"), &retryable))
		out->retry_said = retryable;
	else if (says(c, "Failed to load model"))
		out->retry_said = 0; /* it lacks memory, and will lack it again */
}

void
openai_chat_classify(enum openai_flavour flavour, int status, const struct wire_head *head,
    const struct json *j, struct failure *out)
{
	struct complaint c;
	struct slice id;

	complaint_read(&c, j, status);
	out->class = classify(flavour, &c, j, head);
	out->http_status = c.status;
	set_message(out, &c, j);
	out->unsigned_may_pass = refusal_of_signatures(out->class, out->message);
	set_code(out, &c);
	set_retry(out, &c, j);
	if (out->request_id[0] == '\0' && json_plain(j, json_get(j, 0, "request_id"), &id))
		failure_set_text(out->request_id, sizeof out->request_id, id);
	complaint_clear(&c);
}

void
openai_chat_refuse(const struct provider *p, const struct wire_head *head, struct slice body,
    int64_t now_ms, struct failure *out)
{
	struct foreign in = { 0 };
	bool readable;

	*out = (struct failure)FAILURE_INIT;
	out->http_status = head->status;
	failure_take_head(out, head);
	readable = body.len > 0 && foreign_read(&in, body, NULL);
	if (readable) {
		openai_chat_classify(openai_flavour_of(p), head->status, head, &in.json, out);
	} else {
		out->class = refusal_status_class(head->status);
		failure_set_from_page(out, body);
	}
	out->http_status = head->status;
	if (out->class == FAILURE_CONFIG && head->status < 400)
		snprintf(out->kind, sizeof out->kind, "redirect");
	out->wait_ms = refusal_wait_ms(head, readable ? &in.json : NULL, now_ms);
	foreign_clear(&in);
}
