#include "server/upstream/http.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"

#define IDLE_MAX 16
#define CONNECTIONS_MAX 64L

/* What an easy handle carries while it runs (CURLOPT_PRIVATE). */
struct http_ticket {
	void (*on_done)(void *arg, CURLcode code);
	void *arg;
};

struct http_stack {
	struct http *http;
	CURLM *multi;
	struct loop_timer *timer;
	unsigned running;
	bool retired;
	struct http_stack *next;
	struct loop_deferred reap;
};

struct http_idle {
	struct http_binding binding;
	CURL *easy;
};

struct http {
	struct loop *loop;
	struct http_stack *stack;   /* the one new transfers use */
	struct http_stack *retired; /* older ones that still run something */
	struct http_idle idle[IDLE_MAX];
	unsigned idle_count;
	uint64_t salt[2];
};

static bool
library_init(void)
{
	static bool done;

	if (!done)
		done = http_library_load() && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	return done;
}

/* ---- the stack: a multi handle on the loop ---- */

static void
stack_free(struct http_stack *s)
{
	if (s == NULL)
		return;
	loop_defer_cancel(s->http->loop, &s->reap);
	/* closes the idle connections, whose sockets nobody watches any more */
	curl_multi_cleanup(s->multi);
	loop_timer_free(s->timer);
	free(s);
}

static void
stack_reap(void *arg)
{
	struct http_stack *s = arg, **at = &s->http->retired;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	stack_free(s);
}

