/* What opens the keys, what wipes them: slots, locks, another master key. */
#include <fcntl.h>
#include <sys/resource.h>

#include "server/store/db.h"
#include "server/store/rows.h"
#include "server/vault/keyring.h"
#include "tests/unit/state/keeping.h"

#define WORDS "correct horse battery staple"
#define OTHER "an entirely other passphrase"
#define KEY "sk-one-0123456789abcdef0123456789abcdef"

static int
setup(void **state)
{
	struct keeping *k = calloc(1, sizeof *k);

	world_folder(&k->w);
	keeping_open(k);
	world_key(&k->w, "openai", NULL, KEY);
	*state = k;
	return 0;
}

static int
teardown(void **state)
{
	struct keeping *k = *state;

	keyring_forget(k->w.dir);
	keeping_close(k);
	world_remove_folder(&k->w);
	free(k);
	unsetenv("CREDENTIALS_DIRECTORY");
	clock_test_shift(0, 0);
	return 0;
}

static void
put_file(struct keeping *k, const char *name, const char *text, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", k->w.dir, name);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static char *
get_file(struct keeping *k, const char *name)
{
	char path[128], *text = calloc(1, 200);
	int fd;

	snprintf(path, sizeof path, "%s/%s", k->w.dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, text, 199) > 0);
	close(fd);
	return text;
}

static int
add(struct keeping *k, const char *type)
{
	return keeper_add_slot(k->keeper, type, &keeping_cause, &k->end);
}

/* Mappings that hold secrets are kept out of dumps: how many there are. */
static int
secrets_held(void)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		n += strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") != NULL;
	fclose(f);
	return n;
}

/* ---- F114: the lock ---- */

static void
F114_test_keeper__a_lock_leaves_no_secret(void **state)
{
	struct keeping *k = *state;
	struct world *w = &k->w;
	struct secret *tried = secret_new("sk-tried-0123456789", 19);
	char label[CREDENTIAL_LABEL_BYTES];
	const struct secret *opened;
	int64_t before;
	int held;

	keeper_lock(k->keeper, "a test", "locked");
	held = secrets_held();
	assert_int_equal(keeper_unlock_unattended(k->keeper, &w->err), 0);
	assert_true(keeping_has_key(k, KEY));
	assert_int_equal(credentials_try(w->cs, world_provider(w, "openai"), tried, label, &w->err), 0);
	secret_free(tried);
	assert_true(secrets_held() > held - 1 + 4); /* master, rows, tokens, fingerprints, and two keys */
	before = clock_monotonic_us();
	assert_true(keeper_lock(k->keeper, "a test", "locked"));
	print_message("locked in %lld us\n", (long long)(clock_monotonic_us() - before));
	assert_true(clock_monotonic_us() - before < 100000);
	assert_int_equal(secrets_held(), held - 1);
	assert_int_equal(credentials_open(w->cs, world_provider(w, "openai"), NULL, &opened, &w->err),
	    MP_E_LOCKED);
	assert_int_equal(credentials_open(w->cs, world_provider(w, "openai"), label, &opened, &w->err),
	    MP_E_LOCKED);
	assert_int_equal(keeper_unlock_unattended(k->keeper, &w->err), 0);
	/* what was only tried is gone for good */
	assert_int_equal(credentials_open(w->cs, world_provider(w, "openai"), label, &opened, &w->err),
	    MP_E_LOCKED);
	credentials_try_end(w->cs, label);
}

