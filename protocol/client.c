/* client.c - the blocking connection. The descriptor itself may block or not: every call here says
 * MSG_DONTWAIT and waits in poll, so that a signal pipe and what the daemon sends are seen
 * meanwhile. */
#include "protocol/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/json.h"
#include "protocol/limits.h"
#include "protocol/params.h"

#define READ_BYTES ((size_t)64 << 10)
#define KEEP_BYTES ((size_t)64 << 10)

#ifndef MSG_NOSIGNAL /* macOS has SO_NOSIGPIPE instead */
#define MSG_NOSIGNAL 0
#endif

struct client {
	int fd;
	int interrupt_fd;
	bool ended; /* the daemon closed its side; what it said before is still read */
	uint32_t last_msgid;
	struct buf out;
	struct pack pack;
	struct message_reader *reader;
	void (*on_event)(void *arg, const struct message *m);
	void *on_event_arg;
};

struct client *
client_new(int fd)
{
	struct client *c = xcalloc(1, sizeof *c);

#ifdef SO_NOSIGPIPE
	setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){ 1 }, sizeof(int));
#endif
	c->fd = fd;
	c->interrupt_fd = -1;
	buf_init(&c->out, LIMIT_MESSAGE_AFTER_HELLO);
	if ((c->reader = message_reader_new(LIMIT_MESSAGE_AFTER_HELLO)) == NULL)
		abort();
	return c;
}

void
client_close(struct client *c)
{
	if (c == NULL)
		return;
	close(c->fd);
	buf_clear(&c->out);
	message_reader_free(c->reader);
	free(c);
}

int
client_fd(const struct client *c)
{
	return c->fd;
}

void
client_set_interrupt(struct client *c, int fd)
{
	c->interrupt_fd = fd;
}

void
client_on_event(struct client *c, void (*on_event)(void *arg, const struct message *m), void *arg)
{
	c->on_event = on_event;
	c->on_event_arg = arg;
}

/* ---- sending ---- */

struct pack *
client_begin(struct client *c, const char *method, bool secret)
{
	message_release(c->reader, false);
	buf_reset(&c->out, KEEP_BYTES);
	c->out.wipe = secret;
	pack_init(&c->pack, &c->out);
	message_begin_request(&c->pack, ++c->last_msgid, method);
	pack_map_begin(&c->pack);
	return &c->pack;
}

static int
gone(struct error *err)
{
	return error_set(err, MP_E_PROVIDER_UNAVAILABLE, "the daemon closed the connection");
}

static int
interrupted(struct error *err)
{
	return error_set(err, MP_E_CANCELLED, "interrupted");
}

/* One read without waiting. 1 bytes came, 0 none there, negative: the end (remembered in ended), or
 * MP_E_INTERNAL when there is no memory or no room. */
