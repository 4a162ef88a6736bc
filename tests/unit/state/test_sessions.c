/* Test sessions: they end when they said they would, and leave nothing. */
#include "server/store/rows.h"
#include "tests/unit/state/world.h"

#define KEY "sk-temporary-0000000000000000001"
#define MINUTE 60000

/* The newest session, its token as text. */
struct started {
	int64_t id;
	char token[80];
};

/* Inside a change. */
static struct started
add(struct world *w, const char *provider, const char *key, int64_t duration_ms, bool activate)
{
	struct secret *secret = key != NULL ? secret_new(key, strlen(key)) : NULL, *token = NULL;
	struct session_start start = { world_provider(w, provider), "gpt-4", NULL, secret, duration_ms,
		activate };
	const struct session *s = NULL;
	struct started out;

	if (sessions_start(w->ss, &start, &token, &s, &w->err) != 0)
		fail_msg("%s", w->err.message);
	out.id = s->id;
	snprintf(out.token, sizeof out.token, "%s", secret_bytes(token));
	secret_free(token);
	secret_free(secret);
	return out;
}

static struct started
start_of(struct world *w, const char *provider, const char *key, int64_t duration_ms, bool activate)
{
	struct started out;

	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	out = add(w, provider, key, duration_ms, activate);
	assert_int_equal(changes_commit(w->changes, "test", NULL, NULL, &w->err), 0);
	sessions_scrub(w->ss);
	return out;
}

static struct started
start(struct world *w, const char *key, int64_t duration_ms, bool activate)
{
	return start_of(w, "openrouter", key, duration_ms, activate);
}

static int
stop(struct world *w, int64_t id)
{
	int r;

	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	if ((r = sessions_stop(w->ss, id, "stopped", &w->err)) != 0) {
		changes_rollback(w->changes);
		return r;
	}
	assert_int_equal(changes_commit(w->changes, "test", NULL, NULL, &w->err), 0);
	sessions_scrub(w->ss);
	return 0;
}

static int
open_key(struct world *w, const char *provider, const char *label)
{
	const struct secret *s;

	return credentials_open(w->cs, world_provider(w, provider), label, &s, &w->err);
}

static bool
token_known(struct world *w, const struct started *s)
{
	const struct session *found = NULL;

	if (sessions_find_token(w->ss, slice_of(s->token), &found, &w->err) != 0)
		return false;
	assert_int_equal(found->id, s->id);
	return true;
}

/* Until nothing of sessions is in the table, or the time is up. Milliseconds it took. */
static int64_t
wait_for_sweep(struct world *w, int64_t limit_ms)
{
	int64_t since = clock_monotonic_ms();
	size_t heard = w->heard_count;

	while (clock_monotonic_ms() - since < limit_ms) {
		for (size_t i = heard; i < w->heard_count; i++)
			if (w->heard[i].topic == TOPIC_SESSIONS && w->heard[i].op == CHANGE_REMOVE)
				return clock_monotonic_ms() - since;
		loop_once(w->loop, 50);
	}
	fail_msg("nothing ended within %d ms", (int)limit_ms);
	return -1;
}

static int64_t
rows(struct world *w)
{
	return world_count(w,
	    "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM credentials)");
}

static int
setup(void **state)
{
	clock_test_shift(0, 0);
	return world_setup(state);
}

static int
teardown(void **state)
{
	clock_test_shift(0, 0);
	return world_teardown(state);
}

/* ---- starting ---- */

static void
test_sessions__one_is_what_was_asked_for(void **state)
{
	struct world *w = *state;
	struct started a = start(w, KEY, 30 * MINUTE, true);
	const struct session *s = sessions_find(w->ss, a.id);

	assert_non_null(s);
	assert_string_equal(s->model, "gpt-4");
	assert_string_equal(s->label, "session-1");
	assert_true(s->has_key);
	assert_ptr_equal(sessions_activated(w->ss), s);
	assert_int_equal(s->expires_ms - s->started_ms, 30 * MINUTE);
	assert_in_range(session_left_ms(s), 29 * MINUTE, 30 * MINUTE);
	assert_int_equal(open_key(w, "openrouter", "session-1"), 0);
	assert_int_equal(open_key(w, "openrouter", NULL), MP_E_NO_CREDENTIAL);
}

