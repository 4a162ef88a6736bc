/* sys.c - hello, ping, the list of methods, the log, stopping. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpd_version.h"
#include "protocol/base/secret.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/call/call.h"
#include "server/rpc/conn.h"
#include "server/rpc/dispatch.h"
#include "server/rpc/methods/memory.h"
#include "server/rpc/notify.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"
#include "server/state/marks.h"
#include "server/usage/ledger.h"
#include "server/vault/vault.h"

#define CLIENT_NAME_BYTES 64
#define CLIENT_TEXT_BYTES 1024
#define LOG_LINES_DEFAULT 200
#define LOG_LINES_MAX 5000 /* a message has at most 65 536 elements */

/* ---- sys.hello ---- */

/* A member of `client`: short text, or nothing. */
static int
client_text(const struct value *client, const char *key, size_t max_bytes, char **out,
    struct error *err)
{
	const struct value *v = value_get(client, key);
	struct slice s = value_slice(v);
	char field[64];

	if (v == NULL)
		return 0;
	if (value_type(v) != VALUE_STR || s.len > max_bytes ||
	    (s.len > 0 && memchr(s.data, '\0', s.len) != NULL)) {
		snprintf(field, sizeof field, "client.%s", key);
		return error_field(err, field, "client.%s must be a str of at most %zu bytes", key,
		    max_bytes);
	}
	*out = value_strdup(v);
	return 0;
}

static int
hello_client(const struct value *client, struct conn_hello *h, struct error *err)
{
	const struct value *pid = value_get(client, "pid");
	int r;

	if (client == NULL)
		return 0;
	if (pid != NULL && (value_type(pid) != VALUE_INT || value_int(pid, -1) < 0))
		return error_field(err, "client.pid", "client.pid must be a positive int");
	h->pid = value_int(pid, 0);
	if ((r = client_text(client, "name", CLIENT_NAME_BYTES, &h->name, err)) != 0 ||
	    (r = client_text(client, "version", CLIENT_NAME_BYTES, &h->version, err)) != 0 ||
	    (r = client_text(client, "tty", CLIENT_TEXT_BYTES, &h->tty, err)) != 0 ||
	    (r = client_text(client, "cwd", CLIENT_TEXT_BYTES, &h->cwd, err)) != 0)
		return r;
	return 0;
}

static int
hello_form(struct rpc_request *req, struct conn_hello *h, struct error *err)
{
	struct slice notify = rpc_slice(req, "notify"), handler = rpc_slice(req, "handler");
	struct slice errors = rpc_slice(req, "errors");
	bool nvim = slice_eq(notify, "nvim");

	if (rpc_has(req, "notify") && !nvim && !slice_eq(notify, "plain"))
		return error_field(err, "notify", "notify must be \"plain\" or \"nvim\"");
	if (nvim && handler.len == 0)
		return error_field(err, "handler", "notify \"nvim\" needs a handler: the Lua "
		    "expression that receives events");
	if (handler.len > 0 && (memchr(handler.data, '\n', handler.len) != NULL ||
	    memchr(handler.data, '\r', handler.len) != NULL ||
	    memchr(handler.data, '\0', handler.len) != NULL))
		return error_field(err, "handler", "handler must be one line");
	if (rpc_has(req, "errors") && !slice_eq(errors, "map") && !slice_eq(errors, "pair"))
		return error_field(err, "errors", "errors must be \"map\" or \"pair\"");
	h->pair_errors = rpc_has(req, "errors") ? slice_eq(errors, "pair") : nvim;
	if (nvim)
		h->handler = slice_dup(handler);
	return 0;
}

static int
hello_read(struct rpc_request *req, struct conn_hello *h, struct error *err)
{
	struct slice scope = rpc_slice(req, "scope");
	int r;

	if ((r = hello_form(req, h, err)) != 0 ||
	    (r = hello_client(rpc_param(req, "client"), h, err)) != 0)
		return r;
	if (scope.len > 0) {
		if (memchr(scope.data, '\0', scope.len) != NULL)
			return error_field(err, "scope", "scope must not contain NUL");
		h->scope = slice_dup(scope);
	}
	h->said = true;
	return 0;
}

