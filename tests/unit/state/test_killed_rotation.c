/* F02: a key replaced by another and that by a third, killed (or cut off from power) at every call that
 * changes the folder: a whole key, never a mix, never none, and never older than what was acknowledged. */
#include <sys/mman.h>
#include <time.h>

#include "server/store/db.h"
#include "tests/harness/kill_at.h"
#include "tests/unit/state/world.h"

#define KEYS 3

enum broken { NOTHING_BROKEN, BY_HALVES, NO_SYNC };

struct rotation {
	struct world w;
	enum broken broken;
	int *acknowledged; /* shared with the child: the newest key of which it was told that it is stored */
	int seen[KEYS], mixed, lost;
};

static const char *const keys[KEYS] = {
	"sk-one-0123456789abcdef0123456789abcdef",
	"sk-two-fedcba9876543210fedcba9876543210",
	"sk-three-00112233445566778899aabbccddeef",
};
static unsigned seed;

static void
prepare(void *arg)
{
	struct rotation *r = arg;

	world_remove_folder(&r->w);
	assert_int_equal(mkdir(r->w.dir, 0700), 0);
	world_open(&r->w);
	world_key(&r->w, "openai", NULL, keys[0]);
	world_close(&r->w);
	*r->acknowledged = 0;
}

static int
rotate(void *arg)
{
	struct rotation *r = arg;
	struct world *w = &r->w;

	setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure ends this child, not the tests in it */
	world_open(w);
	if (r->broken == NO_SYNC)
		assert_int_equal(db_exec(w->store, "PRAGMA synchronous = OFF"), SQLITE_OK);
	for (int i = 1; i < KEYS; i++) {
		if (r->broken == BY_HALVES)
			CHANGE(w, credentials_delete(w->cs, world_provider(w, "openai"), NULL, &w->err));
		world_key(w, "openai", NULL, keys[i]);
		*r->acknowledged = i;
		credentials_scrub(w->cs);
	}
	world_close(w);
	return 0;
}

static bool
is_key(struct world *w, const char *key)
{
	const struct credential *c = credentials_find(w->cs, "openai", NULL);
	struct secret *s = secret_new(key, strlen(key));
	const struct secret *opened = NULL;
	char print[9];
	bool same;

	same = c != NULL &&
	    credentials_open(w->cs, world_provider(w, "openai"), NULL, &opened, &w->err) == 0 &&
	    strcmp(secret_bytes(opened), key) == 0 && vault_fingerprint(w->vault, s, print) == 0 &&
	    strcmp(c->fingerprint, print) == 0 && strcmp(c->last4, key + strlen(key) - 4) == 0;
	secret_free(s);
	return same;
}

/* The next start, in a process of its own: which key it has, or how it died. */
static int
next_start(void *arg)
{
	struct rotation *r = arg;
	int is = KEYS;

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	world_open(&r->w);
	for (int i = 0; i < KEYS; i++)
		if (is_key(&r->w, keys[i]))
			is = i;
	/* and it goes on: whatever it is can be replaced */
	world_key(&r->w, "openai", NULL, "sk-next-0123456789");
	world_close(&r->w);
	return is;
}

static bool
check(void *arg, int n, bool killed)
{
	struct rotation *r = arg;
	int is = kill_child(next_start, r);

	(void)n;
	(void)killed;
	if (is < 0 || is >= KEYS || is > *r->acknowledged + 1)
		r->mixed++;
	else
		r->seen[is]++;
	r->lost += is < *r->acknowledged;
	return r->broken == NOTHING_BROKEN || r->mixed + r->lost == 0;
}

static int
run(struct rotation *r, enum kill_variant variant)
{
	int status, points;

	r->acknowledged = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(r->acknowledged != MAP_FAILED);
	world_folder_in(&r->w, fast_folder());
	points = kill_everywhere(r->w.dir, variant, prepare, rotate, check, r, &status);
	world_remove_folder(&r->w);
	munmap(r->acknowledged, sizeof(int));
	if (r->broken == NOTHING_BROKEN)
		assert_int_equal(status, 0);
	return points;
}

static void
killed_at_every_call(enum kill_variant variant)
{
	struct rotation r = { 0 };
	int points = run(&r, variant);

	print_message("%d points: %d with the first key, %d with the second, %d with the third\n", points,
	    r.seen[0], r.seen[1], r.seen[2]);
	assert_int_equal(r.mixed, 0);
	assert_int_equal(r.lost, 0);
	assert_true(r.seen[0] > 2 && r.seen[1] > 2 && r.seen[2] > 2 && points >= 10);
}

static void
F02_test_rotation__killed_before_every_call(void **state)
{
	(void)state;
	killed_at_every_call(KILL_BEFORE);
}

static void
F02_test_rotation__killed_in_every_write(void **state)
{
	(void)state;
	killed_at_every_call(KILL_IN_WRITE);
}

static void
F02_test_rotation__power_lost_at_every_call(void **state)
{
	(void)state;
	kill_seed(seed);
	killed_at_every_call(KILL_POWER);
}

static void
R4_test_harness__sees_a_rotation_by_halves(void **state)
{
	struct rotation r = { .broken = BY_HALVES };

	(void)state;
	run(&r, KILL_BEFORE);
	print_message("%d mixed\n", r.mixed);
	assert_true(r.mixed > 0);
}

static void
R4_test_harness__sees_a_rotation_that_is_not_synced(void **state)
{
	struct rotation r = { .broken = NO_SYNC };

	(void)state;
	kill_seed(seed);
	run(&r, KILL_POWER);
	print_message("%d lost, %d mixed\n", r.lost, r.mixed);
	assert_true(r.lost + r.mixed > 0);
}

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R4_test_harness__sees_a_rotation_by_halves),
		cmocka_unit_test(R4_test_harness__sees_a_rotation_that_is_not_synced),
		cmocka_unit_test(F02_test_rotation__killed_before_every_call),
		cmocka_unit_test(F02_test_rotation__killed_in_every_write),
		cmocka_unit_test(F02_test_rotation__power_lost_at_every_call),
	};

	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