static void
test_sessions__a_token_is_given_once_and_found_again(void **state)
{
	struct world *w = *state;
	struct started a = start(w, NULL, MINUTE, false), b = start(w, NULL, MINUTE, false);
	const struct session *none = NULL;

	assert_int_equal(strncmp(a.token, "mpd_test_", 9), 0);
	assert_int_equal(strlen(a.token), 9 + 43);
	assert_string_not_equal(a.token, b.token);
	assert_true(token_known(w, &a));
	assert_true(token_known(w, &b));
	world_reopen(w);
	assert_true(token_known(w, &a));
	a.token[20] = a.token[20] == 'A' ? 'B' : 'A';
	assert_int_equal(sessions_find_token(w->ss, slice_of(a.token), &none, &w->err), MP_E_NOT_FOUND);
	assert_int_equal(sessions_find_token(w->ss, slice_of(""), &none, &w->err), MP_E_NOT_FOUND);
	assert_null(none);
}

static void
test_sessions__what_cannot_be_started_changes_nothing(void **state)
{
	struct world *w = *state;
	struct secret *good = secret_new(KEY, strlen(KEY)), *bad = secret_new("a b", 3), *token = NULL;
	const struct session *s = NULL;
	struct session_start start = { world_provider(w, "openrouter"), "gpt-4", NULL, good,
		SESSION_MIN_MS - 1, true };

	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, sessions_start(w->ss, &start, &token, &s, &w->err));
	assert_string_equal(w->err.field, "duration_ms");
	start.duration_ms = SESSION_MAX_MS + 1;
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, sessions_start(w->ss, &start, &token, &s, &w->err));
	start.duration_ms = MINUTE;
	start.model = "";
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, sessions_start(w->ss, &start, &token, &s, &w->err));
	start.model = "gpt-4";
	start.key = bad;
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, sessions_start(w->ss, &start, &token, &s, &w->err));
	start.key = good;
	start.provider = world_provider(w, "echo"); /* takes no key */
	CHANGE_GIVES(w, MP_E_INVALID_STATE, sessions_start(w->ss, &start, &token, &s, &w->err));
	assert_null(token);
	assert_int_equal(sessions_count(w->ss), 0);
	assert_int_equal(rows(w), 0);
	secret_free(good);
	secret_free(bad);
}

static void
test_sessions__a_rollback_takes_all_of_it_back(void **state)
{
	struct world *w = *state;
	struct secret *key = secret_new(KEY, strlen(KEY)), *token = NULL;
	struct session_start start = { world_provider(w, "openrouter"), "gpt-4", NULL, key, MINUTE, true };
	const struct session *s = NULL;

	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	assert_int_equal(sessions_start(w->ss, &start, &token, &s, &w->err), 0);
	changes_rollback(w->changes);
	assert_null(sessions_activated(w->ss));
	assert_null(credentials_find(w->cs, "openrouter", "session-1"));
	assert_int_equal(rows(w), 0);
	secret_free(token);
	secret_free(key);
}

/* ---- a session's key is nobody else's ---- */

static void
count_key(void *arg, const struct credential *c)
{
	(void)c;
	++*(int *)arg;
}

