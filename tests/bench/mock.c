/* mock: a fast fake LLM upstream on 127.0.0.1 (one thread, epoll, plain HTTP/1.1).
 *   POST .../chat/completions   OpenAI, JSON or SSE ("stream":true)
 *   POST .../messages           Anthropic, JSON or SSE
 *   POST .../count_tokens, GET .../models, GET /
 * Every streamed text piece starts with "t=<monotonic us, 15 digits>;" so that a client on
 * the same machine can tell how long the piece was under way. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OPENAI, ANTHROPIC };
enum { MAX_REQ = 64 << 20, HEAD = 2048 };

struct conn {
	int fd, api, left;              /* left: stream pieces still to send, -1 = not streaming */
	char *in, *out;
	size_t len, cap, hdr, clen, scan, outlen, outcap;
	size_t skip;                    /* body bytes to throw away: only its head matters */
	int stream;                     /* what the body asks: 1, 0, or -1 not known yet */
	bool chunked, have_hdr, wantout, closing, queued, started, reset;
	uint64_t due;
	struct conn *next;
};
struct queue { struct conn *head, **tail; };

static struct { int port, chunks, piece, body, e429, e500, reset; long latency_us, delay_us; }
	opt = { .port = 8800, .chunks = 200, .piece = 32, .body = 256 };
static int ep;
static unsigned long nreq, nstream;
static struct queue q_first, q_next;    /* constant delays, so each is ordered by due time */
static char *head[2], *piece[2], *tail[2], *full[2], *models, *tokens, *r404, *r429, *r500;
static size_t head_n[2], piece_n[2], tail_n[2], piece_t[2];

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static char *pad(int n)
{
	char *s = malloc(n + 1);
	for (int i = 0; i < n; i++)
		s[i] = "lorem ipsum dolor "[i % 18];
	s[n] = 0;
	return s;
}

static char *frame(const char *ev) /* one HTTP chunk */
{
	char *s;
	if (asprintf(&s, "%zx\r\n%s\r\n", strlen(ev), ev) < 0)
		abort();
	return s;
}

static char *reply(const char *status, const char *extra, const char *body)
{
	char *s;
	if (asprintf(&s, "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
	    status, extra, strlen(body), body) < 0)
		abort();
	return s;
}

static char *cat(char *a, char *b)
{
	char *s;
	if (asprintf(&s, "%s%s", a, b) < 0)
		abort();
	return s;
}