static void
pack_limits(struct pack *p)
{
	pack_str(p, "limits");
	pack_map_begin(p);
	pack_kv_int(p, "message_bytes", (int64_t)LIMIT_MESSAGE_AFTER_HELLO);
	pack_kv_int(p, "message_bytes_before_hello", (int64_t)LIMIT_MESSAGE_BEFORE_HELLO);
	pack_kv_int(p, "depth", LIMIT_DEPTH);
	pack_kv_int(p, "elements", LIMIT_ELEMENTS);
	pack_kv_int(p, "method_bytes", LIMIT_METHOD_BYTES);
	pack_kv_int(p, "pending_requests", LIMIT_PENDING_REQUESTS);
	pack_kv_int(p, "streams", LIMIT_STREAMS);
	pack_kv_int(p, "connections", LIMIT_CONNECTIONS);
	pack_kv_int(p, "out_soft_bytes", (int64_t)LIMIT_OUT_SOFT);
	pack_kv_int(p, "out_hard_bytes", (int64_t)LIMIT_OUT_HARD);
	pack_map_end(p);
}

static void
pack_hello(struct pack *p, const struct rpc_parts *parts)
{
	pack_str(p, "protocol");
	pack_map_begin(p);
	pack_kv_int(p, "major", LIMIT_PROTOCOL_MAJOR);
	pack_kv_int(p, "minor", LIMIT_PROTOCOL_MINOR);
	pack_map_end(p);
	pack_str(p, "server");
	pack_map_begin(p);
	pack_kv_str(p, "name", "modelpd");
	pack_kv_str(p, "version", MPD_VERSION);
	pack_kv_int(p, "pid", getpid());
	pack_kv_int(p, "start_ms", parts->started_ms);
	pack_map_end(p);
	pack_kv_str(p, "instance", changes_instance(parts->changes));
	pack_kv_int(p, "rev", changes_rev(parts->changes));
	pack_limits(p);
	pack_str(p, "caps");
	pack_array_begin(p);
	pack_str(p, "reasoning");
	pack_str(p, "tools");
	pack_str(p, "attachments");
	pack_str(p, "sessions");
	pack_str(p, "chains");
	if (vault_is_locked(parts->vault))
		pack_str(p, "vault.locked");
	pack_array_end(p);
	pack_str(p, "deprecated");
	pack_array_begin(p);
	pack_array_end(p);
}

static struct rpc_answer
version_mismatch(struct rpc_request *req, int64_t wanted)
{
	struct error err = ERROR_INIT;
	struct buf extra = BUF_INIT;
	struct rpc_answer a;
	struct pack p;

	error_set(&err, MP_E_VERSION_MISMATCH,
	    "this daemon speaks protocol %d, not %lld", LIMIT_PROTOCOL_MAJOR, (long long)wanted);
	error_hint(&err, "restart the older of the two: mpc daemon restart");
	pack_init(&p, &extra);
	pack_str(&p, "supported");
	pack_array_begin(&p);
	pack_int(&p, LIMIT_PROTOCOL_MAJOR);
	pack_array_end(&p);
	a = rpc_fail_data(req, &err, &extra, 1);
	buf_clear(&extra);
	return a;
}

struct rpc_answer
rpc_sys_hello(struct rpc_request *req)
{
	int64_t wanted = rpc_int(req, "protocol", LIMIT_PROTOCOL_MAJOR);
	struct conn_hello hello = { .said = false };
	struct conn *c = rpc_conn(req);
	struct error err = ERROR_INIT;

	if (wanted != LIMIT_PROTOCOL_MAJOR)
		return version_mismatch(req, wanted);
	if (hello_read(req, &hello, &err) != 0) {
		conn_hello_clear(&hello);
		return rpc_fail_err(req, &err);
	}
	conn_hello_clear(&c->hello);
	c->hello = hello;
	message_reader_set_max(c->reader, LIMIT_MESSAGE_AFTER_HELLO);
	pack_hello(rpc_result(req), rpc_parts(req));
	return rpc_ok(req);
}

