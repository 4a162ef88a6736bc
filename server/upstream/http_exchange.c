#include "server/upstream/http_exchange.h"

#include <mpd_version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/upstream/http_failure.h"

#define FIRST_BYTE_MS 120000
#define SILENCE_MS 60000
#define TOTAL_MS 1800000
#define URL_MAX 4096

void
exchange_fail(struct exchange *x, enum failure_class class, const char *kind, const char *what)
{
	if (x->failed)
		return;
	x->failed = true;
	if (x->answer.mode != ANSWER_HEAD || x->answer.status >= 300)
		x->failure.http_status = x->answer.status;
	failure_say(&x->failure, class, kind, "%s %s", x->origin, what);
}

/* ---- the end ---- */

static void
drop_headers(struct exchange *x)
{
	struct curl_slist *h;

	/* one of them holds the key */
	for (h = x->headers; h != NULL; h = h->next)
		secret_wipe(h->data, strlen(h->data));
	curl_slist_free_all(x->headers);
	x->headers = NULL;
}

static void
detach(struct exchange *x, bool spoiled)
{
	if (x->easy == NULL)
		return;
	if (x->stack != NULL)
		http_remove(x->stack, x->easy);
	http_give(x->base.up->http, &x->binding, x->easy, spoiled);
	x->easy = NULL;
	drop_headers(x);
}

static void
exchange_advance(struct exchange *x);

/* The library is done, for good or bad. */
static void
exchange_done(void *arg, CURLcode code)
{
	struct exchange *x = arg;
	struct answer *a = &x->answer;
	struct http_story story = { &x->guard, x->origin, x->detail, false, x->got_bytes, 0 };
	curl_off_t connected_us = 0;

	if (x->base.over || x->easy == NULL)
		return;
	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &story.os_error);
	curl_easy_getinfo(x->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
	story.connected = connected_us > 0;
	detach(x, code != CURLE_OK);
	/* a refusal whose body is cut is a refusal all the same */
	if (code != CURLE_OK && !a->enough && !x->failed &&
	    a->mode != ANSWER_REFUSAL && a->mode != ANSWER_SKIP) {
		x->failed = true;
		x->failure.http_status = a->status;
		http_failure(code, &story, &x->failure);
	}
	exchange_advance(x);
}

/* Goes as far as it can: held frames, then the library's rest, then the end. */
static void
exchange_advance(struct exchange *x)
{
	CURLcode code;

	if (!answer_drain(x) && !x->failed)
		return;
	if (x->base.over)
		return;
	if (x->easy != NULL && x->failed)
		detach(x, true);
	if (x->easy != NULL) {
		if (!x->library_paused || x->base.paused)
			return;
		x->library_paused = false;
		/* delivers what it kept from inside this call */
		code = curl_easy_pause(x->easy, CURLPAUSE_CONT);
		if (code != CURLE_OK)
			exchange_done(x, code);
		return;
	}
	if (x->base.paused)
		return;
	if (!x->failed && !x->tail_sent) {
		x->tail_sent = true;
		answer_finish(x);
		if (x->base.over || x->base.paused)
			return;
	}
	transfer_end(&x->base, &x->failure);
}

static void
exchange_resume(void *arg)
{
	struct exchange *x = arg;

	if (!x->base.over)
		exchange_advance(x);
}

static void
exchange_pause(struct transfer *t, bool paused)
{
	struct exchange *x = (struct exchange *)t;

	if (paused)
		return; /* the next block that comes is left with the library */
	x->last_byte_ms = clock_monotonic_ms();
	loop_defer(t->up->loop, &x->resume, exchange_resume, x);
}

static void
exchange_free(struct exchange *x)
{
	loop_defer_cancel(x->base.up->loop, &x->resume);
	detach(x, true);
	drop_headers(x);
	loop_timer_free(x->watchdog);
	answer_clear(&x->answer);
	buf_clear(&x->request);
	free(x->origin);
	free(x);
}

static void
exchange_release(struct transfer *t)
{
	exchange_free((struct exchange *)t);
}

static const struct carrier_ops exchange_ops = { .pause = exchange_pause, .release = exchange_release };

/* ---- the clock ---- */

