#include "server/call/recognize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/json.h"
#include "server/call/probe_list.h"
#include "server/call/story.h"

#define TRY_MS 2000
#define URL_MAX_BYTES 2048

enum verdict {
	VERDICT_NO,
	VERDICT_KEY, /* it is this language, saying that a key is missing or wrong */
	VERDICT_YES,
};

/* A question, and how an answer to it is read. */
struct question {
	const char *dialect;
	const char *path;   /* below the root: the URL without its version */
	const char *suffix; /* of the root, for the base URL */
	enum auth_style style;
	enum verdict (*read)(const struct json *j, int status);
	const char *feature; /* what only this answer shows; no dialect of its own */
};

/* ---- reading ---- */

static bool
is_refusal(int status)
{
	return status == 400 || status == 401 || status == 403;
}

static enum verdict
read_ollama(const struct json *j, int status)
{
	/* llama.cpp answers here too, with a second list under "data" */
	return status < 300 && json_is(j, json_get(j, 0, "models"), JSON_ARRAY) &&
	    json_get(j, 0, "data") == JSON_NONE ? VERDICT_YES : VERDICT_NO;
}

static bool
anthropic_item(const struct json *j, uint32_t item)
{
	return json_equals(j, json_get(j, item, "type"), "model") &&
	    json_is(j, json_get(j, item, "display_name"), JSON_STRING);
}

static enum verdict
read_anthropic(const struct json *j, int status)
{
	uint32_t list = json_get(j, 0, "data");

	if (status < 300)
		return json_is(j, list, JSON_ARRAY) && anthropic_item(j, json_first(j, list))
		    ? VERDICT_YES : VERDICT_NO;
	return is_refusal(status) && json_equals(j, json_get(j, 0, "type"), "error") &&
	    json_is(j, json_get(j, 0, "error"), JSON_OBJECT) ? VERDICT_KEY : VERDICT_NO;
}

static enum verdict
read_gemini(const struct json *j, int status)
{
	uint32_t list = json_get(j, 0, "models"), error = json_get(j, 0, "error");
	struct slice name = { NULL, 0 };

	if (json_is(j, 0, JSON_ARRAY))
		error = json_get(j, json_first(j, 0), "error");
	if (status < 300)
		return json_is(j, list, JSON_ARRAY) &&
		    json_plain(j, json_get(j, json_first(j, list), "name"), &name) &&
		    slice_starts(name, "models/") ? VERDICT_YES : VERDICT_NO;
	return is_refusal(status) && json_is(j, json_get(j, error, "status"), JSON_STRING) &&
	    json_is(j, json_get(j, error, "code"), JSON_NUMBER) ? VERDICT_KEY : VERDICT_NO;
}

static enum verdict
read_openai(const struct json *j, int status)
{
	uint32_t list = json_is(j, 0, JSON_ARRAY) ? 0 : json_get(j, 0, "data");
	uint32_t item = json_first(j, list), error = json_get(j, 0, "error");

	if (status < 300) {
		if (list == JSON_NONE || (!json_is(j, list, JSON_ARRAY) && !json_is(j, list, JSON_NULL)))
			return VERDICT_NO;
		if (item != JSON_NONE && !json_is(j, json_get(j, item, "id"), JSON_STRING))
			return VERDICT_NO;
		return anthropic_item(j, item) ? VERDICT_NO : VERDICT_YES;
	}
	if ((status != 401 && status != 403) || read_anthropic(j, status) != VERDICT_NO ||
	    read_gemini(j, status) != VERDICT_NO)
		return VERDICT_NO;
	return json_is(j, error, JSON_OBJECT) || json_is(j, error, JSON_STRING) ||
	    json_is(j, json_get(j, 0, "message"), JSON_STRING) ? VERDICT_KEY : VERDICT_NO;
}

static enum verdict
read_lmstudio(const struct json *j, int status)
{
	uint32_t list = json_get(j, 0, "models"), item = json_first(j, list);

	return status < 300 && json_is(j, list, JSON_ARRAY) &&
	    (item == JSON_NONE || json_is(j, json_get(j, item, "loaded_instances"), JSON_ARRAY))
	    ? VERDICT_YES : VERDICT_NO;
}

static enum verdict
read_props(const struct json *j, int status)
{
	return status < 300 &&
	    json_is(j, json_get(j, 0, "default_generation_settings"), JSON_OBJECT)
	    ? VERDICT_YES : VERDICT_NO;
}

/* The surest first. The last but one is asked below the URL itself, which may lie anywhere. */
static const struct question questions[] = {
	{ "ollama", "/api/tags", "", AUTH_STYLE_BEARER, read_ollama, NULL },
	{ "anthropic-messages", "/v1/models", "", AUTH_STYLE_X_API_KEY, read_anthropic, NULL },
	{ "gemini", "/v1beta/models", "", AUTH_STYLE_X_GOOG_API_KEY, read_gemini, NULL },
	{ "openai-chat", "/v1/models", "/v1", AUTH_STYLE_BEARER, read_openai, NULL },
	{ "openai-chat", "/models", NULL, AUTH_STYLE_BEARER, read_openai, NULL },
	{ NULL, "/api/v1/models", "", AUTH_STYLE_BEARER, read_lmstudio, "lmstudio-api" },
	{ NULL, "/props", "", AUTH_STYLE_BEARER, read_props, "llamacpp-props" },
};
#define QUESTIONS (sizeof questions / sizeof questions[0])

