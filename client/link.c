#include "client/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/app.h"
#include "client/scope.h"
#include "client/spawn.h"
#include "client/term.h"
#include "mpd_version.h"
#include "protocol/client.h"
#include "protocol/limits.h"
#include "protocol/params.h"

#define TICK_MS 100

/* A daemon that died a moment ago: its socket is closed within this time. */
#define DYING_TRIES 50
#define DYING_PAUSE_MS 10

static void
begin_hello(struct app *a, const char *scope)
{
	struct pack *p = client_begin(a->client, "sys.hello", false);
	struct error err = ERROR_INIT;

	pack_kv_int(p, "protocol", LIMIT_PROTOCOL_MAJOR);
	pack_str(p, "client");
	pack_map_begin(p);
	pack_kv_str(p, "name", "modelpc");
	pack_kv_str(p, "version", MPD_VERSION);
	pack_kv_int(p, "pid", getpid());
	pack_map_end(p);
	pack_kv_str(p, "scope", scope);
	/* A failure shows at the request that follows. */
	a->hello_waits = client_send(a->client, &a->hello_id, &err) == 0;
}

static void
read_hello(struct app *a, const struct value *result)
{
	const struct value *caps = value_get(result, "caps");
	struct slice version = value_slice(value_get(value_get(result, "server"), "version"));
	size_t n =
	    version.len < sizeof(a->server_version) ? version.len : sizeof(a->server_version) - 1;

	if (n > 0)
		memcpy(a->server_version, version.data, n);
	a->server_version[n] = '\0';
	for (size_t i = 0; i < value_size(caps); i++)
		if (value_equals(value_at(caps, i), "vault.locked"))
			a->vault_locked = true;
}

/* 0, or what the daemon has against us. */
static int
take_hello(struct app *a, const struct message *m, struct error *err)
{
	a->hello_waits = false;
	if (value_type(m->error) != VALUE_NIL) {
		message_read_error(m->error, err);
		return err->code;
	}
	read_hello(a, m->result);
	return 0;
}

/* Whether somebody is alive behind the socket: one that is being killed still takes connections. Nothing
 * but hello was sent so far, so another try is harmless. */
static int
await_hello(struct app *a, struct error *err)
{
	struct message m;

	while (a->hello_waits) {
		int r = client_next(a->client, &m, LINK_TIMEOUT_MS, err);

		if (r < 0)
			return r;
		if (r == 0)
			return error_set(err, MP_E_TIMEOUT, "the daemon did not answer in time");
		if (m.kind == MESSAGE_REPLY && m.msgid == a->hello_id)
			return take_hello(a, &m, err);
	}
	return 0;
}

static int
adopt(struct app *a, int fd)
{
	a->client = client_new(fd);
	begin_hello(a, scope_environment());
	return 0;
}

int
link_try_open(struct app *a, struct error *err)
{
	int fd;

	if (a->client != NULL)
		return 0;
	if ((fd = daemon_connect(&a->paths, err)) < 0)
		return fd;
	return adopt(a, fd);
}

static int
fail_no_daemon(struct app *a, const char *what, const char *why, const char *fix)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_NOT_FOUND, "%s", what);
	error_hint(&err, "%s", fix);
	return fail_as(a, &err, why, "no_daemon", EXIT_NO_DAEMON);
}

int
link_open(struct app *a)
{
	struct error err = ERROR_INIT;
	struct buf why = BUF_INIT;
	int r, fd;

	if (a->client != NULL)
		return 0;
	for (int tries = 0;; tries++) {
		if ((r = link_try_open(a, &err)) != 0)
			break;
		if ((r = await_hello(a, &err)) == 0)
			return 0;
		if (r != MP_E_PROVIDER_UNAVAILABLE || tries == DYING_TRIES)
			return link_fail(a, &err);
		link_close(a);
		poll(NULL, 0, DYING_PAUSE_MS);
	}
	if (r != MP_E_NOT_FOUND && r != MP_E_BUSY)
		return link_fail(a, &err);
	if (a->no_spawn)
		return fail_no_daemon(a, "the daemon is not running",
		    app_format(a, "nothing listens on %s, and starting it was not wanted here",
			a->paths.socket),
		    "mpc daemon start");
	if (spawn_is_foreign(a))
		return fail_no_daemon(a, "the daemon is not running",
		    "root does not start a daemon in another user's home", "run mpc as that user");
	fd = spawn_and_connect(a, &why, &err);
	if (fd >= 0)
		r = adopt(a, fd);
	else if (why.len > 0)
		r = fail_no_daemon(
		    a, "cannot start the daemon", app_format(a, "%s", buf_str(&why)),
		    err.hint[0] != '\0' ? app_format(a, "%s", err.hint) : "mpc doctor");
	else
		r = link_fail(a, &err);
	buf_clear(&why);
	return r;
}

