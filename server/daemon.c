#include "server/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpd_version.h"
#include "protocol/base/secret.h"
#include "protocol/sockpath.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/loop.h"
#include "server/base/worker.h"
#include "server/call/call.h"
#include "server/call/cooldowns.h"
#include "server/call/freshen.h"
#include "server/call/key_command.h"
#include "server/call/key_reader.h"
#include "server/call/mint.h"
#include "server/call/price_feed.h"
#include "server/call/price_refresh.h"
#include "server/call/probe.h"
#include "server/call/purses.h"
#include "server/call/recall.h"
#include "server/call/retention.h"
#include "server/call/waiting.h"
#include "server/call/windows.h"
#include "server/manager.h"
#include "server/model/roster.h"
#include "server/rpc/listener.h"
#include "server/rpc/methods/prompts.h"
#include "server/rpc/notify.h"
#include "server/rpc/request.h"
#include "server/rpc/server.h"
#include "server/state/backups.h"
#include "server/state/changes.h"
#include "server/state/keeper.h"
#include "server/state/marks.h"
#include "server/state/models.h"
#include "server/state/own_prices.h"
#include "server/state/recovery.h"
#include "server/state/settings.h"
#include "server/store/backup.h"
#include "server/store/copies.h"
#include "server/store/restore.h"
#include "server/state/team.h"
#include "server/upstream/carrier.h"
#include "server/usage/ledger.h"
#include "server/usage/meters.h"
#include "server/usage/price_book.h"
#include "server/usage/prune.h"
#include "server/vault/vault.h"

#define GRACE_MS 10000     /* running streams may take this long to end */
#define DRAIN_STEP_MS 20
#define LAST_WORDS_MS 300  /* for the final events to leave */

struct daemon {
	struct paths paths;
	struct loop *loop;
	struct worker *worker;
	struct listener *listener;
	struct rpc_parts parts;
	struct rpc_server *server;
	struct loop_signal *on_term, *on_int, *on_hup;
	struct detection *detection;
	struct waiting *waiting;
	struct windows *windows;
	struct retention *retention;
	struct cooldowns *cooldowns;
	struct price_feed *price_feed;
	struct freshen *freshen;
	struct key_reader *key_reader;
	struct recovery *recovery;
	struct loop_timer *drain;
	bool stopping, aborted;
	int64_t stop_at_ms;  /* monotonic: streams end */
	int64_t leave_at_ms; /* monotonic: whatever is left is dropped */
	char *notify_socket; /* of the service manager */
};

/* ---- reload ---- */

static void
on_found(void *arg, const struct found_server *f)
{
	(void)arg;
	log_info("local server found", LOG_TEXT("provider", f->provider->name),
	    LOG_TEXT("url", f->provider->base_url),
	    LOG_INT("models", f->models != NULL ? (int64_t)f->models->count : 0));
}

static void
on_detected(void *arg)
{
	struct daemon *d = arg;

	d->detection = NULL;
}

static void
look_around(struct daemon *d)
{
	if (d->detection == NULL)
		d->detection = detect_start(d->parts.probes, getenv("OLLAMA_HOST"), on_found,
		    on_detected, d);
}

/* Overrides, keys and streams are untouched: only what lies outside of us is looked at again. */
static int
daemon_reload(void *arg, void (*warning)(void *warning_arg, const char *text), void *warning_arg)
{
	struct daemon *d = arg;

	manager_tell(d->notify_socket, "RELOADING=1");
	if (log_reopen() != 0)
		warning(warning_arg, "the log file could not be reopened");
	upstream_reload(d->parts.upstream);
	look_around(d);
	notifier_daemon(d->server->notifier, "reloaded");
	log_info("reloaded");
	manager_tell(d->notify_socket, "READY=1");
	return 0;
}

static void
log_warning(void *arg, const char *text)
{
	(void)arg;
	log_warn("while reloading", LOG_TEXT("warning", text));
}

/* ---- stopping ---- */

/* Called until nothing runs any more or the time is up; then everything left is ended, told so, and
 * the loop stops. */
static void
drain(void *arg)
{
	struct daemon *d = arg;
	size_t running = calls_count(d->parts.calls) + rpc_server_pending(d->server);
	int64_t now = clock_monotonic_ms();

	if (running > 0 && !d->aborted && now >= d->stop_at_ms) {
		d->aborted = true;
		d->leave_at_ms = now + LAST_WORDS_MS;
		calls_abort(d->parts.calls);
		rpc_server_cancel_pending(d->server);
	} else if (running == 0 && d->leave_at_ms == 0) {
		d->leave_at_ms = now + LAST_WORDS_MS;
	}
	if (d->leave_at_ms != 0 &&
	    (now >= d->leave_at_ms || (running == 0 && rpc_server_flush(d->server)))) {
		loop_stop(d->loop);
		return;
	}
	loop_timer_start(d->drain, DRAIN_STEP_MS);
}