static void
F114_test_keeper__idle_and_absolute(void **state)
{
	struct keeping *k = *state;
	const int64_t hour = 3600000;

	assert_int_equal(keeping_passwd(k, NULL, WORDS), 0);
	/* what opens by itself does not lock by itself */
	clock_test_shift(0, 100 * hour);
	assert_false(vault_is_locked(k->w.vault));
	keeping_remove(k, SLOT_KEY_FILE);
	keeper_lock(k->keeper, "a test", "locked");
	assert_int_equal(keeping_unlock(k, WORDS), 0);
	clock_test_shift(0, 103 * hour);
	assert_true(keeping_has_key(k, KEY)); /* counts as use */
	clock_test_shift(0, 106 * hour);
	assert_true(keeping_has_key(k, KEY));
	clock_test_shift(0, 109 * hour + 60000);
	assert_true(keeping_has_key(k, KEY));
	/* 12 hours in any case */
	clock_test_shift(0, 112 * hour + 60000);
	assert_true(vault_is_locked(k->w.vault));
	assert_false(keeping_has_key(k, KEY));
	assert_non_null(strstr(vault_locked_why(k->w.vault), "open for long"));
	assert_int_equal(keeping_unlock(k, WORDS), 0);
	/* the wall clock has no say */
	clock_test_shift(1000 * hour, 112 * hour + 60000);
	assert_false(vault_is_locked(k->w.vault));
	clock_test_shift(0, 117 * hour);
	assert_true(vault_is_locked(k->w.vault));
	assert_non_null(strstr(vault_locked_why(k->w.vault), "not used for long"));
	for (int i = 0; i < 20 && *vault_opened_by(k->w.vault) != '\0'; i++)
		loop_once(k->w.loop, 100);
	assert_string_equal(vault_opened_by(k->w.vault), ""); /* wiped, not only judged */
}

static void
F114_test_keeper__a_lock_overtakes_a_change_of_passphrase(void **state)
{
	struct keeping *k = *state;
	struct secret *words = keeping_secret(WORDS), *other = keeping_secret(OTHER);
	struct keeper_ask *ask;

	assert_int_equal(keeping_passwd(k, NULL, WORDS), 0);
	k->done = false;
	ask = keeper_passwd(k->keeper, words, other, &keeping_cause, keeping_done, k, &k->end);
	loop_once(k->w.loop, 10); /* its first derivation is under way */
	keeper_lock(k->keeper, "a test", "locked");
	assert_int_equal(keeping_wait(k, ask), MP_E_LOCKED);
	assert_int_equal(keeping_unlock(k, WORDS), 0);
	secret_free(words);
	secret_free(other);
}

/* ---- F29, F107 ---- */

static int64_t
address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long long pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lld", &pages), 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void
F29_test_keeper__refused_memory_is_said_not_saved(void **state)
{
	struct keeping *k = *state;
	struct rlimit before, low;

	assert_int_equal(keeping_passwd(k, NULL, WORDS), 0);
	derive_test_cost(0, 0); /* the real thing */
	assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)address_space() + ((rlim_t)128 << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
	assert_int_equal(keeping_unlock(k, WORDS), MP_E_INVALID_STATE);
	assert_non_null(strstr(k->end.message, "256 MiB"));
	assert_int_equal(keeping_passwd(k, WORDS, OTHER), MP_E_INVALID_STATE);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	derive_test_cost(1, 8192);
	assert_int_equal(keeper_wait_ms(k->keeper), 0); /* it was no wrong passphrase */
	assert_int_equal(keeping_unlock(k, WORDS), 0);
}

static void
F107_test_keeper__edited_parameters_are_refused_before_anything_is_derived(void **state)
{
	static const char *const edits[] = { "ops = 0", "ops = 11", "ops = 2147483648", "mem_bytes = 0",
		"mem_bytes = 67108863", "mem_bytes = 1073741825", "mem_bytes = 4398046511104", "salt = x''",
		"salt = zeroblob(17)" };
	struct keeping *k = *state;
	char sql[128];

	assert_int_equal(keeping_passwd(k, NULL, WORDS), 0);
	keeping_remove(k, SLOT_KEY_FILE);
	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		int64_t before = clock_monotonic_us();

		assert_int_equal(db_exec(k->w.store, "SAVEPOINT edit"), SQLITE_OK);
		snprintf(sql, sizeof sql, "UPDATE key_slots SET %s WHERE type = 'passphrase'", edits[i]);
		assert_int_equal(db_exec(k->w.store, sql), SQLITE_OK);
		assert_int_equal(keeping_unlock(k, WORDS), MP_E_TAMPERED);
		assert_true(clock_monotonic_us() - before < 10000);
		assert_int_equal(db_exec(k->w.store, "ROLLBACK TO edit"), SQLITE_OK);
		assert_int_equal(db_exec(k->w.store, "RELEASE edit"), SQLITE_OK);
	}
	/* within the bounds, but not what it was sealed with: the right passphrase gives another key */
	assert_int_equal(db_exec(k->w.store, "UPDATE key_slots SET ops = 4"), SQLITE_OK);
	assert_int_equal(keeping_unlock(k, WORDS), MP_E_TAMPERED);
	assert_int_equal(db_exec(k->w.store, "UPDATE key_slots SET ops = 3, type = 'passphrase-weak'"),
	    SQLITE_OK);
	assert_int_equal(keeping_unlock(k, WORDS), MP_E_NOT_FOUND);
}