void
link_close(struct app *a)
{
	client_close(a->client);
	a->client = NULL;
	a->hello_waits = false;
	free(a->scope);
	a->scope = NULL;
}

/* The daemon's half of a closed or reset connection. */
static bool
is_gone(struct app *a)
{
	char c;
	ssize_t n;

	if (a->client == NULL)
		return true;
	n = recv(client_fd(a->client), &c, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

int
link_fail(struct app *a, const struct error *err)
{
	struct error copy = *err;

	if (err->code == MP_E_PROTOCOL || err->code == MP_E_VERSION_MISMATCH)
		return fail_err(a, err);
	if (err->code == MP_E_TIMEOUT && err->hint[0] == '\0')
		error_hint(&copy, "try again with a larger --timeout, or see: mpc daemon status");
	if (err->code == MP_E_PROVIDER_UNAVAILABLE && is_gone(a)) {
		if (copy.hint[0] == '\0')
			error_hint(&copy, "mpc daemon status; mpc daemon log");
		return fail_as(a, &copy, "", "no_daemon", EXIT_NO_DAEMON);
	}
	return fail_err(a, &copy);
}

int
link_next(struct app *a, struct message *m, int timeout_ms, struct error *err)
{
	for (;;) {
		int r = client_next(a->client, m, timeout_ms, err);

		if (r <= 0)
			return r;
		if (m->kind != MESSAGE_REPLY || !a->hello_waits || m->msgid != a->hello_id)
			return r;
		if ((r = take_hello(a, m, err)) != 0)
			return r;
	}
}

/* link_next with the spinner and the run's time limit. */
static int
wait_message(
    struct app *a, struct spinner *spinner, int64_t until, struct message *m, struct error *err)
{
	for (;;) {
		int64_t left = until - term_now_ms();
		int r;

		if (left <= 0) {
			error_set(err, MP_E_TIMEOUT, "the daemon did not answer in time");
			return MP_E_TIMEOUT;
		}
		r = link_next(a, m, (int)(left < TICK_MS ? left : TICK_MS), err);
		if (r != 0)
			return r;
		spinner_tick(spinner);
	}
}

int
link_gather(struct app *a, const uint32_t *msgids, size_t n,
    void (*on_reply)(void *arg, size_t i, const struct value *result, const struct error *err),
    void *arg, struct error *err)
{
	int64_t until = term_now_ms() + (a->timeout_ms != 0 ? a->timeout_ms : LINK_LONG_MS);
	struct spinner spinner;
	struct message m;
	size_t open = n;
	int r = 0;

	spinner_start(&spinner, a, a->waiting != NULL ? a->waiting : "waiting for the daemon");
	while (open > 0) {
		struct error reply = ERROR_INIT;

		if ((r = wait_message(a, &spinner, until, &m, err)) < 0)
			break;
		for (size_t i = 0; m.kind == MESSAGE_REPLY && i < n; i++) {
			if (msgids[i] != m.msgid)
				continue;
			spinner_stop(&spinner);
			if (value_type(m.error) != VALUE_NIL)
				message_read_error(m.error, &reply);
			on_reply(arg, i, m.result, reply.code != 0 ? &reply : NULL);
			open--;
		}
		if (a->waiting != NULL)
			spinner.what = a->waiting;
	}
	spinner_stop(&spinner);
	return r < 0 ? r : 0;
}

struct pack *
link_begin(struct app *a, const char *method)
{
	return client_begin(a->client, method, false);
}

struct pack *
link_begin_secret(struct app *a, const char *method)
{
	return client_begin(a->client, method, true);
}

int
link_send(struct app *a, uint32_t *msgid, struct error *err)
{
	return client_send(a->client, msgid, err);
}

int
link_try(struct app *a, const struct value **result, struct error *err)
{
	int64_t until = term_now_ms() + (a->timeout_ms != 0 ? a->timeout_ms
					    : a->long_wait  ? LINK_LONG_MS
							    : LINK_TIMEOUT_MS);
	struct spinner spinner;
	struct message m;
	uint32_t id;
	int r;

	a->long_wait = false;
	if ((r = client_send(a->client, &id, err)) != 0)
		return r;
	spinner_start(&spinner, a, a->waiting != NULL ? a->waiting : "waiting for the daemon");
	do {
		r = wait_message(a, &spinner, until, &m, err);
	} while (r > 0 && (m.kind != MESSAGE_REPLY || m.msgid != id));
	spinner_stop(&spinner);
	if (r < 0)
		return r;
	if (value_type(m.error) != VALUE_NIL) {
		message_read_error(m.error, err);
		if (result != NULL)
			*result = m.error;
		return err->code;
	}
	if (result != NULL)
		*result = m.result;
	return 0;
}

int
link_end(struct app *a, const struct value **result)
{
	struct error err = ERROR_INIT;

	return link_try(a, result, &err) == 0 ? 0 : link_fail(a, &err);
}

void
link_long(struct app *a)
{
	a->long_wait = true;
}

/* The members of a JSON object become those of the params map that client_begin has opened. */
static int
write_params(struct pack *p, const char *text, struct error *err)
{
	struct json j = JSON_INIT;
	int r = json_read(&j, text, strlen(text), JSON_STRICT);

	if (r != 0)
		r = error_set(err, MP_E_INVALID_PARAMS,
		    "the parameters are not JSON: %s at byte %zu",
		    j.problem != NULL ? j.problem : "unreadable", j.problem_offset);
	else if (!json_is(&j, 0, JSON_OBJECT))
		r = error_set(err, MP_E_INVALID_PARAMS, "the parameters must be one JSON object");
	for (uint32_t key = r == 0 ? json_first(&j, 0) : JSON_NONE; key != JSON_NONE;
	     key = json_next(&j, key)) {
		struct buf name = BUF_INIT;

		json_string(&j, key, &name);
		pack_str_n(p, buf_str(&name), name.len);
		pack_json(p, &j, json_value(&j, key));
		buf_clear(&name);
	}
	json_clear(&j);
	return r;
}

bool
link_is_secret(const char *method)
{
	const struct method *m = method_find(method, strlen(method));

	return m != NULL && (m->flags & RPC_SECRET) != 0;
}

int
link_call(struct app *a, const char *method, const char *params_json, const struct value **result)
{
	struct error err = ERROR_INIT;
	struct pack *p;
	int r;

	/* Checked before a daemon is started or a request is begun: what was begun must be sent. */
	if (params_json != NULL) {
		struct buf scratch;
		struct pack dry;

		buf_init_secret(&scratch, 0);
		pack_init(&dry, &scratch);
		pack_map_begin(&dry);
		r = write_params(&dry, params_json, &err);
		buf_clear(&scratch);
		if (r != 0)
			return fail_err(a, &err);
	}
	if ((r = link_open(a)) != 0)
		return r;
	p = link_is_secret(method) ? link_begin_secret(a, method) : link_begin(a, method);
	if (params_json != NULL)
		write_params(p, params_json, &err);
	return link_end(a, result);
}

void
link_set_scope(struct app *a, const char *scope)
{
	free(a->scope);
	a->scope = xstrdup(scope);
	begin_hello(a, scope);
}

/* The first of our own scopes that has an override. */
static const char *
choose(const struct value *overrides, const char *const *own, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; own[i] != NULL && k < value_size(overrides); k++)
			if (value_equals(value_get(value_at(overrides, k), "scope"), own[i]))
				return own[i];
	return NULL;
}

int
link_find_scope(struct app *a)
{
	const char *given = scope_environment();
	char *terminal, *project;
	const struct value *result = NULL;
	struct pack *p;
	int r;

	if ((r = link_open(a)) != 0)
		return r;
	if (given != NULL) {
		a->scope = xstrdup(given); /* said in the first hello */
		return 0;
	}
	terminal = scope_terminal();
	project = scope_project(NULL);
	if (terminal != NULL || project != NULL) {
		p = link_begin(a, "state.get");
		pack_str(p, "topics");
		pack_array_begin(p);
		pack_str(p, "overrides");
		pack_array_end(p);
		r = link_end(a, &result);
		if (r == 0) {
			const char *own[] = {terminal, project};
			const char *scope =
			    choose(value_get(value_get(result, "snapshot"), "overrides"), own, 2);

			if (scope != NULL)
				link_set_scope(a, scope);
		}
	}
	free(terminal);
	free(project);
	return r;
}