static void
daemon_stop(void *arg, int64_t grace_ms)
{
	struct daemon *d = arg;

	if (d->stopping)
		return;
	d->stopping = true;
	if (grace_ms < 0)
		grace_ms = GRACE_MS;
	log_info("stopping", LOG_INT("streams", (int64_t)calls_count(d->parts.calls)),
	    LOG_INT("grace_ms", grace_ms));
	manager_tell(d->notify_socket, "STOPPING=1");
	rpc_server_refuse(d->server);
	freshen_stop(d->freshen);
	calls_drain(d->parts.calls);
	notifier_daemon(d->server->notifier, "stopping");
	d->stop_at_ms = clock_monotonic_ms() + grace_ms;
	loop_timer_start(d->drain, 0);
}

static void
on_signal(void *arg, int signum)
{
	struct daemon *d = arg;

	if (signum == SIGHUP) {
		daemon_reload(d, log_warning, NULL);
		return;
	}
	if (d->stopping) {
		log_warn("asked twice: leaving at once");
		loop_stop(d->loop);
		return;
	}
	daemon_stop(d, -1);
}

/* ---- the start-up list ---- */

static int
open_log(struct daemon *d, const struct daemon_options *o, struct error *err)
{
	const char *level = o->log_level != NULL ? o->log_level : getenv("MODELPD_LOG");
	enum log_level parsed;
	struct buf path = BUF_INIT;
	int dir, r;

	if (level != NULL && *level == '\0')
		level = NULL;
	if (level != NULL && !log_level_parse(level, &parsed))
		return error_set(err, MP_E_INVALID_PARAMS,
		    "unknown log level \"%s\" (error, warn, info, debug)", level);
	if (!o->log_to_file) {
		r = log_open(NULL, level);
		return r == 0 ? 0 : error_set(err, r, "cannot open the log");
	}
	if ((dir = private_dir_open(d->paths.state_dir, true, err)) < 0)
		return dir;
	close(dir);
	buf_addf(&path, "%s/modelpd.log", d->paths.state_dir);
	r = log_open(buf_str(&path), level);
	if (r != 0)
		error_set(err, r, "cannot open the log %s: %s", buf_str(&path), strerror(errno));
	buf_clear(&path);
	return r;
}

static int
open_store(struct daemon *d, struct error *err)
{
	struct rpc_parts *p = &d->parts;
	bool created = false, restored = false;
	int dir, r;

	if ((dir = private_dir_open(d->paths.data_dir, true, err)) < 0)
		return dir;
	close(dir);
	if ((r = restore_complete(d->paths.data_dir, &restored, err)) != 0)
		return r;
	if (restored)
		log_warn("a restore that was cut off is finished", LOG_TEXT("folder", d->paths.data_dir));
	backup_sweep(d->paths.data_dir);
	copies_sweep(d->paths.data_dir, clock_wall_ms());
	if ((r = store_open(d->paths.data_dir, &p->store, err)) != 0 ||
	    (r = vault_open(p->store, d->paths.data_dir, &p->vault, &created, err)) != 0 ||
	    (r = ledger_open(d->paths.data_dir, d->loop, &p->ledger, err)) != 0)
		return r;
	p->backups = backups_new(d->loop, d->worker, d->paths.data_dir);
	backups_add(p->backups, p->store);
	backups_add(p->backups, ledger_store(p->ledger));
	if (created)
		log_info("a key file was made: it protects a copied database, not a copied home "
		    "directory", LOG_TEXT("folder", d->paths.data_dir));
	if (vault_is_locked(p->vault))
		log_warn("the vault is locked: keys cannot be used",
		    LOG_TEXT("why", vault_locked_why(p->vault)));
	if (!secret_memory_is_locked())
		log_warn("memory cannot be locked here: keys may reach swap");
	return 0;
}

/* Programs that wait for a next request were started for somebody who had the keys. */
static void
on_lock(void *arg)
{
	struct daemon *d = arg;

	if (d->parts.upstream != NULL)
		upstream_end_waiting(d->parts.upstream, NULL, NULL);
}

