/* rpc: closed-loop request/reply load over a Unix socket.
 *   rpc -u SOCKET -x HEX [-c CLIENTS] [-P PIPELINE] [-d SECONDS] [-m]
 * Sends the bytes HEX and counts replies. Without -m a reply is as long as the first one was;
 * with -m it is one msgpack object, of any length, and notifications ([2, ...]) count apart. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct conn { int fd, inflight; uint64_t *t; unsigned head; size_t n; unsigned char buf[1 << 16]; };

static unsigned char msg[1 << 16], *batch;
static size_t msglen, replylen;
static int pipe_n = 1;
static bool mp;
static unsigned long ok, notes;
static uint32_t *lat;
static size_t nlat, caplat = 8 << 20;

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* length of the msgpack object at p, 0 if it is not all there */
static size_t mplen(const unsigned char *p, size_t n)
{
	static const unsigned char fix[] = { 1, 0, 1, 1, 2, 3, 5, 0, 0, 0, 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, 3, 4, 6, 10, 18, 2, 3, 5, 3, 5, 3, 5 };
	if (!n)
		return 0;
	unsigned c = *p;
	size_t head = 1, body = 0, items = 0;
	if (c < 0x80 || c >= 0xe0)
		return 1;
	if (c < 0xa0)
		items = (c & 15) * (c < 0x90 ? 2 : 1);
	else if (c < 0xc0)
		body = c & 31;
	else {
		head = fix[c - 0xc0];
		size_t w = c == 0xc4 || c == 0xc7 || c == 0xd9 ? 1 : c == 0xc5 || c == 0xc8 || c == 0xda || c == 0xdc || c == 0xde ? 2
		    : c == 0xc6 || c == 0xc9 || c == 0xdb || c == 0xdd || c == 0xdf ? 4 : 0, v = 0;
		if (c >= 0xc7 && c <= 0xc9)
			head = w + 2;
		if (n < head)
			return 0;
		for (size_t i = 0; i < w; i++)
			v = v << 8 | p[1 + i];
		if (c >= 0xdc)
			items = v * (c >= 0xde ? 2 : 1);
		else if (w)
			body = v;
	}
	size_t len = head + body;
	while (items--) {
		size_t k = len < n ? mplen(p + len, n - len) : 0;
		if (!k)
			return 0;
		len += k;
	}
	return len <= n ? len : 0;
}

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (void *)&a, sizeof a)) {
		perror("rpc: connect");
		exit(1);
	}
	return fd;
}

static void fire(struct conn *c, int k)
{
	uint64_t t = now_ns();
	for (int i = 0; i < k; i++)
		c->t[(c->head + c->inflight++) % pipe_n] = t;
	for (size_t off = 0; off < msglen * k;) {
		ssize_t w = send(c->fd, batch + off, msglen * k - off, MSG_NOSIGNAL);
		if (w <= 0) {
			perror("rpc: send");
			exit(1);
		}
		off += w;
	}
}

static int cmp(const void *a, const void *b)
{
	uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	const char *path = NULL, *hex = "";
	int conns = 1, o;
	double secs = 2;
	while ((o = getopt(argc, argv, "u:x:c:P:d:m")) != -1)
		switch (o) {
		case 'u': path = optarg; break;
		case 'x': hex = optarg; break;
		case 'c': conns = atoi(optarg); break;
		case 'P': pipe_n = atoi(optarg); break;
		case 'd': secs = atof(optarg); break;
		case 'm': mp = true; break;
		default: return 2;
		}
	for (unsigned v; msglen < sizeof msg && sscanf(hex + 2 * msglen, "%2x", &v) == 1;)
		msg[msglen++] = v;
	if (!path || !msglen)
		return fprintf(stderr, "rpc: need -u SOCKET -x HEX\n"), 2;
	batch = malloc(msglen * pipe_n);
	for (int i = 0; i < pipe_n; i++)
		memcpy(batch + i * msglen, msg, msglen);
	struct conn *c = calloc(conns, sizeof *c);
	int ep = epoll_create1(0);
	if (!mp) { /* learn the reply's length */
		int fd = dial(path);
		if (send(fd, msg, msglen, MSG_NOSIGNAL) != (ssize_t)msglen)
			return 1;
		usleep(100000);
		ssize_t n = recv(fd, c->buf, sizeof c->buf, 0);
		if (n <= 0)
			return fprintf(stderr, "rpc: no reply\n"), 1;
		replylen = n;
		close(fd);
	}
	for (int i = 0; i < conns; i++) {
		c[i].fd = dial(path);
		c[i].t = calloc(pipe_n, sizeof *c[i].t);
		epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &(struct epoll_event){ EPOLLIN, { .ptr = &c[i] } });
	}
	lat = malloc(caplat * sizeof *lat);
	uint64_t t0 = now_ns(), end = t0 + secs * 1e9, now = t0;
	for (int i = 0; i < conns; i++)
		fire(&c[i], pipe_n);
	while (now < end) {
		struct epoll_event ev[64];
		int n = epoll_wait(ep, ev, 64, 1000);
		now = now_ns();
		for (int i = 0; i < n; i++) {
			struct conn *k = ev[i].data.ptr;
			ssize_t r = recv(k->fd, k->buf + k->n, sizeof k->buf - k->n, MSG_DONTWAIT);
			if (r <= 0 && errno == EAGAIN)
				continue;
			if (r <= 0)
				return fprintf(stderr, "rpc: closed by the server\n"), 1;
			k->n += r;
			size_t off = 0, len;
			int done = 0;
			while ((len = mp ? mplen(k->buf + off, k->n - off) : k->n - off >= replylen ? replylen : 0)) {
				if (mp && k->buf[off] == 0x93 && k->buf[off + 1] == 2)
					notes++;
				else if (k->inflight) {
					uint64_t d = now - k->t[k->head];
					k->head = (k->head + 1) % pipe_n;
					k->inflight--;
					done++;
					if (nlat < caplat)
						lat[nlat++] = d > UINT32_MAX ? UINT32_MAX : d;
				}
				off += len;
			}
			memmove(k->buf, k->buf + off, k->n -= off);
			ok += done;
			if (!k->inflight && now < end) /* whole batches, as redis-benchmark does */
				fire(k, pipe_n);
		}
	}
	double w = (now_ns() - t0) / 1e9;
	qsort(lat, nlat, sizeof *lat, cmp);
	printf("secs=%.3f ok=%lu notes=%lu rps=%.0f p50=%.2f p99=%.2f p999=%.2f\n", w, ok, notes, ok / w,
	    nlat ? lat[nlat / 2] / 1e3 : 0, nlat ? lat[nlat * 99 / 100] / 1e3 : 0, nlat ? lat[nlat * 999 / 1000] / 1e3 : 0);
}