static void
test_sessions__their_keys_are_not_ordinary_ones(void **state)
{
	struct world *w = *state;
	struct secret *other = secret_new(KEY, strlen(KEY));
	const struct provider *p = world_provider(w, "openrouter");
	int listed = 0;

	start(w, KEY, MINUTE, true);
	credentials_each(w->cs, NULL, count_key, &listed);
	assert_int_equal(listed, 0);
	CHANGE_GIVES(w, MP_E_NOT_FOUND, credentials_delete(w->cs, p, "session-1", &w->err));
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS,
	    credentials_set(w->cs, p, "session-1", other, NULL, &w->err));
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS,
	    credentials_set(w->cs, p, "trial-7", other, NULL, &w->err));
	CHANGE(w, credentials_set(w->cs, p, "session-one", other, NULL, &w->err));
	for (size_t i = 0; i < w->heard_count; i++)
		if (w->heard[i].topic == TOPIC_KEYS)
			assert_string_equal(w->heard[i].key, "openrouter/session-one");
	secret_free(other);
}

static void
test_sessions__a_key_that_is_tried_is_in_memory_only(void **state)
{
	struct world *w = *state;
	struct secret *key = secret_new(KEY, strlen(KEY));
	char label[CREDENTIAL_LABEL_BYTES];

	assert_int_equal(credentials_try(w->cs, world_provider(w, "openrouter"), key, label, &w->err), 0);
	assert_int_equal(open_key(w, "openrouter", label), 0);
	assert_int_equal(open_key(w, "openai", label), MP_E_NO_CREDENTIAL);
	/* somebody else's change fails meanwhile */
	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	changes_rollback(w->changes);
	assert_int_equal(open_key(w, "openrouter", label), 0);
	credentials_report(w->cs, "openrouter", label, MP_E_AUTH_REJECTED);
	credentials_try_end(w->cs, label);
	assert_int_equal(open_key(w, "openrouter", label), MP_E_NO_CREDENTIAL);
	assert_int_equal(rows(w), 0);
	secret_free(key);
}

/* ---- the end ---- */

static void
ends_at_once(struct world *w, const struct started *s, const char *label)
{
	assert_null(sessions_find(w->ss, s->id));
	assert_null(sessions_activated(w->ss));
	assert_false(token_known(w, s));
	assert_non_null(strstr(w->err.message, "has ended"));
	assert_int_equal(open_key(w, "openrouter", label), MP_E_NO_CREDENTIAL);
}

static void
lives(struct world *w, const struct started *s, const char *label)
{
	assert_non_null(sessions_find(w->ss, s->id));
	assert_true(token_known(w, s));
	assert_int_equal(open_key(w, "openrouter", label), 0);
}

static void
F116_test_sessions__expiry_is_at_once_and_the_row_is_gone_within_a_second(void **state)
{
	struct world *w = *state;
	struct started a = start(w, KEY, MINUTE, true);
	int64_t took;

	lives(w, &a, "session-1");
	clock_test_shift(MINUTE, MINUTE);
	ends_at_once(w, &a, "session-1");
	took = wait_for_sweep(w, 5000);
	assert_in_range(took, 0, 1000);
	assert_string_equal(w->heard[w->heard_count - 1].reason, "expired");
	assert_string_equal(sessions_ended(w->ss, a.id)->ended_why, "expired");
	ends_at_once(w, &a, "session-1");
	assert_int_equal(rows(w), 0);
}

static void
F34_test_sessions__a_clock_that_is_set_never_extends_one(void **state)
{
	static const int64_t day = INT64_C(24) * 3600 * 1000;
	static const int64_t walls[] = { -day, -56 * 365 * day /* 1970 */, 0, 30 * 365 * day /* 2056 */ };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
		struct started a = start(w, KEY, 10 * MINUTE, false);
		char label[CREDENTIAL_LABEL_BYTES];

		credentials_session_label(a.id, label);
		/* five minutes later, by whatever clock: lives unless the wall is past its end */
		clock_test_shift(walls[i] + 5 * MINUTE, 5 * MINUTE);
		if (walls[i] <= 0)
			lives(w, &a, label);
		else
			ends_at_once(w, &a, label);
		/* eleven minutes later there is no wall that saves it */
		clock_test_shift(walls[i] + 11 * MINUTE, 11 * MINUTE);
		ends_at_once(w, &a, label);
		world_reopen(w);
		ends_at_once(w, &a, label);
		clock_test_shift(0, 0);
	}
}

