#include "protocol/base/buf.h"
#include "server/base/log.h"
#include "server/store/rows.h"
#include "tests/unit/state/world.h"

#define KEY "sk-or-v1-0123456789abcdef0123456789abcdef"

static int
open_key(struct world *w, const char *provider, const char *label, const char *expected)
{
	const struct secret *s = NULL;
	int r;

	memset(&w->err, 0, sizeof w->err);
	r = credentials_open(w->cs, world_provider(w, provider), label, &s, &w->err);
	if (r == 0)
		assert_string_equal(secret_bytes(s), expected);
	else
		assert_null(s);
	return r;
}

static void
test_credentials__a_key_opens_again_after_reopening(void **state)
{
	struct world *w = *state;
	const struct credential *c;
	char fingerprint[16];

	assert_int_equal(open_key(w, "openrouter", NULL, KEY), MP_E_NO_CREDENTIAL);
	assert_string_equal(w->err.hint, "mpc key set openrouter");
	world_key(w, "openrouter", NULL, KEY);
	assert_string_equal(w->heard[0].key, "openrouter/default");
	c = credentials_find(w->cs, "openrouter", NULL);
	assert_string_equal(c->last4, "cdef");
	assert_string_equal(c->origin, "https://openrouter.ai:443");
	snprintf(fingerprint, sizeof fingerprint, "%s", c->fingerprint);
	assert_int_equal(strlen(fingerprint), 8);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_key(w, "openrouter", NULL, KEY), 0);
		assert_int_equal(open_key(w, "openrouter", "default", KEY), 0);
		world_reopen(w);
	}
	assert_string_equal(credentials_find(w->cs, "openrouter", "default")->fingerprint, fingerprint);
	assert_int_equal(open_key(w, "openrouter", "other", KEY), MP_E_NO_CREDENTIAL);
}

static void
test_credentials__short_keys_show_nothing_of_themselves(void **state)
{
	struct world *w = *state;

	world_key(w, "openai", NULL, "nineteen-characters");
	assert_string_equal(credentials_find(w->cs, "openai", NULL)->last4, "");
	world_key(w, "openai", NULL, "twenty-characters-ok");
	assert_string_equal(credentials_find(w->cs, "openai", NULL)->last4, "s-ok");
}

static void
test_credentials__replaced_and_deleted_leave_no_trace_in_the_file(void **state)
{
	struct world *w = *state;
	char command[256];

	world_key(w, "openai", NULL, KEY);
	assert_int_equal(open_key(w, "openai", NULL, KEY), 0);
	world_key(w, "openai", NULL, "second-key");
	credentials_scrub(w->cs);
	assert_int_equal(open_key(w, "openai", NULL, "second-key"), 0);
	world_key(w, "openai", "work", KEY);
	CHANGE(w, credentials_delete(w->cs, world_provider(w, "openai"), NULL, &w->err));
	credentials_scrub(w->cs);
	assert_int_equal(open_key(w, "openai", NULL, ""), MP_E_NO_CREDENTIAL);
	assert_int_equal(open_key(w, "openai", "work", KEY), 0);
	CHANGE_GIVES(w, MP_E_NOT_FOUND,
	    credentials_delete(w->cs, world_provider(w, "openai"), NULL, &w->err));
	assert_int_equal(world_count(w, "SELECT count(*) FROM credentials"), 1);
	/* sealed, so never there as text either */
	snprintf(command, sizeof command, "grep -r -q -e second-key -e %s '%s'", KEY, w->dir);
	assert_int_not_equal(system(command), 0);
}

static void
test_credentials__opened_keys_are_redacted_from_logs(void **state)
{
	struct world *w = *state;
	char line[] = "the provider said: plain-word-as-key-1234 is wrong";

	world_key(w, "openai", NULL, "plain-word-as-key-1234");
	assert_int_equal(open_key(w, "openai", NULL, "plain-word-as-key-1234"), 0);
	log_redact(line, sizeof line - 1);
	assert_null(strstr(line, "plain-word-as-key"));
}

static void
test_credentials__rollback_brings_the_old_key_back(void **state)
{
	struct world *w = *state;
	struct secret *s = secret_new("other", 5);

	world_key(w, "openai", NULL, KEY);
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	assert_int_equal(credentials_set(w->cs, world_provider(w, "openai"), NULL, s, NULL, &w->err), 0);
	assert_int_equal(open_key(w, "openai", NULL, "other"), 0);
	changes_rollback(w->changes);
	assert_int_equal(open_key(w, "openai", NULL, KEY), 0);
	secret_free(s);
}

