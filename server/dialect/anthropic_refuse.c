/* anthropic_refuse.c - what a refusal means (providers/limits-and-errors.md section 3). First the words of
 * the body, then the status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/anthropic.h"
#include "server/dialect/openai_chat.h"
#include "server/dialect/foreign.h"
#include "server/dialect/refusal.h"

#define WORD_MAX_BYTES 128
#define MESSAGE_LOOK_BYTES ((size_t)16 << 10)
#define WAIT_MAX_MS ((int64_t)24 * 3600 * 1000)

struct marker {
	const char *word;
	enum failure_class class;
};

/* details.error_code */
static const struct marker codes[] = {
	{ "enforced_spend_limit_reached", FAILURE_QUOTA },
	{ "contract_spend_limit_reached", FAILURE_QUOTA },
	{ "ramp_limit_exceeded", FAILURE_RATE_LIMIT },
	{ "organization_on_hold", FAILURE_AUTH },
	{ "request_body_too_large_after_decoding", FAILURE_CONTEXT_LENGTH },
	{ "image_dimensions_too_large", FAILURE_BAD_REQUEST },
	{ "tool_name_conflict", FAILURE_BAD_REQUEST },
};

/* The wording is not stable, but there is nothing else to go by. */
static const struct marker phrases[] = {
	{ "You have reached your specified API usage limits", FAILURE_QUOTA },
	{ "workspace API usage limits", FAILURE_QUOTA },
	{ "credit balance is too low", FAILURE_QUOTA },
	{ "prompt is too long", FAILURE_CONTEXT_LENGTH },
	{ "exceed context limit", FAILURE_CONTEXT_LENGTH },
	{ "exceeds the available context size", FAILURE_CONTEXT_LENGTH },
	{ "does not support tools", FAILURE_UNSUPPORTED },
	{ "does not support thinking", FAILURE_UNSUPPORTED },
	{ "does not support chat", FAILURE_UNSUPPORTED },
};

/* error.type; invalid_request_error says less than the status. */
static const struct marker types[] = {
	{ "authentication_error", FAILURE_AUTH },
	{ "permission_error", FAILURE_PERMISSION },
	{ "billing_error", FAILURE_QUOTA },
	{ "rate_limit_error", FAILURE_RATE_LIMIT },
	{ "not_found_error", FAILURE_NOT_FOUND },
	{ "request_too_large", FAILURE_CONTEXT_LENGTH },
	{ "overloaded_error", FAILURE_OVERLOADED },
	{ "timeout_error", FAILURE_TIMEOUT },
	{ "api_error", FAILURE_SERVER },
};

struct complaint {
	int status;
	char *type, *code; /* NULL = none */
	struct buf message;
};

static enum failure_class
look_up(const struct marker *rows, size_t n, const char *word)
{
	for (size_t i = 0; word != NULL && i < n; i++)
		if (strcmp(rows[i].word, word) == 0)
			return rows[i].class;
	return FAILURE_NONE;
}

static enum failure_class
phrase_class(const struct complaint *c)
{
	/* a word in a refused key or a server's fault means nothing */
	if (c->message.len == 0 || c->status == 401 || c->status == 403 || c->status >= 500)
		return FAILURE_NONE;
	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (strcasestr(c->message.data, phrases[i].word) != NULL)
			return phrases[i].class;
	return FAILURE_NONE;
}

static enum failure_class
class_of(const struct complaint *c, const struct wire_head *head)
{
	enum failure_class class = look_up(codes, sizeof codes / sizeof codes[0], c->code);

	if (class != FAILURE_NONE)
		return class;
	if (c->status == 401)
		return FAILURE_AUTH;
	/* a window of the plan is used up, however the body calls it */
	if (c->status == 429 &&
	    slice_eq(wire_header(head, "anthropic-ratelimit-unified-status"), "rejected"))
		return FAILURE_QUOTA;
	class = phrase_class(c);
	if (class == FAILURE_NONE)
		class = look_up(types, sizeof types / sizeof types[0], c->type);
	if (class == FAILURE_NONE && c->status != 0)
		class = refusal_status_class(c->status);
	if (class == FAILURE_NONE && c->type != NULL && strcmp(c->type, "invalid_request_error") == 0)
		class = FAILURE_BAD_REQUEST;
	return class == FAILURE_NONE ? FAILURE_SERVER : class;
}

