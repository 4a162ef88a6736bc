/* peer.h - the scripted other end of a client: a thread with one end of a socket pair. */
#ifndef TESTS_UNIT_PROTOCOL_PEER_H
#define TESTS_UNIT_PROTOCOL_PEER_H

#include "tests/unit/protocol/support.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/client.h"

/* The peer: a thread that runs `script` with its end of the pair and closes it then. */
struct peer {
	int fd;
	pthread_t thread;
	void (*script)(struct peer *p);
	struct message_reader *reader;
	char seen[4096]; /* the methods that came, with a blank after each */
};

static inline void *
peer_main(void *arg)
{
	struct peer *p = arg;

	p->script(p);
	close(p->fd);
	return NULL;
}

static inline struct client *
start(struct peer *p, void (*script)(struct peer *p))
{
	int fds[2];

	memset(p, 0, sizeof *p);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->fd = fds[0];
	p->script = script;
	p->reader = message_reader_new(LIMIT_MESSAGE_AFTER_HELLO);
	assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
	return client_new(fds[1]);
}

static inline void
finish(struct peer *p, struct client *c)
{
	client_close(c);
	pthread_join(p->thread, NULL);
	message_reader_free(p->reader);
}

/* The next request, or false at the end. Asserts are for the test's thread; a script that meets
 * what it does not expect ends, and the test sees the connection close. */
static inline bool
peer_request(struct peer *p, struct message *m)
{
	bool known;
	size_t room, used;
	ssize_t n;
	char *at;

	while (message_reader_next(p->reader, m, &known, NULL) == 0) {
		if ((at = message_reader_room(p->reader, 65536, &room)) == NULL
		    || (n = recv(p->fd, at, room, 0)) <= 0)
			return false;
		message_reader_fed(p->reader, (size_t)n);
	}
	used = strlen(p->seen);
	if (m->method.len + 2 < sizeof p->seen - used)
		snprintf(p->seen + used, sizeof p->seen - used, "%.*s ", (int)m->method.len,
		    m->method.data);
	return m->method.data != NULL;
}

static inline void
peer_send(struct peer *p, const void *data, size_t n)
{
	size_t sent = 0;
	ssize_t r;

	while (sent < n && (r = send(p->fd, (const char *)data + sent, n - sent, MSG_NOSIGNAL)) > 0)
		sent += (size_t)r;
}

static inline void
peer_reply(struct peer *p, uint32_t msgid, int64_t n)
{
	struct buf b = BUF_INIT;
	struct pack pack;

	pack_init(&pack, &b);
	message_begin_reply(&pack, msgid);
	pack_map_begin(&pack);
	pack_kv_int(&pack, "n", n);
	pack_map_end(&pack);
	message_end_reply(&pack);
	peer_send(p, b.data, b.len);
	buf_clear(&b);
}

static inline void
peer_event(struct peer *p, int64_t seq)
{
	struct buf b = BUF_INIT;
	struct pack pack;

	pack_init(&pack, &b);
	message_begin_event(&pack, "prompt.event", NULL);
	pack_map_begin(&pack);
	pack_kv_int(&pack, "seq", seq);
	pack_map_end(&pack);
	message_end_event(&pack, NULL);
	peer_send(p, b.data, b.len);
	buf_clear(&b);
}

#endif