static void
time_out(struct exchange *x, const char *kind, const char *what, int64_t limit_ms)
{
	char span[32];
	char text[96];

	duration_format(limit_ms, span, sizeof span);
	snprintf(text, sizeof text, "%s %s", what, span);
	exchange_fail(x, FAILURE_TIMEOUT, kind, text);
	detach(x, true);
	transfer_end(&x->base, &x->failure);
}

/* How often an upload is looked at within the wait for the first byte. */
#define UPLOAD_LOOKS 8

/* A large request on a thin line is no silent provider: the wait starts anew while bytes go out. */
static void
note_upload(struct exchange *x, int64_t now)
{
	curl_off_t sent = 0;

	if (curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
	    sent > x->uploaded) {
		x->uploaded = sent;
		x->waiting_ms = now;
	}
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void
watch(void *arg)
{
	struct exchange *x = arg;
	int64_t now = clock_monotonic_ms(), left, total_left;

	if (x->base.over || x->easy == NULL)
		return;
	total_left = x->started_ms + x->total_limit - now;
	if (total_left <= 0) {
		time_out(x, "total", "did not finish within", x->total_limit);
		return;
	}
	if (!x->got_bytes) {
		note_upload(x, now);
		left = x->waiting_ms + x->first_byte_limit - now;
		/* until all is sent, look often enough to know when the wait began */
		if (left > 0 && x->uploaded < (curl_off_t)x->request.len)
			left = smaller(left, x->first_byte_limit / UPLOAD_LOOKS);
		if (left <= 0) {
			time_out(x, "first_byte", "sent no answer within", x->first_byte_limit);
			return;
		}
	} else if (x->base.paused) {
		left = x->silence_limit;
	} else {
		left = x->last_byte_ms + x->silence_limit - now;
		if (left <= 0) {
			time_out(x, "silence", "sent nothing more for", x->silence_limit);
			return;
		}
	}
	/* looks again when the shortest limit could be over; bytes that come do not touch the timer */
	loop_timer_start(x->watchdog, smaller(left, smaller(total_left, x->silence_limit)));
}

static void
set_limits(struct exchange *x, const struct endpoint *to)
{
	x->first_byte_limit = to->first_byte_ms > 0 ? to->first_byte_ms : FIRST_BYTE_MS;
	x->silence_limit = to->silence_ms > 0 ? to->silence_ms : SILENCE_MS;
	x->total_limit = to->total_ms > 0 ? to->total_ms : TOTAL_MS;
	x->started_ms = x->waiting_ms = x->last_byte_ms = clock_monotonic_ms();
}

/* ---- the beginning ---- */

static const char *const auth_prefix[] = {
	[AUTH_STYLE_NONE] = NULL,
	[AUTH_STYLE_BEARER] = "Authorization: Bearer ",
	[AUTH_STYLE_X_API_KEY] = "x-api-key: ",
	[AUTH_STYLE_X_GOOG_API_KEY] = "x-goog-api-key: ",
};

static int
add_header(struct exchange *x, const char *line)
{
	struct curl_slist *more = curl_slist_append(x->headers, line);

	if (more == NULL)
		return MP_E_INTERNAL;
	x->headers = more;
	return 0;
}

static int
add_key(struct exchange *x, const struct endpoint *to, struct error *err)
{
	struct buf line;
	int r;

	if (to->key == NULL || auth_prefix[to->auth_style] == NULL)
		return 0;
	if (!secret_text_valid(secret_bytes(to->key), secret_len(to->key)))
		return error_set(err, MP_E_INVALID_PARAMS,
		    "the key holds characters that no header can carry");
	buf_init_secret(&line, SECRET_MAX_BYTES + 64);
	if ((r = buf_adds(&line, auth_prefix[to->auth_style])) == 0 &&
	    (r = buf_add(&line, secret_bytes(to->key), secret_len(to->key))) == 0)
		r = add_header(x, line.data);
	buf_clear(&line);
	return r;
}

static int
add_headers(struct exchange *x, const struct endpoint *to, const struct wire_request *req,
    struct error *err)
{
	char line[512];
	size_t i;
	int r;

	for (i = 0; i < req->header_count; i++) {
		snprintf(line, sizeof line, "%s: %s", req->headers[i].name, req->headers[i].value);
		if ((r = add_header(x, line)) != 0)
			return r;
	}
	/* no coding was asked for; no "Expect: 100-continue", which costs a round trip */
	if ((r = add_header(x, "Accept-Encoding: identity")) != 0 ||
	    (r = add_header(x, "User-Agent: modelpd/" MPD_VERSION)) != 0 ||
	    (r = add_header(x, "Expect:")) != 0)
		return r;
	return add_key(x, to, err);
}

static CURLcode
set_request(struct exchange *x, const char *url, const struct wire_request *req)
{
	CURL *e = x->easy;
	CURLcode r;

	if ((r = curl_easy_setopt(e, CURLOPT_URL, url)) != CURLE_OK ||
	    (r = curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers)) != CURLE_OK ||
	    (r = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->detail)) != CURLE_OK ||
	    (r = curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, answer_on_header)) != CURLE_OK ||
	    (r = curl_easy_setopt(e, CURLOPT_HEADERDATA, x)) != CURLE_OK ||
	    (r = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, answer_on_write)) != CURLE_OK ||
	    (r = curl_easy_setopt(e, CURLOPT_WRITEDATA, x)) != CURLE_OK)
		return r;
	if (strcmp(req->method, "GET") == 0)
		return curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	/* the body is read from where it lies */
	if ((r = curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->request.len)) !=
	        CURLE_OK ||
	    (r = curl_easy_setopt(e, CURLOPT_POSTFIELDS, buf_str(&x->request))) != CURLE_OK)
		return r;
	if (strcmp(req->method, "POST") == 0)
		return CURLE_OK;
	return curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method);
}

