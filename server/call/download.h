/* download.h - one file of a web server, by the rules of THREATS.md section 9: https, no redirects, no key. */
#ifndef SERVER_CALL_DOWNLOAD_H
#define SERVER_CALL_DOWNLOAD_H

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/upstream/carrier.h"

struct download;

struct download_order {
	const char *url;     /* https://host/path; http is for loopback hosts with `local` */
	const char *ca_file; /* NULL = the system's */
	const char *proxy;   /* NULL = none */
	bool local;          /* this machine and private networks are meant */
	size_t max_bytes;
};

/* on_done comes once, from the loop, unless it is cancelled before: with the bytes, or with an error. The
 * download is gone when it returns. NULL and err: MP_E_INVALID_PARAMS for another kind of URL. */
struct download *download_start(struct upstream *up, const struct download_order *order,
    void (*on_done)(void *arg, struct slice body, const struct error *err), void *arg,
    struct error *err);
void download_cancel(struct download *d);

#endif
