/* office.h - everything behind the control socket, on a private folder, with clients on socket pairs.
 * Real store, vault, loop and sockets. Also used by the fuzz target, so it needs no test library. */
#ifndef TESTS_UNIT_RPC_OFFICE_H
#define TESTS_UNIT_RPC_OFFICE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/json.h"
#include "protocol/base/secret.h"
#include "protocol/message.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/loop.h"
#include "server/base/worker.h"
#include "server/call/call.h"
#include "server/call/mint.h"
#include "server/call/probe.h"
#include "server/call/purses.h"
#include "server/rpc/conn.h"
#include "server/rpc/methods/prompts.h"
#include "server/rpc/server.h"
#include "server/state/keeper.h"
#include "server/state/own_prices.h"
#include "server/state/settings.h"
#include "server/usage/ledger.h"
#include "server/usage/meters.h"
#include "server/usage/price_book.h"
#include "server/usage/prune.h"
#include "server/state/team.h"
#include "server/vault/vault.h"

#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

struct office {
	char dir[64];
	struct paths paths;
	struct rpc_parts parts;
	struct rpc_server *server;
	struct worker *worker;
	int64_t shutdown_grace; /* what sys.shutdown asked for; -2 = nothing */
	int reloads;
};

/* A client. The newest message stands in kind, msgid and json (the error, result or event). */
struct peer {
	struct office *o;
	int fd;
	struct message_reader *reader;
	uint32_t sent; /* msgid of the last request */
	enum message_kind kind;
	uint32_t msgid;
	bool is_error, gone;
	struct buf text;
	struct json json;
};

static inline int
office_reload(void *arg, void (*warning)(void *warning_arg, const char *text), void *warning_arg)
{
	struct office *o = arg;

	o->reloads++;
	warning(warning_arg, "a warning");
	return 0;
}

static inline void
office_shutdown(void *arg, int64_t grace_ms)
{
	struct office *o = arg;

	o->shutdown_grace = grace_ms;
}

static inline void
office_open(struct office *o, const struct rpc_patience *patience)
{
	struct error err = ERROR_INIT;
	struct rpc_parts *p = &o->parts;
	char log[80];
	bool created;

	memset(o, 0, sizeof *o);
	o->shutdown_grace = -2;
	strcpy(o->dir, "/tmp/mpd-rpc-XXXXXX");
	MUST(mkdtemp(o->dir) != NULL);
	snprintf(log, sizeof log, "%s/log", o->dir);
	MUST(log_open(log, "debug") == 0);
	MUST(secret_init() == 0);
	o->paths = (struct paths){ o->dir, o->dir, o->dir, o->dir, o->dir, o->dir };
	p->paths = &o->paths;
	p->daemon = o;
	p->reload = office_reload;
	p->shutdown = office_shutdown;
	p->started_ms = clock_wall_ms();
	MUST((p->loop = loop_new()) != NULL);
	MUST(store_open(o->dir, &p->store, &err) == 0);
	MUST(ledger_open(o->dir, p->loop, &p->ledger, &err) == 0);
	MUST(vault_open(p->store, o->dir, &p->vault, &created, &err) == 0);
	MUST((p->changes = changes_new(p->store)) != NULL);
	MUST(settings_new(p->store, p->changes, &p->settings, &err) == 0);
	MUST(providers_new(p->store, p->changes, &p->providers, &err) == 0);
	MUST(credentials_new(p->store, p->vault, p->providers, p->changes, &p->credentials,
	    &err) == 0);
	MUST(models_new(p->store, p->providers, p->changes, p->loop, &p->models, &err) == 0);
	MUST(chains_new(p->store, p->changes, &p->chains, &err) == 0);
	MUST(overrides_new(p->store, p->providers, p->changes, p->loop, &p->overrides, &err) == 0);
	MUST(sessions_new(p->store, p->vault, p->providers, p->credentials, p->changes, p->loop,
	    &p->sessions, &err) == 0);
	MUST(budgets_new(p->store, p->changes, &p->budgets, &err) == 0);
	MUST(own_prices_new(p->store, p->changes, &p->own_prices, &err) == 0);
	p->meters = meters_new(p->ledger);
	p->prune = prune_new(p->loop, p->ledger);
	p->prices = price_book_new();
	p->purses = purses_new(p->ledger, p->budgets, p->providers, p->changes, p->prices);
	p->routes = routes_new(p->providers, p->models, p->overrides, p->credentials);
	routes_use_sessions(p->routes, p->sessions);
	routes_use_chains(p->routes, p->chains);
	p->upstream = upstream_new(p->loop);
	p->calls = calls_new(&(struct attempt_parts){ p->loop, p->upstream, p->providers, p->credentials,
	    p->routes, p->ledger, p->purses, p->prices });
	p->probes = probes_new(p->loop, p->upstream, p->providers, p->credentials, p->calls);
	probes_remember(p->probes, models_discovered(p->models), p->changes);
	MUST(minted_new(p->store, p->changes, &p->minted, &err) == 0);
	MUST(team_new(p->store, p->vault, p->changes, &p->team, &err) == 0);
	p->mints = mints_new(&(struct attempt_parts){ p->loop, p->upstream, p->providers, p->credentials,
	    NULL, NULL, NULL, NULL }, p->sessions, p->minted, p->changes, 0);
	p->prompts = prompts_new(p->loop);
	MUST((o->worker = worker_new(p->loop)) != NULL);
	p->keeper = keeper_new(&(struct keeper_parts){ p->loop, o->worker, p->store, p->vault, p->changes,
	    p->settings, p->providers, p->credentials, p->team });
	o->server = rpc_server_new(p, patience);
}

