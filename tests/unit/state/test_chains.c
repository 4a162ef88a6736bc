/* test_chains.c - lists of targets: defined, refused, kept, and gone with their providers. */
#include "server/state/chain_codes.h"
#include "server/state/chains.h"
#include "server/state/provider_users.h"
#include "tests/unit/state/world.h"

/* "openai:a @b": links from words; what is wrong with it is in w->err. */
static int
set_on(struct world *w, const char *name, const char *words, uint64_t fall_on)
{
	struct chain_link links[32];
	char text[1024], *at = NULL;
	size_t n = 0;

	snprintf(text, sizeof text, "%s", words);
	for (char *word = strtok_r(text, " ", &at); word != NULL; word = strtok_r(NULL, " ", &at)) {
		char *colon = strchr(word, ':');

		if (word[0] == '@') {
			links[n++] = (struct chain_link){ "", word + 1 };
			continue;
		}
		*colon = '\0';
		links[n++] = (struct chain_link){ world_provider(w, word)->id, colon + 1 };
	}
	return chains_set(w->chains, name, links, n, fall_on, &w->err);
}

static void
set(struct world *w, const char *name, const char *words)
{
	CHANGE(w, set_on(w, name, words, chain_fall_on_default()));
}

static void
refused(struct world *w, const char *name, const char *words, int code, const char *message)
{
	CHANGE_GIVES(w, code, set_on(w, name, words, chain_fall_on_default()));
	assert_string_equal(w->err.message, message);
}

/* All chains: "a=openai:x,@b on timeout; ..." as the store has them, too. */
static const char *
shown(struct world *w)
{
	static char text[2048];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < chains_count(w->chains); i++) {
		const struct chain *c = chains_at(w->chains, i);

		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s=", i > 0 ? "; " : "", c->name);
		for (size_t k = 0; k < c->count; k++) {
			const struct provider *p = providers_find_id(w->ps, c->links[k].provider_id);

			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s%s", k > 0 ? "," : "",
			    p != NULL ? p->name : "@", p != NULL ? ":" : "", c->links[k].model);
		}
	}
	return text;
}

static void
holds(struct world *w, const char *expected)
{
	assert_string_equal(shown(w), expected);
	world_reopen(w);
	assert_string_equal(shown(w), expected);
}

static void
test_chains__defined_replaced_and_kept(void **state)
{
	struct world *w = *state;
	uint64_t bit;

	holds(w, "");
	set(w, "coding", "openai:a ollama:b");
	holds(w, "coding=openai:a,ollama:b");
	assert_int_equal(chains_find(w->chains, "coding")->fall_on, chain_fall_on_default());
	assert_true(chain_code_parse("auth_rejected", &bit));
	CHANGE(w, set_on(w, "chat", "ollama:b @coding", bit));
	holds(w, "chat=ollama:b,@coding; coding=openai:a,ollama:b");
	assert_int_equal(chains_find(w->chains, "chat")->fall_on, bit);
	set(w, "coding", "openrouter:x/y:free");
	holds(w, "chat=ollama:b,@coding; coding=openrouter:x/y:free");
	assert_null(chains_find(w->chains, "nonesuch"));
}

static void
test_chains__the_same_again_is_no_news(void **state)
{
	struct world *w = *state;
	int64_t rev;

	set(w, "coding", "openai:a ollama:b");
	assert_int_equal(w->heard_count, 2);
	assert_int_equal(w->heard[0].topic, TOPIC_CHAINS);
	assert_int_equal(w->heard[0].op, CHANGE_ADD);
	assert_string_equal(w->heard[0].key, "coding");
	assert_int_equal(w->heard[1].topic, TOPIC_ROUTE);
	rev = changes_config_rev(w->changes);
	set(w, "coding", "openai:a ollama:b");
	assert_int_equal(w->heard_count, 2);
	assert_int_equal(changes_config_rev(w->changes), rev);
	set(w, "coding", "ollama:b openai:a");
	assert_int_equal(w->heard[2].op, CHANGE_UPDATE);
	assert_true(changes_config_rev(w->changes) > rev);
}

static void
F86_test_chains__cycles_and_unknown_ones_are_refused(void **state)
{
	struct world *w = *state;
	char deep[16];

	refused(w, "a", "@a", MP_E_INVALID_PARAMS, "chain @a would lead back to itself");
	assert_string_equal(w->err.field, "refs");
	refused(w, "a", "openai:x @nonesuch", MP_E_NOT_FOUND, "there is no chain @nonesuch");
	set(w, "c", "openai:x");
	set(w, "b", "@c openai:y");
	set(w, "a", "@b");
	refused(w, "c", "openai:x @a", MP_E_INVALID_PARAMS, "chain @c would lead back to itself");
	refused(w, "c", "@b", MP_E_INVALID_PARAMS, "chain @c would lead back to itself");
	holds(w, "a=@b; b=@c,openai:y; c=openai:x");
	/* as deep as it goes, and no deeper */
	for (int i = 2; i <= CHAIN_DEPTH_MAX; i++) {
		char name[8];

		snprintf(name, sizeof name, "d%d", i);
		snprintf(deep, sizeof deep, "@d%d", i - 1);
		set(w, name, i == 2 ? "@c" : deep);
	}
	snprintf(deep, sizeof deep, "@d%d", CHAIN_DEPTH_MAX);
	refused(w, "e", deep, MP_E_INVALID_PARAMS, "chains lie more than 8 deep in each other");
}

