#include "server/call/knock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "server/model/provider.h"

#define OLLAMA_PORT "11434"

struct knock {
	struct loop *loop;
	void (*on_done)(void *arg, bool open);
	void *arg;
	char hosts[2][48];
	size_t host_count, next;
	uint16_t port;
	int fd;
	struct loop_io *io;
	struct loop_timer *patience;
	struct loop_deferred go_on;
	bool open;
};

static void try_next(void *arg);

static void
hang_up(struct knock *k)
{
	loop_io_free(k->io);
	k->io = NULL;
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
}

static void
tell(void *arg)
{
	struct knock *k = arg;

	k->on_done(k->arg, k->open);
}

/* Never from inside knock_start, and with nothing left to come. */
static void
finish(struct knock *k, bool open)
{
	hang_up(k);
	loop_timer_stop(k->patience);
	k->open = open;
	loop_defer(k->loop, &k->go_on, tell, k);
}

static void
on_connected(void *arg, int fd, unsigned what)
{
	struct knock *k = arg;
	int error = 0;
	socklen_t n = sizeof error;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0) {
		finish(k, true);
		return;
	}
	hang_up(k);
	loop_defer(k->loop, &k->go_on, try_next, k);
}

static void
on_late(void *arg)
{
	finish(arg, false);
}

static bool
address_of(const char *host, uint16_t port, struct sockaddr_storage *out, socklen_t *n)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*n = sizeof *v4;
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*n = sizeof *v6;
		return true;
	}
	return false;
}

static void
try_next(void *arg)
{
	struct knock *k = arg;
	struct sockaddr_storage to;
	socklen_t n;

	while (k->next < k->host_count) {
		if (!address_of(k->hosts[k->next++], k->port, &to, &n))
			continue;
		k->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (k->fd < 0)
			continue;
		if (connect(k->fd, (struct sockaddr *)&to, n) == 0) {
			finish(k, true);
			return;
		}
		if (errno == EINPROGRESS) {
			k->io = loop_io_new(k->loop, k->fd, LOOP_WRITE, on_connected, k);
			return;
		}
		hang_up(k);
	}
	finish(k, false);
}

/* Host and port out of "scheme://host:port". */
static bool
take_apart(struct knock *k, const char *origin)
{
	const char *host = strstr(origin, "://") + 3;
	const char *colon = strrchr(host, ':');
	size_t n = (size_t)(colon - host);

	if (*host == '[') {
		host++;
		n -= 2;
	}
	if (n >= sizeof k->hosts[0])
		return false;
	k->port = (uint16_t)strtoul(colon + 1, NULL, 10);
	snprintf(k->hosts[0], sizeof k->hosts[0], "%.*s", (int)n, host);
	k->host_count = 1;
	if (strcmp(k->hosts[0], "localhost") == 0) {
		strcpy(k->hosts[0], "127.0.0.1");
		strcpy(k->hosts[1], "::1");
		k->host_count = 2;
	}
	return true;
}

struct knock *
knock_start(struct loop *loop, const char *url, int64_t timeout_ms,
    void (*on_done)(void *arg, bool open), void *arg)
{
	struct knock *k = xcalloc(1, sizeof *k);
	char *origin = NULL;
	bool loopback = false;

	k->loop = loop;
	k->on_done = on_done;
	k->arg = arg;
	k->fd = -1;
	if (url_origin(url, &origin, &loopback) != 0 || !loopback || !take_apart(k, origin)) {
		free(origin);
		free(k);
		return NULL;
	}
	free(origin);
	k->patience = loop_timer_new(loop, on_late, k);
	loop_timer_start(k->patience, timeout_ms);
	loop_defer(loop, &k->go_on, try_next, k);
	return k;
}

void
knock_free(struct knock *k)
{
	if (k == NULL)
		return;
	hang_up(k);
	loop_defer_cancel(k->loop, &k->go_on);
	loop_timer_free(k->patience);
	free(k);
}

/* ---- OLLAMA_HOST ---- */

/* An address to listen at is no address to talk to. */
static void
any_to_loopback(struct slice host, char *out, size_t size)
{
	if (host.len == 0 || slice_eq(host, "0.0.0.0") || slice_eq(host, "*"))
		snprintf(out, size, "127.0.0.1");
	else if (slice_eq(host, "::") || slice_eq(host, "[::]"))
		snprintf(out, size, "[::1]");
	else if (host.data[0] != '[' && memchr(host.data, ':', host.len) != NULL)
		snprintf(out, size, "[%.*s]", (int)host.len, host.data);
	else
		snprintf(out, size, "%.*s", (int)host.len, host.data);
}

bool
ollama_host_origin(const char *text, char *out, size_t size)
{
	const char *rest = strstr(text, "://"), *scheme = "http", *port = OLLAMA_PORT, *colon;
	char host[280], url[320], *origin = NULL;
	struct slice where;
	bool loopback = false, fits;

	if (rest != NULL) {
		/* as its own programs do: a URL without a port has the usual one */
		scheme = strncmp(text, "https:", 6) == 0 ? "https" : "http";
		port = scheme[4] == 's' ? "443" : "80";
		text = rest + 3;
	}
	where = (struct slice){ text, strcspn(text, "/?# \t") };
	if (where.len > 255)
		return false;
	colon = memrchr(where.data, ':', where.len);
	/* a bare IPv6 address has many colons and no port */
	if (colon != NULL && (*text == '[' ? colon[-1] == ']'
	    : memchr(where.data, ':', where.len) == colon)) {
		port = colon + 1;
		where.len = (size_t)(colon - where.data);
	}
	any_to_loopback(where, host, sizeof host);
	snprintf(url, sizeof url, "%s://%s:%.*s", scheme, host, (int)strcspn(port, "/?# \t"), port);
	if (url_origin(url, &origin, &loopback) != 0)
		return false;
	fits = loopback && strlen(origin) < size;
	if (fits)
		snprintf(out, size, "%s", origin);
	free(origin);
	return fits;
}