/* Other servers may answer in the other language's form. */
static bool
is_own_form(const struct json *j)
{
	uint32_t error = json_get(j, 0, "error");

	return json_equals(j, json_get(j, 0, "type"), "error") && json_is(j, error, JSON_OBJECT) &&
	    json_is(j, json_get(j, error, "type"), JSON_STRING);
}

void
anthropic_classify(const struct provider *p, int status, const struct wire_head *head,
    const struct json *j, struct failure *out)
{
	uint32_t error = json_get(j, 0, "error");
	struct complaint c = { .status = status };
	struct slice id;

	if (!is_own_form(j)) {
		openai_chat_classify(openai_flavour_of(p), status, head, j, out);
		return;
	}
	buf_init(&c.message, MESSAGE_LOOK_BYTES);
	(void)json_string(j, json_get(j, error, "message"), &c.message);
	c.type = json_strdup(j, json_get(j, error, "type"), WORD_MAX_BYTES);
	c.code = json_strdup(j, json_path(j, error, "details", "error_code"), WORD_MAX_BYTES);
	out->class = class_of(&c, head);
	out->unsigned_may_pass = refusal_of_signatures(out->class, buf_str(&c.message));
	out->http_status = status;
	failure_set_text(out->message, sizeof out->message,
	    c.message.len > 0 ? (struct slice){ c.message.data, c.message.len } : slice_of(c.type));
	failure_set_text(out->code, sizeof out->code, slice_of(c.code != NULL ? c.code : c.type));
	if (out->request_id[0] == '\0' && json_plain(j, json_get(j, 0, "request_id"), &id))
		failure_set_text(out->request_id, sizeof out->request_id, id);
	free(c.type);
	free(c.code);
	buf_clear(&c.message);
}

/* ---- the whole ---- */

/* "You will regain access on 2026-12-01 at 00:00 UTC." */
static int64_t
regain_wait(const char *message, int64_t now_ms)
{
	static const char phrase[] = "regain access on ", pattern[] = "0000-00-00 at 00:00";
	const char *at = strstr(message, phrase);
	char moment[32];
	int64_t then;

	if (at == NULL)
		return -1;
	at += sizeof phrase - 1;
	if (strlen(at) < sizeof pattern - 1 || memcmp(at + 10, " at ", 4) != 0)
		return -1;
	snprintf(moment, sizeof moment, "%.10sT%.5s:00Z", at, at + 14);
	if (!rfc3339_parse(slice_of(moment), &then) || then <= now_ms)
		return -1;
	return then - now_ms < WAIT_MAX_MS ? then - now_ms : WAIT_MAX_MS;
}

static int64_t
wait_of(const struct wire_head *head, const struct json *j, const struct failure *f, int64_t now_ms)
{
	int64_t wait = refusal_wait_ms(head, NULL, now_ms);

	if (wait < 0 && head->status == 429)
		wait = anthropic_limits_wait_ms(head, now_ms);
	if (wait < 0 && f->class == FAILURE_QUOTA)
		wait = regain_wait(f->message, now_ms);
	return wait < 0 && j != NULL ? refusal_wait_ms(head, j, now_ms) : wait;
}

void
anthropic_refuse(const struct provider *p, const struct wire_head *head, struct slice body,
    int64_t now_ms, struct failure *out)
{
	const struct complaint silent = { .status = head->status };
	struct foreign in = { 0 };
	bool readable;

	*out = (struct failure)FAILURE_INIT;
	failure_take_head(out, head);
	readable = body.len > 0 && foreign_read(&in, body, NULL);
	if (readable) {
		anthropic_classify(p, head->status, head, &in.json, out);
	} else {
		out->class = class_of(&silent, head);
		failure_set_from_page(out, body);
	}
	out->http_status = head->status;
	if (out->class == FAILURE_CONFIG && head->status < 400)
		snprintf(out->kind, sizeof out->kind, "redirect");
	out->wait_ms = wait_of(head, readable ? &in.json : NULL, out, now_ms);
	foreign_clear(&in);
}
