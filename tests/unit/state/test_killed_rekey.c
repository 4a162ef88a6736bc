/* F02: another master key, another passphrase, killed (or cut off from power) at every call that changes the
 * folder: before or after, never a mix. What opened it before or what opens it now does, and every key and
 * every token is there. */
#include <sys/mman.h>
#include <time.h>

#include "tests/harness/kill_at.h"
#include "tests/unit/state/keeping.h"

#define OLD "the old passphrase"
#define FRESH "the new passphrase"
#define KEY "sk-one-0123456789abcdef0123456789abcdef"
#define TEMPORARY "sk-two-fedcba9876543210fedcba9876543210"

struct round {
	struct keeping k;
	bool passphrase; /* else the key file alone opens it */
	int *acknowledged;
	char *token;     /* both shared with the children */
	int before, after, broken, lost;
};

enum found { FOUND_BEFORE = 1, FOUND_AFTER, FOUND_BROKEN };

static unsigned seed;

static void
open_session(struct round *r)
{
	struct world *w = &r->k.w;
	struct secret *token = NULL, *key = secret_new(TEMPORARY, strlen(TEMPORARY));
	const struct session_start start = { world_provider(w, "openai"), "gpt-5", NULL, key, 3600000,
		false };
	const struct session *s;

	CHANGE(w, sessions_start(w->ss, &start, &token, &s, &w->err));
	snprintf(r->token, 64, "%s", secret_bytes(token));
	secret_free(token);
	secret_free(key);
}

static void
prepare(void *arg)
{
	struct round *r = arg;
	struct keeping *k = &r->k;

	world_remove_folder(&k->w);
	assert_int_equal(mkdir(k->w.dir, 0700), 0);
	keeping_open(k);
	world_key(&k->w, "openai", NULL, KEY);
	open_session(r);
	if (r->passphrase) {
		assert_int_equal(keeping_passwd(k, NULL, OLD), 0);
		keeping_remove(k, SLOT_KEY_FILE);
	}
	keeping_close(k);
	*r->acknowledged = 0;
}

static int
change(void *arg)
{
	struct round *r = arg;
	struct keeping *k = &r->k;

	setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure ends this child, not the tests in it */
	keeping_open(k);
	if (r->passphrase) {
		assert_int_equal(keeping_unlock(k, OLD), 0);
		assert_int_equal(keeping_passwd(k, OLD, FRESH), 0);
		*r->acknowledged = 1;
		assert_int_equal(keeping_rekey(k, FRESH), 0);
	} else {
		assert_int_equal(keeping_rekey(k, NULL), 0);
	}
	*r->acknowledged += 1;
	keeping_close(k);
	return 0;
}

static bool
all_there(struct round *r)
{
	struct world *w = &r->k.w;
	const struct session *s = NULL;
	const struct secret *opened;
	char label[CREDENTIAL_LABEL_BYTES];

	if (!keeping_has_key(&r->k, KEY) ||
	    sessions_find_token(w->ss, slice_of(r->token), &s, &w->err) != 0)
		return false;
	credentials_session_label(s->id, label);
	return credentials_open(w->cs, world_provider(w, "openai"), label, &opened, &w->err) == 0 &&
	    strcmp(secret_bytes(opened), TEMPORARY) == 0;
}

/* The next start, in a process of its own. */
static int
next_start(void *arg)
{
	struct round *r = arg;
	struct keeping *k = &r->k;
	bool after;

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	keeping_open(k);
	if (r->passphrase) {
		assert_true(vault_is_locked(k->w.vault));
		after = keeping_unlock(k, FRESH) == 0;
		if (!after)
			assert_int_equal(keeping_unlock(k, OLD), 0);
	} else {
		assert_false(vault_is_locked(k->w.vault));
		after = vault_generation(k->w.vault) == 2;
	}
	if (!all_there(r))
		return FOUND_BROKEN;
	/* and it goes on */
	assert_int_equal(keeping_rekey(k, r->passphrase ? (after ? FRESH : OLD) : NULL), 0);
	if (!all_there(r))
		return FOUND_BROKEN;
	keeping_close(k);
	return after ? FOUND_AFTER : FOUND_BEFORE;
}

static bool
check(void *arg, int n, bool killed)
{
	struct round *r = arg;
	int is = kill_child(next_start, r);

	(void)n;
	(void)killed;
	r->before += is == FOUND_BEFORE;
	r->after += is == FOUND_AFTER;
	r->broken += is != FOUND_BEFORE && is != FOUND_AFTER;
	r->lost += is == FOUND_BEFORE && *r->acknowledged > 0;
	return true;
}

static void
killed_everywhere(bool passphrase, enum kill_variant variant)
{
	struct round r = { .passphrase = passphrase };
	int status, points;

	r.acknowledged = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(r.acknowledged != MAP_FAILED);
	r.token = (char *)(r.acknowledged + 1);
	world_folder_in(&r.k.w, fast_folder());
	kill_seed(seed);
	points = kill_everywhere(r.k.w.dir, variant, prepare, change, check, &r, &status);
	world_remove_folder(&r.k.w);
	munmap(r.acknowledged, 4096);
	print_message("%d points: %d as before, %d as after, %d broken, %d lost\n", points, r.before, r.after,
	    r.broken, r.lost);
	assert_int_equal(status, 0);
	assert_int_equal(r.broken, 0);
	assert_int_equal(r.lost, 0);
	assert_true(r.before > 2 && r.after > 2 && points >= 15);
}

static void
F02_test_rekey__of_a_key_file_killed_before_every_call(void **state)
{
	(void)state;
	killed_everywhere(false, KILL_BEFORE);
}

static void
F02_test_rekey__of_a_key_file_power_lost_at_every_call(void **state)
{
	(void)state;
	killed_everywhere(false, KILL_POWER);
}

static void
F02_test_rekey__and_passphrase_killed_in_every_write(void **state)
{
	(void)state;
	killed_everywhere(true, KILL_IN_WRITE);
}

static void
F02_test_rekey__and_passphrase_power_lost_at_every_call(void **state)
{
	(void)state;
	killed_everywhere(true, KILL_POWER);
}

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(F02_test_rekey__of_a_key_file_killed_before_every_call),
		cmocka_unit_test(F02_test_rekey__of_a_key_file_power_lost_at_every_call),
		cmocka_unit_test(F02_test_rekey__and_passphrase_killed_in_every_write),
		cmocka_unit_test(F02_test_rekey__and_passphrase_power_lost_at_every_call),
	};

	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
