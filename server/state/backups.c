#include "server/state/backups.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"

#define PAGES 16       /* at once */
#define TURN_US 3000   /* of copying, then the loop goes on */
#define AGAIN_MS 50    /* when the worker has no place */

struct backups {
	struct loop *loop;
	struct worker *worker;
	char *data_dir;
	struct store *stores[DATABASES];
	size_t count;
	struct backups_job *job; /* the one that runs; NULL = none */
};

/* Owned by backups; while the worker has it, by the worker. */
struct backups_job {
	struct backups *backups;
	char *path;
	struct backup *backup;   /* NULL: a restore */
	struct restore *restore; /* what the worker took out */
	struct loop_timer *timer;
	atomic_bool stop;
	bool in_worker, cancelled;
	struct archive made;
	struct error err;
	void (*made_one)(void *arg, const struct archive *made, const struct error *err);
	void (*read_one)(void *arg, struct restore *r, const struct error *err);
	void *arg;
};

struct backups *
backups_new(struct loop *loop, struct worker *worker, const char *data_dir)
{
	struct backups *b = xcalloc(1, sizeof *b);

	b->loop = loop;
	b->worker = worker;
	b->data_dir = xstrdup(data_dir);
	return b;
}

void
backups_add(struct backups *b, struct store *s)
{
	assert(b->count < DATABASES);
	b->stores[b->count++] = s;
}

static void
job_free(struct backups_job *j)
{
	if (j->backups->job == j)
		j->backups->job = NULL;
	loop_timer_free(j->timer);
	backup_free(j->backup);
	restore_free(j->restore);
	free(j->path);
	free(j);
}

void
backups_free(struct backups *b)
{
	if (b == NULL)
		return;
	if (b->job != NULL)
		job_free(b->job);
	free(b->data_dir);
	free(b);
}

/* ---- in the worker ---- */

static bool
shall_stop(const void *arg)
{
	const struct backups_job *j = arg;

	return atomic_load(&j->stop);
}

static void
job_run(void *arg)
{
	struct backups_job *j = arg;
	const struct archive_patience patience = { shall_stop, j };

	if (atomic_load(&j->stop))
		error_set(&j->err, MP_E_CANCELLED, "cancelled");
	else if (j->backup != NULL)
		backup_finish(j->backup, &patience, &j->made, &j->err);
	else
		restore_prepare(j->backups->data_dir, j->path, &patience, &j->restore, &j->err);
}

/* ---- in the loop ---- */

static void
job_end(struct backups_job *j)
{
	const struct error *err = j->err.code != 0 ? &j->err : NULL;

	if (!j->cancelled && j->made_one != NULL) {
		j->made_one(j->arg, err == NULL ? &j->made : NULL, err);
	} else if (!j->cancelled) {
		j->read_one(j->arg, j->restore, err);
		j->restore = NULL;
	}
	job_free(j);
}

static void
job_done(void *arg)
{
	struct backups_job *j = arg;

	j->in_worker = false;
	job_end(j);
}

/* Copies for a while; the rest is the worker's. */
static void
job_turn(void *arg)
{
	struct backups_job *j = arg;
	int64_t until = clock_monotonic_us() + TURN_US;
	int r = 0;

	while (j->backup != NULL && (r = backup_step(j->backup, PAGES, &j->err)) == 1)
		if (clock_monotonic_us() >= until)
			break;
	if (r < 0) {
		job_end(j);
		return;
	}
	if (r == 0 && (r = worker_add(j->backups->worker, job_run, job_done, j)) == 0) {
		j->in_worker = true;
		return;
	}
	if (r == MP_E_INTERNAL) {
		error_set(&j->err, r, "no thread can be started for it");
		job_end(j);
		return;
	}
	loop_timer_start(j->timer, r == MP_E_BUSY ? AGAIN_MS : 0);
}

static struct backups_job *
job_new(struct backups *b, const char *path, void *arg, struct error *err)
{
	struct backups_job *j;

	if (b->job != NULL) {
		error_set(err, MP_E_BUSY, "another backup or restore is running");
		error_hint(err, "wait until it has ended");
		return NULL;
	}
	j = b->job = xcalloc(1, sizeof *j);
	j->backups = b;
	j->path = xstrdup(path);
	j->arg = arg;
	j->timer = loop_timer_new(b->loop, job_turn, j);
	atomic_init(&j->stop, false);
	return j;
}

struct backups_job *
backups_make(struct backups *b, const char *path, bool replace,
    void (*done)(void *arg, const struct archive *made, const struct error *err), void *arg,
    struct error *err)
{
	struct backups_job *j = job_new(b, path, arg, err);

	if (j == NULL)
		return NULL;
	j->made_one = done;
	if (backup_begin(b->stores, b->count, path, replace, &j->backup, err) != 0) {
		job_free(j);
		return NULL;
	}
	loop_timer_start(j->timer, 0);
	return j;
}

struct backups_job *
backups_read(struct backups *b, const char *path,
    void (*done)(void *arg, struct restore *r, const struct error *err), void *arg, struct error *err)
{
	struct backups_job *j = job_new(b, path, arg, err);

	if (j == NULL)
		return NULL;
	j->read_one = done;
	loop_timer_start(j->timer, 0);
	return j;
}

void
backups_cancel(struct backups_job *j)
{
	j->cancelled = true;
	atomic_store(&j->stop, true);
	if (!j->in_worker)
		job_free(j);
}

/* ---- the swap ---- */

static void
detach_all(struct backups *b)
{
	for (size_t i = 0; i < b->count; i++)
		store_detach(b->stores[i]);
}

static int
reopen_all(struct backups *b, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < b->count && r == 0; i++)
		r = store_reopen(b->stores[i], err);
	return r;
}

int
backups_swap(struct backups *b, struct restore *r, char **kept, struct error *err)
{
	struct error again = ERROR_INIT;
	bool swapped;
	int code;

	*kept = NULL;
	detach_all(b);
	code = restore_swap(r, kept, err);
	swapped = code == 0;
	if (swapped && (code = reopen_all(b, err)) == 0) {
		for (size_t i = 0; i < b->count; i++)
			store_replaced(b->stores[i]);
		return 0;
	}
	/* what was open before was well; those of the backup had been opened on trial, so this is a disk */
	detach_all(b);
	if (!restore_decided(r) && (!swapped || restore_undo(r, *kept, &again) == 0))
		reopen_all(b, &again);
	if (again.code != 0)
		log_error("the databases cannot be opened again", LOG_TEXT("why", again.message));
	free(*kept);
	*kept = NULL;
	return code;
}