static int
open_state(struct daemon *d, struct error *err)
{
	struct rpc_parts *p = &d->parts;
	int r;

	if ((p->changes = changes_new(p->store)) == NULL)
		return error_set(err, MP_E_STORAGE, "the state in %s cannot be read",
		    store_path(p->store));
	p->marks = marks_new(p->store, p->vault, p->changes, d->loop, d->paths.state_dir);
	if ((r = settings_new(p->store, p->changes, &p->settings, err)) != 0 ||
	    (r = providers_new(p->store, p->changes, &p->providers, err)) != 0 ||
	    (r = credentials_new(p->store, p->vault, p->providers, p->changes, &p->credentials,
	    err)) != 0)
		return r;
	credentials_take_environment(p->credentials);
	if ((r = models_new(p->store, p->providers, p->changes, d->loop, &p->models, err)) != 0 ||
	    (r = chains_new(p->store, p->changes, &p->chains, err)) != 0 ||
	    (r = overrides_new(p->store, p->providers, p->changes, d->loop, &p->overrides, err)) != 0 ||
	    (r = sessions_new(p->store, p->vault, p->providers, p->credentials, p->changes, d->loop,
	    &p->sessions, err)) != 0 ||
	    (r = budgets_new(p->store, p->changes, &p->budgets, err)) != 0 ||
	    (r = own_prices_new(p->store, p->changes, &p->own_prices, err)) != 0 ||
	    (r = minted_new(p->store, p->changes, &p->minted, err)) != 0 ||
	    (r = team_new(p->store, p->vault, p->changes, &p->team, err)) != 0)
		return r;
	p->keeper = keeper_new(&(struct keeper_parts){ d->loop, d->worker, p->store, p->vault, p->changes,
	    p->settings, p->providers, p->credentials, p->team });
	keeper_on_lock(p->keeper, on_lock, d);
	return 0;
}

static int
open_calls(struct daemon *d, const struct daemon_options *o, struct error *err)
{
	struct freshen_policy calm = freshen_calm;
	struct rpc_parts *p = &d->parts;

	p->routes = routes_new(p->providers, p->models, p->overrides, p->credentials);
	p->upstream = upstream_new(d->loop);
	if (p->routes == NULL || p->upstream == NULL)
		return error_set(err, MP_E_INTERNAL, "the carriers cannot be set up");
	routes_use_sessions(p->routes, p->sessions);
	routes_use_chains(p->routes, p->chains);
	d->cooldowns = cooldowns_new(d->loop, p->store, p->providers, p->changes);
	routes_use_cooldowns(p->routes, d->cooldowns);
	upstream_limit_patience(p->upstream, o->test_timeout_ms);
	d->key_reader = key_reader_new(d->loop, p->upstream, p->providers, p->credentials,
	    o->test_timeout_ms);
	p->prices = price_book_new();
	d->price_feed = price_feed_new(p->prices, p->own_prices, p->team, p->providers, p->changes);
	p->price_refresh = price_refresh_new(&(struct price_refresh_parts){ d->loop, d->worker, p->upstream,
	    p->providers, p->changes, p->prices, d->paths.cache_dir });
	p->purses = purses_new(p->ledger, p->budgets, p->providers, p->changes, p->prices);
	routes_use_purses(p->routes, p->purses);
	d->windows = windows_new(d->loop, p->ledger, p->providers, p->changes);
	recall_providers(p->ledger, p->providers);
	p->meters = meters_new(p->ledger);
	p->prune = prune_new(d->loop, p->ledger);
	d->retention = retention_new(d->loop, p->settings, p->prune, p->ledger, p->changes);
	key_command_serve(p->upstream, p->keeper);
	d->waiting = waiting_new(p->upstream, p->providers, p->changes);
	p->calls = calls_new(&(struct attempt_parts){ d->loop, p->upstream, p->providers, p->credentials,
	    p->routes, p->ledger, p->purses, p->prices });
	calls_keep_shares(p->calls, p->store);
	p->probes = probes_new(d->loop, p->upstream, p->providers, p->credentials, p->calls);
	p->mints = mints_new(&(struct attempt_parts){ d->loop, p->upstream, p->providers, p->credentials,
	    NULL, NULL, NULL, NULL }, p->sessions, p->minted, p->changes, o->test_timeout_ms);
	p->prompts = prompts_new(d->loop);
	probes_remember(p->probes, models_discovered(p->models), p->changes);
	if (p->calls == NULL || p->probes == NULL || p->prompts == NULL)
		return error_set(err, MP_E_INTERNAL, "the calls cannot be set up");
	if (o->test_timeout_ms > 0)
		calls_hurry(p->calls, 20);
	if (o->test_timeout_ms > 0)
		calm.first_ms = calm.look_ms = calm.pause_ms = o->test_timeout_ms;
	d->freshen = freshen_new(p->probes, p->routes, &calm);
	return 0;
}

