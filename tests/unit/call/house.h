/* house.h - the parts a call needs, on a private folder, and a scripted provider on a loopback port.
 * Everything is real: the store, the vault, the HTTP client, the sockets. */
#ifndef TESTS_UNIT_CALL_HOUSE_H
#define TESTS_UNIT_CALL_HOUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/clock.h"
#include "server/call/attempt.h"
#include "server/call/call.h"
#include "server/call/probe.h"
#include "server/call/purses.h"
#include "server/state/credentials.h"
#include "server/usage/ledger.h"
#include "server/usage/price_book.h"

/* ---- the scripted provider ---- */

enum behaviour {
	SAY_HELLO,      /* a whole stream: "Hel" "lo" and usage */
	SAY_TOOL,       /* a stream with one tool call */
	SAY_REASON,     /* reasoning, then text */
	SAY_EMPTY,      /* a whole stream without content */
	SAY_MUCH,       /* `pieces` pieces of 1 KiB */
	REFUSE_KEY,     /* 401 */
	REFUSE_RATE,    /* 429, retry-after 7 */
	REFUSE_HTML,    /* 500 with a page */
	REFUSE_MODEL,   /* 404 model_not_found */
	REFUSE_SIGNATURES, /* 400 about a thought signature */
	REFUSE_SIGNATURES_ONCE, /* the first request, then SAY_HELLO */
	HANG_AT_ONCE,   /* never a byte */
	HANG_MIDWAY,    /* one piece, then silence */
	HANG_TOLD,      /* the prompt is counted and one piece said, then silence */
	HANG_TOLD_ALL,  /* the same, with more output counted than was said */
	HANG_TOLD_FEW,  /* the same, with less output counted than was said */
	HANG_TOLD_ONLY, /* the prompt is counted, then silence */
	RESET_AT_ONCE,  /* RST instead of an answer */
	RESET_MIDWAY,   /* one piece, then RST */
	CUT_MIDWAY,     /* one piece, then a clean close without the end marker */
	ERROR_SIGNATURES_MIDWAY, /* one piece, then the 400 about signatures */
	ERROR_MIDWAY,   /* one piece, then an error object in the stream */
	BEHAVIOURS,
};

#define VENDOR_CONNS 512

struct vendor {
	int fd, port;
	int stop[2];
	pthread_t thread;
	pthread_t conns[VENDOR_CONNS];
	size_t conn_count;
	atomic_int behaviour;
	atomic_int no_list;  /* GET /models is 404 */
	atomic_int hang_list;
	atomic_int pieces;
	atomic_int requests; /* whole requests seen */
	atomic_int gone;     /* connections the client ended while we hung */
	pthread_mutex_t lock;
	char last[8192];     /* the newest request */
};

struct vendor_conn {
	struct vendor *v;
	int fd;
};

static inline bool
vendor_send(int fd, const char *text)
{
	size_t n = strlen(text), at = 0;

	while (at < n) {
		ssize_t sent = send(fd, text + at, n - at, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		at += (size_t)sent;
	}
	return true;
}

static inline void
vendor_answer(int fd, const char *status, const char *headers, const char *body)
{
	char head[512];

	snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n", status, headers, strlen(body));
	if (vendor_send(fd, head))
		vendor_send(fd, body);
}

#define SSE_HEAD \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define SSE_TEXT(t) \
	"data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" t \
	"\"}}]}\n\n"
#define SSE_FINISH(r) \
	"data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" r "\"}]}\n\n"
#define SSE_USAGE \
	"data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3," \
	"\"total_tokens\":15}}\n\n"
#define SSE_TOLD(counts) "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[],\"usage\":{" counts "}}\n\n"
#define SSE_DONE "data: [DONE]\n\n"

/* Until the client leaves or the test ends. */
static inline void
vendor_hang(struct vendor *v, int fd)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { v->stop[0], POLLIN, 0 } };
	char c;

	if (poll(p, 2, 20000) > 0 && p[0].revents != 0 && recv(fd, &c, 1, 0) <= 0)
		v->gone++;
}

