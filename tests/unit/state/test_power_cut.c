/* F11, F12: the power goes at random points of the work on state.db, over and over. What was acknowledged
 * is there, nothing is there by half. MPD_TEST_CUTS=2000 for the whole figure, MPD_TEST_SEED repeats it. */
#include <time.h>

#include "server/store/db.h"
#include "server/store/rows.h"
#include "tests/harness/power_cut.h"
#include "tests/unit/state/world.h"

#define OWN 4 /* providers that hold keys */

enum disk { HONEST, NO_FSYNC_ASKED, FSYNC_IGNORED };

struct image {
	char *data[CUT_FILES];
	int64_t n[CUT_FILES];
	char name[CUT_FILES][48];
	int files;
};

struct outcome {
	int cuts, refused, half, lost;
	int64_t steps;
};

static unsigned seed;
static const char *const holders[OWN] = { "openai", "openrouter", "gemini", "anthropic" };

/* ---- numbered changes, and what a number means ---- */

static int
run_step(struct world *w, int64_t i)
{
	char model[32], key[80], name[32], old[32];
	struct provider *p = NULL;
	int r;

	snprintf(model, sizeof model, "m%lld", (long long)i);
	snprintf(key, sizeof key, "sk-%lld-0123456789abcdef0123456789abcdef", (long long)i);
	snprintf(name, sizeof name, "own-%lld", (long long)i);
	snprintf(old, sizeof old, "own-%lld", (long long)i - 1);
	if ((r = changes_begin(w->changes, &w->err)) != 0)
		return r;
	r = overrides_set(w->os, "", world_provider(w, "openai"), model, NULL, false, 0, &w->err);
	if (r == 0 && i % 2 == 0) {
		struct secret *s = secret_new(key, strlen(key));

		r = credentials_set(w->cs, world_provider(w, holders[i / 2 % OWN]), NULL, s, NULL, &w->err);
		secret_free(s);
	}
	if (r == 0) {
		p = provider_new();
		p->name = xstrdup(name);
		p->dialect = xstrdup("openai-chat");
		p->base_url = xstrdup("http://127.0.0.1:9/v1");
		p->type = PROVIDER_LOCAL;
		p->auth = AUTH_NONE;
		r = providers_add(w->ps, p, &w->err);
		provider_free(p);
	}
	if (r == 0 && providers_find(w->ps, old) != NULL) {
		bool reverted;

		r = providers_remove(w->ps, old, &reverted, &w->err);
	}
	if (r != 0) {
		changes_rollback(w->changes);
		return r;
	}
	return changes_commit(w->changes, "test", NULL, NULL, &w->err);
}

/* The newest step up to `last` that set this holder's key; 0 = none. */
static int64_t
key_step(int holder, int64_t last)
{
	for (int64_t i = last; i > 0; i--)
		if (i % 2 == 0 && i / 2 % OWN == holder)
			return i;
	return 0;
}

static bool
has_key(struct world *w, int holder, int64_t step)
{
	const struct secret *s = NULL;
	char key[80];
	int r = credentials_open(w->cs, world_provider(w, holders[holder]), NULL, &s, &w->err);

	if (step == 0)
		return r == MP_E_NO_CREDENTIAL;
	snprintf(key, sizeof key, "sk-%lld-0123456789abcdef0123456789abcdef", (long long)step);
	return r == 0 && strcmp(secret_bytes(s), key) == 0;
}

/* How many steps the open world holds; -1 = some of them by half. */
static int64_t
count_steps(struct world *w)
{
	int64_t last = changes_rev(w->changes);
	const struct override *o = overrides_find(w->os, "", false);
	char model[32], name[32];
	int own = 0;

	snprintf(model, sizeof model, "m%lld", (long long)last);
	snprintf(name, sizeof name, "own-%lld", (long long)last);
	if (last > 0 && (o == NULL || strcmp(o->model, model) != 0))
		return -1;
	for (size_t i = 0; i < providers_count(w->ps); i++)
		own += strncmp(providers_at(w->ps, i)->name, "own-", 4) == 0;
	if (own != (last > 0) || (last > 0 && providers_find(w->ps, name) == NULL))
		return -1;
	for (int h = 0; h < OWN; h++)
		if (!has_key(w, h, key_step(h, last)))
			return -1;
	return last;
}

/* ---- folders ---- */

static void
image_clear(struct image *im)
{
	for (int i = 0; i < im->files; i++)
		free(im->data[i]);
	im->files = 0;
}

static void
image_take(struct image *im, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	char path[400];
	struct stat st;

	image_clear(im);
	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL) {
		snprintf(path, sizeof path, "%s/%.64s", folder, e->d_name);
		if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		snprintf(im->name[im->files], sizeof im->name[0], "%.47s", e->d_name);
		im->data[im->files] = cut_read(path, &im->n[im->files]);
		im->files++;
	}
	closedir(dir);
}

