/* rows.h - a filled database for the tests of this folder. */
#ifndef TESTS_UNIT_STORE_ROWS_H
#define TESTS_UNIT_STORE_ROWS_H

#include "protocol/base/str.h"
#include "server/store/rows.h"
#include "tests/unit/store/scratch.h"

static inline struct provider *
make_provider(const char *id, const char *name)
{
	struct provider *p = provider_new();

	free(p->id);
	p->id = xstrdup(id);
	p->name = xstrdup(name);
	p->dialect = xstrdup("openai-chat");
	p->type = PROVIDER_UNIVERSAL_GATEWAY;
	p->auth = AUTH_API_KEY;
	p->origin = ORIGIN_USER;
	return p;
}

static inline int
put_provider(struct store *s, const char *id, const char *name, int64_t rev)
{
	struct provider *p = make_provider(id, name);
	struct provider_row row = { p, "*" };
	int r;

	p->rev = rev;
	r = store_provider_put(s, &row);
	provider_free(p);
	return r;
}

static inline int
put_credential(struct store *s, const char *id, const char *provider_id, const char *label, int64_t rev)
{
	struct credential_row row = { .id = id, .provider_id = provider_id, .label = label,
		.origin = "https://x:443", .sealed = "\x01sealed", .sealed_len = 8, .generation = 1,
		.rev = rev };

	return store_credential_put(s, &row);
}

static inline int
put_session(struct store *s, const char *provider_id)
{
	struct session_row row = { .token_hash = "hash", .token_hash_len = 4, .provider_id = provider_id,
		.model = "m", .label = "default", .boot_id = "boot" };

	return store_session_put(s, &row, NULL);
}

static inline int
put_minted(struct store *s, const char *provider_id)
{
	struct minted_row row = { .provider_id = provider_id, .name = provider_id, .hash = "",
		.last_code = "" };

	return store_minted_put(s, &row, NULL);
}

static inline int
put_override(struct store *s, const char *scope, const char *model, int64_t rev, int64_t *id)
{
	struct override_row row = { .scope = scope, .provider_id = "p1", .model = model, .rev = rev };

	return store_override_put(s, &row, id);
}

static inline int
put_discovered(struct store *s, const char *provider_id, const char *model, int64_t context)
{
	const struct discovered_model_row row = { .provider_id = provider_id, .model = model,
		.title = "A model", .context_tokens = context, .abilities = 3, .loaded = -1 };
	const struct discovered_list_row list = { provider_id, "http://127.0.0.1:1", context };
	int r = store_discovered_list_put(s, &list);

	return r != 0 ? r : store_discovered_model_put(s, &row);
}

/* Every table gets n rows. */
static inline void
fill(struct store *s, int n)
{
	char name[32];

	assert_int_equal(store_begin(s), 0);
	for (int i = 0; i < n; i++) {
		struct model_row model = { .provider_id = "p", .model = name, .nick = name };
		struct key_slot_row slot = { .type = "t", .salt = "s", .salt_len = 1, .wrapped = name,
			.wrapped_len = 5 };

		snprintf(name, sizeof name, "name-%d", i);
		assert_int_equal(put_provider(s, name, name, i), 0);
		assert_int_equal(put_credential(s, name, name, "default", i), 0);
		assert_int_equal(put_override(s, name, "m", i, NULL), 0);
		assert_int_equal(store_model_put(s, &model), 0);
		assert_int_equal(store_key_slot_put(s, &slot, NULL), 0);
		assert_int_equal(put_discovered(s, name, name, i), 0);
		assert_int_equal(put_session(s, name), 0);
		assert_int_equal(put_minted(s, name), 0);
		assert_int_equal(store_meta_set(s, name, "value"), 0);
	}
	assert_int_equal(store_commit(s), 0);
}

static inline void
count_provider(void *arg, const struct provider_row *row)
{
	*(int *)arg += row->provider->name != NULL;
}

static inline void
count_credential(void *arg, const struct credential_row *row)
{
	*(int *)arg += row->id != NULL && (row->sealed_len == 0 || row->sealed != NULL);
}

static inline void
count_override(void *arg, const struct override_row *row)
{
	*(int *)arg += row->scope != NULL;
}

static inline void
count_model(void *arg, const struct model_row *row)
{
	*(int *)arg += row->model != NULL;
}

static inline void
count_slot(void *arg, const struct key_slot_row *row)
{
	*(int *)arg += row->type != NULL;
}

static inline void
count_discovered(void *arg, const struct discovered_model_row *row)
{
	*(int *)arg += row->model != NULL;
}

/* Reads every table; the first error, and all rows in *n. */
static inline int
read_all(struct store *s, int *n)
{
	int r;

	*n = 0;
	if ((r = store_provider_each(s, count_provider, n)) == 0 &&
	    (r = store_credential_each(s, count_credential, n)) == 0 &&
	    (r = store_override_each(s, count_override, n)) == 0 &&
	    (r = store_model_each(s, count_model, n)) == 0 &&
	    (r = store_discovered_model_each(s, count_discovered, n)) == 0)
		r = store_key_slot_each(s, count_slot, n);
	return r;
}

#endif
