/* station.h - a scripted server on loopback and a customer who writes down what a transfer tells him.
 * The server runs in threads of its own; every wait in it ends when the station closes. */
#ifndef TESTS_UNIT_UPSTREAM_STATION_H
#define TESTS_UNIT_UPSTREAM_STATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/err.h"
#include "server/base/clock.h"
#include "server/base/loop.h"
#include "server/upstream/carrier.h"

/* ---- the server ---- */

#define VISITS_MAX 16

struct station;
typedef void (*serve_fn)(struct station *s, int fd);

struct visit {
	struct station *station;
	int fd;
	pthread_t thread;
};

struct station {
	int fd;
	int port;
	char url[64];
	serve_fn serve;
	const void *script; /* for the serve function */
	pthread_t thread;
	pthread_mutex_t lock;
	atomic_bool closing;
	atomic_uint connections, requests;
	atomic_size_t sent;
	char received[65536]; /* heads and bodies, one after the other */
	size_t received_len;
	struct visit visits[VISITS_MAX];
};

static inline void *
visit_run(void *arg)
{
	struct visit *v = arg;

	v->station->serve(v->station, v->fd);
	close(v->fd);
	return NULL;
}

static inline void *
station_run(void *arg)
{
	struct station *s = arg;
	unsigned n = 0, i;

	while (!s->closing && n < VISITS_MAX) {
		struct pollfd p = { s->fd, POLLIN, 0 };

		if (poll(&p, 1, 20) <= 0)
			continue;
		s->visits[n].station = s;
		s->visits[n].fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
		if (s->visits[n].fd < 0)
			continue;
		s->connections++;
		pthread_create(&s->visits[n].thread, NULL, visit_run, &s->visits[n]);
		n++;
	}
	for (i = 0; i < n; i++)
		pthread_join(s->visits[i].thread, NULL);
	return NULL;
}

static inline struct station *
station_open(serve_fn serve, const void *script)
{
	struct station *s = calloc(1, sizeof *s);
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(s->fd, 16), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &len), 0);
	s->port = ntohs(at.sin_port);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/v1", s->port);
	s->serve = serve;
	s->script = script;
	pthread_mutex_init(&s->lock, NULL);
	assert_int_equal(pthread_create(&s->thread, NULL, station_run, s), 0);
	return s;
}

