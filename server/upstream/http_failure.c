#include "server/upstream/http_failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/buf.h"

struct row {
	CURLcode code;
	enum failure_class class;
	const char *kind;
	const char *words;
};

/* CURLE_OUT_OF_MEMORY is what one endless header line makes of 7.88: the provider's fault, not a lack of
 * memory here. */
static const struct row rows[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, FAILURE_NETWORK, "dns", "the name of %s does not resolve" },
	{ CURLE_COULDNT_RESOLVE_PROXY, FAILURE_NETWORK, "proxy", "the proxy of %s does not resolve" },
	{ CURLE_COULDNT_CONNECT, FAILURE_NETWORK, "connect", "cannot connect to %s" },
	{ CURLE_OPERATION_TIMEDOUT, FAILURE_NETWORK, "connect", "cannot connect to %s in time" },
	{ CURLE_PROXY, FAILURE_NETWORK, "proxy", "the proxy does not connect to %s" },
	{ CURLE_PEER_FAILED_VERIFICATION, FAILURE_CONFIG, "tls",
	    "the certificate of %s is not accepted" },
	{ CURLE_SSL_CACERT_BADFILE, FAILURE_CONFIG, "tls", "the CA file for %s cannot be read" },
	{ CURLE_SSL_ISSUER_ERROR, FAILURE_CONFIG, "tls", "the certificate of %s is not accepted" },
	{ CURLE_SSL_INVALIDCERTSTATUS, FAILURE_CONFIG, "tls",
	    "the certificate of %s is not accepted" },
	{ CURLE_SSL_CERTPROBLEM, FAILURE_CONFIG, "tls", "the certificate of %s is not accepted" },
	{ CURLE_SSL_CONNECT_ERROR, FAILURE_NETWORK, "tls", "no TLS connection to %s" },
	{ CURLE_SSL_CIPHER, FAILURE_NETWORK, "tls", "no TLS connection to %s" },
	{ CURLE_OUT_OF_MEMORY, FAILURE_PROTOCOL, "too_large", "%s sent headers without end" },
#if LIBCURL_VERSION_NUM >= 0x080600
	{ CURLE_TOO_LARGE, FAILURE_PROTOCOL, "too_large", "%s sent headers without end" },
#endif
	{ CURLE_UNSUPPORTED_PROTOCOL, FAILURE_PROTOCOL, "http", "%s does not answer in HTTP/1" },
	{ CURLE_WEIRD_SERVER_REPLY, FAILURE_PROTOCOL, "http", "%s does not answer in proper HTTP" },
	{ CURLE_URL_MALFORMAT, FAILURE_CONFIG, "url", "the URL of %s is not accepted" },
	{ CURLE_GOT_NOTHING, FAILURE_NETWORK, "cut", "%s closed the connection without an answer" },
	{ CURLE_PARTIAL_FILE, FAILURE_PROTOCOL, "cut", "%s cut its answer off" },
	{ CURLE_RECV_ERROR, FAILURE_PROTOCOL, "cut", "%s cut its answer off" },
	{ CURLE_SEND_ERROR, FAILURE_NETWORK, "cut", "%s closed the connection early" },
};

void
failure_say(struct failure *f, enum failure_class class, const char *kind, const char *fmt, ...)
{
	struct buf raw = BUF_INIT, clean = BUF_INIT;
	size_t n;
	va_list ap;

	f->class = class;
	snprintf(f->kind, sizeof f->kind, "%s", kind);
	va_start(ap, fmt);
	(void)buf_addv(&raw, fmt, ap);
	va_end(ap);
	if (raw.len > 0)
		text_escape(&clean, raw.data, raw.len, false);
	n = clean.len < sizeof f->message - 1 ? clean.len : sizeof f->message - 1;
	if (n > 0)
		memcpy(f->message, clean.data, n);
	n -= utf8_incomplete_tail(f->message, n);
	f->message[n] = '\0';
	buf_clear(&raw);
	buf_clear(&clean);
}

static void
say_refused_address(const struct http_story *s, struct failure *out)
{
	failure_say(out, FAILURE_CONFIG, "address_refused",
	    "%s has the address %s, which is not allowed for this provider", s->origin,
	    s->guard->address);
}

static const struct row *
row_of(CURLcode code)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].code == code)
			return &rows[i];
	}
	return NULL;
}

void
http_failure(CURLcode code, const struct http_story *s, struct failure *out)
{
	const struct row *row = row_of(code);
	enum failure_class class = row != NULL ? row->class : FAILURE_PROTOCOL;
	struct buf what = BUF_INIT;
	const char *detail;

	if (s->guard->refused &&
	    (code == CURLE_COULDNT_CONNECT || code == CURLE_ABORTED_BY_CALLBACK ||
	        (code == CURLE_OPERATION_TIMEDOUT && !s->connected))) {
		say_refused_address(s, out);
		return;
	}
	if (s->guard->proxied && (code == CURLE_COULDNT_CONNECT ||
	        (code == CURLE_OPERATION_TIMEDOUT && !s->connected))) {
		failure_say(out, FAILURE_NETWORK, "proxy", "the proxy of %s does not answer", s->origin);
		return;
	}
	if (code == CURLE_COULDNT_CONNECT && s->os_error == ECONNREFUSED && s->guard->loopback_host) {
		failure_say(out, FAILURE_NETWORK, "connect",
		    "nothing listens at %s", s->origin);
		return;
	}
	if (row == NULL) {
		failure_say(out, class, "http", "%s: %s", s->origin,
		    s->detail[0] != '\0' ? s->detail : curl_easy_strerror(code));
		return;
	}
	/* nothing came at all: it may have been the network; something came: the answer is broken */
	if (strcmp(row->kind, "cut") == 0)
		class = s->got_bytes ? FAILURE_PROTOCOL : FAILURE_NETWORK;
	for (const char *p = row->words; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 's') {
			(void)buf_adds(&what, s->origin);
			p++;
		} else {
			(void)buf_addc(&what, *p);
		}
	}
	/* "Could not resolve host" would only say it again */
	detail = strcmp(row->kind, "dns") == 0 || code == CURLE_COULDNT_RESOLVE_PROXY ? "" : s->detail;
	failure_say(out, class, row->kind, "%s%s%s", buf_str(&what), *detail != '\0' ? ": " : "",
	    detail);
	buf_clear(&what);
}
