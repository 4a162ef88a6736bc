#include <sqlite3.h>

#include "server/vault/vault.h"
#include "tests/unit/store/scratch.h"

static struct store *store;
static struct vault *v;
static struct error err;
static bool created;

static const struct seal_binding binding = { .table = "credential", .row_id = "row-1",
	.field = "secret", .origin = "https://api.example:443" };

static int
open_vault(void)
{
	vault_free(v);
	store_close(store);
	v = NULL;
	store = NULL;
	memset(&err, 0, sizeof err);
	created = false;
	assert_int_equal(store_open(scratch, &store, &err), 0);
	return vault_open(store, scratch, &v, &created, &err);
}

static int
setup(void **state)
{
	return scratch_setup(state) != 0 || open_vault() != 0;
}

static int
teardown(void **state)
{
	vault_free(v);
	store_close(store);
	v = NULL;
	store = NULL;
	return scratch_teardown(state);
}

static void
fingerprint(const char *text, char out[9])
{
	struct secret *s = secret_new(text, strlen(text));

	assert_int_equal(vault_fingerprint(v, s, out), 0);
	secret_free(s);
}

static void
key_path(char out[128])
{
	snprintf(out, 128, "%s/key/master.key", scratch);
}

/* ---- making and opening ---- */

static void
test_vault__first_start_makes_a_private_key_file(void **state)
{
	char path[128], dir[128], line[64];
	struct stat st;
	size_t n;
	char *text;

	(void)state;
	key_path(path);
	snprintf(dir, sizeof dir, "%s/key", scratch);
	assert_true(created);
	assert_false(vault_is_locked(v));
	assert_string_equal(vault_locked_why(v), "");
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	text = read_whole(path, &n);
	assert_int_equal(n, 45); /* 32 bytes in base64 and a line end */
	snprintf(line, sizeof line, "%.44s", text);
	assert_int_equal(strspn(line,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="), 44);
	free(text);
}

static void
test_vault__second_start_opens_the_same(void **state)
{
	char before[9], after[9];

	(void)state;
	fingerprint("sk-some-key", before);
	assert_int_equal(open_vault(), 0);
	assert_false(created);
	assert_false(vault_is_locked(v));
	fingerprint("sk-some-key", after);
	assert_string_equal(before, after);
	assert_int_equal(strlen(after), 8);
	assert_int_equal(strspn(after, "0123456789abcdef"), 8);
	fingerprint("sk-other-key", after);
	assert_string_not_equal(before, after);
}

static void
test_vault__two_vaults_give_different_fingerprints(void **state)
{
	char path[128], before[9], after[9];

	(void)state;
	fingerprint("sk-some-key", before);
	teardown(state);
	setup(state);
	key_path(path);
	fingerprint("sk-some-key", after);
	assert_string_not_equal(before, after);
}

static void
test_vault__token_hashes_last_and_differ(void **state)
{
	unsigned char first[VAULT_HASH_BYTES], again[VAULT_HASH_BYTES], other[VAULT_HASH_BYTES];
	char print[9], hex[9];

	(void)state;
	assert_int_equal(vault_token_hash(v, "mpd_token", 9, first), 0);
	assert_int_equal(vault_token_hash(v, "mpd_tokem", 9, other), 0);
	assert_false(vault_hash_equals(first, other));
	/* not the hash that everybody may see */
	fingerprint("mpd_token", print);
	snprintf(hex, sizeof hex, "%02x%02x%02x%02x", first[0], first[1], first[2], first[3]);
	assert_string_not_equal(hex, print);
	assert_int_equal(open_vault(), 0);
	assert_int_equal(vault_token_hash(v, "mpd_token", 9, again), 0);
	assert_true(vault_hash_equals(first, again));
	teardown(state);
	setup(state);
	assert_int_equal(vault_token_hash(v, "mpd_token", 9, other), 0);
	assert_false(vault_hash_equals(first, other)); /* another vault's */
}

static void
test_vault__key_file_of_a_killed_first_start_is_used(void **state)
{
	char path[128];
	size_t n;
	char *before;

	(void)state;
	key_path(path);
	before = read_whole(path, &n);
	vault_free(v);
	store_close(store);
	v = NULL;
	store = NULL;
	assert_int_equal(unlink(in_scratch("state.db")), 0); /* as if the slot had never been committed */
	assert_int_equal(open_vault(), 0);
	assert_true(created);
	assert_false(vault_is_locked(v));
	assert_true(same_content(path, before, n));
	free(before);
}

struct slots {
	int n;
	char type[32], where[128];
};

static void
see_slot(void *arg, const struct vault_slot *slot)
{
	struct slots *s = arg;

	s->n++;
	assert_true(slot->id > 0);
	assert_true(slot->created_ms > 0);
	snprintf(s->type, sizeof s->type, "%s", slot->type);
	snprintf(s->where, sizeof s->where, "%s", slot->where);
}

static void
test_vault__slots_tell_type_and_place(void **state)
{
	struct slots s = { 0 };
	char path[128];

	(void)state;
	key_path(path);
	vault_slots(v, see_slot, &s);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.type, "key-file");
	assert_string_equal(s.where, path);
}

/* ---- F104: a key file that cannot be trusted ---- */

static void
locked_because(const char *why)
{
	struct secret *plain = secret_new("x", 1), *opened = NULL;
	unsigned char hash[VAULT_HASH_BYTES];
	struct buf sealed = BUF_INIT;
	char print[9];

	assert_int_equal(open_vault(), 0);
	assert_true(vault_is_locked(v));
	assert_false(created);
	assert_non_null(strstr(vault_locked_why(v), why));
	assert_non_null(strstr(err.message, why));
	assert_int_equal(vault_seal(v, &binding, plain, &sealed), MP_E_LOCKED);
	assert_int_equal(vault_open_sealed(v, &binding, "x", 1, 1, &opened), MP_E_LOCKED);
	assert_int_equal(vault_fingerprint(v, plain, print), MP_E_LOCKED);
	assert_int_equal(vault_token_hash(v, "t", 1, hash), MP_E_LOCKED);
	assert_int_equal(sealed.len, 0);
	assert_null(opened);
	secret_free(plain);
}

static void
F104_test_vault__missing_key_file(void **state)
{
	char path[128];

	(void)state;
	key_path(path);
	assert_int_equal(unlink(path), 0);
	locked_because("is missing");
	assert_int_equal(access(path, F_OK), -1); /* no new one over sealed keys */
	path[strlen(path) - strlen("/master.key")] = '\0';
	assert_int_equal(rmdir(path), 0);
	locked_because("is missing");
}

static void
F104_test_vault__key_file_of_another_vault(void **state)
{
	char path[128];

	(void)state;
	key_path(path);
	write_whole(path, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 45, 0600);
	locked_because("does not belong to this database");
}

static void
F104_test_vault__short_long_and_senseless_key_files(void **state)
{
	static const char *const texts[] = { "", "\n", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not base64 at all!", "\xff\xfe" };
	char path[128], big[5000];

	(void)state;
	key_path(path);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		write_whole(path, texts[i], strlen(texts[i]), 0600);
		locked_because("does not hold a key");
	}
	memset(big, 'A', sizeof big);
	write_whole(path, big, sizeof big, 0600);
	locked_because("does not hold a key");
}

static void
F104_test_vault__open_modes_of_file_and_folder(void **state)
{
	char path[128];
	struct stat st;

	(void)state;
	key_path(path);
	assert_int_equal(chmod(path, 0644), 0);
	locked_because("mode 644");
	assert_non_null(strstr(vault_locked_why(v), "chmod 600"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(chmod(path, 0600), 0);
	path[strlen(path) - strlen("/master.key")] = '\0';
	assert_int_equal(chmod(path, 0755), 0);
	locked_because(path);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(open_vault(), 0);
	assert_false(vault_is_locked(v));
}

static void
F104_test_vault__linked_fifo_and_foreign_key_file(void **state)
{
	char path[128];

	(void)state;
	key_path(path);
	assert_int_equal(rename(path, in_scratch("moved")), 0);
	assert_int_equal(symlink(in_scratch("moved"), path), 0);
	locked_because("symbolic link");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	locked_because("no regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(in_scratch("moved"), path), 0);
	need_root();
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	locked_because("belongs to user 65534");
}

static void
F104_test_vault__unsafe_key_file_at_the_first_start(void **state)
{
	char path[128];
	struct stat st;

	(void)state;
	key_path(path);
	vault_free(v);
	store_close(store);
	v = NULL;
	store = NULL;
	assert_int_equal(unlink(in_scratch("state.db")), 0);
	assert_int_equal(chmod(path, 0644), 0);
	locked_because("mode 644");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(open_vault(), 0);
	assert_false(vault_is_locked(v));
}

/* ---- slots edited behind our back ---- */

static void
run_sql(const char *sql)
{
	sqlite3 *db;

	vault_free(v);
	store_close(store);
	v = NULL;
	store = NULL;
	assert_int_equal(sqlite3_open(in_scratch("state.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

#define WRAPPED(bytes) "UPDATE key_slots SET wrapped = cast(" bytes " AS BLOB)"

static void
test_vault__edited_slot_is_tampered(void **state)
{
	static const char *const edits[] = {
		"UPDATE key_slots SET ops = ops + 1",
		"UPDATE key_slots SET mem_bytes = 4398046511104",
		"UPDATE key_slots SET id = id + 1",
		"UPDATE key_slots SET generation = generation + 1",
		"UPDATE key_slots SET salt = zeroblob(16)",
		"UPDATE key_slots SET salt = x''",
		"UPDATE key_slots SET wrapped = x''",
		"UPDATE key_slots SET wrapped = substr(wrapped, 1, length(wrapped) - 1)",
		WRAPPED("wrapped || x'00'"),
		/* the version, the nonce, the key, the tag */
		WRAPPED("substr(wrapped, 1, 16) || x'02' || substr(wrapped, 18)"),
		WRAPPED("substr(wrapped, 1, 17) || zeroblob(24) || substr(wrapped, 42)"),
		WRAPPED("substr(wrapped, 1, 41) || zeroblob(32) || substr(wrapped, 74)"),
		WRAPPED("substr(wrapped, 1, 73) || zeroblob(16)"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		teardown(state);
		assert_int_equal(setup(state), 0);
		run_sql(edits[i]);
		assert_int_equal(open_vault(), MP_E_TAMPERED);
		assert_null(v);
		assert_non_null(strstr(err.message, "was changed"));
	}
}

static void
test_vault__slot_of_a_type_we_do_not_know_keeps_it_locked(void **state)
{
	(void)state;
	run_sql("UPDATE key_slots SET type = 'of-the-future'");
	locked_because("no key slot is of a kind that this version knows");
}

static void
test_vault__slots_gone_but_keys_there_is_tampered(void **state)
{
	(void)state;
	run_sql("DELETE FROM key_slots; INSERT INTO credentials VALUES ('i', 'p', 'l', 'o', 0, x'00', 1, "
		"'', '', 0, 0, 0, '', 0, 0, 0, '', 1)");
	assert_int_equal(open_vault(), MP_E_TAMPERED);
	assert_null(v);
}

static void
test_vault__master_key_is_nowhere_in_the_database(void **state)
{
	char path[128];
	size_t n, key_n;
	char *db, *key;

	(void)state;
	key_path(path);
	vault_free(v);
	store_close(store);
	v = NULL;
	store = NULL;
	db = read_whole(in_scratch("state.db"), &n);
	key = read_whole(path, &key_n);
	assert_null(memmem(db, n, key, 44));
	free(db);
	free(key);
}

/* Mappings that are kept out of dumps, as secrets are, and that can be read. */
static int
readable_secrets(void)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512], mode[8] = "";
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, "VmFlags:", 8) != 0)
			sscanf(line, "%*[0-9a-f]-%*[0-9a-f] %4[rwxps-] ", mode);
		else
			n += mode[0] == 'r' && strstr(line, " dd") != NULL;
	}
	fclose(f);
	return n;
}

static void
test_vault__idle_keys_are_out_of_reach(void **state)
{
	struct secret *plain = secret_new("sk-key", 6), *opened = NULL;
	struct buf sealed = BUF_INIT;
	char print[9];
	int with_plain = readable_secrets();

	(void)state;
	secret_hide(plain);
	assert_int_equal(readable_secrets(), with_plain - 1); /* the count does see one */
	secret_show(plain);
	assert_int_equal(vault_seal(v, &binding, plain, &sealed), 0);
	assert_int_equal(readable_secrets(), with_plain);
	assert_int_equal(vault_fingerprint(v, plain, print), 0);
	assert_int_equal(readable_secrets(), with_plain);
	assert_int_equal(vault_open_sealed(v, &binding, sealed.data, sealed.len, vault_generation(v),
	    &opened), 0);
	assert_int_equal(readable_secrets(), with_plain + 1);
	secret_free(opened);
	secret_free(plain);
	assert_int_equal(readable_secrets(), with_plain - 1);
	vault_free(v);
	v = NULL;
	assert_int_equal(readable_secrets(), with_plain - 1); /* those of the vault were hidden */
	buf_clear(&sealed);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_vault__first_start_makes_a_private_key_file),
		T(test_vault__second_start_opens_the_same),
		T(test_vault__two_vaults_give_different_fingerprints),
		T(test_vault__token_hashes_last_and_differ),
		T(test_vault__key_file_of_a_killed_first_start_is_used),
		T(test_vault__slots_tell_type_and_place),
		T(F104_test_vault__missing_key_file),
		T(F104_test_vault__key_file_of_another_vault),
		T(F104_test_vault__short_long_and_senseless_key_files),
		T(F104_test_vault__open_modes_of_file_and_folder),
		T(F104_test_vault__linked_fifo_and_foreign_key_file),
		T(F104_test_vault__unsafe_key_file_at_the_first_start),
		T(test_vault__edited_slot_is_tampered),
		T(test_vault__slot_of_a_type_we_do_not_know_keeps_it_locked),
		T(test_vault__slots_gone_but_keys_there_is_tampered),
		T(test_vault__master_key_is_nowhere_in_the_database),
		T(test_vault__idle_keys_are_out_of_reach),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
