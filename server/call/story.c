#include "server/call/story.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/base/log.h"

#define WORDS_MAX 200
#define REF_SIZE 400

/* One row per class: what happened, and the usual way out. %P = provider, %M = model, %U = base URL, %K = the
 * key that went along, in brackets. */
static const struct {
	const char *what;
	const char *hint;
} stories[] = {
	[FAILURE_NONE] = { "nothing went wrong", NULL },
	[FAILURE_AUTH] = { "the provider rejected the key", NULL },
	[FAILURE_PERMISSION] = { "the key may not use this model or region",
	    "allow it at the provider%K, or choose another model: mpc list %P" },
	[FAILURE_QUOTA] = { "credit or quota is used up",
	    "add credit at the provider%K, or switch: mpc providers" },
	[FAILURE_RATE_LIMIT] = { "too many requests", NULL },
	[FAILURE_OVERLOADED] = { "the provider is overloaded", NULL },
	[FAILURE_SERVER] = { "the provider failed", "try again, or look closer: mpc check %P" },
	[FAILURE_TIMEOUT] = { "no answer in time", NULL },
	[FAILURE_NETWORK] = { "cannot reach the provider", NULL },
	[FAILURE_BAD_REQUEST] = { "the provider refused the request",
	    "check the options and attachments; other models: mpc list %P" },
	[FAILURE_CONTEXT_LENGTH] = { "the prompt is too long for this model",
	    "shorten it, or choose a model with a larger context: mpc list %P" },
	[FAILURE_NOT_FOUND] = { "the provider does not know this model", NULL },
	[FAILURE_CONTENT_POLICY] = { "refused by the provider's content policy",
	    "change the prompt, or choose another provider: mpc providers" },
	[FAILURE_UNSUPPORTED] = { "this model cannot do what was asked",
	    "leave the option out, or choose another model: mpc list %P" },
	[FAILURE_PROTOCOL] = { "the answer was no proper answer",
	    "try again; if it stays so, check the URL: mpc provider show %P" },
	[FAILURE_CANCELLED] = { "cancelled", NULL },
	[FAILURE_CONFIG] = { "the provider is not set up right",
	    "check its URL: mpc provider show %P" },
};

/* Failures of our own making that carry no sentence. */
static const struct {
	const char *kind;
	const char *what;
} kinds[] = {
	{ "total", "it took too long" },
	{ "content_type", "the answer is no model's answer" },
	{ "cut", "the answer was cut off" },
};

static const char *
kind_words(const struct failure *f)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(f->kind, kinds[i].kind) == 0)
			return kinds[i].what;
	return NULL;
}

/* A carrier or a dialect that names a kind has also said what happened, in our words, not the
 * provider's. Unreadable JSON is the exception: there the message quotes it. */
static bool
says_it_itself(const struct failure *f)
{
	return f->kind[0] != '\0' && f->message[0] != '\0' && strcmp(f->kind, "json") != 0;
}

/* The key could not be read from where it is kept: nothing was sent. */
static bool
is_key_source(const struct failure *f)
{
	return strcmp(f->kind, "key_source") == 0;
}

/* The same when the vault was locked meanwhile. */
static bool
is_locked(const struct failure *f)
{
	return strcmp(f->kind, "locked") == 0;
}

static bool
never_connected(const struct failure *f)
{
	return strcmp(f->kind, "connect") == 0;
}

static const char *
base_url(const struct story *s)
{
	return s->provider != NULL && s->provider->base_url != NULL ? s->provider->base_url : "";
}

static bool
is_local(const struct story *s)
{
	return s->provider != NULL && s->provider->type == PROVIDER_LOCAL;
}

static void
date_format(int64_t ms, char *out, size_t size)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	out[0] = '\0';
	if (ms > 0 && gmtime_r(&t, &tm) != NULL)
		strftime(out, size, "%Y-%m-%d", &tm);
}

/* Which one it was, by what may be shown of it: key "default" ending in f3a9, stored 2026-01-04. */
static void
add_key(struct buf *b, const struct story *s)
{
	const struct credential *c = s->credential;
	char stored[16];

	if (c->session_id != 0)
		buf_adds(b, "temporary key");
	else
		buf_addf(b, "key \"%s\"", c->label);
	if (c->last4 != NULL && c->last4[0] != '\0')
		buf_addf(b, " ending in %s", c->last4);
	date_format(c->created_ms, stored, sizeof(stored));
	if (stored[0] != '\0')
		buf_addf(b, ", stored %s", stored);
}

static void
add_key_in_brackets(struct buf *b, const struct story *s)
{
	if (s->credential == NULL || !s->key_sent)
		return;
	buf_adds(b, " (");
	add_key(b, s);
	buf_addc(b, ')');
}