static inline void
station_close(struct station *s)
{
	s->closing = true;
	pthread_join(s->thread, NULL);
	close(s->fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static inline void
nap(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* Waits until the station closes or ms are over. */
static inline void
linger(struct station *s, int ms)
{
	for (; ms > 0 && !s->closing; ms -= 10)
		nap(10);
}

/* False when the peer is gone or the station closes. */
static inline bool
put(struct station *s, int fd, const void *bytes, size_t n)
{
	size_t done = 0;

	while (done < n && !s->closing) {
		struct pollfd p = { fd, POLLOUT, 0 };
		ssize_t r;

		if (poll(&p, 1, 20) <= 0)
			continue;
		r = send(fd, (const char *)bytes + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0 && errno != EAGAIN)
			return false;
		if (r > 0) {
			done += (size_t)r;
			s->sent += (size_t)r;
		}
	}
	return done == n;
}

static inline bool
puts_to(struct station *s, int fd, const char *text)
{
	return put(s, fd, text, strlen(text));
}

static inline void
station_note(struct station *s, const char *bytes, size_t n)
{
	pthread_mutex_lock(&s->lock);
	if (n > sizeof s->received - 1 - s->received_len)
		n = sizeof s->received - 1 - s->received_len;
	memcpy(s->received + s->received_len, bytes, n);
	s->received_len += n;
	pthread_mutex_unlock(&s->lock);
}

static inline bool
station_heard(struct station *s, const char *text)
{
	bool found;

	pthread_mutex_lock(&s->lock);
	found = memmem(s->received, s->received_len, text, strlen(text)) != NULL;
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* One whole request. False at the end of the connection. */
static inline bool
get_request(struct station *s, int fd)
{
	char text[65536];
	size_t n = 0, need = 0;
	const char *end = NULL, *length;
	ssize_t r;

	while (!s->closing && n < sizeof text - 1) {
		struct pollfd p = { fd, POLLIN, 0 };

		if (poll(&p, 1, 20) <= 0)
			continue;
		r = recv(fd, text + n, sizeof text - 1 - n, 0);
		if (r <= 0)
			return false;
		n += (size_t)r;
		text[n] = '\0';
		if (end == NULL && (end = strstr(text, "\r\n\r\n")) != NULL) {
			length = strcasestr(text, "content-length:");
			need = (size_t)(end - text) + 4 +
			    (length != NULL ? strtoul(length + 15, NULL, 10) : 0);
		}
		if (end != NULL && n >= need) {
			station_note(s, text, n);
			s->requests++;
			return true;
		}
	}
	return false;
}

static inline void
reset_connection(int fd)
{
	struct linger now = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* Answers each request with the script, a text. */
static inline void
serve_text(struct station *s, int fd)
{
	while (get_request(s, fd)) {
		if (!puts_to(s, fd, s->script))
			return;
		/* without a length the end of the connection is the end of the answer */
		if (strcasestr(s->script, "content-length") == NULL &&
		    strcasestr(s->script, "chunked") == NULL)
			return;
	}
}

/* ---- the customer ---- */

struct customer {
	struct loop *loop;
	struct upstream *up;
	struct transfer *transfer;
	struct endpoint to;
	struct error err;
	unsigned heads, frames, bodies, ends;
	int status;
	struct buf text; /* data of frames, each with a '|' */
	struct buf headers;
	struct buf body;
	struct failure failure;
	unsigned pause_after, cancel_after; /* frames */
	bool cancel_in_head, cancel_in_body, cancel_in_end;
	bool in_start, told_in_start;
	int64_t ended_ms;
};

static inline void
note_call(struct customer *c)
{
	if (c->in_start)
		c->told_in_start = true;
}

static inline void
customer_head(void *arg, const struct wire_head *head)
{
	struct customer *c = arg;

	note_call(c);
	c->heads++;
	c->status = head->status;
	for (size_t i = 0; i < head->header_count; i++)
		buf_addf(&c->headers, "%.*s=%.*s\n", (int)head->headers[i].name.len,
		    head->headers[i].name.data, (int)head->headers[i].value.len,
		    head->headers[i].value.data);
	if (c->cancel_in_head)
		transfer_cancel(c->transfer);
}

static inline void
customer_frame(void *arg, const struct frame *f)
{
	struct customer *c = arg;

	note_call(c);
	c->frames++;
	if (c->text.len < (1 << 20)) {
		buf_add(&c->text, f->data.data, f->data.len);
		buf_addc(&c->text, '|');
	}
	if (c->pause_after == c->frames)
		transfer_pause(c->transfer, true);
	if (c->cancel_after == c->frames)
		transfer_cancel(c->transfer);
}

static inline void
customer_body(void *arg, struct slice body)
{
	struct customer *c = arg;

	note_call(c);
	c->bodies++;
	buf_add(&c->body, body.data, body.len);
	if (c->cancel_in_body)
		transfer_cancel(c->transfer);
}

static inline void
customer_end(void *arg, const struct failure *failure)
{
	struct customer *c = arg;

	note_call(c);
	c->ends++;
	c->failure = *failure;
	c->ended_ms = clock_monotonic_ms();
	if (c->cancel_in_end)
		transfer_cancel(c->transfer);
}

static inline void
customer_init(struct customer *c, const char *url)
{
	memset(c, 0, sizeof *c);
	c->loop = loop_new();
	c->up = upstream_new(c->loop);
	c->to.base_url = url;
	c->to.local = true;
}

static inline void
customer_forget(struct customer *c)
{
	buf_clear(&c->text);
	buf_clear(&c->headers);
	buf_clear(&c->body);
	c->heads = c->frames = c->bodies = c->ends = 0;
	c->failure = (struct failure)FAILURE_INIT;
}

static inline void
customer_clear(struct customer *c)
{
	upstream_free(c->up);
	loop_free(c->loop);
	customer_forget(c);
}

static inline void
customer_ask(struct customer *c, enum framing framing, bool stream)
{
	static const struct transfer_callbacks cb = { customer_head, customer_frame, customer_body,
		customer_end };
	struct wire_request req;

	wire_request_init(&req);
	req.method = "POST";
	strcpy(req.path, "/chat/completions");
	req.stream = stream;
	assert_int_equal(wire_request_header(&req, "Content-Type", "application/json"), 0);
	buf_adds(&req.body, "{\"model\":\"m\"}");
	c->in_start = true;
	c->transfer = transfer_start(c->up, CARRIER_HTTP, framing, &c->to, &req, &cb, c, &c->err);
	c->in_start = false;
	assert_false(c->told_in_start);
	assert_int_equal(req.body.len, 0);
	wire_request_clear(&req);
}

/* Turns the loop for at most ms, or until it ended. */
static inline void
customer_wait(struct customer *c, int64_t ms)
{
	int64_t until = clock_monotonic_ms() + ms;

	while (c->ends == 0 && clock_monotonic_ms() < until)
		loop_once(c->loop, 10);
}

static inline void
customer_idle(struct customer *c, int64_t ms)
{
	int64_t until = clock_monotonic_ms() + ms;

	while (clock_monotonic_ms() < until)
		loop_once(c->loop, 10);
}

/* The whole of it: one stream, to its end. */
static inline void
customer_stream(struct customer *c)
{
	customer_ask(c, FRAMING_SSE, true);
	assert_non_null(c->transfer);
	customer_wait(c, 5000);
	assert_int_equal(c->ends, 1);
}

static inline void
assert_failure(const struct customer *c, enum failure_class class, const char *kind)
{
	if (c->failure.class != class || strcmp(c->failure.kind, kind) != 0)
		fail_msg("%s %s: %s", failure_class_name(c->failure.class), c->failure.kind,
		    c->failure.message);
	if (class != FAILURE_NONE)
		assert_true(c->failure.message[0] != '\0');
}

static inline unsigned
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

#define OK_SSE "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"

#endif