static int
make_url(char *out, size_t size, const struct endpoint *to, const char *origin,
    const struct wire_request *req, struct error *err)
{
	const char *base = req->at_origin ? origin : to->base_url;
	size_t n = strlen(base);

	while (n > 0 && base[n - 1] == '/')
		n--;
	if ((size_t)snprintf(out, size, "%.*s%s", (int)n, base, req->path) >= size)
		return error_field(err, "base_url", "the URL is longer than %d bytes", URL_MAX);
	return 0;
}

static int
exchange_open(struct exchange *x, const struct endpoint *to, struct wire_request *req,
    struct error *err)
{
	struct http *h = x->base.up->http;
	char url[URL_MAX];
	int r;

	if ((r = http_guard_init(&x->guard, to, &x->origin, err)) != 0 ||
	    (r = make_url(url, sizeof url, to, x->origin, req, err)) != 0 ||
	    (r = add_headers(x, to, req, err)) != 0)
		return r;
	x->request = req->body;
	buf_init(&req->body, x->request.max);
	http_bind(h, x->origin, to->key, to->ca_file, to->proxy, &x->binding);
	if ((x->easy = http_take(h, &x->binding)) == NULL)
		return error_set(err, MP_E_INTERNAL, "no memory for a request");
	if (http_guard_apply(&x->guard, x->easy, to) != CURLE_OK ||
	    set_request(x, url, req) != CURLE_OK)
		return error_set(err, MP_E_INTERNAL, "the HTTP library refuses an option");
	if (http_run(h, x->easy, exchange_done, x, &x->stack) != 0)
		return error_set(err, MP_E_INTERNAL, "the HTTP library refuses a request");
	return 0;
}

struct transfer *
http_start(struct upstream *u, enum framing framing, const struct endpoint *to,
    struct wire_request *req, const struct transfer_callbacks *cb, void *arg, struct error *err)
{
	struct exchange *x;
	int r;

	if (u->http == NULL && (u->http = http_new(u->loop)) == NULL) {
		error_set(err, MP_E_INTERNAL, "the HTTP library does not start");
		return NULL;
	}
	x = xcalloc(1, sizeof *x);
	x->base.up = u;
	x->failure = (struct failure)FAILURE_INIT;
	answer_init(&x->answer, framing, req->stream);
	set_limits(x, to);
	x->watchdog = loop_timer_new(u->loop, watch, x);
	r = exchange_open(x, to, req, err);
	wire_request_clear(req);
	if (r != 0) {
		exchange_free(x);
		return NULL;
	}
	transfer_init(&x->base, &exchange_ops, u, cb, arg);
	watch(x);
	return &x->base;
}