static void build(void)
{
	char *p = pad(opt.piece > 18 ? opt.piece - 18 : 0), *b = pad(opt.body), *s;
	const char *sse = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n";
#define F(...) (asprintf(&s, __VA_ARGS__) < 0 ? NULL : s)
#define OA "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{\"index\":0,\"delta\":"
	head[0] = cat((char *)sse, frame(OA "{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"));
	piece[0] = frame(F(OA "{\"content\":\"t=000000000000000;%s\"},\"finish_reason\":null}]}\n\n", p));
	tail[0] = cat(cat(frame(F(OA "{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
	    opt.chunks, opt.chunks + 10)), frame("data: [DONE]\n\n")), "0\r\n\r\n");
	head[1] = cat(cat((char *)sse, frame("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n")),
	    frame("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"));
	piece[1] = frame(F("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"t=000000000000000;%s\"}}\n\n", p));
	tail[1] = cat(cat(frame("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"),
	    frame(F("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":%d}}\n\n", opt.chunks))),
	    cat(frame("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "0\r\n\r\n"));
	full[0] = reply("200 OK", "", F("{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":64,\"total_tokens\":74}}", b));
	full[1] = reply("200 OK", "", F("{\"id\":\"msg_mock\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":64}}", b));
	models = reply("200 OK", "", "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"mock\"}]}");
	tokens = reply("200 OK", "", "{\"input_tokens\":10}");
	r404 = reply("404 Not Found", "", "{\"error\":{\"message\":\"not found\",\"type\":\"not_found_error\"}}");
	r429 = reply("429 Too Many Requests", "Retry-After: 1\r\n", "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\"}}");
	r500 = reply("500 Internal Server Error", "", "{\"error\":{\"message\":\"mock failure\",\"type\":\"server_error\"}}");
	for (int i = 0; i < 2; i++) {
		head_n[i] = strlen(head[i]);
		piece_n[i] = strlen(piece[i]);
		tail_n[i] = strlen(tail[i]);
		piece_t[i] = strstr(piece[i], "t=0000") + 2 - piece[i];
	}
}

static void q_put(struct queue *q, struct conn *c, long delay)
{
	c->due = delay ? now_us() + delay : 0;
	c->next = NULL;
	c->queued = true;
	*q->tail = c;
	q->tail = &c->next;
}

static struct conn *q_get(struct queue *q)
{
	struct conn *c = q->head;
	if (!(q->head = c->next))
		q->tail = &q->head;
	c->queued = false;
	return c;
}

static void drop(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	if (c->queued)
		return; /* freed when it leaves its queue */
	free(c->in);
	free(c->out);
	free(c);
}

static void watch(struct conn *c, bool out)
{
	if (c->wantout == out)
		return;
	c->wantout = out;
	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &(struct epoll_event){ EPOLLIN | (out ? EPOLLOUT : 0), { .ptr = c } });
}

static bool put(struct conn *c, const char *b, size_t n) /* false: connection is gone */
{
	if (!c->outlen) {
		ssize_t w = send(c->fd, b, n, MSG_NOSIGNAL);
		if (w < 0 && errno != EAGAIN)
			return false;
		if (w > 0)
			b += w, n -= w;
	}
	if (n) {
		if (c->outlen + n > c->outcap)
			c->out = realloc(c->out, c->outcap = c->outlen + n + 4096);
		memcpy(c->out + c->outlen, b, n);
		c->outlen += n;
		watch(c, true);
	}
	return true;
}

static int find_stream(const char *b, size_t n)
{
	static const char *k[] = { "\"stream\":true", "\"stream\": true", "\"stream\":false", "\"stream\": false" };
	for (int i = 0; i < 4; i++)
		if (memmem(b, n, k[i], strlen(k[i])))
			return i < 2;
	return -1;
}

static bool is_stream(struct conn *c)
{
	const char *b = c->in + c->hdr;
	size_t n = c->clen, w = n < HEAD ? n : HEAD;
	if (c->stream < 0)
		c->stream = find_stream(b, w);
	if (c->stream < 0)
		c->stream = find_stream(b + n - w, w);
	return c->stream >= 0 ? c->stream : find_stream(b, n) == 1;
}

static bool respond(struct conn *c)
{
	const char *r = NULL, *eol = memchr(c->in, '\r', c->hdr), *path = c->in;
	size_t n = eol ? (size_t)(eol - path) : 0;
	nreq++;
	if (memmem(path, n, "/count_tokens", 13))
		r = tokens;
	else if (memmem(path, n, "/chat/completions", 17))
		c->api = OPENAI;
	else if (memmem(path, n, "/messages", 9))
		c->api = ANTHROPIC;
	else if (memmem(path, n, "/models", 7) || memmem(path, n, " / ", 3))
		r = models;
	else
		r = r404;
	if (!r && opt.e429 && nreq % opt.e429 == 0)
		r = r429;
	if (!r && opt.e500 && nreq % opt.e500 == 0)
		r = r500;
	if (!r && is_stream(c)) {
		c->left = opt.chunks;
		c->started = false;
		c->reset = opt.reset && ++nstream % opt.reset == 0;
	} else if (!r) {
		r = full[c->api];
		if (opt.latency_us) {
			c->left = 0;
			c->started = false;
			c->reset = true; /* with left==0: a delayed whole reply */
		} else
			return put(c, r, strlen(r));
	} else
		return put(c, r, strlen(r));
	q_put(&q_first, c, opt.latency_us);
	return true;
}

/* Is a whole request in c->in? Sets hdr, clen; 1 yes, 0 more, -1 bad. *used = bytes it takes. */
static int parse(struct conn *c, size_t *used)
{
	if (!c->have_hdr) {
		char *e = memmem(c->in + c->scan, c->len - c->scan, "\r\n\r\n", 4), *v;
		if (!e) {
			c->scan = c->len > 3 ? c->len - 3 : 0;
			return c->len > 65536 ? -1 : 0;
		}
		c->hdr = e + 4 - c->in;
		c->in[c->hdr - 1] = 0;
		c->clen = (v = strcasestr(c->in, "\r\ncontent-length:")) ? strtoul(v + 17, NULL, 10) : 0;
		c->chunked = strcasestr(c->in, "\r\ntransfer-encoding: chunked") != NULL;
		c->closing = strcasestr(c->in, "\r\nconnection: close") != NULL || memmem(c->in, 256 < c->hdr ? 256 : c->hdr, " HTTP/1.0\r", 10);
		if (c->clen > MAX_REQ)
			return -1;
		if (strcasestr(c->in, "\r\nexpect: 100-continue") && !put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25))
			return -1;
		c->have_hdr = true;
		c->scan = c->hdr;
		c->stream = -1;
	}
	if (!c->chunked) {
		*used = c->hdr + c->clen;
		if (c->len < *used && c->len >= c->hdr + HEAD && c->stream < 0) {
			c->stream = find_stream(c->in + c->hdr, HEAD);
			if (c->stream >= 0) {
				c->skip = *used - c->len;
				c->clen -= c->skip;
			}
		}
		return c->len >= *used;
	}
	for (;;) { /* unchunk in place: body grows at hdr+clen, scan is the next chunk header */
		char *p = c->in + c->scan, *nl = memmem(p, c->len - c->scan, "\r\n", 2);
		if (!nl)
			return 0;
		size_t n = strtoul(p, NULL, 16), data = nl + 2 - c->in;
		if (n > MAX_REQ)
			return -1;
		if (c->len < data + n + 2)
			return 0;
		memmove(c->in + c->hdr + c->clen, c->in + data, n);
		c->clen += n;
		c->scan = data + n + 2;
		if (!n)
			return *used = c->scan, 1;
	}
}

static bool idle(struct conn *c) { return c->left < 0 && !c->outlen; }

static bool pump(struct conn *c) /* answer what is buffered; false: drop */
{
	size_t used;
	int r = 0;
	while (idle(c) && c->len && (r = parse(c, &used)) > 0) {
		bool ok = respond(c);
		memmove(c->in, c->in + used, c->len - used);
		c->len -= used;
		c->have_hdr = false;
		c->scan = 0;
		if (!ok || (c->closing && idle(c)))
			return false;
	}
	return r >= 0;
}

static bool on_read(struct conn *c)
{
	static char sink[1 << 16];
	while (c->skip) {
		ssize_t n = recv(c->fd, sink, c->skip < sizeof sink ? c->skip : sizeof sink, 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		if (!(c->skip -= n) && !pump(c))
			return false;
	}
	for (;;) {
		size_t want = c->have_hdr && !c->chunked ? c->hdr + c->clen : 0;
		if (want < c->len + 16384)
			want = c->len + 16384;
		if (want > c->cap)
			c->in = realloc(c->in, c->cap = want);
		size_t room = c->cap - c->len;
		ssize_t n = recv(c->fd, c->in + c->len, room, 0);
		if (n == 0)
			return false;
		if (n < 0)
			return errno == EAGAIN;
		c->len += n;
		if (c->len > MAX_REQ + 65536 || !pump(c))
			return false;
		if (c->skip)
			return on_read(c);
		if ((size_t)n < room)
			return true;
	}
}

static bool step(struct conn *c) /* one stream piece; false: drop */
{
	if (!c->started && c->left == 0 && c->reset) { /* delayed whole reply */
		c->left = -1;
		c->reset = false;
		return put(c, full[c->api], strlen(full[c->api])) && !(c->closing && !c->outlen) && pump(c);
	}
	bool ok = true;
	if (!c->started) {
		c->started = true;
		ok = put(c, head[c->api], head_n[c->api]);
	} else if (c->left > 0) {
		if (c->reset && c->left <= opt.chunks / 2) {
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
			return false;
		}
		char *d = piece[c->api] + piece_t[c->api] + 14;
		uint64_t t = now_us();
		for (int i = 0; i < 15; i++, t /= 10)
			*d-- = '0' + t % 10;
		ok = put(c, piece[c->api], piece_n[c->api]);
		c->left--;
	} else {
		ok = put(c, tail[c->api], tail_n[c->api]);
		c->left = -1;
		return ok && !(c->closing && !c->outlen) && pump(c);
	}
	if (ok && !c->outlen)
		q_put(&q_next, c, opt.delay_us);
	return ok;
}

static bool on_write(struct conn *c)
{
	ssize_t w = send(c->fd, c->out, c->outlen, MSG_NOSIGNAL);
	if (w < 0)
		return errno == EAGAIN;
	memmove(c->out, c->out + w, c->outlen - w);
	if ((c->outlen -= w))
		return true;
	watch(c, false);
	if (c->left >= 0) {
		if (!c->queued)
			q_put(&q_next, c, 0);
		return true;
	}
	return !c->closing && pump(c);
}

static void run_queue(struct queue *q, uint64_t now)
{
	struct conn *last = q->head ? (struct conn *)((char *)q->tail - offsetof(struct conn, next)) : NULL, *c;
	while ((c = q->head) && c->due <= now) {
		q_get(q);
		if (c->fd < 0 || !step(c))
			drop(c);
		if (c == last)
			break; /* one turn each: pieces of concurrent streams interleave */
	}
}

int main(int argc, char **argv)
{
	static const struct option lo[] = { { "port", 1, 0, 'p' }, { "latency-us", 1, 0, 'l' }, { "chunks", 1, 0, 'n' },
		{ "delay-us", 1, 0, 'd' }, { "piece-bytes", 1, 0, 's' }, { "body-bytes", 1, 0, 'b' }, { "every-429", 1, 0, '4' },
		{ "every-500", 1, 0, '5' }, { "every-reset", 1, 0, 'r' }, { 0 } };
	for (int o; (o = getopt_long(argc, argv, "", lo, NULL)) != -1;) {
		long v = optarg ? atol(optarg) : 0;
		switch (o) {
		case 'p': opt.port = v; break;
		case 'l': opt.latency_us = v; break;
		case 'n': opt.chunks = v; break;
		case 'd': opt.delay_us = v; break;
		case 's': opt.piece = v; break;
		case 'b': opt.body = v; break;
		case '4': opt.e429 = v; break;
		case '5': opt.e500 = v; break;
		case 'r': opt.reset = v; break;
		default: return 2;
		}
	}
	build();
	q_first.tail = &q_first.head;
	q_next.tail = &q_next.head;
	int one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(l, (void *)&a, sizeof a) || listen(l, 1024))
		return perror("mock: bind"), 1;
	ep = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &(struct epoll_event){ EPOLLIN, { .ptr = NULL } });
	for (;;) {
		struct epoll_event ev[256];
		struct timespec ts = { 3600, 0 };
		uint64_t now = now_us(), due = UINT64_MAX;
		if (q_first.head) due = q_first.head->due;
		if (q_next.head && q_next.head->due < due) due = q_next.head->due;
		if (due != UINT64_MAX) {
			long w = due > now ? (long)(due - now) : 0;
			ts = (struct timespec){ w / 1000000, w % 1000000 * 1000 };
		}
		int n = epoll_pwait2(ep, ev, 256, &ts, NULL);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (!c) {
				int fd;
				while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
					setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
					c = calloc(1, sizeof *c);
					c->fd = fd;
					c->left = -1;
					epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){ EPOLLIN, { .ptr = c } });
				}
				continue;
			}
			bool ok = true;
			if (ev[i].events & EPOLLOUT)
				ok = on_write(c);
			if (ok && ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				ok = on_read(c);
			if (!ok)
				drop(c);
		}
		now = now_us();
		run_queue(&q_first, now);
		run_queue(&q_next, now);
	}
}