static void
test_chains__bad_ones_are_refused(void **state)
{
	struct world *w = *state;
	char many[256] = "";

	refused(w, "Coding", "openai:x", MP_E_INVALID_PARAMS, "\"Coding\" is not a valid name of a chain");
	assert_string_equal(w->err.field, "name");
	refused(w, "", "openai:x", MP_E_INVALID_PARAMS, "\"\" is not a valid name of a chain");
	refused(w, "a", "", MP_E_INVALID_PARAMS, "a chain has 1 to 16 targets");
	refused(w, "a", "openai:x ollama:x openai:x", MP_E_INVALID_PARAMS, "targets 1 and 3 are the same");
	for (int i = 0; i <= CHAIN_LINKS_MAX; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), "openai:m%d ", i);
	refused(w, "a", many, MP_E_INVALID_PARAMS, "a chain has 1 to 16 targets");
	holds(w, "");
}

static void
test_chains__one_within_another_stays(void **state)
{
	struct world *w = *state;

	set(w, "inner", "openai:x");
	set(w, "outer", "@inner");
	CHANGE_GIVES(w, MP_E_CONFLICT, chains_remove(w->chains, "inner", &w->err));
	assert_string_equal(w->err.message, "chain @inner is part of chain @outer");
	CHANGE(w, chains_remove(w->chains, "outer", &w->err));
	CHANGE(w, chains_remove(w->chains, "inner", &w->err));
	CHANGE_GIVES(w, MP_E_NOT_FOUND, chains_remove(w->chains, "inner", &w->err));
	holds(w, "");
	assert_int_equal(world_count(w, "SELECT count(*) FROM chain_links"), 0);
}

static struct provider_house
house(struct world *w)
{
	return (struct provider_house){ w->chains, w->os, w->ss, w->ms, w->cs, w->own_prices };
}

static void
test_chains__a_rename_changes_nothing(void **state)
{
	struct world *w = *state;
	struct provider *p;

	world_add(w, "lab", "http://127.0.0.1:1/v1", PROVIDER_LOCAL, AUTH_NONE);
	set(w, "coding", "lab:a openai:b");
	p = provider_copy(world_provider(w, "lab"));
	free(p->name);
	p->name = strdup("works");
	CHANGE(w, providers_update(w->ps, "lab", p, "name", &w->err));
	provider_free(p);
	holds(w, "coding=works:a,openai:b");
}

static void
test_chains__its_provider_goes_and_what_is_empty_then(void **state)
{
	struct world *w = *state;
	struct provider_house h;
	const struct provider *lab;

	world_add(w, "lab", "http://127.0.0.1:1/v1", PROVIDER_LOCAL, AUTH_NONE);
	set(w, "mixed", "lab:a openai:b lab:c");
	set(w, "only", "lab:a");
	set(w, "around", "@only");
	set(w, "more", "@only openai:x");
	CHANGE(w, overrides_set_chain(w->os, "", "around", false, 0, &w->err));
	CHANGE(w, overrides_set_chain(w->os, "here", "mixed", true, 0, &w->err));
	h = house(w);
	lab = world_provider(w, "lab");
	assert_int_equal(provider_users(&h, lab), PROVIDER_HAS_CHAIN);
	assert_int_equal(provider_users(&h, world_provider(w, "ollama")), 0);
	CHANGE(w, provider_users_remove(&h, lab, &w->err));
	/* nobody's choice is a chain that is gone; one that goes on stays chosen */
	assert_null(overrides_find(w->os, "", false));
	assert_string_equal(overrides_find(w->os, "here", true)->chain, "mixed");
	holds(w, "mixed=openai:b; more=openai:x");
	assert_string_equal(overrides_find(w->os, "here", true)->chain, "mixed");
}

static void
test_chains__a_failed_change_is_taken_back(void **state)
{
	struct world *w = *state;

	set(w, "a", "openai:x");
	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	assert_int_equal(set_on(w, "a", "ollama:y", 0), 0);
	assert_int_equal(set_on(w, "b", "@a", 0), 0);
	changes_rollback(w->changes);
	holds(w, "a=openai:x");
}

static void
test_chains__codes_by_name(void **state)
{
	struct buf text = BUF_INIT;
	uint64_t bit, all = 0;
	size_t n = 0;

	(void)state;
	for (; chain_code_at(n) != NULL; n++) {
		assert_true(chain_code_parse(chain_code_at(n), &bit));
		assert_int_equal(bit & all, 0);
		all |= bit;
	}
	assert_int_equal(n, 8);
	chain_codes_format(chain_fall_on_default(), &text);
	assert_string_equal(buf_str(&text), "rate_limited quota_exceeded provider_unavailable timeout");
	assert_int_equal(chain_codes_read(buf_str(&text)), chain_fall_on_default());
	assert_int_equal(chain_codes_read(" timeout  internal bogus "), chain_code_bit(MP_E_TIMEOUT));
	assert_int_equal(chain_codes_read(""), 0);
	assert_false(chain_code_parse("internal", &bit));
	assert_false(chain_code_parse("", &bit));
	buf_clear(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chains__defined_replaced_and_kept),
		TEST(test_chains__the_same_again_is_no_news),
		TEST(F86_test_chains__cycles_and_unknown_ones_are_refused),
		TEST(test_chains__bad_ones_are_refused),
		TEST(test_chains__one_within_another_stays),
		TEST(test_chains__a_rename_changes_nothing),
		TEST(test_chains__its_provider_goes_and_what_is_empty_then),
		TEST(test_chains__a_failed_change_is_taken_back),
		TEST(test_chains__codes_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