static int
set_bytes(struct world *w, const char *provider, const void *key, size_t n, const char *origin)
{
	struct secret *s = secret_new(key, n);
	int r;

	assert_non_null(s);
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	r = credentials_set(w->cs, world_provider(w, provider), NULL, s, origin, &w->err);
	if (r == 0)
		assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, NULL), 0);
	else
		changes_rollback(w->changes);
	secret_free(s);
	return r;
}

static void
test_credentials__F115_keys_that_could_split_a_header_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{ "", 0 }, { "sk-a\r\nX-Evil: 1", 15 }, { "sk-a\n", 5 }, { "\rsk", 3 }, { "sk\0b", 4 },
		{ "sk a", 4 }, { " sk", 3 }, { "sk\t", 3 }, { "sk-\xc3\xa9", 5 }, { "sk\x7f", 3 },
		{ "sk\x80", 3 },
	};
	struct world *w = *state;
	char *big = malloc(SECRET_MAX_BYTES);

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(set_bytes(w, "openai", bad[i].bytes, bad[i].n, NULL),
		    MP_E_INVALID_PARAMS);
		assert_string_equal(w->err.field, "secret");
		assert_null(strstr(w->err.message, "sk"));
	}
	memset(big, 'k', SECRET_MAX_BYTES);
	assert_int_equal(set_bytes(w, "openai", big, SECRET_MAX_BYTES, NULL), MP_E_INVALID_PARAMS);
	assert_int_equal(set_bytes(w, "openai", big, SECRET_MAX_BYTES / 2, NULL), 0);
	free(big);
	assert_int_equal(world_count(w, "SELECT count(*) FROM credentials"), 1);
}

static void
test_credentials__providers_without_keys_say_so(void **state)
{
	struct world *w = *state;

	assert_int_equal(set_bytes(w, "ollama", "key", 3, NULL), MP_E_INVALID_STATE);
	assert_int_equal(set_bytes(w, "claude-max", "key", 3, NULL), MP_E_INVALID_STATE);
	assert_non_null(strstr(w->err.hint, "claude auth login"));
	assert_int_equal(set_bytes(w, "lmstudio", "key", 3, NULL), 0);
}

static void
test_credentials__a_stated_origin_must_be_the_providers(void **state)
{
	struct world *w = *state;

	assert_int_equal(set_bytes(w, "openai", "key", 3, "https://evil.example"), MP_E_ORIGIN);
	assert_int_equal(set_bytes(w, "openai", "key", 3, "nonsense"), MP_E_INVALID_PARAMS);
	assert_int_equal(set_bytes(w, "openai", "key", 3, "https://API.openai.com/"), 0);
}

static void
move(struct world *w, const char *name, const char *url, bool tell)
{
	struct provider *p = provider_copy(world_provider(w, name));

	free(p->base_url);
	p->base_url = xstrdup(url);
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	assert_int_equal(providers_update(w->ps, name, p, "base_url", &w->err), 0);
	if (tell)
		assert_int_equal(
		    credentials_origin_moved(w->cs, world_provider(w, name), &w->err), 0);
	assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, &w->err), 0);
	provider_free(p);
}

static void
test_credentials__a_moved_provider_gets_no_old_key(void **state)
{
	struct world *w = *state;

	world_add(w, "mine", "https://a.example/v1", PROVIDER_DIRECT_API, AUTH_API_KEY);
	world_key(w, "mine", NULL, KEY);
	move(w, "mine", "https://b.example/v1", true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_key(w, "mine", NULL, KEY), MP_E_ORIGIN);
		assert_non_null(strstr(w->err.message, "https://a.example:443"));
		assert_non_null(strstr(w->err.hint, "mpc key set mine"));
		world_reopen(w);
	}
	/* another path is the same place; back home is fine, too */
	move(w, "mine", "https://a.example/v2", true);
	assert_int_equal(open_key(w, "mine", NULL, KEY), 0);
	move(w, "mine", "https://b.example/v1", true);
	world_key(w, "mine", NULL, "for-b");
	assert_int_equal(open_key(w, "mine", NULL, "for-b"), 0);
	assert_string_equal(credentials_find(w->cs, "mine", NULL)->origin, "https://b.example:443");
}

