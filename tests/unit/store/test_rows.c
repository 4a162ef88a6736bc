#include "tests/unit/store/rows.h"

static struct store *s;

static int
setup(void **state)
{
	struct error err;

	return scratch_setup(state) != 0 || store_open(scratch, &s, &err) != 0 || store_begin(s) != 0;
}

static int
teardown(void **state)
{
	store_close(s);
	return scratch_teardown(state);
}

/* What was written is read by another connection. */
static void
reopen(void)
{
	struct error err;

	assert_int_equal(store_commit(s), 0);
	store_close(s);
	assert_int_equal(store_open(scratch, &s, &err), 0);
	assert_int_equal(store_begin(s), 0);
}

/* ---- meta ---- */

static void
test_meta__last_value_wins(void **state)
{
	char *value = NULL;

	(void)state;
	assert_int_equal(store_meta_get(s, "rev", &value), MP_E_NOT_FOUND);
	assert_int_equal(store_meta_set(s, "rev", "1"), 0);
	assert_int_equal(store_meta_set(s, "rev", "it's 2; DROP TABLE meta"), 0);
	reopen();
	assert_int_equal(store_meta_get(s, "rev", &value), 0);
	assert_string_equal(value, "it's 2; DROP TABLE meta");
	free(value);
}

/* ---- settings ---- */

static void
found_setting(void *arg, const struct setting_row *row)
{
	int *n = arg;

	++*n;
	assert_string_equal(row->name, *n == 1 ? "a" : "b");
	assert_string_equal(row->value, *n == 1 ? "it's" : "2");
	assert_int_equal(row->rev, *n == 1 ? 9 : 2);
}

