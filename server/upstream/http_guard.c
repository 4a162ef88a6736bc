#include "server/upstream/http_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "protocol/base/err.h"
#include "server/model/provider.h"

#define CONNECT_MS 10000

struct range {
	unsigned char bytes[16];
	unsigned bits;
	enum address_rule rule;
};

/* First match counts. Cloud metadata services and everything nobody serves models from: never. */
static const struct range ranges4[] = {
	{ { 127 }, 8, ADDRESS_LOOPBACK },
	{ { 0 }, 8, ADDRESS_NEVER },
	{ { 169, 254 }, 16, ADDRESS_NEVER },
	{ { 100, 100, 100, 200 }, 32, ADDRESS_NEVER },
	{ { 192, 0, 0, 192 }, 32, ADDRESS_NEVER },
	{ { 168, 63, 129, 16 }, 32, ADDRESS_NEVER },
	{ { 224 }, 4, ADDRESS_NEVER },
	{ { 240 }, 4, ADDRESS_NEVER },
	{ { 10 }, 8, ADDRESS_PRIVATE },
	{ { 172, 16 }, 12, ADDRESS_PRIVATE },
	{ { 192, 168 }, 16, ADDRESS_PRIVATE },
	{ { 100, 64 }, 10, ADDRESS_PRIVATE },
	{ { 192, 0, 0 }, 24, ADDRESS_PRIVATE },
	{ { 198, 18 }, 15, ADDRESS_PRIVATE },
};

static const struct range ranges6[] = {
	{ { [15] = 1 }, 128, ADDRESS_LOOPBACK },
	{ { 0 }, 128, ADDRESS_NEVER },
	{ { 0xfe, 0x80 }, 10, ADDRESS_NEVER },
	{ { 0xfd, 0x00, 0x0e, 0xc2, [15] = 0 }, 32, ADDRESS_NEVER },
	{ { 0xff }, 8, ADDRESS_NEVER },
	{ { 0xfc }, 7, ADDRESS_PRIVATE },
	{ { 0xfe, 0xc0 }, 10, ADDRESS_PRIVATE },
};

static bool
range_has(const struct range *r, const unsigned char *address)
{
	unsigned whole = r->bits / 8, rest = r->bits % 8;
	unsigned char mask = (unsigned char)(0xff00u >> rest);

	if (memcmp(r->bytes, address, whole) != 0)
		return false;
	return rest == 0 || ((r->bytes[whole] ^ address[whole]) & mask) == 0;
}

static enum address_rule
rule_in(const struct range *ranges, size_t n, const unsigned char *address)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (range_has(&ranges[i], address))
			return ranges[i].rule;
	}
	return ADDRESS_OK;
}

static enum address_rule
rule4(const unsigned char *address)
{
	return rule_in(ranges4, sizeof ranges4 / sizeof ranges4[0], address);
}

/* IPv4 inside IPv6: mapped and compatible, NAT64, 6to4. */
static const unsigned char *
embedded4(const unsigned char *a)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const unsigned char zero[12] = { 0 };
	static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

	if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
		return a + 12;
	if (memcmp(a, zero, 12) == 0)
		return a + 12;
	if (a[0] == 0x20 && a[1] == 0x02)
		return a + 2;
	return NULL;
}

enum address_rule
address_rule_of(const struct sockaddr *sa)
{
	const unsigned char *bytes, *inner;
	enum address_rule rule;

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		return rule4((const unsigned char *)&in->sin_addr);
	}
	if (sa->sa_family != AF_INET6)
		return ADDRESS_NEVER;
	bytes = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr;
	rule = rule_in(ranges6, sizeof ranges6 / sizeof ranges6[0], bytes);
	inner = embedded4(bytes);
	if (rule == ADDRESS_OK && inner != NULL)
		rule = rule4(inner);
	return rule;
}