static inline void
vendor_reset(int fd)
{
	struct linger hard = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

#define SIGNATURES_REFUSED \
	"{\"error\":{\"code\":400,\"message\":\"Corrupted thought signature.\"," \
	"\"status\":\"INVALID_ARGUMENT\"}}"

static inline void
vendor_behave(struct vendor *v, int fd)
{
	static const char page[] = "<html><head><title>Oops &amp; sorry</title></head></html>";

	switch ((enum behaviour)v->behaviour) {
	case SAY_HELLO:
		vendor_send(fd, SSE_HEAD SSE_TEXT("Hel") SSE_TEXT("lo") SSE_FINISH("stop")
		        SSE_USAGE SSE_DONE);
		break;
	case SAY_TOOL:
		vendor_send(fd, SSE_HEAD
		    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
		    "\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"weather\","
		    "\"arguments\":\"\"}}]}}]}\n\n"
		    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
		    "\"function\":{\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n"
		    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,"
		    "\"function\":{\"arguments\":\"1}\"}}]}}]}\n\n"
		    SSE_FINISH("tool_calls") SSE_DONE);
		break;
	case SAY_REASON:
		vendor_send(fd, SSE_HEAD
		    "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hmm\"}}]}\n\n"
		    SSE_TEXT("ok") SSE_FINISH("stop") SSE_DONE);
		break;
	case SAY_EMPTY:
		vendor_send(fd, SSE_HEAD SSE_FINISH("stop") SSE_DONE);
		break;
	case SAY_MUCH:
		if (!vendor_send(fd, SSE_HEAD))
			break;
		for (int i = 0; i < v->pieces; i++) {
			char piece[1025], event[1200];

			memset(piece, 'a' + i % 26, 1024);
			piece[1024] = '\0';
			snprintf(event, sizeof(event),
			    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n",
			    piece);
			if (!vendor_send(fd, event))
				return;
		}
		vendor_send(fd, SSE_FINISH("stop") SSE_DONE);
		break;
	case REFUSE_KEY:
		vendor_answer(fd, "401 Unauthorized", "Content-Type: application/json\r\n",
		    "{\"error\":{\"message\":\"Incorrect API key provided: sk-test-0123456789abcdef\","
		    "\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\"}}");
		break;
	case REFUSE_RATE:
		vendor_answer(fd, "429 Too Many Requests",
		    "Content-Type: application/json\r\nRetry-After: 7\r\n",
		    "{\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}");
		break;
	case REFUSE_HTML:
		vendor_answer(fd, "500 Internal Server Error", "Content-Type: text/html\r\n", page);
		break;
	case REFUSE_MODEL:
		vendor_answer(fd, "404 Not Found", "Content-Type: application/json\r\n",
		    "{\"error\":{\"message\":\"no such model\",\"code\":\"model_not_found\"}}");
		break;
	case REFUSE_SIGNATURES_ONCE:
		if (v->requests > 1) {
			vendor_send(fd, SSE_HEAD SSE_TEXT("Hel") SSE_TEXT("lo") SSE_FINISH("stop") SSE_DONE);
			break;
		}
		vendor_answer(fd, "400 Bad Request", "Content-Type: application/json\r\n",
		    SIGNATURES_REFUSED);
		break;
	case REFUSE_SIGNATURES:
		vendor_answer(fd, "400 Bad Request", "Content-Type: application/json\r\n",
		    SIGNATURES_REFUSED);
		break;
	case HANG_AT_ONCE:
		vendor_hang(v, fd);
		break;
	case HANG_MIDWAY:
		vendor_send(fd, SSE_HEAD SSE_TEXT("Hel"));
		vendor_hang(v, fd);
		break;
	case HANG_TOLD:
		vendor_send(fd, SSE_HEAD SSE_TOLD("\"prompt_tokens\":12") SSE_TEXT("Hel"));
		vendor_hang(v, fd);
		break;
	case HANG_TOLD_ALL:
		vendor_send(fd, SSE_HEAD SSE_TOLD("\"prompt_tokens\":12,\"completion_tokens\":9")
		        SSE_TEXT("Hel"));
		vendor_hang(v, fd);
		break;
	case HANG_TOLD_FEW:
		vendor_send(fd, SSE_HEAD SSE_TOLD("\"prompt_tokens\":12,\"completion_tokens\":0")
		        SSE_TEXT("Hel"));
		vendor_hang(v, fd);
		break;
	case HANG_TOLD_ONLY:
		vendor_send(fd, SSE_HEAD SSE_TOLD("\"prompt_tokens\":12"));
		vendor_hang(v, fd);
		break;
	case RESET_AT_ONCE:
		vendor_reset(fd);
		break;
	case RESET_MIDWAY:
		vendor_send(fd, SSE_HEAD SSE_TEXT("Hel"));
		poll(NULL, 0, 30); /* let the piece arrive: a reset may overtake it */
		vendor_reset(fd);
		break;
	case CUT_MIDWAY:
		vendor_send(fd, SSE_HEAD SSE_TEXT("Hel"));
		break;
	case ERROR_SIGNATURES_MIDWAY:
		vendor_send(fd, SSE_HEAD SSE_TEXT("Hel") "data: " SIGNATURES_REFUSED "\n\n");
		break;
	case ERROR_MIDWAY:
		vendor_send(fd, SSE_HEAD SSE_TEXT("Hel")
		    "data: {\"error\":{\"message\":\"model crashed\",\"code\":500}}\n\n");
		break;
	case BEHAVIOURS:
		break;
	}
}

static inline bool
vendor_read(struct vendor *v, int fd)
{
	char text[8192];
	size_t n = 0;
	char *end = NULL, *length;
	size_t want = 0;

	while (n < sizeof(text) - 1) {
		ssize_t got = recv(fd, text + n, sizeof(text) - 1 - n, 0);

		if (got <= 0)
			return false;
		n += (size_t)got;
		text[n] = '\0';
		if (end == NULL && (end = strstr(text, "\r\n\r\n")) != NULL) {
			length = strcasestr(text, "\r\nContent-Length: ");
			want = (size_t)(end + 4 - text);
			if (length != NULL && length < end)
				want += (size_t)atol(length + 18);
		}
		if (end != NULL && n >= want)
			break;
	}
	pthread_mutex_lock(&v->lock);
	memcpy(v->last, text, sizeof(text));
	pthread_mutex_unlock(&v->lock);
	v->requests++;
	return true;
}

static inline void *
vendor_conn_main(void *arg)
{
	struct vendor_conn *c = arg;
	struct vendor *v = c->v;
	bool list;

	if (vendor_read(v, c->fd)) {
		pthread_mutex_lock(&v->lock);
		list = strncmp(v->last, "GET ", 4) == 0;
		pthread_mutex_unlock(&v->lock);
		if (!list)
			vendor_behave(v, c->fd);
		else if (v->hang_list)
			vendor_hang(v, c->fd);
		else if (v->no_list)
			vendor_answer(c->fd, "404 Not Found", "", "");
		else if (v->behaviour == REFUSE_KEY || v->behaviour == REFUSE_HTML)
			vendor_behave(v, c->fd);
		else
			vendor_answer(c->fd, "200 OK", "Content-Type: application/json\r\n",
			    "{\"object\":\"list\",\"data\":[{\"id\":\"small\"},{\"id\":\"large\"}]}");
	}
	close(c->fd);
	free(c);
	return NULL;
}

static inline void *
vendor_main(void *arg)
{
	struct vendor *v = arg;
	struct pollfd p[2] = { { v->fd, POLLIN, 0 }, { v->stop[0], POLLIN, 0 } };

	while (poll(p, 2, -1) > 0 && p[1].revents == 0) {
		struct vendor_conn *c = malloc(sizeof(*c));

		c->v = v;
		c->fd = accept4(v->fd, NULL, NULL, SOCK_CLOEXEC);
		if (c->fd < 0 || v->conn_count == VENDOR_CONNS ||
		    pthread_create(&v->conns[v->conn_count], NULL, vendor_conn_main, c) != 0) {
			if (c->fd >= 0)
				close(c->fd);
			free(c);
			continue;
		}
		v->conn_count++;
	}
	return NULL;
}

static inline void
vendor_start(struct vendor *v)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);

	memset(v, 0, sizeof(*v));
	v->pieces = 400;
	pthread_mutex_init(&v->lock, NULL);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(v->fd >= 0);
	assert_int_equal(bind(v->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(v->fd, 64), 0);
	assert_int_equal(getsockname(v->fd, (struct sockaddr *)&a, &n), 0);
	v->port = ntohs(a.sin_port);
	assert_int_equal(pipe2(v->stop, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&v->thread, NULL, vendor_main, v), 0);
}

