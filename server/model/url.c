/* url.c - the origin of a URL. Keys are bound to it, so this is stricter than any browser: what two parsers
 * could read differently is refused, never repaired. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/model/provider.h"

#define URL_MAX_BYTES 2048
#define HOST_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

struct authority {
	char host[HOST_MAX_BYTES + 1]; /* lower case; IPv6 in brackets */
	unsigned port;
	bool loopback;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Visible ASCII without what other parsers read as something else. */
static bool
characters_ok(const char *url)
{
	size_t n = strlen(url);

	if (n > URL_MAX_BYTES)
		return false;
	for (size_t i = 0; i < n; i++)
		if (url[i] < 0x21 || url[i] > 0x7e || strchr("\\?#\"<>^`{|}", url[i]) != NULL)
			return false;
	return true;
}

static bool
scheme_parse(const char **rest, bool *https)
{
	struct slice s = { *rest, strcspn(*rest, ":") };

	if (slice_eq_nocase(s, "https"))
		*https = true;
	else if (slice_eq_nocase(s, "http"))
		*https = false;
	else
		return false;
	*rest += s.len;
	if (strncmp(*rest, "://", 3) != 0)
		return false;
	*rest += 3;
	return true;
}

/* 1..65535 without leading zeros. */
static bool
port_parse(const char *s, size_t n, unsigned *out)
{
	unsigned port = 0;

	if (n == 0 || n > 5 || s[0] == '0')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(s[i]))
			return false;
		port = port * 10 + (unsigned)(s[i] - '0');
	}
	*out = port;
	return port <= 65535;
}

static bool
ipv6_parse(const char *s, size_t n, struct authority *a)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (n == 0 || n >= sizeof text)
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	if (inet_pton(AF_INET6, text, &addr) != 1
	    || inet_ntop(AF_INET6, &addr, text, sizeof text) == NULL)
		return false;
	a->loopback = IN6_IS_ADDR_LOOPBACK(&addr);
	snprintf(a->host, sizeof a->host, "[%s]", text);
	return true;
}

/* Letters, digits, '-' and '_' in labels of 1 to 63; no empty label, so no trailing dot either. */
static bool
labels_ok(const char *host)
{
	size_t len = 0;

	for (const char *p = host;; p++) {
		if (*p == '.' || *p == '\0') {
			if (len == 0 || len > LABEL_MAX_BYTES || p[-1] == '-')
				return false;
			if (*p == '\0')
				return true;
			len = 0;
			continue;
		}
		if (!is_digit(*p) && !(*p >= 'a' && *p <= 'z') && *p != '-' && *p != '_')
			return false;
		if (len == 0 && *p == '-')
			return false;
		len++;
	}
}

/* WHATWG: a host whose last label is a number is an IPv4 address in some notation. */
static bool
ends_in_number(const char *host)
{
	const char *dot = strrchr(host, '.'), *last = dot != NULL ? dot + 1 : host;

	if (last[0] == '0' && last[1] == 'x')
		return strspn(last + 2, "0123456789abcdef") == strlen(last + 2);
	return strspn(last, "0123456789") == strlen(last);
}

/* Four decimal numbers without leading zeros; no short, octal or hexadecimal forms. */
static bool
ipv4_parse(const char *host, bool *loopback)
{
	struct in_addr addr;
	char canonical[INET_ADDRSTRLEN];

	if (inet_pton(AF_INET, host, &addr) != 1
	    || inet_ntop(AF_INET, &addr, canonical, sizeof canonical) == NULL
	    || strcmp(canonical, host) != 0)
		return false;
	*loopback = (ntohl(addr.s_addr) >> 24) == 127;
	return true;
}

static bool
name_parse(const char *s, size_t n, struct authority *a)
{
	if (n == 0 || n > HOST_MAX_BYTES)
		return false;
	for (size_t i = 0; i < n; i++)
		a->host[i] = lower(s[i]);
	a->host[n] = '\0';
	if (!labels_ok(a->host))
		return false;
	if (ends_in_number(a->host))
		return ipv4_parse(a->host, &a->loopback);
	a->loopback = strcmp(a->host, "localhost") == 0;
	return true;
}

static bool
authority_parse(const char *s, size_t n, struct authority *a)
{
	const char *end = s + n, *host_end;

	if (n > 0 && *s == '[') {
		host_end = memchr(s, ']', n);
		if (host_end == NULL || !ipv6_parse(s + 1, (size_t)(host_end - s - 1), a))
			return false;
		host_end++;
	} else {
		host_end = memchr(s, ':', n);
		if (host_end == NULL)
			host_end = end;
		if (!name_parse(s, (size_t)(host_end - s), a))
			return false;
	}
	if (host_end == end)
		return true;
	return *host_end == ':' && port_parse(host_end + 1, (size_t)(end - host_end - 1), &a->port);
}

int
url_origin(const char *url, char **out, bool *loopback)
{
	struct authority a = { .port = 0 };
	char origin[HOST_MAX_BYTES + 32];
	bool https;

	if (url == NULL || !characters_ok(url) || !scheme_parse(&url, &https))
		return MP_E_INVALID_PARAMS;
	a.port = https ? 443 : 80;
	if (!authority_parse(url, strcspn(url, "/"), &a))
		return MP_E_INVALID_PARAMS;
	snprintf(origin, sizeof origin, "%s://%s:%u", https ? "https" : "http", a.host, a.port);
	if (out != NULL)
		*out = xstrdup(origin);
	if (loopback != NULL)
		*loopback = a.loopback;
	return 0;
}
