#include "server/restore_offline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "protocol/base/secret.h"
#include "protocol/sockpath.h"
#include "server/base/log.h"
#include "server/rpc/listener.h"
#include "server/state/marks.h"
#include "server/state/restored.h"
#include "server/store/open.h"
#include "server/store/restore.h"

/* As the next start opens them. A database that the backup does not hold is not judged: it stays as it is. */
static int
try_restored(const char *data_dir, const struct archive *a, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < a->count && r == 0; i++) {
		struct store *s = NULL;

		r = store_open_database(data_dir, database_find(a->files[i].name), &s, err);
		store_close(s);
	}
	return r;
}

static int
swap(struct restore *r, const char *data_dir, char **kept, struct error *err)
{
	struct error again = ERROR_INIT;
	int code = restore_swap(r, kept, err);

	if (code != 0 || (code = try_restored(data_dir, restore_archive(r), err)) == 0)
		return code;
	restore_undo(r, *kept, &again);
	free(*kept);
	*kept = NULL;
	return code;
}

static void
print_facts(FILE *to, const struct archive *a, const struct restored *holds, const char *kept)
{
	fprintf(to, "created_ms %" PRId64 "\nprogram %s\n", a->created_ms, a->program);
	fprintf(to, "providers %" PRId64 "\nkeys %" PRId64 "\n", holds->providers, holds->keys);
	fprintf(to, "locked %s\n", holds->locked ? "true" : "false");
	if (holds->locked)
		fprintf(to, "why %s\n", holds->why);
	if (kept != NULL)
		fprintf(to, "kept %s\n", kept);
}

/* The lock is held. */
static int
restore_locked(const char *data_dir, const char *state_dir, const char *file, bool only_check,
    FILE *to, struct error *err)
{
	struct restore *r = NULL;
	struct restored holds;
	char *kept = NULL;
	bool done;
	int code;

	if ((code = restore_complete(data_dir, &done, err)) != 0 ||
	    (code = restore_prepare(data_dir, file, NULL, &r, err)) != 0)
		return code;
	code = restored_look(r, data_dir, &holds, err);
	if (code == 0 && !only_check)
		code = swap(r, data_dir, &kept, err);
	if (code == 0 && !only_check)
		marks_forget(state_dir);
	if (code == 0)
		print_facts(to, restore_archive(r), &holds, kept);
	restore_free(r);
	free(kept);
	return code;
}

int
restore_offline(const struct daemon_options *o, const char *file, bool only_check, FILE *to,
    struct error *err)
{
	struct paths paths = { NULL };
	struct listener *lock = NULL;
	int dir, r;

	log_open(NULL, "error");
	if ((r = paths_find(o->socket, &paths, err)) != 0)
		return r;
	if ((r = secret_init()) != 0) {
		error_set(err, r, "the crypto library does not start");
	} else if ((r = listener_open(&paths, &lock, err)) == 0) {
		if ((r = dir = private_dir_open(paths.data_dir, true, err)) >= 0) {
			close(dir);
			r = restore_locked(paths.data_dir, paths.state_dir, file, only_check, to, err);
		}
	}
	listener_free(lock);
	paths_clear(&paths);
	return r;
}