static inline void
vendor_stop(struct vendor *v)
{
	assert_int_equal(write(v->stop[1], "x", 1), 1);
	pthread_join(v->thread, NULL);
	for (size_t i = 0; i < v->conn_count; i++)
		pthread_join(v->conns[i], NULL);
	close(v->fd);
	close(v->stop[0]);
	close(v->stop[1]);
	pthread_mutex_destroy(&v->lock);
}

/* ---- the parts ---- */

struct house {
	char dir[64];
	int fds; /* open at the start */
	struct vendor vendor;
	struct loop *loop;
	struct store *store;
	struct vault *vault;
	struct changes *changes;
	struct providers *providers;
	struct credentials *credentials;
	struct models *models;
	struct overrides *overrides;
	struct sessions *sessions;
	struct ledger *ledger;
	struct budgets *budgets;
	struct purses *purses;
	struct price_book *prices;
	struct routes *routes;
	struct upstream *upstream;
	struct calls *calls;
	struct probes *probes;
};

static inline int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static inline void
house_add_provider(struct house *h, const char *name, enum auth_type auth, bool detect)
{
	struct provider *p = provider_new();
	struct error err = ERROR_INIT;
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1", h->vendor.port);
	p->name = xstrdup(name);
	p->type = PROVIDER_LOCAL;
	p->auth = auth;
	p->dialect = xstrdup("openai-chat");
	p->base_url = xstrdup(url);
	p->health_check = xstrdup("/models");
	p->auto_detect = detect;
	assert_int_equal(changes_begin(h->changes, &err), 0);
	if (providers_add(h->providers, p, &err) != 0)
		fail_msg("provider: %s", err.message);
	assert_int_equal(changes_commit(h->changes, "test", NULL, NULL, &err), 0);
	provider_free(p);
}