static void
two_keys(struct world *w)
{
	world_add(w, "one", "https://one.example/v1", PROVIDER_DIRECT_API, AUTH_API_KEY);
	world_add(w, "two", "https://two.example/v1", PROVIDER_DIRECT_API, AUTH_API_KEY);
	world_key(w, "one", NULL, "key-of-one");
	world_key(w, "two", NULL, "key-of-two");
}

#define ONE "WHERE provider_id = (SELECT id FROM providers WHERE name = 'one')"
#define TWO "WHERE provider_id = (SELECT id FROM providers WHERE name = 'two')"

/* Turns the lowest bit of byte i of the sealed key of "one". */
static void
turn_bit(struct world *w, int64_t i)
{
	static unsigned char bytes[512];
	char path[128], sql[2048];
	sqlite3_stmt *q;
	sqlite3 *db;
	int n;

	snprintf(path, sizeof path, "%s/state.db", w->dir);
	world_close(w);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	snprintf(sql, sizeof sql, "SELECT sealed FROM credentials " ONE);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_bytes(q, 0);
	assert_true(n > 0 && i < n && (size_t)n <= sizeof bytes);
	memcpy(bytes, sqlite3_column_blob(q, 0), (size_t)n);
	sqlite3_finalize(q);
	bytes[i] ^= 1;
	snprintf(sql, sizeof sql, "UPDATE credentials SET sealed = ?1 " ONE);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	sqlite3_bind_blob(q, 1, bytes, n, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(q), SQLITE_DONE);
	sqlite3_finalize(q);
	sqlite3_close(db);
	world_open(w);
}

