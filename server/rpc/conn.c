#include "server/rpc/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/rpc/dispatch.h"

#define READ_SMALL 4096
#define READ_LARGE 65536
#define OUT_KEEP 16384
#define PASS_COST 2048       /* what one connection may cost before others have their turn */
#define VANISHED_POLL_MS 500 /* a half-closed client waits for an answer: is it still there? */

static void conn_go_on(void *arg);

static int64_t
patience_or(int64_t ms, int64_t otherwise)
{
	return ms > 0 ? ms : otherwise;
}

/* ---- the end ---- */

static void
conn_link(struct conn *c, struct conn **list)
{
	c->prev = NULL;
	c->next = *list;
	if (c->next != NULL)
		c->next->prev = c;
	*list = c;
}

static void
conn_unlink(struct conn *c, struct conn **list)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		*list = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
}

static void
conn_bury(void *arg)
{
	conn_free(arg);
}

void
conn_free(struct conn *c)
{
	struct rpc_server *s = c->server;

	conn_unlink(c, &s->dying);
	loop_defer_cancel(s->parts->loop, &c->flush);
	loop_defer_cancel(s->parts->loop, &c->bury);
	loop_io_free(c->io);
	loop_timer_free(c->patience);
	loop_timer_free(c->again);
	loop_timer_free(c->stall);
	close(c->fd);
	message_reader_free(c->reader);
	subscription_clear(&c->subscription);
	conn_hello_clear(&c->hello);
	buf_clear(&c->out);
	buf_clear(&c->late);
	free(c);
}

static void
conn_drop_owned(struct conn *c)
{
	struct conn_owned *o;

	while ((o = c->owned) != NULL) {
		conn_disown(o);
		o->closed(o);
	}
}

void
conn_close(struct conn *c, const char *why)
{
	struct loop_timer *const timers[] = { c->patience, c->again, c->stall };
	struct rpc_server *s = c->server;

	if (c->state == CONN_DEAD)
		return;
	log_debug("connection closed", LOG_INT("conn", (int64_t)c->id), LOG_TEXT("why", why));
	c->state = CONN_DEAD;
	conn_unlink(c, &s->conns);
	conn_link(c, &s->dying);
	s->conn_count--;
	s->out_total -= c->counted;
	c->counted = 0;
	loop_io_set(c->io, 0);
	for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
		if (timers[i] != NULL)
			loop_timer_stop(timers[i]);
	/* the peer sees the end now, not when the memory goes */
	shutdown(c->fd, SHUT_RDWR);
	while (c->pending != NULL)
		request_cancel(c->pending);
	conn_drop_owned(c);
	loop_defer(s->parts->loop, &c->bury, conn_bury, c);
}

/* ---- what the loop watches ---- */

static void
conn_update_io(struct conn *c)
{
	unsigned what = 0;

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_OPEN && !c->full && !c->backlog)
		what |= LOOP_READ;
	if (c->blocked)
		what |= LOOP_WRITE;
	loop_io_set(c->io, what);
}

static struct loop_timer *
conn_timer(struct conn *c, struct loop_timer **t, void (*cb)(void *arg))
{
	if (*t == NULL)
		*t = loop_timer_new(c->server->parts->loop, cb, c);
	return *t;
}

static void
conn_stalled(void *arg)
{
	struct conn *c = arg;

	log_warn("client does not read: closing", LOG_INT("conn", (int64_t)c->id),
	    LOG_TEXT("client", c->hello.name), LOG_INT("bytes", (int64_t)conn_out_bytes(c)));
	conn_close(c, "the client does not read");
}

/* True when the client closed both directions (a half-closed one still reads). */
static bool
conn_peer_gone(const struct conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = 0 };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void
conn_impatient(void *arg)
{
	struct conn *c = arg;

	if (c->state == CONN_FINISHING) {
		if (conn_peer_gone(c))
			conn_close(c, "the client is gone");
		else
			loop_timer_start(c->patience, VANISHED_POLL_MS);
		return;
	}
	conn_close(c, c->spoke ? "an unfinished message" : "no message came");
}

/* ---- writing ---- */

size_t
conn_out_bytes(const struct conn *c)
{
	return c->out.len - c->out_at + c->late.len;
}

bool
conn_is_full(const struct conn *c)
{
	return c->full || c->state != CONN_OPEN || conn_out_bytes(c) >= LIMIT_OUT_SOFT;
}