static void
F35_test_sessions__one_that_ended_in_suspend_is_refused_at_the_first_use(void **state)
{
	struct world *w = *state;
	struct started a = start(w, KEY, 10 * MINUTE, true);

	loop_once(w->loop, 0);
	/* the machine slept an hour; time-outs did not move */
	clock_test_shift(60 * MINUTE, 60 * MINUTE);
	ends_at_once(w, &a, "session-1");
	assert_in_range(wait_for_sweep(w, 5000), 0, 1000);
	assert_int_equal(rows(w), 0);
}

static void
F10_test_sessions__restarts_keep_the_original_end(void **state)
{
	struct world *w = *state;
	struct started a = start(w, KEY, 10 * MINUTE, true);
	int64_t expires = sessions_find(w->ss, a.id)->expires_ms;

	for (int minute = 1; minute < 10; minute++) {
		clock_test_shift(minute * MINUTE, minute * MINUTE);
		world_reopen(w);
		lives(w, &a, "session-1");
		assert_true(sessions_find(w->ss, a.id)->activated);
		assert_int_equal(sessions_find(w->ss, a.id)->expires_ms, expires);
		assert_in_range(session_left_ms(sessions_find(w->ss, a.id)), (9 - minute) * MINUTE,
		    (10 - minute) * MINUTE);
	}
	world_close(w);
	clock_test_shift(10 * MINUTE, 10 * MINUTE);
	world_open(w);
	ends_at_once(w, &a, "session-1");
	assert_int_equal(rows(w), 0);
}

static void
test_sessions__a_reboot_ends_them(void **state)
{
	struct world *w = *state;
	struct started a = start(w, KEY, 10 * MINUTE, true);

	world_sql(w, "UPDATE sessions SET boot_id = 'another'");
	ends_at_once(w, &a, "session-1");
	/* a system without boot ids: the time since boot begins anew */
	a = start(w, KEY, 10 * MINUTE, true);
	clock_test_shift(0, -MINUTE);
	ends_at_once(w, &a, "session-2");
	world_reopen(w);
	assert_int_equal(rows(w), 0);
}