static void
stack_collect(struct http_stack *s)
{
	struct http_ticket *ticket;
	CURLMsg *msg;
	CURL *easy;
	CURLcode code;
	int left;

	while ((msg = curl_multi_info_read(s->multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		easy = msg->easy_handle;
		code = msg->data.result;
		ticket = NULL;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&ticket);
		/* the owner takes the handle off (http_remove), which also frees the ticket */
		if (ticket != NULL)
			ticket->on_done(ticket->arg, code);
	}
}

static void
stack_ready(void *arg, int fd, unsigned what)
{
	struct http_stack *s = arg;
	int flags = 0, running;

	if (what & LOOP_READ)
		flags |= CURL_CSELECT_IN;
	if (what & LOOP_WRITE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(s->multi, fd, flags, &running);
	stack_collect(s);
}

static void
stack_timeout(void *arg)
{
	struct http_stack *s = arg;
	int running;

	curl_multi_socket_action(s->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	stack_collect(s);
}

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_stack *s = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_stop(s->timer);
	else
		loop_timer_start(s->timer, timeout_ms);
	return 0;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http_stack *s = arg;
	struct loop_io *io = known;
	unsigned want = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		loop_io_free(io);
		curl_multi_assign(s->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		want |= LOOP_READ;
	if (what & CURL_POLL_OUT)
		want |= LOOP_WRITE;
	if (io != NULL) {
		loop_io_set(io, want);
		return 0;
	}
	io = loop_io_new(s->http->loop, fd, want, stack_ready, s);
	if (io == NULL)
		return -1;
	curl_multi_assign(s->multi, fd, io);
	return 0;
}

static struct http_stack *
stack_new(struct http *h)
{
	struct http_stack *s = xcalloc(1, sizeof *s);

	s->http = h;
	s->multi = curl_multi_init();
	s->timer = loop_timer_new(h->loop, stack_timeout, s);
	if (s->multi == NULL || s->timer == NULL) {
		if (s->multi != NULL)
			curl_multi_cleanup(s->multi);
		loop_timer_free(s->timer);
		free(s);
		return NULL;
	}
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
	curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_MAX);
	/* one transfer per connection: a paused stream never holds up another */
	curl_multi_setopt(s->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	return s;
}

/* ---- http ---- */

struct http *
http_new(struct loop *loop)
{
	struct http *h;

	if (!library_init())
		return NULL;
	h = xcalloc(1, sizeof *h);
	h->loop = loop;
	if (getrandom(h->salt, sizeof h->salt, 0) != (ssize_t)sizeof h->salt ||
	    (h->stack = stack_new(h)) == NULL) {
		free(h);
		return NULL;
	}
	return h;
}

static void
drop_idle(struct http *h)
{
	while (h->idle_count > 0)
		curl_easy_cleanup(h->idle[--h->idle_count].easy);
}

void
http_free(struct http *h)
{
	struct http_stack *s;

	if (h == NULL)
		return;
	drop_idle(h);
	while ((s = h->retired) != NULL) {
		h->retired = s->next;
		stack_free(s);
	}
	stack_free(h->stack);
	secret_wipe(h->salt, sizeof h->salt);
	free(h);
}

void
http_reload(struct http *h)
{
	struct http_stack *old = h->stack, *fresh = stack_new(h);

	if (fresh == NULL)
		return; /* the old one still serves */
	drop_idle(h);
	h->stack = fresh;
	old->retired = true;
	old->next = h->retired;
	h->retired = old;
	if (old->running == 0)
		loop_defer(h->loop, &old->reap, stack_reap, old);
}

/* Two independent salted sums; equal tags of different bindings are a matter of 2^-128, and a wrong match
 * would only share a handle that was reset. */
static void
mix(struct http_binding *b, const void *data, size_t n)
{
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < n; i++) {
		b->tag[0] = (b->tag[0] ^ p[i]) * 0x9e3779b97f4a7c15u;
		b->tag[0] ^= b->tag[0] >> 29;
		b->tag[1] = (b->tag[1] + p[i] + 1) * 0xd6e8feb86659fd93u;
		b->tag[1] ^= b->tag[1] >> 32;
	}
	b->tag[0] = (b->tag[0] ^ n) * 0x9e3779b97f4a7c15u;
	b->tag[1] = (b->tag[1] + n) * 0xd6e8feb86659fd93u;
}

static void
mix_text(struct http_binding *b, const char *s)
{
	mix(b, s != NULL ? s : "", s != NULL ? strlen(s) : 0);
}

void
http_bind(const struct http *h, const char *origin, const struct secret *key, const char *ca_file,
    const char *proxy, struct http_binding *out)
{
	out->tag[0] = h->salt[0];
	out->tag[1] = h->salt[1];
	mix_text(out, origin);
	mix_text(out, ca_file);
	mix_text(out, proxy);
	if (key != NULL)
		mix(out, secret_bytes(key), secret_len(key));
}

CURL *
http_take(struct http *h, const struct http_binding *binding)
{
	unsigned i;
	CURL *easy;

	for (i = h->idle_count; i-- > 0;) {
		if (memcmp(&h->idle[i].binding, binding, sizeof *binding) != 0)
			continue;
		easy = h->idle[i].easy;
		h->idle[i] = h->idle[--h->idle_count];
		return easy;
	}
	return curl_easy_init();
}

void
http_give(struct http *h, const struct http_binding *binding, CURL *easy, bool spoiled)
{
	if (spoiled) {
		curl_easy_cleanup(easy);
		return;
	}
	if (h->idle_count == IDLE_MAX) {
		/* the one that waited longest goes */
		curl_easy_cleanup(h->idle[0].easy);
		memmove(&h->idle[0], &h->idle[1], (IDLE_MAX - 1) * sizeof h->idle[0]);
		h->idle_count--;
	}
	curl_easy_reset(easy);
	h->idle[h->idle_count].binding = *binding;
	h->idle[h->idle_count].easy = easy;
	h->idle_count++;
}

int
http_run(struct http *h, CURL *easy, void (*on_done)(void *arg, CURLcode code), void *arg,
    struct http_stack **stack)
{
	struct http_ticket *ticket = xcalloc(1, sizeof *ticket);

	ticket->on_done = on_done;
	ticket->arg = arg;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, ticket);
	if (curl_multi_add_handle(h->stack->multi, easy) != CURLM_OK) {
		free(ticket);
		return MP_E_INTERNAL;
	}
	h->stack->running++;
	*stack = h->stack;
	return 0;
}

void
http_remove(struct http_stack *s, CURL *easy)
{
	struct http_ticket *ticket = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&ticket);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
	curl_multi_remove_handle(s->multi, easy);
	free(ticket);
	if (--s->running == 0 && s->retired)
		loop_defer(s->http->loop, &s->reap, stack_reap, s);
}