static inline void
office_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[600];

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (e->d_type == DT_DIR)
			office_remove(path);
		else
			unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

static inline void
office_close(struct office *o)
{
	struct rpc_parts *p = &o->parts;

	rpc_server_free(o->server);
	prompts_free(p->prompts);
	mints_free(p->mints);
	probes_free(p->probes);
	calls_free(p->calls);
	upstream_free(p->upstream);
	purses_free(p->purses);
	price_book_free(p->prices);
	routes_free(p->routes);
	worker_free(o->worker);
	keeper_free(p->keeper);
	team_free(p->team);
	minted_free(p->minted);
	sessions_free(p->sessions);
	overrides_free(p->overrides);
	chains_free(p->chains);
	models_free(p->models);
	credentials_free(p->credentials);
	own_prices_free(p->own_prices);
	budgets_free(p->budgets);
	providers_free(p->providers);
	settings_free(p->settings);
	changes_free(p->changes);
	vault_free(p->vault);
	store_close(p->store);
	prune_free(p->prune);
	meters_free(p->meters);
	ledger_free(p->ledger);
	loop_free(p->loop);
	log_close();
	office_remove(o->dir);
}

/* ---- clients ---- */

/* kind: SOCK_STREAM, or SOCK_SEQPACKET to see each write apart. */
static inline void
peer_open_as(struct peer *c, struct office *o, int kind)
{
	int pair[2];

	memset(c, 0, sizeof *c);
	MUST(socketpair(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	c->o = o;
	c->fd = pair[1];
	c->reader = message_reader_new((size_t)64 << 20);
	rpc_server_accept(o->server, pair[0], getpid());
}

static inline void
peer_open(struct peer *c, struct office *o)
{
	peer_open_as(c, o, SOCK_STREAM);
}

static inline void
peer_close(struct peer *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	message_reader_free(c->reader);
	c->reader = NULL;
	json_clear(&c->json);
	buf_clear(&c->text);
	for (int i = 0; i < 3; i++)
		loop_once(c->o->parts.loop, 0);
}

/* The bytes of a request (msgid 0: a notification). params: JSON. */
static inline void
peer_frame(struct buf *out, uint32_t msgid, const char *method, const char *params)
{
	struct json j = JSON_INIT;
	struct pack p;

	MUST(json_read(&j, params, strlen(params), JSON_STRICT) == 0);
	pack_init(&p, out);
	pack_array_begin(&p);
	pack_int(&p, msgid == 0 ? MESSAGE_NOTIFICATION : MESSAGE_REQUEST);
	if (msgid != 0)
		pack_int(&p, msgid);
	pack_str(&p, method);
	pack_array_begin(&p);
	pack_json(&p, &j, 0);
	pack_array_end(&p);
	pack_array_end(&p);
	json_clear(&j);
	MUST(!out->failed);
}

static inline void
peer_send_bytes(struct peer *c, const void *data, size_t n)
{
	const char *at = data;

	for (int tries = 0; n > 0 && tries < 10000; tries++) {
		ssize_t sent = send(c->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			return; /* the other side is gone: the test sees that when it reads */
		if (sent > 0) {
			at += sent;
			n -= (size_t)sent;
		} else {
			loop_once(c->o->parts.loop, 1);
		}
	}
	MUST(n == 0);
}

static inline void
peer_send(struct peer *c, const char *method, const char *params)
{
	struct buf frame = BUF_INIT;

	peer_frame(&frame, ++c->sent, method, params);
	peer_send_bytes(c, frame.data, frame.len);
	buf_clear(&frame);
}

static inline void
peer_notify(struct peer *c, const char *method, const char *params)
{
	struct buf frame = BUF_INIT;

	peer_frame(&frame, 0, method, params);
	peer_send_bytes(c, frame.data, frame.len);
	buf_clear(&frame);
}

static inline void
peer_keep(struct peer *c, const struct message *m)
{
	struct json_writer w;
	const struct value *shown = m->result;

	c->kind = m->kind;
	c->msgid = m->msgid;
	c->is_error = m->kind == MESSAGE_REPLY && value_type(m->error) != VALUE_NIL;
	if (c->is_error)
		shown = m->error;
	else if (m->kind == MESSAGE_NOTIFICATION)
		shown = value_at(m->params, 0);
	buf_reset(&c->text, 0);
	json_writer_init(&w, &c->text, false);
	value_to_json(shown, &w);
	MUST(json_read(&c->json, buf_str(&c->text), c->text.len, JSON_LAST_KEY_WINS) == 0);
}

/* A whole message from what was read so far. */
static inline bool
peer_take(struct peer *c)
{
	struct error err = ERROR_INIT;
	struct message m;
	bool known;
	int r;

	memset(&m, 0, sizeof m);
	r = message_reader_next(c->reader, &m, &known, &err);
	MUST(r >= 0);
	if (r == 0)
		return false;
	peer_keep(c, &m);
	message_release(c->reader, false);
	return true;
}

/* The next message, letting the loop run; false when none came in time or the connection ended. */
static inline bool
peer_next_within(struct peer *c, int64_t ms)
{
	int64_t until = clock_monotonic_ms() + ms;

	for (;;) {
		size_t room;
		char *to;
		ssize_t n;

		if (peer_take(c))
			return true;
		to = message_reader_room(c->reader, 65536, &room);
		MUST(to != NULL);
		n = recv(c->fd, to, room, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET)) {
			c->gone = true;
			return false;
		}
		if (n > 0) {
			message_reader_fed(c->reader, (size_t)n);
			continue;
		}
		if (clock_monotonic_ms() >= until)
			return false;
		loop_once(c->o->parts.loop, 2);
	}
}

static inline bool
peer_next(struct peer *c)
{
	return peer_next_within(c, 5000);
}

/* Nothing more comes. */
static inline bool
peer_is_quiet(struct peer *c)
{
	return !peer_next_within(c, 30) && !c->gone;
}

/* Asks and waits for the reply; events before it are dropped. True on success. */
static inline bool
peer_ask(struct peer *c, const char *method, const char *params)
{
	peer_send(c, method, params);
	while (peer_next(c))
		if (c->kind == MESSAGE_REPLY && c->msgid == c->sent)
			return !c->is_error;
	return false;
}

/* Members of the newest message: a path of keys separated by dots. */
static inline uint32_t
peer_find(const struct peer *c, const char *path)
{
	uint32_t at = 0;
	char key[64];

	while (*path != '\0' && at != JSON_NONE) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof key, "%.*s", (int)n, path);
		at = json_get(&c->json, at, key);
		path += path[n] == '.' ? n + 1 : n;
	}
	return at;
}

static inline bool
peer_has(const struct peer *c, const char *path, const char *text)
{
	return json_equals(&c->json, peer_find(c, path), text);
}

static inline int64_t
peer_int(const struct peer *c, const char *path)
{
	int64_t n = INT64_MIN;

	json_int(&c->json, peer_find(c, path), &n);
	return n;
}

#endif