/* The sealed bytes of the newest key, as hex. */
static void
sealed_hex(struct world *w, char *out, size_t size)
{
	char path[128];
	sqlite3_stmt *q;
	sqlite3 *db;

	world_close(w);
	snprintf(path, sizeof path, "%s/state.db", w->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT hex(sealed) FROM credentials", -1, &q, NULL), 0);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	snprintf(out, size, "%s", (const char *)sqlite3_column_text(q, 0));
	sqlite3_finalize(q);
	sqlite3_close(db);
	world_open(w);
}

static bool
file_holds(struct world *w, const char *name, const void *bytes, size_t n)
{
	char path[128];
	struct buf b = BUF_INIT;
	char chunk[4096];
	size_t got;
	bool found;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", w->dir, name);
	if ((f = fopen(path, "rb")) == NULL)
		return false;
	while ((got = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(&b, chunk, got);
	fclose(f);
	found = b.len > 0 && memmem(b.data, b.len, bytes, n) != NULL;
	buf_clear(&b);
	return found;
}

static void
F26_test_sessions__nothing_of_the_key_stays_in_any_file(void **state)
{
	struct world *w = *state;
	struct started a = start(w, KEY, 10 * MINUTE, true);
	unsigned char sealed[512];
	char hex[1024];
	size_t n;

	sealed_hex(w, hex, sizeof hex);
	for (n = 0; hex[2 * n] != '\0'; n++)
		sealed[n] = (unsigned char)strtol((char[]){ hex[2 * n], hex[2 * n + 1], '\0' }, NULL, 16);
	assert_true(n > 40);
	assert_true(file_holds(w, "state.db", sealed, n) || file_holds(w, "state.db-wal", sealed, n));
	assert_int_equal(stop(w, a.id), 0);
	assert_false(file_holds(w, "state.db", sealed + 1, 24));
	assert_false(file_holds(w, "state.db-wal", sealed + 1, 24));
	assert_false(file_holds(w, "state.db", a.token + 9, 20));
	assert_int_equal(stop(w, a.id), MP_E_NOT_FOUND);
	assert_non_null(strstr(w->err.message, "has ended (stopped)"));
	assert_int_equal(rows(w), 0);
}

static void
F116_test_sessions__a_thousand_end_together(void **state)
{
	struct world *w = *state;
	struct started *all = calloc(1000, sizeof *all);
	int64_t took;

	changes_unsubscribe(w->changes, w); /* more news than the list of the tests holds */
	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	for (int i = 0; i < 1000; i++)
		all[i] = add(w, "openrouter", KEY, 10 * MINUTE, i == 0);
	assert_int_equal(changes_commit(w->changes, "test", NULL, NULL, &w->err), 0);
	assert_int_equal(sessions_count(w->ss), 1000);
	assert_int_equal(open_key(w, "openrouter", "session-777"), 0);
	clock_test_shift(10 * MINUTE, 10 * MINUTE);
	assert_int_equal(sessions_count(w->ss), 0);
	for (int i = 0; i < 1000; i++) {
		assert_null(sessions_find(w->ss, all[i].id));
		assert_false(token_known(w, &all[i]));
	}
	assert_int_equal(open_key(w, "openrouter", "session-777"), MP_E_NO_CREDENTIAL);
	took = clock_monotonic_ms();
	while (credentials_has_session(w->cs, all[0].id) && clock_monotonic_ms() - took < 20000)
		loop_once(w->loop, 50);
	took = clock_monotonic_ms() - took;
	print_message("1000 sessions gone after %d ms\n", (int)took);
#ifndef MPD_SANITIZED
	assert_in_range(took, 0, 1000);
#else
	assert_in_range(took, 0, 5000);
#endif
	assert_int_equal(rows(w), 0);
	free(all);
}

static void
test_sessions__there_is_a_limit(void **state)
{
	struct world *w = *state;
	struct session_start start = { world_provider(w, "openrouter"), "gpt-4", NULL, NULL, MINUTE, false };
	struct secret *token = NULL;
	const struct session *s = NULL;

	changes_unsubscribe(w->changes, w);
	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	for (int i = 0; i < SESSIONS_MAX; i++) {
		assert_int_equal(sessions_start(w->ss, &start, &token, &s, &w->err), 0);
		secret_free(token);
	}
	assert_int_equal(sessions_start(w->ss, &start, &token, &s, &w->err), MP_E_TOO_MANY);
	changes_rollback(w->changes);
	assert_int_equal(sessions_count(w->ss), 0);
}

/* ---- activation ---- */

static void
test_sessions__one_at_most_is_activated(void **state)
{
	struct world *w = *state;
	struct started a = start(w, NULL, MINUTE, true), b = start(w, NULL, MINUTE, false), c;
	int r;

	assert_int_equal(sessions_activated(w->ss)->id, a.id);
	CHANGE(w, sessions_activate(w->ss, b.id, &w->err));
	assert_int_equal(sessions_activated(w->ss)->id, b.id);
	assert_false(sessions_find(w->ss, a.id)->activated);
	c = start(w, NULL, MINUTE, true);
	assert_int_equal(sessions_activated(w->ss)->id, c.id);
	world_reopen(w);
	assert_int_equal(sessions_activated(w->ss)->id, c.id);
	assert_int_equal(sessions_count(w->ss), 3);
	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	assert_true(sessions_deactivate(w->ss, &r, &w->err));
	assert_false(sessions_deactivate(w->ss, &r, &w->err));
	assert_int_equal(changes_commit(w->changes, "test", NULL, NULL, &w->err), 0);
	assert_null(sessions_activated(w->ss));
	CHANGE_GIVES(w, MP_E_NOT_FOUND, sessions_activate(w->ss, 99, &w->err));
	assert_non_null(strstr(w->err.message, "no test session 99"));
}

static void
test_sessions__news_of_them_is_told(void **state)
{
	struct world *w = *state;
	struct started a = start(w, NULL, MINUTE, true);
	bool session = false, route = false;

	for (size_t i = 0; i < w->heard_count; i++) {
		session = session || (w->heard[i].topic == TOPIC_SESSIONS &&
		    w->heard[i].op == CHANGE_ADD && strcmp(w->heard[i].key, "1") == 0);
		route = route || w->heard[i].topic == TOPIC_ROUTE;
	}
	assert_true(session && route);
	w->heard_count = 0;
	assert_int_equal(stop(w, a.id), 0);
	assert_int_equal(w->heard[0].topic, TOPIC_SESSIONS);
	assert_int_equal(w->heard[0].op, CHANGE_REMOVE);
}

/* ---- extending ---- */

static void
test_sessions__extending_moves_the_end_and_the_seal(void **state)
{
	struct world *w = *state;
	struct started a = start(w, KEY, 10 * MINUTE, true);

	CHANGE(w, sessions_extend(w->ss, a.id, 20 * MINUTE, &w->err));
	world_reopen(w);
	clock_test_shift(29 * MINUTE, 29 * MINUTE);
	lives(w, &a, "session-1");
	clock_test_shift(31 * MINUTE, 31 * MINUTE);
	ends_at_once(w, &a, "session-1");
	CHANGE_GIVES(w, MP_E_NOT_FOUND, sessions_extend(w->ss, a.id, MINUTE, &w->err));
	world_reopen(w);
	clock_test_shift(0, 0);
	ends_at_once(w, &a, "session-1"); /* it was swept: turning the clock back revives nothing */
}

static void
F116_test_sessions__no_extension_goes_past_a_day(void **state)
{
	struct world *w = *state;
	struct started a = start(w, KEY, SESSION_MAX_MS - MINUTE, true);

	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, sessions_extend(w->ss, a.id, MINUTE + 1, &w->err));
	assert_string_equal(w->err.field, "duration_ms");
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, sessions_extend(w->ss, a.id, INT64_MAX, &w->err));
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, sessions_extend(w->ss, a.id, -MINUTE, &w->err));
	CHANGE(w, sessions_extend(w->ss, a.id, MINUTE, &w->err));
	CHANGE_GIVES(w, MP_E_INVALID_PARAMS, sessions_extend(w->ss, a.id, 1, &w->err));
	assert_int_equal(sessions_find(w->ss, a.id)->expires_ms - sessions_find(w->ss, a.id)->started_ms,
	    SESSION_MAX_MS);
}