static inline void
house_set_key(struct house *h, const char *provider, const char *key)
{
	struct secret *s = secret_new(key, strlen(key));
	struct error err = ERROR_INIT;

	assert_int_equal(changes_begin(h->changes, &err), 0);
	if (credentials_set(h->credentials, providers_find(h->providers, provider), NULL, s, NULL,
	        &err) != 0)
		fail_msg("key: %s", err.message);
	assert_int_equal(changes_commit(h->changes, "test", NULL, NULL, &err), 0);
	secret_free(s);
}

static inline int
house_open(void **state)
{
	struct house *h = calloc(1, sizeof(*h));
	struct error err = ERROR_INIT;
	bool created;

	assert_int_equal(secret_init(), 0);
	h->fds = count_fds();
	strcpy(h->dir, "/tmp/mpd-call-XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	vendor_start(&h->vendor);
	h->loop = loop_new();
	assert_non_null(h->loop);
	assert_int_equal(store_open(h->dir, &h->store, &err), 0);
	assert_int_equal(ledger_open(h->dir, h->loop, &h->ledger, &err), 0);
	assert_int_equal(vault_open(h->store, h->dir, &h->vault, &created, &err), 0);
	h->changes = changes_new(h->store);
	assert_int_equal(providers_new(h->store, h->changes, &h->providers, &err), 0);
	assert_int_equal(credentials_new(h->store, h->vault, h->providers, h->changes,
	    &h->credentials, &err), 0);
	assert_int_equal(models_new(h->store, h->providers, h->changes, h->loop, &h->models, &err),
	    0);
	assert_int_equal(overrides_new(h->store, h->providers, h->changes, h->loop, &h->overrides,
	    &err), 0);
	assert_int_equal(sessions_new(h->store, h->vault, h->providers, h->credentials, h->changes, h->loop,
	    &h->sessions, &err), 0);
	assert_int_equal(budgets_new(h->store, h->changes, &h->budgets, &err), 0);
	h->prices = price_book_new();
	h->purses = purses_new(h->ledger, h->budgets, h->providers, h->changes, h->prices);
	h->routes = routes_new(h->providers, h->models, h->overrides, h->credentials);
	routes_use_sessions(h->routes, h->sessions);
	h->upstream = upstream_new(h->loop);
	assert_non_null(h->upstream);
	h->calls = calls_new(&(struct attempt_parts){ h->loop, h->upstream, h->providers, h->credentials,
	    h->routes, h->ledger, h->purses, h->prices });
	h->probes = probes_new(h->loop, h->upstream, h->providers, h->credentials, h->calls);
	probes_remember(h->probes, models_discovered(h->models), h->changes);
	house_add_provider(h, "fake", AUTH_API_KEY, false);
	house_set_key(h, "fake", "sk-test-0123456789abcdef");
	*state = h;
	return 0;
}

static inline int
house_close(void **state)
{
	struct house *h = *state;
	char command[128];

	probes_free(h->probes);
	calls_free(h->calls);
	upstream_free(h->upstream);
	purses_free(h->purses);
	price_book_free(h->prices);
	budgets_free(h->budgets);
	routes_free(h->routes);
	sessions_free(h->sessions);
	overrides_free(h->overrides);
	models_free(h->models);
	credentials_free(h->credentials);
	providers_free(h->providers);
	changes_free(h->changes);
	vault_free(h->vault);
	store_close(h->store);
	ledger_free(h->ledger);
	loop_free(h->loop);
	vendor_stop(&h->vendor);
	snprintf(command, sizeof(command), "rm -rf %s", h->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(count_fds(), h->fds);
	free(h);
	return 0;
}

/* ---- one call and what its watch heard ---- */

struct heard {
	struct house *house;
	struct call *call;
	int starts, events, warnings, ends;
	int after_end;
	char text[512 * 1024];
	size_t text_len;
	char reasoning[64];
	char tool[64], args[64];
	int tool_ends;
	int code;
	enum stop_reason stop;
	struct error error;
	bool has_failure;
	struct failure failure;
	bool partial;
	struct usage usage;
	int64_t duration_ms, first_token_ms;
	unsigned attempt;
	char why[32];
	char ref[400];
	/* what the watch does while it hears */
	bool cancel_on_start, cancel_on_event, cancel_silent, pause_once;
	const char *signed_by; /* the chat has an answer that was signed by it */
};

static inline void
heard_start(void *arg, const struct call_start *s)
{
	struct heard *w = arg;

	w->after_end += w->ends;
	assert_int_equal(w->events, w->warnings);
	w->starts++;
	w->attempt = s->attempt;
	snprintf(w->why, sizeof(w->why), "%s", s->why);
	target_ref(s->target, w->ref, sizeof(w->ref));
	if (w->cancel_on_start)
		call_cancel(w->call, w->cancel_silent);
}

static inline void
heard_add(char *to, size_t size, struct slice s)
{
	size_t n = strlen(to);

	snprintf(to + n, size - n, "%.*s", (int)s.len, s.data != NULL ? s.data : "");
}

static inline void
heard_event(void *arg, const struct event *e)
{
	struct heard *w = arg;

	w->after_end += w->ends;
	w->events++;
	switch (e->type) {
	case EVENT_TEXT:
		assert_true(w->text_len + e->text.len < sizeof(w->text));
		memcpy(w->text + w->text_len, e->text.data, e->text.len);
		w->text_len += e->text.len;
		break;
	case EVENT_REASONING:
		heard_add(w->reasoning, sizeof(w->reasoning), e->text);
		break;
	case EVENT_TOOL_CALL:
		heard_add(w->tool, sizeof(w->tool), e->name);
		break;
	case EVENT_TOOL_ARGS:
		heard_add(w->args, sizeof(w->args), e->text);
		break;
	case EVENT_TOOL_END:
		w->tool_ends++;
		break;
	case EVENT_REASONING_END:
	case EVENT_USAGE:
		break;
	case EVENT_WARNING:
		w->warnings++;
		break;
	case EVENT_LIMITS:
	case EVENT_START:
	case EVENT_FINISH:
	case EVENT_ERROR:
		fail_msg("a call keeps event %d to itself", (int)e->type);
	}
	if (w->pause_once)
		call_pause(w->call, true);
	w->pause_once = false;
	if (w->cancel_on_event)
		call_cancel(w->call, w->cancel_silent);
}

static inline void
heard_end(void *arg, const struct call_end *e)
{
	struct heard *w = arg;

	w->ends++;
	w->code = e->code;
	w->stop = e->stop;
	assert_int_equal(e->code != 0, e->error != NULL);
	if (e->error != NULL)
		w->error = *e->error;
	w->has_failure = e->failure != NULL;
	if (e->failure != NULL)
		w->failure = *e->failure;
	w->partial = e->partial;
	w->usage = e->usage;
	w->duration_ms = e->duration_ms;
	w->first_token_ms = e->first_token_ms;
	w->call = NULL;
}

static const struct call_watch heard_watch = { heard_start, heard_event, heard_end, NULL };

static inline struct heard *
heard_new(struct house *h)
{
	struct heard *w = calloc(1, sizeof(*w));

	w->house = h;
	return w;
}

/* Signed text, which this dialect sends without a word about it. */
static inline void
add_signed_answer(struct chat_request *chat, const char *signed_by)
{
	struct part *p = chat_add_part(chat_add_message(chat, ROLE_ASSISTANT), PART_TEXT);

	text_set(&p->text, "hm", 2);
	text_set(&p->signature, "c2ln", 4);
	p->signed_by = strdup(signed_by);
	chat_add_text(chat_add_message(chat, ROLE_USER), "and?", 4);
}

/* Asks the provider; returns at once. */
static inline void
ask(struct heard *w, const char *provider, bool reasoning, int64_t timeout_ms)
{
	struct chat_request *chat = chat_request_new();
	struct error err = ERROR_INIT;
	struct route route;

	chat_add_text(chat_add_message(chat, ROLE_USER), "hi", 2);
	if (w->signed_by != NULL)
		add_signed_answer(chat, w->signed_by);
	chat->want_reasoning = reasoning;
	route_init(&route);
	target_set(&route.target, provider, "small", NULL, NULL);
	w->call = call_start(w->house->calls, chat, &route, timeout_ms, "test", &heard_watch, w, &err);
	route_clear(&route);
	if (w->call == NULL) {
		w->code = err.code;
		w->error = err;
	}
	assert_int_equal(w->starts + w->events + w->ends, 0); /* never from inside call_start */
}

/* Turns the loop until *what is nonzero or the time is up. */
static inline bool
turn_until(struct house *h, const int *what, int64_t ms)
{
	int64_t end = clock_monotonic_ms() + ms;

	while (*what == 0 && clock_monotonic_ms() < end)
		loop_once(h->loop, 20);
	return *what != 0;
}

static inline void
turn_for(struct house *h, int64_t ms)
{
	int64_t end = clock_monotonic_ms() + ms;

	while (clock_monotonic_ms() < end)
		loop_once(h->loop, 5);
}

static inline void
ask_and_wait(struct heard *w, const char *provider)
{
	ask(w, provider, false, 0);
	assert_true(turn_until(w->house, &w->ends, 10000));
	turn_for(w->house, 5);
	assert_int_equal(w->ends, 1);
	assert_int_equal(w->after_end, 0);
	assert_int_equal(calls_count(w->house->calls), 0);
}

#endif
