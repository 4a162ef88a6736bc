/* http_guard.h - where we connect, and the options that keep libcurl strict (THREATS.md section 9). */
#ifndef SERVER_UPSTREAM_HTTP_GUARD_H
#define SERVER_UPSTREAM_HTTP_GUARD_H

#include "server/upstream/http_library.h"
#include <sys/socket.h>

#include "server/upstream/carrier.h"

/* What one transfer may connect to, and whether it was stopped. Lives as long as the transfer. */
struct http_guard {
	bool local;    /* loopback and private addresses are allowed */
	bool plain;    /* http: loopback only */
	bool proxied;  /* the address is the proxy's, which the user chose */
	bool loopback_host;
	bool refused;
	char address[64]; /* the last one refused */
};

enum address_rule { ADDRESS_OK, ADDRESS_PRIVATE, ADDRESS_LOOPBACK, ADDRESS_NEVER };

enum address_rule address_rule_of(const struct sockaddr *sa);
/* Whether the base URL may be used at all; *origin is for the caller to free. */
int http_guard_init(struct http_guard *g, const struct endpoint *to, char **origin, struct error *err);
/* False (and noted) for an address that must not be connected to. */
bool http_guard_allows(struct http_guard *g, const struct sockaddr *sa);
/* Every option that does not depend on the request. g stays borrowed until the transfer ends. */
CURLcode http_guard_apply(struct http_guard *g, CURL *easy, const struct endpoint *to);

#endif
