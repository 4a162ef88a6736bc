/* The first start killed at random moments: the next one has a vault that opens, and no key file lies
 * beside a slot that another key wraps. */
#include <signal.h>
#include <time.h>

#include "server/vault/vault.h"
#include "tests/unit/store/scratch.h"

static unsigned seed;

static int
start(char print[9])
{
	struct secret *s = secret_new("canary-key", 10);
	struct store *store = NULL;
	struct vault *v = NULL;
	struct error err;
	bool created;
	int r = store_open(scratch, &store, &err);

	if (r == 0 && (r = vault_open(store, scratch, &v, &created, &err)) == 0)
		r = vault_fingerprint(v, s, print);
	secret_free(s);
	vault_free(v);
	store_close(store);
	return r;
}

static void
F02_test_vault__first_start_killed_anywhere(void **state)
{
	char first[9], second[9];

	(void)state;
	for (int i = 0; i < 60; i++) {
		struct timespec pause = { 0, (long)(rand_r(&seed) % 12000) * 1000 };
		pid_t pid;

		assert_int_equal(scratch_setup(state), 0);
		if ((pid = fork()) == 0)
			_exit(start(first));
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_int_equal(start(first), 0);
		assert_int_equal(start(second), 0);
		assert_string_equal(first, second);
		assert_int_equal(scratch_teardown(state), 0);
	}
}

int
main(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(F02_test_vault__first_start_killed_anywhere),
	};

	if (secret_init() != 0)
		return 1;
	seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)time(NULL);
	print_message("MPD_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