/* ---- one question ---- */

struct inquiry {
	struct recognition *owner;
	const struct question *q;
	struct transfer *transfer;
	int status;
	enum verdict verdict;
	struct roster models;
	struct failure failure;
};

struct recognition {
	struct probes *owner;
	struct recognition *prev, *next;
	void (*on_done)(void *arg, const struct recognized *r);
	void *arg;
	char *url, *root;
	struct inquiry inquiries[QUESTIONS];
	size_t waiting;
	struct loop_timer *patience;
	struct loop_deferred reaper;
	bool dead;
};

static void
recognition_free(struct recognition *r)
{
	struct probes *p = r->owner;

	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		p->recognitions = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	loop_defer_cancel(p->parts.loop, &r->reaper);
	for (size_t i = 0; i < QUESTIONS; i++) {
		if (r->inquiries[i].transfer != NULL)
			transfer_cancel(r->inquiries[i].transfer);
		roster_clear(&r->inquiries[i].models);
	}
	loop_timer_free(r->patience);
	free(r->url);
	free(r->root);
	free(r);
}

static void
recognition_reap(void *arg)
{
	recognition_free(arg);
}

void
recognitions_free(struct probes *p)
{
	for (struct recognition *r = p->recognitions, *next; r != NULL; r = next) {
		next = r->next;
		recognition_free(r);
	}
}

void
recognize_cancel(struct recognition *r)
{
	if (r->dead)
		return;
	r->dead = true;
	loop_timer_stop(r->patience);
	for (size_t i = 0; i < QUESTIONS; i++) {
		if (r->inquiries[i].transfer != NULL)
			transfer_cancel(r->inquiries[i].transfer);
		r->inquiries[i].transfer = NULL;
	}
	loop_defer(r->owner->parts.loop, &r->reaper, recognition_reap, r);
}

/* ---- the verdict of all ---- */

static const struct inquiry *
winner(const struct recognition *r)
{
	for (int wanted = VERDICT_YES; wanted >= VERDICT_KEY; wanted--) {
		for (size_t i = 0; i < QUESTIONS; i++) {
			const struct inquiry *q = &r->inquiries[i];

			if (q->q->dialect != NULL && (int)q->verdict == wanted &&
			    dialect_find(q->q->dialect) != NULL)
				return q;
		}
	}
	return NULL;
}

static const char *
feature_shown(const struct recognition *r)
{
	for (size_t i = 0; i < QUESTIONS; i++)
		if (r->inquiries[i].q->feature != NULL && r->inquiries[i].verdict == VERDICT_YES)
			return r->inquiries[i].q->feature;
	return NULL;
}

/* Nobody was understood: what is worth telling is how far the likeliest question came. */
static const struct failure *
likeliest_failure(const struct recognition *r)
{
	for (size_t i = 0; i < QUESTIONS; i++)
		if (r->inquiries[i].failure.class == FAILURE_NETWORK ||
		    r->inquiries[i].failure.class == FAILURE_CONFIG ||
		    r->inquiries[i].failure.class == FAILURE_TIMEOUT)
			return &r->inquiries[i].failure;
	return NULL;
}

static void
conclude(struct recognition *r)
{
	const struct inquiry *won = winner(r);
	struct recognized out = { .models = NULL };
	char url[URL_MAX_BYTES + 8], evidence[200];

	if (r->dead)
		return;
	if (won == NULL) {
		out.failure = likeliest_failure(r);
	} else {
		out.dialect = won->q->dialect;
		if (won->q->suffix != NULL)
			snprintf(url, sizeof url, "%s%s", r->root, won->q->suffix);
		else
			snprintf(url, sizeof url, "%s", r->url);
		out.base_url = url;
		if (strcmp(won->q->dialect, "openai-chat") == 0)
			out.feature = feature_shown(r);
		out.models = &won->models;
		out.wants_key = won->verdict == VERDICT_KEY;
		if (out.wants_key)
			snprintf(evidence, sizeof evidence, "GET %s was refused as %s does (HTTP %d)",
			    won->q->path, won->q->dialect, won->status);
		else
			snprintf(evidence, sizeof evidence, "GET %s gave a list as %s does (%zu model%s)",
			    won->q->path, won->q->dialect, won->models.count,
			    won->models.count == 1 ? "" : "s");
		out.evidence = evidence;
	}
	recognize_cancel(r);
	r->on_done(r->arg, &out);
}

static void
on_late(void *arg)
{
	struct recognition *r = arg;

	for (size_t i = 0; i < QUESTIONS; i++) {
		struct inquiry *q = &r->inquiries[i];

		if (q->transfer == NULL)
			continue;
		q->failure.class = FAILURE_TIMEOUT;
		snprintf(q->failure.kind, sizeof q->failure.kind, "total");
	}
	conclude(r);
}

