/* ollama_refuse.c - what Ollama means by its errors (providers/limits-and-errors.md section 3).
 * They have no code: the status decides, unless the sentence says it better. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/ollama.h"
#include "server/dialect/refusal.h"

#define MESSAGE_LOOK_BYTES ((size_t)16 << 10)

/* from..to: the statuses for which it counts; 0 = an error inside a stream. */
static const struct {
	const char *phrase;
	int from, to;
	enum failure_class class;
} phrases[] = {
	{ "does not support", 400, 400, FAILURE_UNSUPPORTED },
	{ "server busy", 0, 599, FAILURE_OVERLOADED },
	{ "usage limit", 429, 429, FAILURE_QUOTA },
	{ "input length exceeds", 0, 599, FAILURE_CONTEXT_LENGTH },
	{ "exceeds the available context size", 0, 599, FAILURE_CONTEXT_LENGTH },
	{ "exceeds maximum context length", 0, 599, FAILURE_CONTEXT_LENGTH },
	{ "prompt too long", 0, 599, FAILURE_CONTEXT_LENGTH },
};

static enum failure_class
class_of(int status, const char *message)
{
	size_t i;

	for (i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
		if (status >= phrases[i].from && status <= phrases[i].to &&
		    strcasestr(message, phrases[i].phrase) != NULL)
			return phrases[i].class;
	}
	return status != 0 ? refusal_status_class(status) : FAILURE_SERVER;
}

/* "model 'nope' not found": how to get it. Only a plain name becomes part of a command. */
static void
add_pull(struct buf *message)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-";
	const char *name = strstr(message->data, "model ");
	size_t n;

	if (name == NULL || strcasestr(message->data, "not found") == NULL ||
	    strcasestr(message->data, "pull") != NULL)
		return;
	name += strlen("model ");
	if (*name != '\'' && *name != '"')
		return;
	n = strspn(name + 1, plain);
	if (n > 0 && n < 200 && name[1] != '-' && name[n + 1] == name[0]) {
		char word[200];

		memcpy(word, name + 1, n);
		word[n] = '\0';
		(void)buf_addf(message, "; get it on the server: ollama pull %s", word);
	}
}

/* Where to sign in. The link holds the server's public key, which is no secret, but our own nets
 * blank whatever follows "key=": written with an escape it means the same and arrives whole. */
static void
add_signin(struct buf *message, const struct json *j)
{
	char *url = foreign_word(j, json_get(j, 0, "signin_url"), 400);
	char *key;

	if (url == NULL || strncmp(url, "https://", 8) != 0 ||
	    strcspn(url, " \t\r\n\"'<>\\") != strlen(url)) {
		free(url);
		return;
	}
	key = strstr(url, "&key=");
	if (key == NULL)
		key = strstr(url, "?key=");
	(void)buf_adds(message, "; sign in on the server (ollama signin) or at ");
	if (key == NULL)
		(void)buf_adds(message, url);
	else
		(void)buf_addf(message, "%.*s%%6Bey=%s", (int)(key + 1 - url), url, key + 5);
	free(url);
}

void
ollama_classify(int status, const struct json *j, struct failure *out)
{
	uint32_t error = json_get(j, 0, "error");
	struct buf message;

	buf_init(&message, MESSAGE_LOOK_BYTES);
	if (json_is(j, error, JSON_OBJECT))
		error = json_get(j, error, "message");
	(void)json_string(j, error, &message);
	/* the searches below end at the first NUL */
	out->class = class_of(status, buf_str(&message));
	if (out->class == FAILURE_AUTH)
		add_signin(&message, j);
	if (out->class == FAILURE_NOT_FOUND && message.len > 0)
		add_pull(&message);
	/* it lacks memory, and will lack it again */
	if (strcasestr(buf_str(&message), "more system memory") != NULL && out->retry_said < 0)
		out->retry_said = 0;
	if (message.len == 0)
		(void)buf_adds(&message, "the server reported an error without words");
	failure_set_text(out->message, sizeof out->message,
	    (struct slice){ message.data, message.len });
	buf_clear(&message);
}

void
ollama_refuse(const struct provider *p, const struct wire_head *head, struct slice body,
    int64_t now_ms, struct failure *out)
{
	struct foreign in = { 0 };
	bool readable;

	(void)p;
	*out = (struct failure)FAILURE_INIT;
	readable = body.len > 0 && foreign_read(&in, body, NULL) &&
	    json_is(&in.json, 0, JSON_OBJECT);
	if (readable) {
		ollama_classify(head->status, &in.json, out);
	} else {
		out->class = refusal_status_class(head->status);
		failure_set_from_page(out, body);
	}
	out->http_status = head->status;
	if (out->class == FAILURE_CONFIG && head->status < 400)
		snprintf(out->kind, sizeof out->kind, "redirect");
	failure_take_head(out, head);
	out->wait_ms = refusal_wait_ms(head, readable ? &in.json : NULL, now_ms);
	foreign_clear(&in);
}