static void
test_credentials__F105_every_changed_byte_is_found_and_only_that_row_is_refused(void **state)
{
	struct world *w = *state;
	int64_t n;

	two_keys(w);
	n = world_count(w, "SELECT length(sealed) FROM credentials " ONE);
	assert_true(n > 1 + 24 + 16);
	for (int64_t i = 0; i < n; i++) {
		turn_bit(w, i);
		assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
		assert_int_equal(open_key(w, "two", NULL, "key-of-two"), 0);
		turn_bit(w, i);
	}
	assert_int_equal(open_key(w, "one", NULL, "key-of-one"), 0);
	world_sql(w, "UPDATE credentials SET sealed = CAST(sealed || X'00' AS BLOB) " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET sealed = X'' " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	assert_non_null(strstr(w->err.hint, "mpc key set one"));
}

static void
test_credentials__F106_swapped_moved_or_prolonged_rows_do_not_open(void **state)
{
	struct world *w = *state;

	two_keys(w);
	world_sql(w, "UPDATE credentials SET sealed = (SELECT sealed FROM credentials " TWO ") " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	assert_int_equal(open_key(w, "two", NULL, "key-of-two"), 0);
	world_key(w, "one", NULL, "key-of-one");

	/* the provider is pointed elsewhere, with and without the row's own origin */
	world_sql(w, "UPDATE providers SET base_url = 'https://evil.example/v1' WHERE name = 'one'");
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET origin = 'https://evil.example:443' " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET origin_moved = 1 " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET origin = 'https://one.example:443' " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_ORIGIN);
	world_key(w, "one", NULL, "again");

	world_sql(w, "UPDATE credentials SET expires_ms = 9999999999999 " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET expires_ms = 0, session_id = 7 " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET session_id = 0, generation = generation + 1 " ONE);
	assert_int_equal(open_key(w, "one", NULL, ""), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET generation = generation - 1 " ONE);
	assert_int_equal(open_key(w, "one", NULL, "again"), 0);

	/* a whole row given to another provider */
	world_sql(w, "DELETE FROM credentials " TWO);
	world_sql(w, "UPDATE credentials SET provider_id = (SELECT id FROM providers WHERE name = 'two')");
	assert_int_equal(open_key(w, "two", NULL, ""), MP_E_TAMPERED);
}

static void
test_credentials__a_catalogue_that_moved_is_no_tampering(void **state)
{
	struct world *w = *state;

	world_key(w, "openai", NULL, KEY);
	world_sql(w, "UPDATE credentials SET origin = 'https://old.openai.example:443'");
	assert_int_equal(open_key(w, "openai", NULL, ""), MP_E_ORIGIN);
}

static void
test_credentials__a_locked_vault_opens_and_stores_nothing(void **state)
{
	struct world *w = *state;
	char path[128], moved[128];

	world_key(w, "openai", NULL, KEY);
	snprintf(path, sizeof path, "%s/key/master.key", w->dir);
	snprintf(moved, sizeof moved, "%s/elsewhere", w->dir);
	assert_int_equal(rename(path, moved), 0);
	world_reopen(w);
	assert_int_equal(open_key(w, "openai", NULL, ""), MP_E_LOCKED);
	assert_int_equal(set_bytes(w, "openai", "key", 3, NULL), MP_E_LOCKED);
	assert_int_equal(rename(moved, path), 0);
	world_reopen(w);
	assert_int_equal(open_key(w, "openai", NULL, KEY), 0);
}

static void
test_credentials__reports_are_kept(void **state)
{
	struct world *w = *state;
	int64_t ok, fail;

	world_key(w, "openai", NULL, KEY);
	w->heard_count = 0;
	credentials_report(w->cs, "openai", NULL, 0);
	credentials_report(w->cs, "openai", NULL, MP_E_AUTH_REJECTED);
	credentials_report(w->cs, "nobody", NULL, 0);
	ok = credentials_find(w->cs, "openai", NULL)->last_ok_ms;
	fail = credentials_find(w->cs, "openai", NULL)->last_fail_ms;
	assert_true(ok > 0 && fail >= ok);
	assert_int_equal(w->heard_count, 0);
	world_reopen(w);
	assert_int_equal(credentials_find(w->cs, "openai", NULL)->last_ok_ms, ok);
	assert_int_equal(credentials_find(w->cs, "openai", NULL)->last_fail_ms, fail);
	assert_string_equal(credentials_find(w->cs, "openai", NULL)->last_code, "auth_rejected");
	/* repeated good news waits for a quiet moment: the end */
	credentials_report(w->cs, "openai", NULL, 0);
	usleep(3000);
	credentials_report(w->cs, "openai", NULL, 0);
	ok = credentials_find(w->cs, "openai", NULL)->last_ok_ms;
	world_reopen(w);
	assert_int_equal(credentials_find(w->cs, "openai", NULL)->last_ok_ms, ok);
	assert_string_equal(credentials_find(w->cs, "openai", NULL)->last_code, "");
}

static void
stored_code(void *arg, const struct credential_row *row)
{
	snprintf(arg, 32, "%s", row->last_code);
}

static void
test_credentials__a_passing_limit_is_not_written_at_once(void **state)
{
	struct world *w = *state;
	char stored[32] = "?";

	world_key(w, "openai", NULL, KEY);
	credentials_report(w->cs, "openai", NULL, 0);
	credentials_report(w->cs, "openai", NULL, MP_E_RATE_LIMITED);
	assert_string_equal(credentials_find(w->cs, "openai", NULL)->last_code, "rate_limited");
	assert_int_equal(store_credential_each(w->store, stored_code, stored), 0);
	assert_string_equal(stored, "");
	credentials_report(w->cs, "openai", NULL, 0);
	credentials_report(w->cs, "openai", NULL, MP_E_AUTH_REJECTED);
	assert_int_equal(store_credential_each(w->store, stored_code, stored), 0);
	assert_string_equal(stored, "auth_rejected");
}

static void
test_credentials__a_new_key_forgets_the_old_failure(void **state)
{
	struct world *w = *state;
	struct provider_health h;

	world_key(w, "openai", NULL, KEY);
	providers_report_failure(w->ps, "openai", MP_E_AUTH_REJECTED, "no", 0);
	world_key(w, "openai", NULL, "better");
	providers_health(w->ps, "openai", &h);
	assert_int_equal(h.code, 0);
}

static void
test_credentials__a_weight_stays_when_the_key_is_replaced(void **state)
{
	struct world *w = *state;

	world_key(w, "openai", "work", KEY);
	assert_int_equal(credentials_find(w->cs, "openai", "work")->weight, 1);
	CHANGE(w, credentials_weigh(w->cs, world_provider(w, "openai"), "work", 7, &w->err));
	world_key(w, "openai", "work", "better");
	assert_int_equal(credentials_find(w->cs, "openai", "work")->weight, 7);
	world_reopen(w);
	assert_int_equal(credentials_find(w->cs, "openai", "work")->weight, 7);
	assert_int_equal(open_key(w, "openai", "work", "better"), 0);
}

static void
test_credentials__a_weight_is_refused_out_of_range_and_rolled_back(void **state)
{
	struct world *w = *state;
	const struct provider *p = world_provider(w, "openai");

	world_key(w, "openai", NULL, KEY);
	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	assert_int_equal(credentials_weigh(w->cs, p, NULL, 0, &w->err), MP_E_INVALID_PARAMS);
	assert_int_equal(credentials_weigh(w->cs, p, NULL, 101, &w->err), MP_E_INVALID_PARAMS);
	assert_int_equal(credentials_weigh(w->cs, p, "none", 2, &w->err), MP_E_NO_CREDENTIAL);
	assert_int_equal(credentials_weigh(w->cs, p, NULL, 2, &w->err), 0);
	changes_rollback(w->changes);
	assert_int_equal(credentials_find(w->cs, "openai", NULL)->weight, 1);
}

static void
count(void *arg, const struct credential *c)
{
	(void)c;
	++*(int *)arg;
}

static void
test_credentials__each_by_provider(void **state)
{
	struct world *w = *state;
	int all = 0, one = 0, none = 0;

	two_keys(w);
	world_key(w, "two", "work", KEY);
	credentials_each(w->cs, NULL, count, &all);
	credentials_each(w->cs, "two", count, &one);
	credentials_each(w->cs, "nobody", count, &none);
	assert_int_equal(all, 3);
	assert_int_equal(one, 2);
	assert_int_equal(none, 0);
	CHANGE(w, credentials_delete_all(w->cs, world_provider(w, "two"), &w->err));
	all = 0;
	credentials_each(w->cs, NULL, count, &all);
	assert_int_equal(all, 1);
}

/* Nothing is left of what was asked, for a minute. */
static struct limits
used_up(void)
{
	struct limits l = { .count = 0 };

	limits_name(&l, "requests")->remaining = 0;
	return l;
}

static void
test_credentials__what_one_key_has_used_up_is_no_others_limit(void **state)
{
	struct world *w = *state;
	struct limits l = used_up();

	world_key(w, "openai", NULL, KEY);
	world_key(w, "openai", "work", KEY);
	credentials_report_limits(w->cs, "openai", "work", &l);
	credentials_report_limits(w->cs, "openai", "nonesuch", &l);
	credentials_report_limits(w->cs, "nobody", "work", &l);
	assert_int_equal(credentials_limits(w->cs, "openai", "work")->of[0].remaining, 0);
	assert_true(credentials_limits(w->cs, "openai", "work")->at_ms > 0);
	assert_null(credentials_limits(w->cs, "openai", NULL));
	assert_null(providers_limits(w->ps, "openai"));
	/* the usual one's are the provider's */
	credentials_report_limits(w->cs, "openai", NULL, &l);
	assert_non_null(providers_limits(w->ps, "openai"));
	assert_ptr_equal(credentials_limits(w->cs, "openai", "default"), providers_limits(w->ps, "openai"));
	/* they go with the key they were of */
	world_key(w, "openai", "work", "sk-another-0123456789");
	assert_null(credentials_limits(w->cs, "openai", "work"));
	assert_non_null(credentials_limits(w->cs, "openai", NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_credentials__a_key_opens_again_after_reopening),
		TEST(test_credentials__short_keys_show_nothing_of_themselves),
		TEST(test_credentials__replaced_and_deleted_leave_no_trace_in_the_file),
		TEST(test_credentials__opened_keys_are_redacted_from_logs),
		TEST(test_credentials__rollback_brings_the_old_key_back),
		TEST(test_credentials__F115_keys_that_could_split_a_header_are_refused),
		TEST(test_credentials__providers_without_keys_say_so),
		TEST(test_credentials__a_stated_origin_must_be_the_providers),
		TEST(test_credentials__a_moved_provider_gets_no_old_key),
		TEST(test_credentials__F105_every_changed_byte_is_found_and_only_that_row_is_refused),
		TEST(test_credentials__F106_swapped_moved_or_prolonged_rows_do_not_open),
		TEST(test_credentials__a_catalogue_that_moved_is_no_tampering),
		TEST(test_credentials__a_locked_vault_opens_and_stores_nothing),
		TEST(test_credentials__reports_are_kept),
		TEST(test_credentials__a_new_key_forgets_the_old_failure),
		TEST(test_credentials__a_passing_limit_is_not_written_at_once),
		TEST(test_credentials__a_weight_stays_when_the_key_is_replaced),
		TEST(test_credentials__a_weight_is_refused_out_of_range_and_rolled_back),
		TEST(test_credentials__each_by_provider),
		TEST(test_credentials__what_one_key_has_used_up_is_no_others_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