static int
open_doors(struct daemon *d, const struct daemon_options *o, struct error *err)
{
	const struct rpc_patience patience = {
		o->test_timeout_ms, o->test_timeout_ms, o->test_timeout_ms
	};

	d->server = rpc_server_new(&d->parts, &patience);
	d->recovery = recovery_new(d->loop, d->parts.changes, notifier_storage, d->server->notifier);
	recovery_add(d->recovery, d->parts.store);
	recovery_add(d->recovery, ledger_store(d->parts.ledger));
	d->drain = loop_timer_new(d->loop, drain, d);
	d->on_term = loop_signal_new(d->loop, SIGTERM, on_signal, d);
	d->on_int = loop_signal_new(d->loop, SIGINT, on_signal, d);
	d->on_hup = loop_signal_new(d->loop, SIGHUP, on_signal, d);
	if (d->drain == NULL || d->on_term == NULL || d->on_int == NULL || d->on_hup == NULL)
		return error_set(err, MP_E_INTERNAL, "signals cannot be watched");
	return listener_start(d->listener, d->loop, d->server, err);
}

int
daemon_new(const struct daemon_options *o, struct daemon **out, struct error *err)
{
	struct daemon *d = xcalloc(1, sizeof *d);
	int r;

	d->notify_socket = xstrdup(getenv("NOTIFY_SOCKET"));
	unsetenv("NOTIFY_SOCKET");
	d->parts.paths = &d->paths;
	d->parts.started_ms = clock_wall_ms();
	d->parts.daemon = d;
	d->parts.reload = daemon_reload;
	d->parts.shutdown = daemon_stop;
	if ((r = paths_find(o->socket, &d->paths, err)) != 0 || (r = open_log(d, o, err)) != 0)
		goto out;
	if ((r = secret_init()) != 0) {
		error_set(err, r, "the crypto library does not start");
		goto out;
	}
	if ((d->loop = d->parts.loop = loop_new()) == NULL || (d->worker = worker_new(d->loop)) == NULL) {
		r = error_set(err, MP_E_INTERNAL, "the event loop does not start");
		goto out;
	}
	if ((r = listener_open(&d->paths, &d->listener, err)) != 0 ||
	    (r = open_store(d, err)) != 0 || (r = open_state(d, err)) != 0 ||
	    (r = open_calls(d, o, err)) != 0 || (r = open_doors(d, o, err)) != 0)
		goto out;
	*out = d;
	return 0;
out:
	daemon_free(d);
	return r;
}

void
daemon_free(struct daemon *d)
{
	struct rpc_parts *p;

	if (d == NULL)
		return;
	p = &d->parts;
	if (d->listener != NULL)
		listener_stop(d->listener);
	if (d->detection != NULL)
		detect_cancel(d->detection);
	rpc_server_free(d->server);
	prompts_free(p->prompts);
	freshen_free(d->freshen);
	mints_free(p->mints);
	probes_free(p->probes);
	calls_free(p->calls);
	waiting_free(d->waiting);
	windows_free(d->windows);
	retention_free(d->retention);
	prune_free(p->prune);
	meters_free(p->meters);
	purses_free(p->purses);
	price_feed_free(d->price_feed);
	price_refresh_free(p->price_refresh);
	price_book_free(p->prices);
	keeper_use_commands(p->keeper, NULL);
	upstream_free(p->upstream);
	key_reader_free(d->key_reader);
	routes_free(p->routes);
	cooldowns_free(d->cooldowns);
	worker_free(d->worker);
	recovery_free(d->recovery);
	keeper_free(p->keeper);
	backups_free(p->backups);
	team_free(p->team);
	minted_free(p->minted);
	own_prices_free(p->own_prices);
	budgets_free(p->budgets);
	sessions_free(p->sessions);
	overrides_free(p->overrides);
	chains_free(p->chains);
	models_free(p->models);
	credentials_free(p->credentials);
	providers_free(p->providers);
	settings_free(p->settings);
	marks_free(p->marks);
	changes_free(p->changes);
	vault_free(p->vault);
	store_close(p->store);
	ledger_free(p->ledger);
	loop_signal_free(d->on_term);
	loop_signal_free(d->on_int);
	loop_signal_free(d->on_hup);
	loop_timer_free(d->drain);
	/* the lock goes last: who gets it finds everything closed */
	listener_free(d->listener);
	loop_free(d->loop);
	paths_clear(&d->paths);
	free(d->notify_socket);
	log_close();
	free(d);
}

int
daemon_run(struct daemon *d)
{
	int r;

	look_around(d); /* begins with the loop: nobody waits for it */
	keeper_start(d->parts.keeper); /* nor for this */
	manager_tell(d->notify_socket, "READY=1");
	log_info("ready", LOG_TEXT("version", MPD_VERSION), LOG_TEXT("socket", d->paths.socket));
	r = loop_run(d->loop);
	log_info("stopped");
	return r;
}

const char *
daemon_socket(const struct daemon *d)
{
	return d->paths.socket;
}