static void
conn_account(struct conn *c)
{
	size_t now = conn_out_bytes(c);

	if (c->state == CONN_DEAD)
		return;
	c->server->out_total += now;
	c->server->out_total -= c->counted;
	c->counted = now;
}

static void
conn_set_full(struct conn *c, bool full)
{
	struct conn_owned *o, *next;

	c->full = full;
	for (o = c->owned; o != NULL; o = next) {
		next = o->next;
		if (o->pressure != NULL)
			o->pressure(o, full);
	}
}

static void
conn_flush_deferred(void *arg)
{
	conn_flush(arg);
}

void
conn_touched(struct conn *c)
{
	if (c->state == CONN_DEAD)
		return;
	conn_account(c);
	if (!c->full && conn_out_bytes(c) >= LIMIT_OUT_SOFT)
		conn_set_full(c, true);
	if (!c->in_read && !c->blocked)
		loop_defer(c->server->parts->loop, &c->flush, conn_flush_deferred, c);
	else if (c->blocked && (c->out.failed || conn_out_bytes(c) > LIMIT_OUT_HARD))
		conn_close(c, "the out-queue is full");
}

/* Sends what the socket takes. False when the connection is over. */
static bool
conn_send(struct conn *c)
{
	while (c->out_at < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			c->blocked = true;
			break;
		}
		if (n < 0) {
			conn_close(c, "the client is gone");
			return false;
		}
		c->out_at += (size_t)n;
		if (c->stall != NULL)
			loop_timer_stop(c->stall);
	}
	if (c->out_at == c->out.len) {
		buf_reset(&c->out, OUT_KEEP);
		c->out_at = 0;
		c->blocked = false;
	} else if (c->out_at >= LIMIT_OUT_SOFT / 4) {
		buf_drain(&c->out, c->out_at);
		c->out_at = 0;
	}
	return true;
}

/* The queue has drained: producers go on, and so does what waits in the reader. */
static void
conn_drained(struct conn *c)
{
	conn_set_full(c, false);
	subscription_drained(c);
	if (c->state == CONN_OPEN && !c->in_read) {
		c->backlog = true;
		loop_timer_start(conn_timer(c, &c->again, conn_go_on), 0);
	}
}

void
conn_flush(struct conn *c)
{
	if (c->state == CONN_DEAD || c->holding > 0)
		return;
	if (c->out.failed) {
		conn_close(c, "the out-queue is full");
		return;
	}
	if (!conn_send(c))
		return;
	if (conn_out_bytes(c) > LIMIT_OUT_HARD) {
		conn_close(c, "the out-queue is full");
		return;
	}
	conn_account(c);
	if (c->blocked && !loop_timer_running(conn_timer(c, &c->stall, conn_stalled)))
		loop_timer_start(c->stall,
		    patience_or(c->server->patience.out_stall_ms, LIMIT_OUT_STALL_MS));
	if (c->full && conn_out_bytes(c) <= LIMIT_OUT_SOFT / 4)
		conn_drained(c);
	if (c->state == CONN_FINISHING && c->pending == NULL && conn_out_bytes(c) == 0) {
		conn_close(c, "finished");
		return;
	}
	conn_update_io(c);
}

void
conn_hold(struct conn *c)
{
	c->holding++;
}

void
conn_release(struct conn *c)
{
	if (--c->holding > 0)
		return;
	if (c->late.len > 0 || c->late.failed) {
		if (c->late.failed)
			c->out.failed = true;
		else
			buf_add(&c->out, c->late.data, c->late.len);
		buf_reset(&c->late, 0);
	}
	conn_touched(c);
}

/* ---- reading ---- */

void
conn_finish(struct conn *c, const char *why)
{
	if (c->state != CONN_OPEN)
		return;
	log_debug("connection ends", LOG_INT("conn", (int64_t)c->id), LOG_TEXT("why", why));
	c->state = CONN_FINISHING;
	c->backlog = false;
	/* streams end with the client's side; answers that were asked for still go out */
	conn_drop_owned(c);
	if (c->state == CONN_DEAD)
		return;
	loop_timer_start(conn_timer(c, &c->patience, conn_impatient), VANISHED_POLL_MS);
	conn_touched(c);
}