static void
note_address(struct http_guard *g, const struct sockaddr *sa)
{
	const void *at = sa->sa_family == AF_INET6
	    ? (const void *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr
	    : (const void *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr;

	g->refused = true;
	if (inet_ntop(sa->sa_family, at, g->address, sizeof g->address) == NULL)
		g->address[0] = '\0';
}

bool
http_guard_allows(struct http_guard *g, const struct sockaddr *sa)
{
	enum address_rule rule = address_rule_of(sa);
	bool ok = false;

	switch (rule) {
	case ADDRESS_OK:
		ok = !g->plain || g->proxied;
		break;
	case ADDRESS_PRIVATE:
		ok = (g->local && !g->plain) || g->proxied;
		break;
	case ADDRESS_LOOPBACK:
		ok = g->local || g->proxied;
		break;
	case ADDRESS_NEVER:
		break;
	}
	if (!ok)
		note_address(g, sa);
	return ok;
}

/* Asked before connecting: a refused address sees no packet. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	(void)purpose;
	if (!http_guard_allows(arg, &to->addr))
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Asked before the request is sent, also on a connection that was kept: checks the address it is really
 * connected to. */
static int
before_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)&four;

	(void)local_ip;
	(void)remote_port;
	(void)local_port;
	if (inet_pton(AF_INET, remote_ip, &four.sin_addr) != 1) {
		if (inet_pton(AF_INET6, remote_ip, &six.sin6_addr) != 1)
			return CURL_PREREQFUNC_ABORT;
		sa = (const struct sockaddr *)(const void *)&six;
	}
	return http_guard_allows(arg, sa) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

int
http_guard_init(struct http_guard *g, const struct endpoint *to, char **origin, struct error *err)
{
	memset(g, 0, sizeof *g);
	*origin = NULL;
	if (to->base_url == NULL || url_origin(to->base_url, origin, &g->loopback_host) != 0)
		return error_field(err, "base_url", "the base URL is not a plain http(s) URL");
	g->local = to->local;
	g->proxied = to->proxy != NULL && to->proxy[0] != '\0';
	g->plain = strncasecmp(to->base_url, "http:", 5) == 0;
	if (!g->plain)
		return 0;
	if (!g->loopback_host || !g->local) {
		free(*origin);
		*origin = NULL;
		error_field(err, "base_url", "%s would send everything unencrypted", to->base_url);
		error_hint(err, "http is for local providers on this machine; use https");
		return MP_E_INVALID_PARAMS;
	}
	return 0;
}

struct long_option {
	CURLoption option;
	long value;
};

static const struct long_option fixed[] = {
	{ CURLOPT_NOSIGNAL, 1L },
	{ CURLOPT_FOLLOWLOCATION, 0L },
	{ CURLOPT_SSL_VERIFYPEER, 1L },
	{ CURLOPT_SSL_VERIFYHOST, 2L },
	{ CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_PROXY_SSL_VERIFYPEER, 1L },
	{ CURLOPT_PROXY_SSL_VERIFYHOST, 2L },
	{ CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L },
	{ CURLOPT_DISALLOW_USERNAME_IN_URL, 1L },
	{ CURLOPT_HTTP09_ALLOWED, 0L },
	{ CURLOPT_NETRC, (long)CURL_NETRC_IGNORED },
	{ CURLOPT_HTTP_CONTENT_DECODING, 0L },
	{ CURLOPT_TCP_NODELAY, 1L },
	{ CURLOPT_TCP_KEEPALIVE, 1L },
	{ CURLOPT_NOPROGRESS, 1L },
	/* HTTP/2 would bring no gain with one transfer per connection, and in 7.88 a paused stream
	 * holds up its whole connection */
	{ CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1 },
#if LIBCURL_VERSION_NUM >= 0x075700
	/* a name that does not resolve in time is left behind: the loop never waits for its thread */
	{ CURLOPT_QUICK_EXIT, 1L },
#endif
};

CURLcode
http_guard_apply(struct http_guard *g, CURL *easy, const struct endpoint *to)
{
	const char *scheme = g->plain ? "http" : "https";
	CURLcode r;
	size_t i;

	for (i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
		if ((r = curl_easy_setopt(easy, fixed[i].option, fixed[i].value)) != CURLE_OK)
			return r;
	}
	if ((r = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, scheme)) != CURLE_OK ||
	    (r = curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, scheme)) != CURLE_OK ||
	    /* "" switches the environment's proxies off */
	    (r = curl_easy_setopt(easy, CURLOPT_PROXY, g->proxied ? to->proxy : "")) != CURLE_OK ||
	    (r = curl_easy_setopt(easy, CURLOPT_NOPROXY, "")) != CURLE_OK ||
	    (r = curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request)) != CURLE_OK ||
	    (r = curl_easy_setopt(easy, CURLOPT_PREREQDATA, g)) != CURLE_OK ||
	    (r = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket)) != CURLE_OK ||
	    (r = curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, g)) != CURLE_OK)
		return r;
	if (to->ca_file != NULL &&
	    (r = curl_easy_setopt(easy, CURLOPT_CAINFO, to->ca_file)) != CURLE_OK)
		return r;
	return curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(to->connect_ms > 0 ? to->connect_ms : CONNECT_MS));
}