/* ---- the rest ---- */

struct rpc_answer
rpc_sys_ping(struct rpc_request *req)
{
	pack_kv_int(rpc_result(req), "now_ms", clock_wall_ms());
	return rpc_ok(req);
}

static void
pack_paths(struct pack *p, const struct paths *paths)
{
	pack_str(p, "paths");
	pack_map_begin(p);
	pack_kv_str(p, "socket", paths->socket);
	pack_kv_str(p, "data_dir", paths->data_dir);
	pack_kv_str(p, "config_dir", paths->config_dir);
	pack_kv_str(p, "state_dir", paths->state_dir);
	pack_kv_str(p, "cache_dir", paths->cache_dir);
	pack_map_end(p);
}

static void
pack_usage(struct pack *p, const struct ledger *l)
{
	pack_str(p, "usage");
	pack_map_begin(p);
	pack_kv_bool(p, "failing", ledger_failing(l));
	pack_kv_int(p, "waiting", ledger_waiting(l));
	pack_kv_int(p, "lost", ledger_lost(l));
	if (ledger_damage(l) != NULL)
		pack_kv_str(p, "damage", ledger_damage(l));
	pack_map_end(p);
}

struct rpc_answer
rpc_sys_info(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct rpc_server *s = parts->server;
	struct pack *p = rpc_result(req);

	pack_kv_str(p, "version", MPD_VERSION);
	pack_kv_int(p, "pid", getpid());
	pack_kv_str(p, "instance", changes_instance(parts->changes));
	pack_kv_int(p, "started_ms", parts->started_ms);
	pack_kv_int(p, "uptime_ms", clock_wall_ms() - parts->started_ms);
	pack_kv_int(p, "clients", (int64_t)s->conn_count);
	pack_kv_int(p, "streams", (int64_t)calls_count(parts->calls));
	pack_kv_bool(p, "read_only", store_read_only(parts->store));
	pack_kv_bool(p, "stopping", s->refusing);
	pack_kv_int(p, "last_backup_ms", marks_backup_ms(parts->marks));
	pack_kv_int(p, "backwards_ms", marks_backwards_ms(parts->marks));
	pack_usage(p, parts->ledger);
	pack_str(p, "memory");
	pack_map_begin(p);
	pack_kv_int(p, "rss_bytes", resident_bytes());
	pack_kv_int(p, "out_bytes", (int64_t)s->out_total);
	pack_kv_bool(p, "memory_locked", secret_memory_is_locked());
	pack_map_end(p);
	pack_str(p, "counters");
	pack_map_begin(p);
	pack_kv_int(p, "requests", s->requests);
	pack_kv_int(p, "ignored_notifications", s->ignored_notifications);
	pack_kv_int(p, "nvim_errors", s->nvim_errors);
	pack_kv_int(p, "refused_peers", s->refused_peers);
	pack_kv_int(p, "refused_full", s->refused_full);
	pack_map_end(p);
	pack_paths(p, parts->paths);
	return rpc_ok(req);
}

struct rpc_answer
rpc_sys_methods(struct rpc_request *req)
{
	const struct method *table = method_table();
	const char *prefix = rpc_str(req, "prefix");
	struct pack *p = rpc_result(req);

	pack_str(p, "methods");
	pack_array_begin(p);
	for (size_t i = 0; i < METHOD_COUNT; i++)
		if (prefix == NULL || slice_starts(slice_of(table[i].name), prefix))
			method_pack(p, &table[i]);
	pack_array_end(p);
	return rpc_ok(req);
}