/* ---- transfers ---- */

static void
keep_model(void *arg, const struct listed_model *m)
{
	roster_add(arg, m);
}

static void
on_head(void *arg, const struct wire_head *head)
{
	((struct inquiry *)arg)->status = head->status;
}

static void
on_frame(void *arg, const struct frame *f)
{
	(void)arg;
	(void)f;
}

static void
on_body(void *arg, struct slice body)
{
	struct inquiry *q = arg;
	struct json j = JSON_INIT;
	const struct dialect *d = dialect_find(q->q->dialect);

	if (q->owner->dead)
		return;
	if (json_read(&j, body.data, body.len, JSON_LAST_KEY_WINS) == 0)
		q->verdict = q->q->read(&j, q->status);
	json_clear(&j);
	if (q->verdict == VERDICT_YES && d != NULL && d->list_reply != NULL)
		d->list_reply(body, keep_model, &q->models);
}

static void
on_end(void *arg, const struct failure *failure)
{
	struct inquiry *q = arg;
	struct recognition *r = q->owner;

	q->transfer = NULL;
	if (r->dead)
		return;
	if (failure != NULL)
		q->failure = *failure;
	failure_redact(&q->failure);
	if (--r->waiting == 0)
		conclude(r);
}

static const struct transfer_callbacks callbacks = { on_head, on_frame, on_body, on_end };

static void
ask(struct recognition *r, size_t i, const struct secret *key, bool local)
{
	struct inquiry *q = &r->inquiries[i];
	struct endpoint to = {
		.base_url = questions[i].suffix != NULL ? r->root : r->url,
		.local = local,
		.auth_style = key != NULL ? questions[i].style : AUTH_STYLE_NONE,
		.key = key,
		.connect_ms = TRY_MS,
		.first_byte_ms = TRY_MS,
		.silence_ms = TRY_MS,
		.total_ms = TRY_MS,
	};
	struct error err = ERROR_INIT;
	struct wire_request wire;

	wire_request_init(&wire);
	wire.method = "GET";
	snprintf(wire.path, sizeof wire.path, "%s", questions[i].path);
	if (questions[i].style == AUTH_STYLE_X_API_KEY)
		wire_request_header(&wire, "anthropic-version", "2023-06-01");
	q->transfer = transfer_start(r->owner->parts.upstream, CARRIER_HTTP, FRAMING_SSE, &to, &wire,
	    &callbacks, q, &err);
	if (q->transfer != NULL)
		r->waiting++;
	wire_request_clear(&wire);
}

/* The URL without its slashes and version at the end. */
static char *
root_of(const char *url)
{
	static const char *const versions[] = { "/v1", "/v1beta", "/api" };
	size_t n = strlen(url);

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
		size_t m = strlen(versions[i]);

		if (n > m && strcmp(url + n - m, versions[i]) == 0)
			return slice_dup((struct slice){ url, n - m });
	}
	return xstrdup(url);
}

static int
check_url(const char *url, bool *loopback, struct error *err)
{
	char *origin = NULL;
	int r = url_origin(url, &origin, loopback);

	if (r != 0 || strlen(url) > URL_MAX_BYTES) {
		error_field(err, "base_url", "\"%.160s\" is not a URL that can be used", url);
		error_hint(err, "scheme, host and path only, such as https://api.example.com/v1");
		r = MP_E_INVALID_PARAMS;
	} else if (!*loopback && strncmp(origin, "https:", 6) != 0) {
		r = error_field(err, "base_url", "%.160s must use https: keys would travel unprotected",
		    url);
		error_hint(err, "http is for this machine only (127.0.0.1, [::1], localhost)");
	}
	free(origin);
	return r;
}

struct recognition *
recognize_start(struct probes *p, const char *url, const struct secret *key,
    void (*on_done)(void *arg, const struct recognized *r), void *arg, struct error *err)
{
	struct recognition *r;
	bool loopback = false;
	size_t n;

	if (check_url(url, &loopback, err) != 0)
		return NULL;
	r = xcalloc(1, sizeof *r);
	r->owner = p;
	r->on_done = on_done;
	r->arg = arg;
	r->url = xstrdup(url);
	for (n = strlen(r->url); n > 0 && r->url[n - 1] == '/'; n--)
		r->url[n - 1] = '\0';
	r->root = root_of(r->url);
	r->patience = loop_timer_new(p->parts.loop, on_late, r);
	r->next = p->recognitions;
	if (r->next != NULL)
		r->next->prev = r;
	p->recognitions = r;
	for (size_t i = 0; i < QUESTIONS; i++) {
		r->inquiries[i] = (struct inquiry){ .owner = r, .q = &questions[i],
			.failure = FAILURE_INIT };
		ask(r, i, key, loopback);
	}
	loop_timer_start(r->patience, r->waiting > 0 ? TRY_MS : 0);
	return r;
}