static void
test_setting__replaced_by_name_and_sorted(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(store_setting_put(s, &(struct setting_row){ "b", "2", 2 }), 0);
	assert_int_equal(store_setting_put(s, &(struct setting_row){ "a", "1", 1 }), 0);
	assert_int_equal(store_setting_put(s, &(struct setting_row){ "a", "it's", 9 }), 0);
	assert_int_equal(store_setting_delete(s, "c"), MP_E_NOT_FOUND);
	reopen();
	assert_int_equal(store_setting_each(s, found_setting, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(store_setting_delete(s, "a"), 0);
	assert_int_equal(store_setting_delete(s, "b"), 0);
	assert_int_equal(store_setting_each(s, found_setting, &n), 0);
	assert_int_equal(n, 2);
}

/* ---- providers ---- */

static void
check_full_provider(void *arg, const struct provider_row *row)
{
	const struct provider *p = row->provider;

	++*(int *)arg;
	assert_string_equal(row->changed, "base_url enabled");
	assert_string_equal(p->id, "id-1");
	assert_string_equal(p->name, "o'reilly");
	assert_string_equal(p->display_name, "O\"R\xc3\xa9");
	assert_int_equal(p->type, PROVIDER_PLAN_BASED);
	assert_int_equal(p->auth, AUTH_OPTIONAL_KEY);
	assert_string_equal(p->dialect, "anthropic-messages");
	assert_string_equal(p->base_url, "https://x/v1");
	assert_null(p->key_env);
	assert_false(p->enabled);
	assert_int_equal(p->origin, ORIGIN_BUNDLE);
	assert_string_equal(p->features[0], "fallback-routing");
	assert_string_equal(p->features[1], "odd \"one\"");
	assert_null(p->features[2]);
	assert_int_equal(p->rate_limits.weekly, INT64_MAX);
	assert_int_equal(p->rate_limits.rolling, 7);
	assert_int_equal(p->rate_limits.window_hours, 5);
	assert_string_equal(p->login_command, "claude login");
	assert_true(p->auto_detect);
	assert_string_equal(p->health_check, "/models");
	assert_string_equal(p->ca_file, "/ca.pem");
	assert_string_equal(p->proxy, "http://127.0.0.1:8");
	assert_int_equal(p->key_sharing, KEY_SHARING_LEAST_LOADED);
	assert_int_equal(p->alias_count, 2);
	assert_string_equal(p->aliases[0].alias, "a");
	assert_string_equal(provider_alias_model(p, "b"), "vendor/b");
	assert_int_equal(p->rev, 42);
}

static void
test_provider__every_member_comes_back(void **state)
{
	struct provider *p = make_provider("id-1", "o'reilly");
	struct provider_row row = { p, "base_url enabled" };
	int n = 0;

	(void)state;
	p->display_name = xstrdup("O\"R\xc3\xa9");
	p->type = PROVIDER_PLAN_BASED;
	p->auth = AUTH_OPTIONAL_KEY;
	free(p->dialect);
	p->dialect = xstrdup("anthropic-messages");
	p->base_url = xstrdup("https://x/v1");
	p->enabled = false;
	p->origin = ORIGIN_BUNDLE;
	free(p->features);
	p->features = xcalloc(3, sizeof *p->features);
	p->features[0] = xstrdup("fallback-routing");
	p->features[1] = xstrdup("odd \"one\"");
	p->rate_limits.weekly = INT64_MAX;
	p->rate_limits.rolling = 7;
	p->rate_limits.window_hours = 5;
	p->login_command = xstrdup("claude login");
	p->auto_detect = true;
	p->health_check = xstrdup("/models");
	p->ca_file = xstrdup("/ca.pem");
	p->proxy = xstrdup("http://127.0.0.1:8");
	p->key_sharing = KEY_SHARING_LEAST_LOADED;
	provider_alias_add(p, "a", "vendor/a");
	provider_alias_add(p, "b", "vendor/b");
	p->rev = 42;
	assert_int_equal(store_provider_put(s, &row), 0);
	assert_int_equal(store_provider_put(s, &row), 0); /* replaces by id */
	provider_free(p);
	reopen();
	assert_int_equal(store_provider_each(s, check_full_provider, &n), 0);
	assert_int_equal(n, 1);
}

static void
test_provider__delete_tells_whether_there_was_one(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(put_provider(s, "id", "n", 1), 0);
	assert_int_equal(store_provider_delete(s, "id"), 0);
	assert_int_equal(store_provider_delete(s, "id"), MP_E_NOT_FOUND);
	assert_int_equal(store_provider_each(s, count_provider, &n), 0);
	assert_int_equal(n, 0);
}

/* ---- credentials ---- */

static void
check_credential(void *arg, const struct credential_row *row)
{
	++*(int *)arg;
	assert_string_equal(row->id, "u2");
	assert_string_equal(row->provider_id, "p");
	assert_string_equal(row->label, "work");
	assert_string_equal(row->origin, "https://h:443");
	assert_true(row->origin_moved);
	assert_int_equal(row->sealed_len, 5);
	assert_memory_equal(row->sealed, "\x01\0\x02\xffz", 5);
	assert_int_equal(row->generation, 3);
	assert_string_equal(row->fingerprint, "0badcafe");
	assert_string_equal(row->last4, "wxyz");
	assert_int_equal(row->created_ms, 10);
	assert_int_equal(row->last_ok_ms, 20);
	assert_int_equal(row->last_fail_ms, 30);
	assert_string_equal(row->last_code, "auth_rejected");
	assert_int_equal(row->session_id, 4);
	assert_int_equal(row->expires_ms, 50);
	assert_int_equal(row->weight, 7);
	assert_int_equal(row->rev, 60);
}

static void
test_credential__put_replaces_by_provider_and_label(void **state)
{
	struct credential_row row = { .id = "u2", .provider_id = "p", .label = "work",
		.origin = "https://h:443", .origin_moved = true, .sealed = "\x01\0\x02\xffz",
		.sealed_len = 5, .generation = 3, .fingerprint = "0badcafe", .last4 = "wxyz",
		.created_ms = 10, .session_id = 4, .expires_ms = 50, .weight = 7, .rev = 60 };
	int n = 0;

	(void)state;
	assert_int_equal(put_credential(s, "u1", "p", "work", 1), 0);
	assert_int_equal(store_credential_put(s, &row), 0);
	assert_int_equal(store_credential_checked(s, "u2", 20, 30, "auth_rejected"), 0);
	assert_int_equal(store_credential_checked(s, "u1", 20, 30, ""), MP_E_NOT_FOUND);
	reopen();
	assert_int_equal(store_credential_each(s, check_credential, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_credential_delete(s, "p", "other"), MP_E_NOT_FOUND);
	assert_int_equal(store_credential_delete(s, "p", "work"), 0);
}

static void
test_credential__id_of_another_row_is_a_conflict(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(put_credential(s, "u1", "p", "work", 1), 0);
	assert_int_equal(put_credential(s, "u1", "q", "work", 1), MP_E_CONFLICT);
	assert_int_equal(put_credential(s, "u3", "q", "work", 1), 0); /* the transaction goes on */
	reopen();
	assert_int_equal(store_credential_each(s, count_credential, &n), 0);
	assert_int_equal(n, 2);
}

static bool
on_disk(const char *name, const char *what)
{
	const char *path = in_scratch(name);
	size_t n;
	bool found;
	char *data;

	if (access(path, F_OK) != 0)
		return false;
	data = read_whole(path, &n);
	found = memmem(data, n, what, strlen(what)) != NULL;
	free(data);
	return found;
}

static void
F26_test_credential__nothing_of_a_deleted_one_stays(void **state)
{
	struct credential_row row = { .id = "u1", .provider_id = "p", .label = "l",
		.sealed = "CANARY-OF-A-KEY", .sealed_len = 15 };

	(void)state;
	assert_int_equal(store_credential_put(s, &row), 0);
	assert_int_equal(store_commit(s), 0);
	assert_true(on_disk("state.db", "CANARY-OF") || on_disk("state.db-wal", "CANARY-OF"));
	assert_int_equal(store_checkpoint(s), 0);
	assert_true(on_disk("state.db", "CANARY-OF"));
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_credential_delete(s, "p", "l"), 0);
	assert_int_equal(store_commit(s), 0);
	assert_int_equal(store_checkpoint(s), 0);
	assert_false(on_disk("state.db", "CANARY-OF"));
	assert_false(on_disk("state.db-wal", "CANARY-OF"));
}

/* ---- key slots ---- */

static void
last_slot(void *arg, const struct key_slot_row *row)
{
	*(int64_t *)arg = row->id;
	assert_string_equal(row->type, "key-file");
	assert_memory_equal(row->salt, "sa\0lt", row->salt_len);
	assert_memory_equal(row->wrapped, "wrap", row->wrapped_len);
	assert_int_equal(row->ops, 1);
	assert_int_equal(row->mem_bytes, 2);
	assert_int_equal(row->generation, 3);
	assert_int_equal(row->created_ms, 4);
}

static void
test_key_slot__ids_are_assigned_and_never_given_twice(void **state)
{
	struct key_slot_row row = { .type = "key-file", .salt = "sa\0lt", .salt_len = 5, .ops = 1,
		.mem_bytes = 2, .generation = 3, .wrapped = "wrap", .wrapped_len = 4, .created_ms = 4 };
	int64_t a = 0, b = 0, seen = 0;

	(void)state;
	row.id = 5;
	assert_int_equal(store_key_slot_put(s, &row, &a), 0);
	assert_int_equal(a, 5);
	row.id = 0;
	assert_int_equal(store_key_slot_put(s, &row, &a), 0);
	assert_int_equal(a, 6);
	assert_int_equal(store_key_slot_delete(s, 6), 0);
	assert_int_equal(store_key_slot_delete(s, 6), MP_E_NOT_FOUND);
	reopen();
	assert_int_equal(store_key_slot_put(s, &row, &b), 0);
	assert_int_equal(b, 7);
	assert_int_equal(store_key_slot_each(s, last_slot, &seen), 0);
	assert_int_equal(seen, 7);
}

/* ---- models ---- */

static void
check_model(void *arg, const struct model_row *row)
{
	++*(int *)arg;
	assert_string_equal(row->provider_id, "p");
	assert_string_equal(row->model, "vendor/m:free");
	assert_string_equal(row->nick, "fast");
	assert_int_equal(row->added_ms, 1);
	assert_int_equal(row->expires_ms, 2);
	assert_true(row->listed);
	assert_int_equal(row->rev, 3);
}

static void
test_model__nickname_is_unique_over_all(void **state)
{
	struct model_row row = { "p", "vendor/m:free", "fast", 1, 2, true, 3 };
	struct model_row other = { "q", "m", "fast", 1, 2, true, 3 };
	int n = 0;

	(void)state;
	assert_int_equal(store_model_put(s, &row), 0);
	assert_int_equal(store_model_put(s, &other), MP_E_CONFLICT);
	reopen();
	assert_int_equal(store_model_each(s, check_model, &n), 0);
	assert_int_equal(n, 1);
	row.nick = NULL;
	assert_int_equal(store_model_put(s, &row), 0);
	assert_int_equal(store_model_put(s, &other), 0);
	other.model = "m2";
	other.nick = NULL;
	assert_int_equal(store_model_put(s, &other), 0); /* any number without a nickname */
	assert_int_equal(store_model_delete(s, "q", "m"), 0);
	assert_int_equal(store_model_delete(s, "q", "m"), MP_E_NOT_FOUND);
}

/* ---- what providers listed ---- */

static void
check_discovered(void *arg, const struct discovered_model_row *row)
{
	++*(int *)arg;
	assert_string_equal(row->provider_id, "p");
	assert_string_equal(row->model, "org/m:free");
	assert_string_equal(row->title, "A model");
	assert_int_equal(row->context_tokens, 8192);
	assert_int_equal(row->output_tokens, 0);
	assert_int_equal(row->abilities, 3);
	assert_int_equal(row->loaded, -1);
}

static void
check_list(void *arg, const struct discovered_list_row *row)
{
	++*(int *)arg;
	assert_string_equal(row->provider_id, "p");
	assert_string_equal(row->base_url, "http://127.0.0.1:1");
	assert_int_equal(row->fetched_ms, 8192);
}

static void
test_discovered__every_member_comes_back(void **state)
{
	int models = 0, lists = 0;

	(void)state;
	assert_int_equal(put_discovered(s, "p", "org/m:free", 1), 0);
	assert_int_equal(put_discovered(s, "p", "org/m:free", 8192), 0); /* replaces */
	reopen();
	assert_int_equal(store_discovered_model_each(s, check_discovered, &models), 0);
	assert_int_equal(store_discovered_list_each(s, check_list, &lists), 0);
	assert_int_equal(models, 1);
	assert_int_equal(lists, 1);
}

static void
test_discovered__one_model_goes_or_the_whole_list(void **state)
{
	int n;

	(void)state;
	put_discovered(s, "p", "a", 1);
	put_discovered(s, "p", "org/m:free", 8192);
	put_discovered(s, "q", "a", 1);
	put_discovered(s, "q", "b", 1);
	assert_int_equal(store_discovered_model_delete(s, "p", "a"), 0);
	assert_int_equal(store_discovered_model_delete(s, "p", "a"), 0);
	assert_int_equal(store_discovered_delete(s, "q"), 0);
	n = 0;
	assert_int_equal(store_discovered_model_each(s, check_discovered, &n), 0);
	assert_int_equal(n, 1);
	n = 0;
	assert_int_equal(store_discovered_list_each(s, check_list, &n), 0);
	assert_int_equal(n, 1);
}

/* ---- overrides ---- */

static void
check_override(void *arg, const struct override_row *row)
{
	++*(int *)arg;
	assert_string_equal(row->scope, "project");
	assert_true(row->temporary);
	assert_string_equal(row->provider_id, "p");
	assert_null(row->model);
	assert_string_equal(row->label, "work");
	assert_int_equal(row->since_ms, 1);
	assert_int_equal(row->expires_ms, 2);
	assert_int_equal(row->expires_boot_ms, 3);
	assert_string_equal(row->boot_id, "boot");
	assert_false(row->previous);
	assert_int_equal(row->rev, 4);
}

static void
test_override__every_member_comes_back(void **state)
{
	struct override_row row = { 0, "project", true, "p", NULL, "work", NULL, 1, 2, 3, "boot", false, 4 };
	int64_t id = 0;
	int n = 0;

	(void)state;
	assert_int_equal(store_override_put(s, &row, &id), 0);
	row.id = id;
	assert_int_equal(store_override_put(s, &row, &id), 0); /* replaces by id */
	assert_int_equal(id, row.id);
	reopen();
	assert_int_equal(store_override_each(s, check_override, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_override_delete(s, id), 0);
	assert_int_equal(store_override_delete(s, id), MP_E_NOT_FOUND);
}

static void
check_session(void *arg, const struct session_row *row)
{
	++*(int *)arg;
	assert_int_equal(row->token_hash_len, 4);
	assert_memory_equal(row->token_hash, "\x01\0\x02\x03", 4);
	assert_string_equal(row->provider_id, "p");
	assert_string_equal(row->model, "m");
	assert_string_equal(row->label, "session-1");
	assert_true(row->has_key);
	assert_false(row->activated);
	assert_int_equal(row->started_ms, 1);
	assert_int_equal(row->expires_ms, 2);
	assert_int_equal(row->expires_boot_ms, 3);
	assert_string_equal(row->boot_id, "boot");
	assert_int_equal(row->rev, 6);
}

static void
test_session__every_member_comes_back(void **state)
{
	struct session_row row = { .token_hash = "\x01\0\x02\x03", .token_hash_len = 4, .provider_id = "p",
		.model = "m", .label = "session-1", .has_key = true, .activated = false, .started_ms = 1,
		.expires_ms = 2, .expires_boot_ms = 3, .boot_id = "boot", .rev = 6 };
	int64_t id = 0, next = 0;
	int n = 0;

	(void)state;
	assert_int_equal(store_session_put(s, &row, &id), 0);
	row.id = id;
	assert_int_equal(store_session_put(s, &row, &id), 0); /* replaces by id */
	assert_int_equal(id, row.id);
	reopen();
	assert_int_equal(store_session_each(s, check_session, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_session_delete(s, id), 0);
	assert_int_equal(store_session_delete(s, id), MP_E_NOT_FOUND);
	row.id = 0;
	assert_int_equal(store_session_put(s, &row, &next), 0);
	assert_true(next > id); /* it names a key: never given twice */
}

static void
check_minted(void *arg, const struct minted_row *row)
{
	++*(int *)arg;
	assert_string_equal(row->provider_id, "p");
	assert_string_equal(row->name, "modelpd test 1");
	assert_string_equal(row->hash, "f01d");
	assert_int_equal(row->session_id, 1);
	assert_int_equal(row->created_ms, 2);
	assert_int_equal(row->expires_ms, 3);
	assert_int_equal(row->tries, 4);
	assert_string_equal(row->last_code, "locked");
	assert_int_equal(row->rev, 5);
}

static void
test_minted__every_member_comes_back(void **state)
{
	struct minted_row row = { 0, "p", "modelpd test 1", "", 1, 2, 3, 4, "locked", 5 };
	int64_t id = 0;
	int n = 0;

	(void)state;
	assert_int_equal(store_minted_put(s, &row, &id), 0);
	row.id = id;
	row.hash = "f01d";
	assert_int_equal(store_minted_put(s, &row, &id), 0); /* replaces by id */
	assert_int_equal(id, row.id);
	reopen();
	assert_int_equal(store_minted_each(s, check_minted, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_minted_delete(s, id), 0);
	assert_int_equal(store_minted_delete(s, id), MP_E_NOT_FOUND);
}

/* ---- transactions ---- */

static void
test_store__rollback_leaves_nothing(void **state)
{
	int n;

	(void)state;
	put_provider(s, "id", "n", 1);
	put_override(s, "", "m", 1, NULL);
	store_rollback(s);
	store_rollback(s);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(read_all(s, &n), 0);
	assert_int_equal(n, 0);
}

static void
test_store__close_in_a_transaction_rolls_back(void **state)
{
	struct error err;
	int n;

	(void)state;
	put_provider(s, "id", "n", 1);
	store_close(s);
	assert_int_equal(store_open(scratch, &s, &err), 0);
	assert_int_equal(read_all(s, &n), 0);
	assert_int_equal(n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_meta__last_value_wins),
		T(test_setting__replaced_by_name_and_sorted),
		T(test_provider__every_member_comes_back),
		T(test_provider__delete_tells_whether_there_was_one),
		T(test_credential__put_replaces_by_provider_and_label),
		T(test_credential__id_of_another_row_is_a_conflict),
		T(F26_test_credential__nothing_of_a_deleted_one_stays),
		T(test_key_slot__ids_are_assigned_and_never_given_twice),
		T(test_model__nickname_is_unique_over_all),
		T(test_discovered__every_member_comes_back),
		T(test_discovered__one_model_goes_or_the_whole_list),
		T(test_override__every_member_comes_back),
		T(test_session__every_member_comes_back),
		T(test_minted__every_member_comes_back),
		T(test_store__rollback_leaves_nothing),
		T(test_store__close_in_a_transaction_rolls_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
