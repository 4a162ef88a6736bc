/* steps.h - numbered changes over several tables, and the check that a database holds exactly the first n
 * of them: none lost, none by half. */
#ifndef TESTS_UNIT_STORE_STEPS_H
#define TESTS_UNIT_STORE_STEPS_H

#include "tests/unit/store/rows.h"

#define STEP_KEYS 7

/* Change number i (from 1 on), inside a transaction of the caller's. In two parts, so that a test can
 * come between them. */
static inline int
step_first_half(struct store *s, int64_t i)
{
	char name[32];
	int r;

	snprintf(name, sizeof name, "k%lld", (long long)(i % STEP_KEYS));
	if ((r = put_provider(s, name, name, i)) != 0)
		return r;
	return i % 3 == 0 ? put_credential(s, name, name, "default", i) : 0;
}

/* The newest two stay. */
static inline int
step_override(struct store *s, int64_t i, const char *text)
{
	const struct override_row row = { .id = i, .scope = "", .provider_id = "p1", .model = text,
		.rev = i };
	int r = store_override_put(s, &row, NULL);

	return r == 0 && i > 2 ? store_override_delete(s, i - 2) : r;
}

static inline int
step_second_half(struct store *s, int64_t i)
{
	char text[32], name[32];
	int r;

	snprintf(text, sizeof text, "%lld", (long long)i);
	snprintf(name, sizeof name, "k%lld", (long long)(i % STEP_KEYS));
	if ((r = step_override(s, i, text)) != 0 || (r = put_discovered(s, name, "m", i)) != 0)
		return r;
	return store_meta_set(s, "step", text);
}

static inline int
step_run(struct store *s, int64_t i)
{
	int r = store_begin(s);

	if (r != 0)
		return r;
	if ((r = step_first_half(s, i)) != 0 || (r = step_second_half(s, i)) != 0) {
		store_rollback(s);
		return r;
	}
	return store_commit(s);
}

struct steps_seen {
	int64_t last;
	int providers, credentials, overrides, discovered, wrong;
};

/* The newest step up to `last` that wrote this key; 0 = none. */
static inline int64_t
step_of_key(const char *name, int64_t last, bool credential)
{
	int64_t key = atoll(name + 1);

	for (int64_t i = last; i > 0; i--)
		if (i % STEP_KEYS == key && (!credential || i % 3 == 0))
			return i;
	return 0;
}

static inline void
see_provider(void *arg, const struct provider_row *row)
{
	struct steps_seen *seen = arg;
	const struct provider *p = row->provider;

	seen->providers++;
	seen->wrong += p->rev != step_of_key(p->name, seen->last, false);
}

static inline void
see_credential(void *arg, const struct credential_row *row)
{
	struct steps_seen *seen = arg;

	seen->credentials++;
	seen->wrong += row->rev != step_of_key(row->id, seen->last, true);
}

static inline void
see_override(void *arg, const struct override_row *row)
{
	struct steps_seen *seen = arg;

	seen->overrides++;
	seen->wrong += row->rev > seen->last || row->rev < seen->last - 1 || atoll(row->model) != row->rev;
}

static inline void
see_discovered(void *arg, const struct discovered_model_row *row)
{
	struct steps_seen *seen = arg;

	seen->discovered++;
	seen->wrong += row->context_tokens != step_of_key(row->provider_id, seen->last, false);
}

static inline int
steps_min(int64_t a, int b)
{
	return a < b ? (int)a : b;
}

/* How many steps the database holds; -1 when it holds half of one, or cannot be read. */
static inline int64_t
steps_count(struct store *s)
{
	struct steps_seen seen = { 0 };
	char *value = NULL;
	int credentials = 0;
	char name[32];
	int r = store_meta_get(s, "step", &value);

	if (r != 0 && r != MP_E_NOT_FOUND)
		return -1;
	seen.last = r == 0 ? atoll(value) : 0;
	free(value);
	if (store_provider_each(s, see_provider, &seen) != 0 ||
	    store_credential_each(s, see_credential, &seen) != 0 ||
	    store_override_each(s, see_override, &seen) != 0 ||
	    store_discovered_model_each(s, see_discovered, &seen) != 0)
		return -1;
	for (int k = 0; k < STEP_KEYS; k++) {
		snprintf(name, sizeof name, "k%d", k);
		credentials += step_of_key(name, seen.last, true) != 0;
	}
	if (seen.wrong != 0 || seen.providers != steps_min(seen.last, STEP_KEYS) ||
	    seen.discovered != seen.providers || seen.credentials != credentials ||
	    seen.overrides != steps_min(seen.last, 2))
		return -1;
	return seen.last;
}

#endif