/* ---- somebody else's hand in the file ---- */

static void
F106_test_sessions__an_edited_end_does_not_open_the_key(void **state)
{
	struct world *w = *state;

	start(w, KEY, 10 * MINUTE, true);
	world_sql(w, "UPDATE sessions SET expires_ms = expires_ms + 3600000, "
	             "expires_boot_ms = expires_boot_ms + 3600000");
	assert_int_equal(open_key(w, "openrouter", "session-1"), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET expires_ms = expires_ms + 3600000");
	assert_int_equal(open_key(w, "openrouter", "session-1"), MP_E_TAMPERED);
	world_sql(w, "UPDATE credentials SET expires_ms = expires_ms - 3600000");
	world_sql(w, "UPDATE sessions SET expires_ms = expires_ms - 3600000, "
	             "expires_boot_ms = expires_boot_ms - 3600000");
	assert_int_equal(open_key(w, "openrouter", "session-1"), 0);
}

static void
F106_test_sessions__a_session_s_key_cannot_be_made_an_ordinary_one(void **state)
{
	struct world *w = *state;

	start(w, KEY, 10 * MINUTE, true);
	world_sql(w, "UPDATE credentials SET session_id = 0, expires_ms = 0, label = 'default'");
	assert_int_equal(open_key(w, "openrouter", NULL), MP_E_TAMPERED);
}

static void
test_sessions__halves_of_one_are_removed(void **state)
{
	struct world *w = *state;

	start(w, KEY, 10 * MINUTE, true);
	world_sql(w, "DELETE FROM sessions");
	assert_int_equal(open_key(w, "openrouter", "session-1"), MP_E_NO_CREDENTIAL);
	assert_int_equal(rows(w), 0);
	start(w, KEY, 10 * MINUTE, true);
	world_sql(w, "DELETE FROM credentials");
	assert_null(sessions_activated(w->ss));
	assert_int_equal(rows(w), 0);
}

/* ---- the rest ---- */

static void
test_sessions__they_go_with_their_provider(void **state)
{
	struct world *w = *state;
	struct started a, b;

	world_add(w, "own", "http://127.0.0.1:9/v1", PROVIDER_LOCAL, AUTH_OPTIONAL_KEY);
	a = start_of(w, "own", KEY, MINUTE, true);
	b = start(w, KEY, MINUTE, false);
	assert_true(sessions_uses_provider(w->ss, world_provider(w, "own")));
	CHANGE(w, sessions_remove_provider(w->ss, world_provider(w, "own"), &w->err));
	assert_false(sessions_uses_provider(w->ss, world_provider(w, "own")));
	assert_null(sessions_find(w->ss, a.id));
	assert_non_null(sessions_find(w->ss, b.id));
}

static void
test_sessions__a_moved_provider_does_not_get_the_key(void **state)
{
	struct world *w = *state;
	struct provider *moved;

	world_add(w, "own", "http://127.0.0.1:9/v1", PROVIDER_LOCAL, AUTH_OPTIONAL_KEY);
	start_of(w, "own", KEY, MINUTE, true);
	moved = provider_copy(world_provider(w, "own"));
	free(moved->base_url);
	moved->base_url = xstrdup("http://127.0.0.1:10/v1");
	CHANGE(w, providers_update(w->ps, "own", moved, "base_url", &w->err));
	CHANGE(w, credentials_origin_moved(w->cs, world_provider(w, "own"), &w->err));
	assert_int_equal(open_key(w, "own", "session-1"), MP_E_ORIGIN);
	provider_free(moved);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_sessions__one_is_what_was_asked_for),
		T(test_sessions__a_token_is_given_once_and_found_again),
		T(test_sessions__what_cannot_be_started_changes_nothing),
		T(test_sessions__a_rollback_takes_all_of_it_back),
		T(test_sessions__their_keys_are_not_ordinary_ones),
		T(test_sessions__a_key_that_is_tried_is_in_memory_only),
		T(F116_test_sessions__expiry_is_at_once_and_the_row_is_gone_within_a_second),
		T(F34_test_sessions__a_clock_that_is_set_never_extends_one),
		T(F35_test_sessions__one_that_ended_in_suspend_is_refused_at_the_first_use),
		T(F10_test_sessions__restarts_keep_the_original_end),
		T(test_sessions__a_reboot_ends_them),
		T(F26_test_sessions__nothing_of_the_key_stays_in_any_file),
		T(F116_test_sessions__a_thousand_end_together),
		T(test_sessions__there_is_a_limit),
		T(test_sessions__one_at_most_is_activated),
		T(test_sessions__news_of_them_is_told),
		T(test_sessions__extending_moves_the_end_and_the_seal),
		T(F116_test_sessions__no_extension_goes_past_a_day),
		T(F106_test_sessions__an_edited_end_does_not_open_the_key),
		T(F106_test_sessions__a_session_s_key_cannot_be_made_an_ordinary_one),
		T(test_sessions__halves_of_one_are_removed),
		T(test_sessions__they_go_with_their_provider),
		T(test_sessions__a_moved_provider_does_not_get_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