/* %P, %M, %U and %K of a table's hint. */
static void
set_hint(const struct story *s, struct error *err, const char *form)
{
	struct buf b = BUF_INIT;

	for (const char *p = form; *p != '\0'; p++) {
		if (p[0] != '%') {
			buf_addc(&b, *p);
			continue;
		}
		if (*++p == 'K') {
			add_key_in_brackets(&b, s);
			continue;
		}
		buf_adds(&b, *p == 'P' ? s->target->provider
		        : *p == 'M'    ? s->target->upstream
		                       : base_url(s));
	}
	error_hint(err, "%s", buf_str(&b));
	buf_clear(&b);
}

static bool
holds_login(const struct story *s)
{
	return s->provider != NULL && s->provider->auth == AUTH_OAUTH_PERSONAL;
}

/* The login belongs to the provider's own program; we never see it. */
static void
hint_login(const struct story *s, struct error *err)
{
	if (s->provider->login_command != NULL)
		error_hint(err, "log in with: %s", s->provider->login_command);
	else
		set_hint(s, err, "log in with the program of %P");
}

static bool
is_default(const char *label)
{
	return label == NULL || strcmp(label, "default") == 0;
}

/* A key that was refused: which one, since when, and the command that replaces it. */
static void
hint_key(const struct story *s, struct error *err)
{
	const struct credential *c = s->credential;
	struct buf b = BUF_INIT;
	char worked[16];

	if (c != NULL && c->session_id != 0) {
		error_hint(err, "that is the temporary key; with another one: mpc test %s %s --key",
		    s->target->provider, s->target->model[0] != '\0' ? s->target->model : "MODEL");
		return;
	}
	buf_addf(&b, "mpc key set %s", s->target->provider);
	if (!is_default(s->target->label))
		buf_addf(&b, " --label %s", s->target->label);
	if (c != NULL) {
		date_format(c->last_ok_ms, worked, sizeof(worked));
		buf_adds(&b, " (");
		add_key(&b, s);
		buf_addf(&b, ", %s%s)", worked[0] != '\0' ? "last worked " : "never worked yet", worked);
	}
	/* DashScope's keys are bound to a region: a right key at the wrong host looks just as wrong. */
	if (strstr(base_url(s), "dashscope") != NULL)
		buf_addf(&b, "; keys are bound to a region: is this key for that host? %s", base_url(s));
	error_hint(err, "%s", buf_str(&b));
	buf_clear(&b);
}

static void
hint_auth(const struct story *s, struct error *err)
{
	if (holds_login(s))
		hint_login(s, err);
	else if (s->provider != NULL && s->provider->auth == AUTH_NONE)
		set_hint(s, err, "sign in on the server, or give it a key: mpc provider set %P "
		    "auth=optional-key, then mpc key set %P");
	else
		hint_key(s, err);
}

static void
hint_wait(const struct story *s, const struct failure *f, struct error *err)
{
	char wait[32], form[96];

	if (f->wait_ms > 0) {
		duration_format(f->wait_ms, wait, sizeof(wait));
		snprintf(form, sizeof(form), "try again in %s%s, or switch: mpc providers", wait,
		    f->class == FAILURE_QUOTA ? "%K" : "");
		set_hint(s, err, form);
	} else {
		set_hint(s, err, "try again in a moment, or switch: mpc providers");
	}
}

static void
hint_reach(const struct story *s, const struct failure *f, struct error *err)
{
	if (strcmp(f->kind, "proxy") == 0)
		set_hint(s, err, "check the proxy, or do without: mpc provider set %P proxy=");
	else if (is_local(s) && never_connected(f))
		set_hint(s, err, "is the server running? other address: mpc provider set %P url=URL");
	else if (strcmp(f->kind, "dns") == 0 || strcmp(f->kind, "address_refused") == 0)
		set_hint(s, err, "check the URL %U and the network: mpc provider show %P");
	else
		set_hint(s, err, "check the network, then: mpc check %P");
}

static void
tell_hint(const struct story *s, const struct failure *f, struct error *err)
{
	switch (f->class) {
	case FAILURE_AUTH:
		hint_auth(s, err);
		return;
	case FAILURE_RATE_LIMIT:
	case FAILURE_OVERLOADED:
		hint_wait(s, f, err);
		return;
	case FAILURE_NETWORK:
		hint_reach(s, f, err);
		return;
	case FAILURE_TIMEOUT:
		set_hint(s, err, s->timeout_ms > 0 ? "allow more time, or look closer: mpc check %P"
		                                   : "try again, or look closer: mpc check %P");
		return;
	case FAILURE_NOT_FOUND:
		set_hint(s, err, s->checking  ? "check the URL, most end in /v1: mpc provider show %P"
		        : is_local(s)         ? "load %M in the server, or choose: mpc list %P"
		                              : "choose one it has: mpc list %P");
		return;
	case FAILURE_QUOTA:
		if (f->wait_ms > 0) {
			hint_wait(s, f, err);
			return;
		}
		break;
	case FAILURE_NONE:
	case FAILURE_PERMISSION:
	case FAILURE_SERVER:
	case FAILURE_BAD_REQUEST:
	case FAILURE_CONTEXT_LENGTH:
	case FAILURE_CONTENT_POLICY:
	case FAILURE_UNSUPPORTED:
	case FAILURE_PROTOCOL:
	case FAILURE_CANCELLED:
	case FAILURE_CONFIG:
		break;
	}
	if (is_locked(f)) {
		error_hint(err, "mpc unlock");
		return;
	}
	if (is_key_source(f)) {
		set_hint(s, err, "try its source by hand, or give it another: mpc key set %P");
		return;
	}
	if (strcmp(f->kind, "program") == 0) {
		set_hint(s, err, "install it, or say where it is: mpc provider set %P program=/FULL/PATH");
		return;
	}
	if (stories[f->class].hint != NULL)
		set_hint(s, err, stories[f->class].hint);
}