static void
pack_client(struct pack *p, const struct conn *c)
{
	pack_map_begin(p);
	pack_kv_int(p, "id", (int64_t)c->id);
	pack_kv_str(p, "name", c->hello.name);
	pack_kv_str(p, "version", c->hello.version);
	pack_kv_int(p, "pid", c->hello.pid > 0 ? c->hello.pid : (int64_t)c->peer_pid);
	pack_kv_str(p, "tty", c->hello.tty);
	pack_kv_str(p, "cwd", c->hello.cwd);
	pack_kv_str(p, "scope", c->hello.scope);
	pack_kv_int(p, "since_ms", c->since_ms);
	pack_kv_str(p, "notify", c->hello.handler != NULL ? "nvim" : "plain");
	pack_str(p, "topics");
	pack_array_begin(p);
	for (int t = 0; t < TOPIC_COUNT; t++)
		if ((c->subscription.topics & (1u << t)) != 0)
			pack_str(p, topic_name((enum topic)t));
	pack_array_end(p);
	pack_kv_int(p, "pending", (int64_t)c->pending_count);
	pack_kv_int(p, "streams", (int64_t)c->owned_count);
	pack_kv_int(p, "out_bytes", (int64_t)conn_out_bytes(c));
	pack_map_end(p);
}

struct rpc_answer
rpc_sys_clients(struct rpc_request *req)
{
	struct pack *p = rpc_result(req);

	pack_str(p, "clients");
	pack_array_begin(p);
	for (struct conn *c = rpc_parts(req)->server->conns; c != NULL; c = c->next)
		pack_client(p, c);
	pack_array_end(p);
	return rpc_ok(req);
}

static void
pack_log_line(void *arg, const struct log_line *line)
{
	struct pack *p = arg;

	pack_map_begin(p);
	pack_kv_int(p, "at_ms", line->at_ms);
	pack_kv_str(p, "level", log_level_name(line->level));
	pack_kv_str(p, "text", line->text);
	pack_map_end(p);
}

struct rpc_answer
rpc_sys_log(struct rpc_request *req)
{
	int64_t limit = rpc_int(req, "limit", LOG_LINES_DEFAULT);
	const char *name = rpc_str(req, "level");
	enum log_level level = LOG_LEVEL_DEBUG;
	struct error err = ERROR_INIT;
	struct pack *p;

	if (rpc_has(req, "level") && (name == NULL || !log_level_parse(name, &level))) {
		error_field(&err, "level", "level must be error, warn, info or debug");
		return rpc_fail_err(req, &err);
	}
	if (limit > LOG_LINES_MAX)
		limit = LOG_LINES_MAX;
	p = rpc_result(req);
	pack_str(p, "lines");
	pack_array_begin(p);
	log_recent(level, rpc_int(req, "since_ms", 0), (size_t)limit, pack_log_line, p);
	pack_array_end(p);
	return rpc_ok(req);
}

struct rpc_answer
rpc_sys_cancel(struct rpc_request *req)
{
	struct rpc_request *victim = request_find_pending(rpc_conn(req),
	    (uint32_t)rpc_int(req, "msgid", 0));
	bool found = victim != NULL;

	if (found)
		request_cancel(victim);
	pack_kv_bool(rpc_result(req), "cancelled", found);
	return rpc_ok(req);
}

static void
collect_warning(void *arg, const char *text)
{
	pack_str(arg, text);
}

struct rpc_answer
rpc_sys_reload(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	struct buf list = BUF_INIT;
	struct rpc_answer a;
	struct pack p, *out;
	int r;

	pack_init(&p, &list);
	pack_array_begin(&p);
	r = parts->reload(parts->daemon, collect_warning, &p);
	pack_array_end(&p);
	if (r != 0 || list.failed) {
		a = rpc_fail(req, r != 0 ? r : MP_E_INTERNAL, "the daemon could not reload");
	} else {
		out = rpc_result(req);
		pack_str(out, "warnings");
		pack_raw(out, list.data, list.len);
		a = rpc_ok(req);
	}
	buf_clear(&list);
	return a;
}

struct rpc_answer
rpc_sys_shutdown(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	size_t busy = calls_count(parts->calls) + rpc_server_pending(parts->server);

	if (rpc_bool(req, "if_idle", false) && busy > 0)
		return rpc_fail(req, MP_E_BUSY, "%zu requests are running", busy);
	log_info("asked to stop", LOG_TEXT("client", rpc_client(req)));
	parts->shutdown(parts->daemon, rpc_int(req, "grace_ms", -1));
	return rpc_ok(req);
}