/* ---- F104: credential, keyring ---- */

static void
F104_test_keeper__a_systemd_credential(void **state)
{
	struct keeping *k = *state;

	assert_int_equal(add(k, SLOT_CREDENTIAL), MP_E_NOT_FOUND);
	assert_non_null(strstr(k->end.hint, "LoadCredential"));
	setenv("CREDENTIALS_DIRECTORY", k->w.dir, 1);
	assert_int_equal(add(k, SLOT_CREDENTIAL), MP_E_NOT_FOUND);
	put_file(k, "modelpd-master", "too short to be random\n", 0400);
	assert_int_equal(add(k, SLOT_CREDENTIAL), MP_E_NOT_PERMITTED);
	assert_null(strstr(k->end.message, "random\n"));
	put_file(k, "modelpd-master", "0123456789abcdef0123456789abcdef\n", 0444);
	assert_int_equal(add(k, SLOT_CREDENTIAL), MP_E_NOT_PERMITTED);
	put_file(k, "modelpd-master", "0123456789abcdef0123456789abcdef\n", 0400);
	assert_int_equal(add(k, SLOT_CREDENTIAL), 0);
	assert_int_equal(add(k, SLOT_CREDENTIAL), MP_E_CONFLICT);
	keeping_remove(k, SLOT_KEY_FILE);
	keeping_reopen(k);
	assert_string_equal(vault_opened_by(k->w.vault), SLOT_CREDENTIAL);
	assert_int_equal(keeping_rekey(k, NULL), 0);
	assert_true(keeping_has_key(k, KEY));
	keeping_reopen(k);
	assert_true(keeping_has_key(k, KEY));
	/* another one, or none */
	put_file(k, "modelpd-master", "0123456789abcdef0123456789abcdeg\n", 0400);
	assert_int_equal(keeping_rekey(k, NULL), MP_E_INVALID_STATE);
	assert_true(keeping_has_key(k, KEY));
	keeping_reopen(k);
	assert_true(vault_is_locked(k->w.vault));
	assert_non_null(strstr(vault_locked_why(k->w.vault), "systemd-credential is not the right one"));
	put_file(k, "real", "0123456789abcdef0123456789abcdef\n", 0400);
	unsetenv("CREDENTIALS_DIRECTORY");
	keeping_reopen(k);
	assert_true(vault_is_locked(k->w.vault));
	setenv("CREDENTIALS_DIRECTORY", k->w.dir, 1);
	put_file(k, "modelpd-master", "0123456789abcdef0123456789abcdef", 0400);
	assert_int_equal(keeper_unlock_unattended(k->keeper, &k->end), 0);
	assert_true(keeping_has_key(k, KEY));
}