/* What happened, in our words, with the status and for how long we waited. */
static void
add_what(struct buf *b, const struct story *s, const struct failure *f)
{
	const char *finer = kind_words(f);
	char span[32];

	if (says_it_itself(f))
		buf_adds(b, f->message);
	else if (f->class == FAILURE_AUTH && holds_login(s))
		buf_adds(b, "the provider's program is not logged in");
	else if (f->class == FAILURE_AUTH && !s->key_sent)
		buf_adds(b, "the provider asks for a key");
	else if (f->class == FAILURE_NOT_FOUND && s->checking)
		buf_adds(b, "the provider has no such address");
	else
		buf_adds(b, finer != NULL ? finer : stories[f->class].what);
	if (f->http_status >= 300 && f->request_id[0] != '\0')
		buf_addf(b, " (HTTP %d, request %s)", f->http_status, f->request_id);
	else if (f->http_status >= 300)
		buf_addf(b, " (HTTP %d)", f->http_status);
	if (says_it_itself(f) || f->class != FAILURE_TIMEOUT || s->timeout_ms <= 0)
		return;
	if (s->timeout_ms < 1000)
		snprintf(span, sizeof(span), "%d ms", (int)s->timeout_ms);
	else
		duration_format(s->timeout_ms, span, sizeof(span));
	buf_addf(b, " (limit %s)", span);
}

/* The provider's own words, at most WORDS_MAX bytes, never cut inside a code point. */
static void
add_words(struct buf *b, const struct failure *f)
{
	const char *words = f->message[0] != '\0' ? f->message : f->code;
	size_t n = strlen(words);

	if (n == 0 || says_it_itself(f))
		return;
	buf_adds(b, ": ");
	if (n > WORDS_MAX) {
		n = WORDS_MAX - 3;
		n -= utf8_incomplete_tail(words, n);
		buf_add(b, words, n);
		buf_adds(b, "...");
	} else {
		buf_add(b, words, n);
	}
}

static const char *
subject(const struct story *s, char *out, size_t size)
{
	if (s->checking) {
		snprintf(out, size, "%s", s->target->provider);
		return out;
	}
	return target_ref(s->target, out, size);
}

void
failure_redact(struct failure *f)
{
	log_redact(f->message, strlen(f->message));
	log_redact(f->code, strlen(f->code));
	log_redact(f->request_id, strlen(f->request_id));
}

int
story_tell(const struct story *s, const struct failure *f, struct error *err)
{
	char ref[REF_SIZE];
	struct buf b = BUF_INIT;

	add_what(&b, s, f);
	add_words(&b, f);
	error_set(err, is_key_source(f) ? MP_E_NO_CREDENTIAL
	        : is_locked(f)          ? MP_E_LOCKED
	                                : failure_error_code(f->class),
	    "cannot use %s: %s", subject(s, ref, sizeof(ref)), buf_str(&b));
	buf_clear(&b);
	tell_hint(s, f, err);
	snprintf(err->provider, sizeof(err->provider), "%s", s->target->provider);
	err->http_status = f->http_status;
	err->retry_after_ms = f->wait_ms > 0 ? f->wait_ms : 0;
	return err->code;
}

void
story_unsent(const struct story *s, struct error *err)
{
	char ref[REF_SIZE];
	struct error told = *err;

	if (strncmp(err->message, "cannot ", 7) != 0) {
		error_set(&told, err->code, "cannot use %s: %s", subject(s, ref, sizeof(ref)),
		    err->message[0] != '\0' ? err->message : error_code(err->code));
		memcpy(told.hint, err->hint, sizeof(told.hint));
		memcpy(told.field, err->field, sizeof(told.field));
		memcpy(told.candidates, err->candidates, sizeof(told.candidates));
	}
	if (told.hint[0] == '\0' &&
	    (told.code == MP_E_NO_CREDENTIAL || told.code == MP_E_ORIGIN))
		error_hint(&told, "mpc key set %s", s->target->provider);
	snprintf(told.provider, sizeof(told.provider), "%s", s->target->provider);
	*err = told;
}
