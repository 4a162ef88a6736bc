/* store.c - store.backup and store.restore. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/rpc/notify.h"
#include "server/rpc/request.h"
#include "server/rpc/server.h"
#include "server/state/backups.h"
#include "server/state/changes.h"
#include "server/state/keeper.h"
#include "server/state/marks.h"
#include "server/state/restored.h"
#include "server/usage/ledger.h"
#include "server/vault/vault.h"

/* A request that waits for its backup to be made, or to be read. */
struct waiting_request {
	struct rpc_request *req;
	struct backups_job *job;
	char *path;
	bool only_check;
};

static void
waiting_request_free(struct waiting_request *w)
{
	free(w->path);
	free(w);
}

static void
not_wanted(void *arg)
{
	struct waiting_request *w = arg;

	backups_cancel(w->job);
	waiting_request_free(w);
}

static struct waiting_request *
waiting_request_new(struct rpc_request *req, const char *path)
{
	struct waiting_request *w = xcalloc(1, sizeof *w);

	w->req = req;
	w->path = xstrdup(path);
	return w;
}

static void
pack_files(struct pack *p, const struct archive *a)
{
	pack_str(p, "files");
	pack_array_begin(p);
	for (size_t i = 0; i < a->count; i++) {
		pack_map_begin(p);
		pack_kv_str(p, "name", a->files[i].name);
		pack_kv_int(p, "bytes", a->files[i].bytes);
		pack_map_end(p);
	}
	pack_array_end(p);
}

/* ---- backup ---- */

static void
backup_made(void *arg, const struct archive *made, const struct error *err)
{
	struct waiting_request *w = arg;
	struct rpc_request *req = w->req;
	struct pack *p;

	if (err != NULL) {
		log_warn("a backup could not be made", LOG_TEXT("file", w->path),
		    LOG_TEXT("why", err->message));
		waiting_request_free(w);
		rpc_finish_error(req, err);
		return;
	}
	marks_backup_made(rpc_parts(req)->marks);
	log_info("a backup was made", LOG_TEXT("file", w->path), LOG_INT("bytes", made->bytes));
	p = rpc_result(req);
	pack_kv_str(p, "path", w->path);
	pack_kv_int(p, "bytes", made->bytes);
	pack_kv_bool(p, "checked", true);
	pack_files(p, made);
	waiting_request_free(w);
	rpc_finish(req);
}

struct rpc_answer
rpc_store_backup(struct rpc_request *req)
{
	const char *path = rpc_str(req, "path");
	struct error err = ERROR_INIT;
	struct waiting_request *w;

	if (path == NULL || path[0] == '\0') {
		error_field(&err, "path", "path must be the absolute path of a file");
		return rpc_fail_err(req, &err);
	}
	w = waiting_request_new(req, path);
	w->job = backups_make(rpc_parts(req)->backups, path, rpc_bool(req, "replace", false), backup_made, w,
	    &err);
	if (w->job != NULL)
		return rpc_pending(req, not_wanted, w);
	waiting_request_free(w);
	return rpc_fail_err(req, &err);
}

/* ---- restore ---- */

static void
pack_restored(struct pack *p, const struct archive *a, const struct restored *holds, const char *kept)
{
	pack_kv_int(p, "created_ms", a->created_ms);
	pack_kv_str(p, "program", a->program);
	pack_files(p, a);
	pack_kv_int(p, "providers", holds->providers);
	pack_kv_int(p, "keys", holds->keys);
	pack_kv_bool(p, "locked", holds->locked);
	if (holds->locked)
		pack_kv_str(p, "why", holds->why);
	if (kept != NULL)
		pack_kv_str(p, "kept", kept);
}

/* The keys of before are not those of the rows that are there now. */
static void
open_vault_again(const struct rpc_parts *parts)
{
	struct error err = ERROR_INIT;
	char why[600];

	keeper_lock(parts->keeper, "a backup was restored", "restored");
	if (keeper_unlock_unattended(parts->keeper, &err) == 0)
		return;
	snprintf(why, sizeof why, "%s%s%s", err.message, err.hint[0] != '\0' ? "; " : "", err.hint);
	vault_lock(parts->vault, why);
}

/* Everything that remembers rows reads them anew, and everybody is told. */
static void
settle(struct waiting_request *w)
{
	const struct rpc_parts *parts = rpc_parts(w->req);
	struct error err = ERROR_INIT;

	open_vault_again(parts);
	ledger_reread(parts->ledger);
	changes_replaced(parts->changes);
	marks_restored(parts->marks);
	/* a revision of its own, so that nothing that was seen before can be mistaken for it */
	if (changes_begin(parts->changes, &err) == 0) {
		changes_note(parts->changes, TOPIC_DAEMON, CHANGE_SET, "daemon");
		changes_commit(parts->changes, "store.restore", rpc_client(w->req), "restored", &err);
	}
	notifier_resync(parts->server->notifier, "restored");
}

static int
restore_now(struct waiting_request *w, struct restore *r, struct restored *holds, char **kept,
    struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(w->req);
	int code = restored_look(r, parts->paths->data_dir, holds, err);

	if (code != 0 || w->only_check)
		return code;
	if ((code = backups_swap(parts->backups, r, kept, err)) != 0)
		return code;
	log_warn("a backup was restored", LOG_TEXT("file", w->path),
	    LOG_INT("age_s", (clock_wall_ms() - restore_archive(r)->created_ms) / 1000),
	    LOG_TEXT("replaced", *kept != NULL ? *kept : "nothing"));
	settle(w);
	return 0;
}

static void
backup_read(void *arg, struct restore *r, const struct error *failed)
{
	struct waiting_request *w = arg;
	struct rpc_request *req = w->req;
	struct error err = ERROR_INIT;
	struct restored holds;
	char *kept = NULL;

	if (failed != NULL) {
		err = *failed;
	} else if (restore_now(w, r, &holds, &kept, &err) == 0) {
		pack_restored(rpc_result(req), restore_archive(r), &holds, kept);
		restore_free(r);
		free(kept);
		waiting_request_free(w);
		rpc_finish(req);
		return;
	}
	restore_free(r);
	waiting_request_free(w);
	rpc_finish_error(req, &err);
}

struct rpc_answer
rpc_store_restore(struct rpc_request *req)
{
	const char *path = rpc_str(req, "path");
	struct error err = ERROR_INIT;
	struct waiting_request *w;

	if (path == NULL || path[0] != '/') {
		error_field(&err, "path", "path must be the absolute path of a file");
		return rpc_fail_err(req, &err);
	}
	w = waiting_request_new(req, path);
	w->only_check = rpc_bool(req, "check", false);
	w->job = backups_read(rpc_parts(req)->backups, path, backup_read, w, &err);
	if (w->job != NULL)
		return rpc_pending(req, not_wanted, w);
	waiting_request_free(w);
	return rpc_fail_err(req, &err);
}
