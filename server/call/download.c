#include "server/call/download.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/model/provider.h"
#include "server/model/wire.h"

#define PATIENCE_MS 20000 /* for each step */
#define TOTAL_MS 60000

struct download {
	struct transfer *transfer;
	struct buf body;
	int status;
	char *url;
	size_t max_bytes;
	void (*on_done)(void *arg, struct slice body, const struct error *err);
	void *arg;
};

static void
download_free(struct download *d)
{
	buf_clear(&d->body);
	free(d->url);
	free(d);
}

/* ---- the answer ---- */

static void
on_head(void *arg, const struct wire_head *head)
{
	struct download *d = arg;

	d->status = head->status;
}

static void
on_body(void *arg, struct slice body)
{
	struct download *d = arg;

	if (d->status >= 200 && d->status < 300)
		buf_add(&d->body, body.data, body.len);
}

static int
judge(const struct download *d, const struct failure *f, struct error *err)
{
	if (d->status >= 400) {
		error_set(err, d->status == 404 || d->status == 410 ? MP_E_NOT_FOUND : MP_E_UPSTREAM,
		    "%.300s: the server answered %d", d->url, d->status);
		error_hint(err, "is the address right, and may everybody read it?");
		return err->code;
	}
	if (f->class != FAILURE_NONE)
		return error_set(err, f->class == FAILURE_TIMEOUT ? MP_E_TIMEOUT :
		    failure_error_code(f->class),
		    "%.300s cannot be fetched: %.200s", d->url, f->message);
	if (d->body.failed)
		return error_set(err, MP_E_TOO_LARGE, "%.300s is larger than %zu KiB", d->url,
		    d->max_bytes >> 10);
	return 0;
}

static void
on_end(void *arg, const struct failure *f)
{
	struct download *d = arg;
	struct error err = ERROR_INIT;
	int r = judge(d, f, &err);

	d->on_done(d->arg, (struct slice){ buf_str(&d->body), d->body.len }, r != 0 ? &err : NULL);
	download_free(d);
}

static const struct transfer_callbacks callbacks = { on_head, NULL, on_body, on_end };

/* ---- the question ---- */

/* Where the path begins in a URL that url_origin took. */
static const char *
path_of(const char *url)
{
	const char *at = strstr(url, "://");

	return at != NULL ? at + 3 + strcspn(at + 3, "/") : "";
}

static int
make_request(const char *url, const struct download_order *order, char **origin,
    struct wire_request *wire, struct error *err)
{
	const char *path;
	bool loopback = false;

	if (url_origin(url, origin, &loopback) != 0) {
		error_field(err, "url", "\"%.160s\" is not a URL that can be used", url);
		error_hint(err, "https://HOST/PATH, without user, password, query or fragment");
		return MP_E_INVALID_PARAMS;
	}
	path = path_of(url);
	if (strncmp(*origin, "https:", 6) != 0 && !(loopback && order->local)) {
		error_field(err, "url", "%.160s must use https: anybody on the way could keep a newer one from you",
		    url);
		error_hint(err, "http is for this machine only, and said with --local");
		return MP_E_INVALID_PARAMS;
	}
	if (strlen(path) >= sizeof wire->path)
		return error_field(err, "url", "the path of the URL is longer than %zu bytes",
		    sizeof wire->path - 1);
	wire->method = "GET";
	wire->at_origin = true;
	snprintf(wire->path, sizeof wire->path, "%s", *path != '\0' ? path : "/");
	return wire_request_header(wire, "Accept", "*/*");
}

struct download *
download_start(struct upstream *up, const struct download_order *order,
    void (*on_done)(void *arg, struct slice body, const struct error *err), void *arg,
    struct error *err)
{
	struct download *d = xcalloc(1, sizeof *d);
	struct endpoint to = { .ca_file = order->ca_file, .proxy = order->proxy, .local = order->local,
		.connect_ms = PATIENCE_MS, .first_byte_ms = PATIENCE_MS, .silence_ms = PATIENCE_MS,
		.total_ms = TOTAL_MS };
	struct wire_request wire;
	char *origin = NULL;

	d->url = xstrdup(order->url);
	d->max_bytes = order->max_bytes;
	buf_init(&d->body, order->max_bytes);
	d->on_done = on_done;
	d->arg = arg;
	wire_request_init(&wire);
	if (make_request(order->url, order, &origin, &wire, err) == 0) {
		to.base_url = origin;
		d->transfer = transfer_start(up, CARRIER_HTTP, FRAMING_NDJSON, &to, &wire,
		    &callbacks, d, err);
	}
	wire_request_clear(&wire);
	free(origin);
	if (d->transfer == NULL) {
		download_free(d);
		return NULL;
	}
	return d;
}

void
download_cancel(struct download *d)
{
	if (d == NULL)
		return;
	transfer_cancel(d->transfer);
	download_free(d);
}