/* The folder holds exactly the image; the key file lies below and never changes. */
static void
image_put(const struct image *im, const char *folder)
{
	char path[400];

	snprintf(path, sizeof path, "find '%s' -maxdepth 1 -type f -delete", folder);
	assert_int_equal(system(path), 0);
	for (int i = 0; i < im->files; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, im->name[i]);
		cut_write(path, im->data[i], im->n[i]);
	}
}

/* ---- rounds ---- */

static int64_t
integrity(struct world *w)
{
	sqlite3_stmt *q = NULL;
	int64_t ok = sqlite3_prepare_v2(w->store->db, "PRAGMA integrity_check", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW &&
	    strcmp((const char *)sqlite3_column_text(q, 0), "ok") == 0;

	sqlite3_finalize(q);
	return ok;
}

static void
check(struct world *w, int64_t acknowledged, struct outcome *o)
{
	int64_t held;

	o->cuts++;
	if (world_try_open(w) != 0) {
		o->refused++;
		return;
	}
	held = integrity(w) ? count_steps(w) : -1;
	world_close(w);
	o->half += held < 0 || held > acknowledged + 1;
	o->lost += held >= 0 && held < acknowledged;
	if (held > o->steps)
		o->steps = held;
}

/* Some work, written down. Returns the step it began with; -1 when it could not be done. */
static int64_t
record(struct world *w, enum disk disk)
{
	int64_t begin, i;
	bool fine = true;

	cut.ignore_sync = disk == FSYNC_IGNORED;
	cut_start(w->dir);
	if (world_try_open(w) != 0) {
		cut_stop();
		return -1;
	}
	if (disk == NO_FSYNC_ASKED)
		db_exec(w->store, "PRAGMA synchronous = OFF");
	begin = i = changes_rev(w->changes);
	for (int n = 4 + (int)(rand_r(&seed) % 16); n > 0 && fine; n--) {
		w->heard_count = 0;
		fine = run_step(w, ++i) == 0;
		if (fine)
			cut_acknowledge(i);
		if (rand_r(&seed) % 5 == 0)
			credentials_scrub(w->cs); /* a checkpoint */
	}
	if (rand_r(&seed) % 2 == 0)
		store_checkpoint(w->store);
	world_close(w); /* a clean end is a part of it */
	cut_stop();
	return fine ? begin : -1;
}

static struct outcome
cut_many(enum disk disk, int wanted)
{
	struct outcome o = { 0 };
	struct image start = { .files = 0 }, next = { .files = 0 };
	struct world w;

	world_folder_in(&w, fast_folder());
	world_open(&w);
	world_close(&w);
	image_take(&start, w.dir);
	while (o.cuts < wanted && o.refused + o.half + o.lost == 0) {
		int64_t begin = record(&w, disk);

		if (begin < 0) { /* only a disk that lies gets here */
			o.half++;
			break;
		}
		for (int i = 0; i < 12 && o.cuts < wanted; i++) {
			int64_t acknowledged = cut_at((size_t)rand_r(&seed) % (cut.ops + 1), begin, 0, &seed);

			image_take(&next, w.dir);
			check(&w, acknowledged, &o);
		}
		/* the last cut is what the next round starts from: a start after a cut is cut as well */
		image_put(&next, w.dir);
	}
	image_clear(&start);
	image_clear(&next);
	cut_clear();
	world_remove_folder(&w);
	print_message("%d cuts, %lld changes: %d refused, %d by half, %d lost\n", o.cuts, (long long)o.steps,
	    o.refused, o.half, o.lost);
	return o;
}

static int
cuts_wanted(void)
{
	const char *text = getenv("MPD_TEST_CUTS");

	return text != NULL ? atoi(text) : 100;
}

static void
F11_test_power__nothing_acknowledged_is_lost(void **state)
{
	struct outcome o = cut_many(HONEST, cuts_wanted());

	(void)state;
	assert_int_equal(o.refused, 0);
	assert_int_equal(o.half, 0);
	assert_int_equal(o.lost, 0);
	assert_true(o.steps > o.cuts / 40);
}

static void
F12_test_power__unsynced_writes_are_caught(void **state)
{
	struct outcome o = cut_many(NO_FSYNC_ASKED, 500);

	(void)state;
	assert_true(o.refused + o.half + o.lost > 0);
}

static void
F12_test_power__disk_that_ignores_fsync_is_caught(void **state)
{
	struct outcome o = cut_many(FSYNC_IGNORED, 500);

	(void)state;
	assert_true(o.refused + o.half + o.lost > 0);
}

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(F12_test_power__unsynced_writes_are_caught),
		cmocka_unit_test(F12_test_power__disk_that_ignores_fsync_is_caught),
		cmocka_unit_test(F11_test_power__nothing_acknowledged_is_lost),
	};

	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	if (secret_init() != 0 || cut_install() != SQLITE_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