static void
test_keeper__the_keyring_lasts_over_a_restart_and_not_over_a_lock(void **state)
{
	struct keeping *k = *state;
	int64_t left;

	if (add(k, SLOT_KEYRING) == MP_E_INVALID_STATE)
		skip(); /* no keyring here */
	assert_int_equal(keeping_passwd(k, NULL, WORDS), 0);
	keeping_remove(k, SLOT_KEY_FILE);
	keeping_reopen(k);
	assert_string_equal(vault_opened_by(k->w.vault), SLOT_KEYRING);
	assert_true(keeping_has_key(k, KEY));
	/* it began when a person opened it, and the restart does not begin it anew */
	clock_test_shift(0, 3600000);
	keeping_reopen(k);
	left = vault_lease_left_ms(k->w.vault);
	assert_true(left <= 4 * 3600000);
	clock_test_shift(0, 9 * 3600000);
	keeping_reopen(k);
	left = vault_lease_left_ms(k->w.vault);
	assert_true(left > 0 && left <= 3 * 3600000);
	assert_int_equal(keeping_rekey(k, WORDS), 0);
	keeping_reopen(k);
	assert_string_equal(vault_opened_by(k->w.vault), SLOT_KEYRING);
	keeper_lock(k->keeper, "a test", "locked");
	keeping_reopen(k);
	assert_true(vault_is_locked(k->w.vault));
	assert_non_null(strstr(vault_locked_why(k->w.vault), "passphrase"));
	/* and a person puts it there again */
	assert_int_equal(keeping_unlock(k, WORDS), 0);
	keeping_reopen(k);
	assert_string_equal(vault_opened_by(k->w.vault), SLOT_KEYRING);
	assert_true(keeping_has_key(k, KEY));
}

static void
test_keeper__something_must_open_it_after_a_reboot(void **state)
{
	struct keeping *k = *state;

	if (add(k, SLOT_KEYRING) == MP_E_INVALID_STATE)
		skip();
	assert_int_equal(keeper_remove_slot(k->keeper, keeping_slot_id(k, SLOT_KEY_FILE), &keeping_cause,
	                     &k->end), MP_E_INVALID_STATE);
	keeping_remove(k, SLOT_KEYRING);
	assert_int_equal(add(k, "abacus"), MP_E_INVALID_PARAMS);
	assert_int_equal(add(k, SLOT_PASSPHRASE), MP_E_INVALID_PARAMS);
	assert_int_equal(add(k, SLOT_KEY_FILE), MP_E_CONFLICT);
	assert_int_equal(keeping_passwd(k, NULL, WORDS), 0);
	keeping_remove(k, SLOT_KEY_FILE);
	assert_int_equal(add(k, SLOT_KEY_FILE), 0);
	keeping_reopen(k);
	assert_string_equal(vault_opened_by(k->w.vault), SLOT_KEY_FILE);
}

/* ---- F117: another master key ---- */

static void
F117_test_keeper__what_opened_it_before_does_not_now(void **state)
{
	struct keeping *k = *state;
	char *old_file = get_file(k, "key/master.key"), *new_file;
	char before[9];

	assert_int_equal(keeping_passwd(k, NULL, WORDS), 0);
	snprintf(before, sizeof before, "%s", credentials_find(k->w.cs, "openai", NULL)->fingerprint);
	assert_int_equal(keeping_rekey(k, NULL), MP_E_INVALID_PARAMS);
	assert_int_equal(keeping_rekey(k, OTHER), MP_E_NOT_PERMITTED);
	assert_int_equal(keeping_rekey(k, WORDS), 0);
	assert_int_equal(vault_generation(k->w.vault), 2);
	assert_int_equal(keeper_unreadable(k->keeper), 0);
	assert_true(keeping_has_key(k, KEY));
	assert_string_not_equal(credentials_find(k->w.cs, "openai", NULL)->fingerprint, before);
	/* an old copy of the key file, and a new one */
	new_file = get_file(k, "key/master.key");
	assert_string_not_equal(old_file, new_file);
	put_file(k, "key/master.key", old_file, 0600);
	keeping_reopen(k);
	assert_true(vault_is_locked(k->w.vault));
	assert_int_equal(keeper_unlock_unattended(k->keeper, &k->end), MP_E_NOT_PERMITTED);
	assert_int_equal(keeping_unlock(k, WORDS), 0);
	assert_true(keeping_has_key(k, KEY));
	put_file(k, "key/master.key", new_file, 0600);
	keeping_reopen(k);
	assert_true(keeping_has_key(k, KEY));
	free(old_file);
	free(new_file);
}

struct copy {
	struct key_slot_row row;
	unsigned char salt[64], wrapped[256];
	char type[32];
};

static void
copy_slot(void *arg, const struct key_slot_row *row)
{
	struct copy *c = arg;

	if (strcmp(row->type, SLOT_PASSPHRASE) != 0)
		return;
	c->row = *row;
	memcpy(c->salt, row->salt, row->salt_len);
	memcpy(c->wrapped, row->wrapped, row->wrapped_len);
	snprintf(c->type, sizeof c->type, "%s", row->type);
	c->row.salt = c->salt;
	c->row.wrapped = c->wrapped;
	c->row.type = c->type;
	c->row.source = "";
}

