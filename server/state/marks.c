#include "server/state/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "protocol/sockpath.h"
#include "server/base/clock.h"
#include "server/base/log.h"

#define FILE_NAME "marks"
#define META_GENERATION "generation"
#define SAVE_MS 200
#define TEXT_BYTES 96 /* of the count with its MAC */

/* The file: one "name number" a line. */
struct noted {
	int64_t generation, backup_ms, backwards_ms;
	int64_t in_file; /* so many changes are in the file itself, whatever becomes of its log */
};

struct marks {
	struct store *store;
	struct vault *vault;
	struct changes *changes;
	struct loop_timer *timer;
	char *state_dir;
	struct noted noted;
	int64_t generation; /* of the database */
};

/* ---- outside ---- */

static int64_t *
noted_member(struct noted *n, const char *name)
{
	if (strcmp(name, "generation") == 0)
		return &n->generation;
	if (strcmp(name, "backup_ms") == 0)
		return &n->backup_ms;
	if (strcmp(name, "in_file") == 0)
		return &n->in_file;
	return strcmp(name, "backwards_ms") == 0 ? &n->backwards_ms : NULL;
}

static void
noted_read(const char *state_dir, struct noted *n)
{
	int dir = private_dir_open(state_dir, true, NULL), fd = -1;
	char name[33];
	int64_t value, *member;
	FILE *f;

	*n = (struct noted){ 0 };
	if (dir >= 0) {
		fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		close(dir);
	}
	if (fd < 0)
		return;
	if ((f = fdopen(fd, "r")) == NULL) {
		close(fd);
		return;
	}
	while (fscanf(f, "%32s %" SCNd64, name, &value) == 2)
		if ((member = noted_member(n, name)) != NULL && value > 0)
			*member = value;
	fclose(f);
}

static int
noted_write(const char *state_dir, const struct noted *n)
{
	int dir = private_dir_open(state_dir, true, NULL), fd, r = -1;

	if (dir < 0)
		return -1;
	fd = openat(dir, FILE_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0) {
		r = dprintf(fd, "generation %" PRId64 "\nbackup_ms %" PRId64 "\nbackwards_ms %" PRId64
		    "\nin_file %" PRId64 "\n", n->generation, n->backup_ms, n->backwards_ms,
		    n->in_file) > 0 ? 0 : -1;
		close(fd);
	}
	if (r == 0)
		r = renameat(dir, FILE_NAME ".new", dir, FILE_NAME);
	close(dir);
	return r;
}

static void
save(void *arg)
{
	struct marks *m = arg;

	if (noted_write(m->state_dir, &m->noted) != 0)
		log_info("the state folder cannot be written", LOG_TEXT("folder", m->state_dir),
		    LOG_TEXT("error", strerror(errno)));
}

/* ---- inside ---- */

/* "17 0f3a..."; without a MAC while the vault is locked. */
static void
generation_text(struct marks *m, int64_t n, char out[TEXT_BYTES])
{
	unsigned char mac[VAULT_HASH_BYTES];
	int at = snprintf(out, TEXT_BYTES, "%" PRId64, n);

	if (vault_metadata_mac(m->vault, out, (size_t)at, mac) != 0)
		return;
	out[at++] = ' ';
	for (size_t i = 0; i < sizeof mac && at < TEXT_BYTES - 2; i++)
		at += snprintf(out + at, TEXT_BYTES - (size_t)at, "%02x", mac[i]);
}

/* The count of the database; *fits: nobody but us wrote it, as far as that can be told now. */
static int64_t
generation_read(struct marks *m, bool *fits)
{
	char *text = NULL, should_be[TEXT_BYTES];
	int64_t n = 0;

	*fits = true;
	if (store_meta_get(m->store, META_GENERATION, &text) == 0) {
		n = strtoll(text, NULL, 10);
		generation_text(m, n, should_be);
		/* without a MAC on one side there is nothing to compare */
		*fits = n > 0 && (strchr(text, ' ') == NULL || strchr(should_be, ' ') == NULL ||
		    strcmp(text, should_be) == 0);
	}
	free(text);
	return n > 0 ? n : 0;
}

/* Part of every change. */
static int
count_change(void *arg)
{
	struct marks *m = arg;
	char text[TEXT_BYTES];

	generation_text(m, m->generation + 1, text);
	return store_meta_set(m->store, META_GENERATION, text);
}

static void
change_counted(void *arg)
{
	struct marks *m = arg;

	m->noted.generation = ++m->generation;
	if (!loop_timer_running(m->timer))
		loop_timer_start(m->timer, SAVE_MS);
}

/* From now on; not a moment before it is so. */
static void
note_generation(struct marks *m)
{
	m->noted.generation = m->generation;
	if (store_log_is_empty(m->store))
		m->noted.in_file = m->generation;
}

static void
judge(struct marks *m)
{
	int64_t beneath = store_count_beneath_log(m->store);
	bool fits, older_file;

	m->generation = generation_read(m, &fits);
	/* a copy that was put back beneath a log that was not its own: the log's count says nothing of it */
	older_file = beneath >= 0 && beneath < m->noted.in_file;
	if (fits && m->generation >= m->noted.generation && !older_file) {
		note_generation(m);
		return;
	}
	log_warn("the state went backwards: an older copy of the database was put back, or it was edited",
	    LOG_TEXT("file", store_path(m->store)), LOG_INT("changes", older_file ? beneath : m->generation),
	    LOG_INT("were", older_file ? m->noted.in_file : m->noted.generation));
	m->noted.in_file = 0;
	note_generation(m);
	m->noted.backwards_ms = clock_wall_ms();
	save(m);
	/* told once: from here on it counts as ours */
	if (store_begin(m->store) == 0) {
		if (count_change(m) != 0)
			store_rollback(m->store);
		else if (store_commit(m->store) == 0)
			change_counted(m);
	}
}

/* ---- the face ---- */

struct marks *
marks_new(struct store *store, struct vault *vault, struct changes *changes, struct loop *loop,
    const char *state_dir)
{
	struct marks *m = xcalloc(1, sizeof *m);

	m->store = store;
	m->vault = vault;
	m->changes = changes;
	m->state_dir = xstrdup(state_dir);
	m->timer = loop_timer_new(loop, save, m);
	noted_read(state_dir, &m->noted);
	judge(m);
	changes_count(changes, count_change, change_counted, m);
	return m;
}

void
marks_free(struct marks *m)
{
	if (m == NULL)
		return;
	changes_count(m->changes, NULL, NULL, NULL);
	if (loop_timer_running(m->timer))
		save(m);
	loop_timer_free(m->timer);
	free(m->state_dir);
	free(m);
}

int64_t
marks_backup_ms(const struct marks *m)
{
	return m != NULL ? m->noted.backup_ms : 0;
}

int64_t
marks_backwards_ms(const struct marks *m)
{
	return m != NULL ? m->noted.backwards_ms : 0;
}

void
marks_backup_made(struct marks *m)
{
	m->noted.backup_ms = clock_wall_ms();
	m->noted.backwards_ms = 0;
	save(m);
}

void
marks_restored(struct marks *m)
{
	bool fits;

	m->generation = generation_read(m, &fits);
	m->noted.in_file = 0;
	note_generation(m);
	m->noted.backwards_ms = 0;
	save(m);
}

void
marks_forget(const char *state_dir)
{
	struct noted n;

	noted_read(state_dir, &n);
	n.generation = n.in_file = n.backwards_ms = 0;
	noted_write(state_dir, &n);
}