static int
receive(struct client *c)
{
	size_t room;
	ssize_t n;
	char *at;

	if (c->ended)
		return MP_E_PROVIDER_UNAVAILABLE;
	if ((at = message_reader_room(c->reader, READ_BYTES, &room)) == NULL)
		return MP_E_INTERNAL;
	n = recv(c->fd, at, room, MSG_DONTWAIT);
	if (n > 0) {
		message_reader_fed(c->reader, (size_t)n);
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	c->ended = true;
	return MP_E_PROVIDER_UNAVAILABLE;
}

/* Waits for events on the socket. 1 *seen, 0 time-out, negative: interrupted or broken. */
static int
wait_for(struct client *c, short events, int timeout_ms, short *seen, struct error *err)
{
	struct pollfd fds[2] = {
		{ .fd = c->fd, .events = events },
		{ .fd = c->interrupt_fd, .events = POLLIN },
	};
	int n = poll(fds, 2, timeout_ms);

	*seen = 0;
	if (n < 0 && errno != EINTR)
		return error_set(
		    err, MP_E_INTERNAL, "cannot wait for the daemon: %s", strerror(errno));
	if (n < 0)
		return 1; /* a signal: the caller looks again */
	if (fds[1].revents != 0)
		return interrupted(err);
	*seen = fds[0].revents;
	return n > 0;
}

/* The kernel took no more: waits for room. What the daemon sends is taken in, else both sides could
 * wait for each other with full buffers. */
static int
wait_to_send(struct client *c, struct error *err)
{
	short events = POLLOUT, seen;
	size_t room;
	int r;

	if (message_reader_room(c->reader, READ_BYTES, &room) != NULL)
		events |= POLLIN;
	if ((r = wait_for(c, events, -1, &seen, err)) < 0)
		return r;
	if ((seen & (POLLIN | POLLHUP)) != 0)
		receive(c);
	return 0;
}

static int
send_all(struct client *c, struct error *err)
{
	size_t sent = 0;
	ssize_t n;
	int r;

	while (sent < c->out.len) {
		n = send(c->fd, c->out.data + sent, c->out.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			sent += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			break;
		if ((r = wait_to_send(c, err)) < 0)
			return r;
	}
	if (sent == c->out.len)
		return 0;
	/* it may have said why before it closed: then the reply tells the story */
	while (receive(c) > 0)
		;
	c->ended = true;
	return message_reader_pending(c->reader) > 0 ? 0 : gone(err);
}

int
client_send(struct client *c, uint32_t *msgid, struct error *err)
{
	int r;

	pack_map_end(&c->pack);
	message_end_request(&c->pack);
	if (c->out.failed)
		r = error_set(err, MP_E_TOO_LARGE,
		    "the request is larger than %zu bytes, or nested too deep",
		    (size_t)LIMIT_MESSAGE_AFTER_HELLO);
	else
		r = send_all(c, err);
	if (r == 0 && msgid != NULL)
		*msgid = c->last_msgid;
	buf_reset(&c->out, c->out.wipe ? 0 : KEEP_BYTES);
	c->out.wipe = false;
	return r;
}

/* ---- receiving ---- */

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What is left of a time-out that ends at until_ms (-1: never). */
static int
left_ms(int64_t until_ms)
{
	int64_t left;

	if (until_ms < 0)
		return -1;
	left = until_ms - now_ms();
	return left > 0 ? (int)left : 0;
}

static int
next_until(struct client *c, struct message *out, int64_t until_ms, struct error *err)
{
	bool msgid_known;
	short seen;
	int r;

	for (;;) {
		if ((r = message_reader_next(c->reader, out, &msgid_known, err)) != 0)
			return r;
		if (c->ended)
			return gone(err);
		if ((r = wait_for(c, POLLIN, left_ms(until_ms), &seen, err)) < 0)
			return r;
		if (seen == 0 && until_ms >= 0 && now_ms() >= until_ms)
			return 0;
		if (seen != 0 && receive(c) == MP_E_INTERNAL)
			return error_set(
			    err, MP_E_INTERNAL, "out of memory while reading an answer");
	}
}

static int64_t
until(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

int
client_next(struct client *c, struct message *out, int timeout_ms, struct error *err)
{
	return next_until(c, out, until(timeout_ms), err);
}

/* ---- a call ---- */

int
client_wait(struct client *c, uint32_t msgid, int timeout_ms, const struct value **result,
    struct error *err)
{
	int64_t until_ms = until(timeout_ms);
	struct error story = ERROR_INIT;
	struct message m;
	int r;

	for (;;) {
		if ((r = next_until(c, &m, until_ms, err)) < 0)
			return r;
		if (r == 0)
			return error_set(err, MP_E_TIMEOUT,
			    "the daemon did not answer within %d ms", timeout_ms);
		if (m.kind == MESSAGE_REPLY && m.msgid == msgid)
			break;
		if (c->on_event != NULL)
			c->on_event(c->on_event_arg, &m);
	}
	if (value_type(m.error) != VALUE_NIL) {
		message_read_error(m.error, &story);
		if (err != NULL)
			*err = story;
		return story.code;
	}
	if (result != NULL)
		*result = m.result;
	return 0;
}

static int
add_params(struct pack *p, const char *params_json, struct error *err)
{
	struct json j = JSON_INIT;
	uint32_t key;
	int r;

	r = json_read(&j, params_json, strlen(params_json), JSON_STRICT);
	if (r != 0)
		r = error_set(err, MP_E_INVALID_PARAMS,
		    "the parameters are no JSON: %s at byte %zu", j.problem, j.problem_offset);
	else if (!json_is(&j, 0, JSON_OBJECT))
		r = error_set(err, MP_E_INVALID_PARAMS, "the parameters must be a JSON object");
	else {
		for (key = json_first(&j, 0); key != JSON_NONE; key = json_next(&j, key)) {
			pack_json(p, &j, key);
			pack_json(p, &j, json_value(&j, key));
		}
	}
	json_clear(&j);
	return r;
}

int
client_call(struct client *c, const char *method, const char *params_json, int timeout_ms,
    const struct value **result, struct error *err)
{
	const struct method *m = method_find(method, strlen(method));
	bool secret = m != NULL && (m->flags & RPC_SECRET) != 0;
	struct pack *p = client_begin(c, method, secret);
	uint32_t msgid;
	int r;

	if (params_json != NULL && (r = add_params(p, params_json, err)) != 0)
		goto failed;
	if ((r = client_send(c, &msgid, err)) != 0)
		return r;
	return client_wait(c, msgid, timeout_ms, result, err);
failed:
	buf_reset(&c->out, 0);
	return r;
}
