#include "server/rpc/server.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/limits.h"
#include "server/base/log.h"
#include "server/rpc/conn.h"
#include "server/rpc/dispatch.h"
#include "server/rpc/notify.h"
#include "server/rpc/replay.h"
#include "server/rpc/usage_object.h"

struct rpc_server *
rpc_server_new(struct rpc_parts *parts, const struct rpc_patience *patience)
{
	struct rpc_server *s = xcalloc(1, sizeof *s);

	s->parts = parts;
	if (patience != NULL)
		s->patience = *patience;
	s->replays = replays_new();
	s->notifier = notifier_new(s);
	s->usage_news = usage_news_new(s);
	parts->server = s;
	return s;
}

void
rpc_server_free(struct rpc_server *s)
{
	if (s == NULL)
		return;
	while (s->conns != NULL)
		conn_close(s->conns, "the daemon stops");
	while (s->dying != NULL)
		conn_free(s->dying);
	usage_news_free(s->usage_news);
	notifier_free(s->notifier);
	replays_free(s->replays);
	requests_free_spare(s);
	s->parts->server = NULL;
	free(s);
}

void
rpc_server_turn_away(struct rpc_server *s, int fd, const char *why)
{
	struct error err = ERROR_INIT;
	struct buf frame = BUF_INIT;
	struct pack p;

	s->refused_full++;
	error_set(&err, MP_E_TOO_MANY, "%s", why);
	pack_init(&p, &frame);
	message_error_reply(&p, 0, &err, false);
	if (!frame.failed && send(fd, frame.data, frame.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a connection was turned away without a word");
	buf_clear(&frame);
	close(fd);
}

void
rpc_server_accept(struct rpc_server *s, int fd, pid_t pid)
{
	if (s->conn_count >= LIMIT_CONNECTIONS) {
		rpc_server_turn_away(s, fd, "too many connections");
		return;
	}
	if (conn_new(s, fd, pid) == NULL) {
		log_warn("a connection could not be set up");
		close(fd);
	}
}

void
rpc_server_refuse(struct rpc_server *s)
{
	s->refusing = true;
}

bool
rpc_server_flush(struct rpc_server *s)
{
	struct conn *c, *next;
	bool idle = true;

	for (c = s->conns; c != NULL; c = next) {
		next = c->next;
		conn_flush(c);
	}
	for (c = s->conns; c != NULL; c = c->next)
		if (conn_out_bytes(c) > 0)
			idle = false;
	return idle;
}

size_t
rpc_server_pending(const struct rpc_server *s)
{
	size_t n = 0;

	for (const struct conn *c = s->conns; c != NULL; c = c->next)
		n += c->pending_count;
	return n;
}

void
rpc_server_cancel_pending(struct rpc_server *s)
{
	struct conn *c, *next;

	for (c = s->conns; c != NULL; c = next) {
		next = c->next;
		while (c->pending != NULL)
			request_cancel(c->pending);
	}
}