static void
F117_test_keeper__a_slot_of_an_old_copy_opens_no_key(void **state)
{
	struct keeping *k = *state;
	struct copy old = { 0 };

	assert_int_equal(keeping_passwd(k, NULL, WORDS), 0);
	keeping_remove(k, SLOT_KEY_FILE);
	assert_int_equal(store_key_slot_each(k->w.store, copy_slot, &old), 0);
	assert_int_equal(keeping_rekey(k, WORDS), 0);
	assert_int_equal(keeping_passwd(k, WORDS, OTHER), 0);
	assert_int_equal(keeping_unlock(k, WORDS), MP_E_NOT_PERMITTED);
	/* somebody with an old copy of the file and the old passphrase puts the old slot into the new one */
	assert_int_equal(store_begin(k->w.store), 0);
	assert_int_equal(store_key_slot_put(k->w.store, &old.row, NULL), 0);
	assert_int_equal(store_commit(k->w.store), 0);
	keeping_reopen(k);
	assert_int_equal(keeping_unlock(k, WORDS), 0);
	assert_false(keeping_has_key(k, KEY));
}

static void
F105_test_keeper__a_rekey_leaves_what_does_not_open(void **state)
{
	struct keeping *k = *state;

	world_key(&k->w, "openai", "second", "sk-two-fedcba9876543210fedcba9876543210");
	world_key(&k->w, "anthropic", NULL, "sk-ant-0123456789abcdef0123456789abcdef");
	keeping_end(k);
	world_sql(&k->w, "UPDATE credentials SET sealed = zeroblob(80) WHERE label = 'second'");
	keeping_begin(k);
	assert_int_equal(keeping_rekey(k, NULL), 0);
	assert_int_equal(keeper_unreadable(k->keeper), 1);
	assert_true(keeping_has_key(k, KEY));
	keeping_reopen(k);
	assert_true(keeping_has_key(k, KEY));
	assert_int_equal(keeping_rekey(k, NULL), 0);
	assert_int_equal(keeper_unreadable(k->keeper), 1);
}

static void
test_keeper__a_rekey_that_fails_changes_nothing(void **state)
{
	struct keeping *k = *state;
	char *before = get_file(k, "key/master.key"), *after;

	assert_int_equal(db_exec(k->w.store, "INSERT INTO key_slots (id, type, salt, ops, mem_bytes, "
	    "generation, wrapped, created_ms) VALUES (9, 'of-the-future', x'00', 0, 0, 1, x'00', 0)"),
	    SQLITE_OK);
	assert_int_equal(keeping_rekey(k, NULL), MP_E_INVALID_STATE);
	assert_non_null(strstr(k->end.message, "slot 9 (of-the-future)"));
	after = get_file(k, "key/master.key");
	assert_string_equal(before, after);
	assert_true(keeping_has_key(k, KEY));
	assert_int_equal(vault_generation(k->w.vault), 1);
	keeping_reopen(k);
	assert_true(keeping_has_key(k, KEY));
	free(before);
	free(after);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(F114_test_keeper__a_lock_leaves_no_secret),
		T(F114_test_keeper__idle_and_absolute),
		T(F114_test_keeper__a_lock_overtakes_a_change_of_passphrase),
		T(F29_test_keeper__refused_memory_is_said_not_saved),
		T(F107_test_keeper__edited_parameters_are_refused_before_anything_is_derived),
		T(F104_test_keeper__a_systemd_credential),
		T(test_keeper__the_keyring_lasts_over_a_restart_and_not_over_a_lock),
		T(test_keeper__something_must_open_it_after_a_reboot),
		T(F117_test_keeper__what_opened_it_before_does_not_now),
		T(F117_test_keeper__a_slot_of_an_old_copy_opens_no_key),
		T(F105_test_keeper__a_rekey_leaves_what_does_not_open),
		T(test_keeper__a_rekey_that_fails_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