void
conn_break(struct conn *c, const uint32_t *msgid, const struct error *err)
{
	log_info("protocol error: closing", LOG_INT("conn", (int64_t)c->id),
	    LOG_TEXT("client", c->hello.name), LOG_TEXT("error", err->message));
	if (msgid != NULL) {
		pack_init(&c->reply, &c->out);
		message_error_reply(&c->reply, *msgid, err, c->hello.pair_errors);
	}
	while (c->pending != NULL)
		request_cancel(c->pending);
	conn_finish(c, err->message);
}

static void
conn_watch_patience(struct conn *c)
{
	if (c->state != CONN_OPEN || !c->spoke)
		return; /* the first message's timer goes on */
	if (!c->backlog && message_reader_pending(c->reader) > 0)
		loop_timer_start(c->patience, patience_or(c->server->patience.partial_message_ms,
		    LIMIT_PARTIAL_MESSAGE_MS));
	else if (loop_timer_running(c->patience))
		loop_timer_stop(c->patience);
}

static void
conn_handle_messages(struct conn *c)
{
	struct error err = ERROR_INIT;
	bool msgid_known = false;
	unsigned cost = 0;
	struct message m;
	int r;

	c->backlog = false;
	while (c->state == CONN_OPEN) {
		if (c->full || cost >= PASS_COST) {
			c->backlog = true;
			break;
		}
		memset(&m, 0, sizeof m);
		r = message_reader_next(c->reader, &m, &msgid_known, &err);
		if (r == 0)
			break;
		if (r < 0) {
			conn_break(c, msgid_known && m.kind == MESSAGE_REQUEST ? &m.msgid : NULL, &err);
			break;
		}
		c->spoke = true;
		message_release(c->reader, dispatch(c, &m, &cost));
	}
	if (c->backlog && !c->full && c->state == CONN_OPEN)
		loop_timer_start(conn_timer(c, &c->again, conn_go_on), 0);
}

static void
conn_process(struct conn *c)
{
	c->in_read = true;
	conn_handle_messages(c);
	c->in_read = false;
	conn_watch_patience(c);
	conn_flush(c);
}

static void
conn_go_on(void *arg)
{
	conn_process(arg);
}

static void
conn_readable(struct conn *c)
{
	size_t room;
	ssize_t n;
	char *to;

	to = message_reader_room(c->reader, c->greedy ? READ_LARGE : READ_SMALL, &room);
	if (to == NULL) {
		conn_close(c, "no memory to read");
		return;
	}
	if (room > READ_LARGE)
		room = READ_LARGE;
	n = recv(c->fd, to, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n < 0 || (n == 0 && conn_peer_gone(c))) {
		conn_close(c, "the client is gone");
		return;
	}
	if (n == 0) {
		conn_finish(c, "the client ended its side");
		conn_flush(c);
		return;
	}
	c->greedy = (size_t)n == room;
	message_reader_fed(c->reader, (size_t)n);
	conn_process(c);
}

static void
conn_event(void *arg, int fd, unsigned what)
{
	struct conn *c = arg;

	(void)fd;
	if ((what & LOOP_WRITE) != 0 && c->state != CONN_DEAD) {
		c->blocked = false;
		conn_flush(c);
	}
	if ((what & LOOP_READ) != 0 && c->state == CONN_OPEN && !c->full && !c->backlog)
		conn_readable(c);
}

struct conn *
conn_new(struct rpc_server *s, int fd, pid_t pid)
{
	struct conn *c = xcalloc(1, sizeof *c);

	c->server = s;
	c->fd = fd;
	c->peer_pid = pid;
	c->id = ++s->next_conn_id;
	c->since_ms = clock_wall_ms();
	buf_init(&c->out, 2 * LIMIT_OUT_HARD);
	buf_init(&c->late, LIMIT_OUT_HARD);
	c->reader = message_reader_new(LIMIT_MESSAGE_BEFORE_HELLO);
	c->io = loop_io_new(s->parts->loop, fd, LOOP_READ, conn_event, c);
	c->patience = loop_timer_new(s->parts->loop, conn_impatient, c);
	if (c->reader == NULL || c->io == NULL || c->patience == NULL) {
		loop_io_free(c->io);
		loop_timer_free(c->patience);
		message_reader_free(c->reader);
		free(c);
		return NULL;
	}
	loop_timer_start(c->patience,
	    patience_or(s->patience.first_message_ms, LIMIT_FIRST_MESSAGE_MS));
	conn_link(c, &s->conns);
	s->conn_count++;
	return c;
}
