/* test_document.c - the whole configuration out and in again, over a real store. */
#include "tests/unit/state/world.h"

#include <sys/stat.h>
#include <time.h>

#include "server/document/document.h"
#include "server/document/reader.h"

static unsigned seed;

static struct document_parts
parts_of(struct world *w)
{
	return (struct document_parts){ w->changes, w->settings, w->ps, w->cs, w->ms, w->chains, w->budgets,
		w->own_prices, w->os, w->ss, w->team };
}

static char *
export_text(struct world *w, bool comments)
{
	const struct document_parts parts = parts_of(w);
	struct buf out = BUF_INIT;

	assert_int_equal(document_export(&parts, NULL, comments, &out, &w->err), 0);
	return buf_steal(&out, NULL);
}

static int
apply(struct world *w, const char *text, bool consent, struct document_result *out)
{
	const struct document_parts parts = parts_of(w);
	const struct document_cause cause = { "config.apply", "test" };

	memset(out, 0, sizeof *out);
	return document_apply(&parts, text, strlen(text), consent, &cause, out, &w->err);
}

static void
applies(struct world *w, const char *text)
{
	struct document_result r;

	if (apply(w, text, false, &r) != 0)
		fail_msg("%s (%s)\n%s", w->err.message,
		    r.problems.count > 0 ? r.problems.list[0].message : "", text);
	document_result_clear(&r);
}

/* The first problem, "line:column: message"; the state is as it was. */
static void
refuses(struct world *w, const char *text, const char *wanted)
{
	char *before = export_text(w, true), *after, got[600];
	int64_t rev = changes_rev(w->changes);
	struct document_result r;

	assert_int_equal(apply(w, text, true, &r), MP_E_INVALID_PARAMS);
	assert_true(r.problems.count > 0);
	snprintf(got, sizeof got, "%d:%d: %s", r.problems.list[0].line, r.problems.list[0].column,
	    r.problems.list[0].message);
	if (strncmp(got, wanted, strlen(wanted)) != 0)
		fail_msg("%s\nwanted %s\ngot    %s", text, wanted, got);
	document_result_clear(&r);
	after = export_text(w, true);
	assert_string_equal(before, after);
	assert_int_equal(changes_rev(w->changes), rev);
	free(before);
	free(after);
}

/* ---- the sections ---- */

static void
test_document__fresh_state_is_empty_sections(void **state)
{
	struct world *w = *state;
	char *text = export_text(w, false);

	assert_string_equal(text, "version: 1\nsettings: {}\nproviders: {}\nmodels: []\nnicknames: {}\n"
				  "chains: {}\nbudgets: []\nprices: {}\n");
	free(text);
	text = export_text(w, true);
	assert_non_null(strstr(text, "  #session_duration: 30m\n"));
	applies(w, text);
	assert_int_equal(w->heard_count, 0);
	free(text);
	applies(w, "version: 1");
	applies(w, "{\"version\": 1}");
	assert_int_equal(w->heard_count, 0);
}

static const char full[] =
    "version: 1\n"
    "settings:\n"
    "  session_duration: 45m\n"
    "providers:\n"
    "  dash:\n"
    "    built_in: qwen\n"
    "  lab:\n"
    "    display_name: The Lab\n"
    "    type: local\n"
    "    dialect: openai-chat\n"
    "    base_url: http://127.0.0.1:8081/v1\n"
    "    auth_type: optional-key\n"
    "    key_env: LAB_KEY\n"
    "    enabled: false\n"
    "    models:\n"
    "      fast: vendor/fast\n"
    "      \"1\": x-y\n"
    "    features:\n"
    "      - tools\n"
    "    rate_limits:\n"
    "      weekly: 10\n"
    "      window_hours: 5\n"
    "    login_command: lab login\n"
    "    auto_detect: true\n"
    "    health_check: /models\n"
    "    ca_file: /etc/ca.pem\n"
    "    proxy: http://proxy.example:3128\n"
    "  openai:\n"
    "    key_env: null\n"
    "    features: []\n"
    "    rate_limits: {}\n"
    "  openrouter:\n"
    "    base_url: https://openrouter.example/v1\n"
    "    enabled: false\n"
    "    models: {}\n"
    "models:\n"
    "  - lab:m1\n"
    "  - openai:gpt-5\n"
    "nicknames:\n"
    "  five: openai:gpt-5\n"
    "  quick: lab:other\n"
    "chains:\n"
    "  coding:\n"
    "    - lab:fast\n"
    "    - \"@zz-local\"\n"
    "    - openai:gpt-5\n"
    "  zz-local:\n"
    "    targets:\n"
    "      - ollama:llama3\n"
    "    fall_on:\n"
    "      - timeout\n"
    "      - auth_rejected\n"
    "budgets:\n"
    "  - \"10.00 per day\"\n"
    "  - \"2.50 hard per week for @coding\"\n"
    "  - \"0.0005 per month for lab\"\n"
    "  - \"7.00 per day for scope:my work\"\n"
    "prices:\n"
    "  dash:q1: input 0.000001 output 2000.00\n"
    "  lab:vendor/fast:\n"
    "    - input 0.40 output 1.60 cache-read 0.04 cache-write 0.50\n"
    "    - input 0.80 output 2.40 above 128000\n"
    "    - input 0.00 output 0.00 from 2026-12-31\n"
    "    - input 1.00 output 0.00 cache-read 0.00 above 1 from 2026-12-31\n";

static void
test_document__every_member_goes_in_and_comes_out(void **state)
{
	struct world *w = *state;
	const struct provider *p;
	char *text;

	applies(w, full);
	text = export_text(w, false);
	assert_string_equal(text, full);
	free(text);
	p = world_provider(w, "lab");
	assert_string_equal(p->display_name, "The Lab");
	assert_int_equal(p->rate_limits.weekly, 10);
	assert_string_equal(provider_alias_model(p, "fast"), "vendor/fast");
	assert_int_equal(p->origin, ORIGIN_USER);
	assert_string_equal(world_provider(w, "dash")->id, "catalogue:qwen");
	assert_null(world_provider(w, "openai")->key_env);
	assert_int_equal(world_provider(w, "openrouter")->alias_count, 0);
	assert_string_equal(models_find_nick(w->ms, "quick")->model, "other");
	assert_false(models_find_nick(w->ms, "quick")->listed);
	assert_int_equal(settings_ms(w->settings, SETTING_session_duration), 45 * 60000);
	/* what only the store knows is the same */
	world_reopen(w);
	text = export_text(w, false);
	assert_string_equal(text, full);
	/* back to nothing */
	applies(w, "version: 1\n");
	assert_null(providers_find(w->ps, "lab"));
	assert_true(world_provider(w, "openrouter")->enabled);
	assert_string_equal(world_provider(w, "qwen")->id, "catalogue:qwen");
	assert_int_equal(models_count(w->ms), 0);
	assert_int_equal(chains_count(w->chains), 0);
	assert_int_equal(budgets_count(w->budgets), 0);
	assert_int_equal(own_prices_count(w->own_prices), 0);
	assert_int_equal(
	    world_count(w,
		"SELECT (SELECT count(*) FROM providers) + (SELECT count(*) FROM models) + "
		"(SELECT count(*) FROM settings)"),
	    0);
	free(text);
}

static void
test_document__the_same_again_writes_nothing(void **state)
{
	struct world *w = *state;
	struct document_result r;
	struct stat before, after;
	char *text, path[128];
	int64_t rev;

	applies(w, "version: 1\nproviders: {lab: {base_url: 'http://127.0.0.1:1/v1'}, openai: {enabled: true}}\n"
		   "models: [lab:a]\nnicknames: {x: lab:a}\n");
	snprintf(path, sizeof path, "%s/state.db-wal", w->dir);
	rev = changes_rev(w->changes);
	w->heard_count = 0;
	assert_int_equal(stat(path, &before), 0);
	/* other words for the same */
	assert_int_equal(apply(w,
			     "{\"version\":1,\"nicknames\":{\"x\":\"lab:a\"},\"models\":[\"lab:a\"]"
			     ",\"settings\":"
			     "{\"lock_idle\":\"240\"},\"providers\":{\"openai\":{\"enabled\":true},"
			     "\"lab\":{\"type\":"
			     "\"local\",\"base_url\":\"http://127.0.0.1:1/v1/\"}}}",
			     false, &r),
	    0);
	assert_int_equal(r.difference.count, 0);
	document_result_clear(&r);
	text = export_text(w, true);
	applies(w, text);
	free(text);
	assert_int_equal(changes_rev(w->changes), rev);
	assert_int_equal(w->heard_count, 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

static void
test_document__check_changes_nothing(void **state)
{
	struct world *w = *state;
	const struct document_parts parts = parts_of(w);
	struct document_result r = { .losses.count = 0 };
	const struct provider *before = world_provider(w, "gemini");
	struct buf line = BUF_INIT;
	char *text;

	assert_int_equal(document_check(&parts, full, sizeof full - 2, &r, &w->err), 0);
	assert_int_equal(r.problems.count, 0);
	document_result_clear(&r);
	text = strdup("version: 1\nproviders: {lab: {base_url: 'http://127.0.0.1:1'}}\nmodels: [lab:a]\n");
	assert_int_equal(document_check(&parts, text, strlen(text), &r, &w->err), 0);
	assert_int_equal(r.problems.count, 0);
	assert_int_equal(r.difference.count, 5);
	difference_line(&r.difference.items[4], &line);
	assert_string_equal(buf_str(&line), "+ models: lab:a");
	assert_false(changes_open(w->changes));
	assert_null(providers_find(w->ps, "lab"));
	assert_ptr_equal(world_provider(w, "gemini"), before); /* others borrow it */
	assert_int_equal(w->heard_count, 0);
	document_result_clear(&r);
	buf_clear(&line);
	free(text);
}

static void
test_document__problems_have_places_and_suggestions(void **state)
{
	struct world *w = *state;

	refuses(w, "settings: {}\n", "1:1: the version is missing");
	refuses(w, "version: 2\n", "1:10: version 2 is not known");
	refuses(w, "version: one\n", "1:10: version must be a whole number");
	refuses(w, "version: 1\nprovider: {}\n", "2:1: unknown key \"provider\"; did you mean providers?");
	refuses(w, "version: 1\nsettings: [a]\n", "2:11: settings must be a map");
	refuses(w, "version: 1\nsettings:\n  lock_idel: 4h\n",
	    "3:3: unknown key \"lock_idel\" in settings; did you "
	    "mean lock_idle?");
	refuses(w, "version: 1\nsettings:\n  lock_idle: 99d\n", "3:14: lock_idle cannot be \"99d\"");
	refuses(w, "version: 1\nsettings:\n  lock_idle: [4h]\n", "3:14: lock_idle must be text, not a list");
	refuses(w, "version: 1\nproviders:\n  lab: 5\n", "3:8: lab must be a map");
	refuses(w, "version: 1\nproviders:\n  lab: {base_ulr: x}\n",
	    "3:9: unknown key \"base_ulr\"; did you mean "
	    "base_url?");
	refuses(w, "version: 1\nproviders:\n  lab: {url: x}\n",
	    "3:9: unknown key \"url\"; did you mean base_url?");
	refuses(w, "version: 1\nproviders:\n  lab: {key: sk-1}\n", "3:9: keys are not in the document");
	refuses(w, "version: 1\nproviders:\n  lab: {base_url: 'http://example.com'}\n", "3:19: http://example.com must "
	    "use https");
	refuses(w, "version: 1\nproviders:\n  lab: {type: local}\n", "3:3: provider lab needs a base URL");
	refuses(w, "version: 1\nproviders:\n  Lab: {dialect: echo}\n", "3:3: \"Lab\" is not a valid name");
	refuses(w, "version: 1\nproviders:\n  lab: {dialect: opneai-chat}\n",
	    "3:18: dialect \"opneai-chat\" is none "
	    "of");
	refuses(w, "version: 1\nproviders:\n  openai: {enabled: yes}\n",
	    "3:21: enabled must be true or false");
	refuses(w, "version: 1\nproviders:\n  openai: {features: a}\n", "3:22: features must be a list");
	refuses(w, "version: 1\nproviders:\n  openai:\n    rate_limits: {weekly: -1}\n",
	    "4:27: weekly must be");
	refuses(w, "version: 1\nproviders:\n  x: {built_in: nope}\n", "3:17: no built-in provider is called");
	refuses(w, "version: 1\nproviders:\n  x: {built_in: openai}\n  openai: {}\n",
	    "4:3: \"openai\" is the same "
	    "provider as \"x\"");
	refuses(w, "version: 1\nproviders:\n  claude-code-max: {dialect: echo}\n",
	    "3:3: claude-code-max is another "
	    "name");
	refuses(w, "version: 1\nmodels: [gpt-5]\n", "2:10: \"gpt-5\" is no model");
	refuses(w, "version: 1\nmodels: ['openai:']\n", "2:10: \"openai:\" is no model");
	refuses(w, "version: 1\nmodels: [openia:gpt]\n",
	    "2:10: there is no provider \"openia\"; did you mean openai?");
	refuses(w, "version: 1\nmodels: [openai:a, openai:b, openai:a]\n",
	    "2:30: openai:a stands in lines 2 and 2");
	refuses(w, "version: 1\nmodels: ['openai:a b']\n", "2:10: a model id holds no blanks");
	refuses(w, "version: 1\nnicknames: {Five: openai:a}\n", "2:13: \"Five\" is not a valid nickname");
	refuses(w, "version: 1\nnicknames: {ollama: openai:a}\n", "2:13: ollama is the name of a provider");
	refuses(w, "version: 1\nnicknames: {a: openai:a, b: openai:a}\n",
	    "2:29: openai:a has a nickname already");
	/* the document itself is wrong after parts of it were tried */
	refuses(w, "version: 1\nsettings: {lock_idle: 1h}\nproviders: {lab: {base_url: 'http://127.0.0.1:1'}}\n"
		   "models: [lab:x, nope:y]\n", "4:17: there is no provider \"nope\"");
}

static void
test_document__all_problems_of_all_sections(void **state)
{
	struct world *w = *state;
	struct document_result r;

	assert_int_equal(
	    apply(w,
		"version: 1\nsettings: {a: 1, b: 2}\nproviders: {lab: {x: 1, type: y}}\n"
		"models: [a, b]\nnicknames: {c: d}\nrest: 1\n",
		false, &r),
	    MP_E_INVALID_PARAMS);
	assert_int_equal(r.problems.count, 8);
	assert_string_equal(w->err.message, "the document has 8 problems; nothing was changed");
	for (size_t i = 1; i < r.problems.count; i++)
		assert_true(r.problems.list[i - 1].line <= r.problems.list[i].line);
	document_result_clear(&r);
}

/* ---- what hangs on a provider ---- */

static void
test_document__overrides_and_keys_are_never_touched(void **state)
{
	struct world *w = *state;
	const char *keep = "version: 1\nproviders: {lab: {base_url: 'http://127.0.0.1:1/v1'}}\n";
	int64_t id;

	applies(w, keep);
	world_key(w, "lab", NULL, "a-key-of-some-length");
	CHANGE(w, overrides_set(w->os, "", world_provider(w, "lab"), "m", NULL, false, 0, &w->err));
	id = overrides_find(w->os, "", false)->id;
	/* its provider changes, is disabled, the rest comes and goes */
	applies(w, "version: 1\nproviders: {lab: {base_url: 'http://127.0.0.1:1/v1', enabled: false, display_name: L}, "
		   "x: {dialect: echo}}\nmodels: [x:y]\n");
	applies(w, keep);
	assert_int_equal(overrides_find(w->os, "", false)->id, id);
	assert_non_null(credentials_find(w->cs, "lab", NULL));
}

static void
test_document__a_used_provider_goes_only_with_consent(void **state)
{
	struct world *w = *state;
	struct document_result r;

	applies(w, "version: 1\nproviders: {lab: {base_url: 'http://127.0.0.1:1/v1'}, free: {dialect: echo}}\n");
	world_key(w, "lab", NULL, "a-key-of-some-length");
	CHANGE(w, overrides_set(w->os, "here", world_provider(w, "lab"), "m", NULL, true, 0, &w->err));
	assert_int_equal(apply(w, "version: 1\n", false, &r), MP_E_CONFLICT);
	assert_int_equal(r.losses.count, 1);
	assert_string_equal(r.losses.list[0], "provider lab goes, and with it a live choice, a stored key");
	assert_non_null(strstr(w->err.message, "nothing was changed"));
	document_result_clear(&r);
	assert_non_null(providers_find(w->ps, "lab"));
	assert_non_null(providers_find(w->ps, "free"));
	assert_non_null(overrides_find(w->os, "here", true));
	assert_non_null(credentials_find(w->cs, "lab", NULL));
	/* one that nobody uses needs none */
	applies(w, "version: 1\nproviders: {lab: {base_url: 'http://127.0.0.1:1/v1'}}\n");
	assert_null(providers_find(w->ps, "free"));
	assert_int_equal(apply(w, "version: 1\n", true, &r), 0);
	document_result_clear(&r);
	assert_null(providers_find(w->ps, "lab"));
	assert_null(overrides_find(w->os, "here", true));
	assert_int_equal(
	    world_count(
		w, "SELECT (SELECT count(*) FROM credentials) + (SELECT count(*) FROM overrides)"),
	    0);
}

static void
test_document__a_moved_provider_keeps_its_key_unsent(void **state)
{
	struct world *w = *state;
	const struct secret *key;
	struct document_result r;

	world_key(w, "openai", NULL, "a-key-of-some-length");
	assert_int_equal(apply(w, "version: 1\nproviders: {openai: {base_url: 'https://else.example/v1'}}\n", false, &r),
	    0);
	assert_int_equal(r.notes.count, 1);
	assert_non_null(strstr(r.notes.list[0], "openai has another address"));
	document_result_clear(&r);
	assert_int_equal(
	    credentials_open(w->cs, world_provider(w, "openai"), NULL, &key, &w->err), MP_E_ORIGIN);
	/* shipped again: the key stays marked, as after provider.remove */
	applies(w, "version: 1\n");
	assert_non_null(credentials_find(w->cs, "openai", NULL));
}

static void
test_document__models_for_a_time_are_not_in_it(void **state)
{
	struct world *w = *state;
	char *text;

	CHANGE(w, models_add(w->ms, world_provider(w, "openai"), "temp", "tee",
		      clock_wall_ms() + 600000, &w->err));
	text = export_text(w, false);
	assert_null(strstr(text, "temp"));
	applies(w, text);
	free(text);
	assert_non_null(models_find_nick(w->ms, "tee"));
	refuses(w, "version: 1\nnicknames: {tee: openai:x}\n",
	    "2:13: tee is already the nickname of openai:temp");
	refuses(w, "version: 1\nnicknames: {t: openai:temp}\n", "2:16: openai:temp is there for a time only");
	/* named in models, it stays for good */
	applies(w, "version: 1\nmodels: [openai:temp]\nnicknames: {tee: openai:temp}\n");
	assert_int_equal(models_find(w->ms, "openai", "temp")->expires_ms, 0);
}

/* ---- budgets ---- */

static void
test_document__budgets_that_cannot_be(void **state)
{
	struct world *w = *state;
	static const char *const odd[] = { "10", "-1 per day", "0 per day", "0.00 per day",
		"1.0000001 per day", "1. per day", ".5 per day", "1e3 per day", "2000000000 per day",
		"10 per year", "10 per day for", "10 per day for ", "10 perday", "10  per day",
		"10 soft per day", "10 per days", "$10 per day" };
	char text[200];

	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		snprintf(text, sizeof text, "version: 1\nbudgets: ['%s']\n", odd[i]);
		refuses(w, text, "2:11: ");
	}
	refuses(w, "version: 1\nbudgets: {a: 1}\n", "2:10: ");
	refuses(w, "version: 1\nbudgets: [1 per day for opnai]\n", "2:11: there is no provider \"opnai\"");
	refuses(w, "version: 1\nbudgets: ['1 per day for @none']\n", "2:11: there is no chain @none");
	refuses(w, "version: 1\nbudgets: [1 per day, 2 hard per day]\n",
	    "2:22: this budget stands here twice");
}

static void
test_document__budgets_change_one_by_one(void **state)
{
	struct world *w = *state;
	const struct budget *b;
	int64_t rev;

	applies(w, "version: 1\nbudgets: [10 per day, 3 per week for openai]\n");
	rev = budgets_find(w->budgets, BUDGET_ALL, "", "day")->rev;
	applies(w, "version: 1\nbudgets: [2.5 hard per week for openai, 10.00 per day]\n");
	b = budgets_find(w->budgets, BUDGET_PROVIDER, world_provider(w, "openai")->id, "week");
	assert_non_null(b);
	assert_int_equal(b->limit_microusd, 2500000);
	assert_true(b->hard);
	assert_int_equal(budgets_find(w->budgets, BUDGET_ALL, "", "day")->rev, rev);
	applies(w, "version: 1\nbudgets: [1 per month]\n");
	assert_int_equal(budgets_count(w->budgets), 1);
	assert_int_equal(budgets_find(w->budgets, BUDGET_ALL, "", "month")->limit_microusd, 1000000);
}

/* ---- prices ---- */

static void
test_document__prices_that_cannot_be(void **state)
{
	struct world *w = *state;
	static const char *const odd[] = { "", "1", "input 1", "output 1", "input 1 output",
		"input 1 output 1 ",
		"input 1  output 1", "input -1 output 1", "input 1 output 1e3", "input 1, output 1",
		"input 2000.000001 output 1", "input 0.0000001 output 1", "input 1 input 1 output 1",
		"input 1 output 1 above 0", "input 1 output 1 above 1000000001", "input 1 output 1 above 1k",
		"input 1 output 1 from 2026-02-30", "input 1 output 1 from tomorrow",
		"input 1 output 1 reasoning 1" };
	char text[3000];
	size_t n;

	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		snprintf(text, sizeof text, "version: 1\nprices:\n  openai:m: '%s'\n", odd[i]);
		refuses(w, text, "3:13: ");
		snprintf(text, sizeof text, "version: 1\nprices:\n  openai:m: ['%s']\n", odd[i]);
		refuses(w, text, "3:14: ");
	}
	refuses(w, "version: 1\nprices: [a]\n", "2:9: ");
	refuses(w, "version: 1\nprices: {'opnai:m': input 1 output 1}\n",
	    "2:10: there is no provider \"opnai\"");
	refuses(w, "version: 1\nprices: {openai: input 1 output 1}\n", "2:10: \"openai\" is no model");
	refuses(w, "version: 1\nprices: {'openai:a b': input 1 output 1}\n", "2:10: ");
	refuses(w, "version: 1\nprices: {'openai:m': {input: 1}}\n", "2:");
	refuses(w, "version: 1\nprices: {'openai:m': [input 1 output 1, input 2 output 2]}\n",
	    "2:10: two prices are for the same day");
	refuses(w, "version: 1\nprices: {'openai:m': input 1 output 1 above 5}\n",
	    "2:10: a price for prompts above 5 tokens needs");
	refuses(w, "version: 1\n"
	    "providers: {lab: {base_url: 'http://127.0.0.1:1/v1', type: local, models: {a: b}}}\n"
	    "prices: {'lab:a': input 1 output 1}\n", "3:10: lab:a is an alias: a price is for lab:b");
	n = (size_t)snprintf(text, sizeof text, "version: 1\nprices:\n  openai:m:\n");
	for (int i = 0; i <= OWN_PRICES_OF_MODEL_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "  - input 1 output 1%s%.0d\n",
		    i > 0 ? " above " : "", i);
	refuses(w, text, "3:3: a model has at most 32 prices");
}

static void
test_document__prices_change_one_by_one(void **state)
{
	struct world *w = *state;

	applies(w, "version: 1\nprices: {'openai:a': input 1 output 2, 'openai:b': [input 3 output 4]}\n");
	w->heard_count = 0;
	applies(w, "version: 1\n"
	    "prices: {'openai:b': output 4 input 3.00 cache-read 3, 'openai:a': input 1 output 2.5}\n");
	assert_int_equal(w->heard_count, 1);
	assert_string_equal(w->heard[0].key, "openai:a");
	assert_int_equal(own_prices_at(w->own_prices, 0)->tariff.output, 2500000);
	applies(w, "version: 1\nprices: {'openai:c': input 1 output 2, 'openai:a': input 1 output 2.5}\n");
	assert_int_equal(own_prices_count(w->own_prices), 2);
	assert_string_equal(own_prices_at(w->own_prices, 1)->model, "c");
}

/* ---- chains ---- */

static void
test_document__chains_that_cannot_be(void **state)
{
	struct world *w = *state;

	refuses(w, "version: 1\nchains: {a: []}\n", "2:10: a chain has 1 to 16 targets");
	refuses(w, "version: 1\nchains: {a: null}\n", "2:10: a chain has 1 to 16 targets");
	refuses(w, "version: 1\nchains: {A: [openai:x]}\n", "2:10: \"A\" is not a valid name of a chain");
	refuses(w, "version: 1\nchains: {a: [openai]}\n", "2:14: \"openai\" is no target");
	refuses(w, "version: 1\nchains: {a: [opnai:x]}\n", "2:14: there is no provider \"opnai\"");
	refuses(w, "version: 1\nchains: {a: ['@b']}\n", "2:10: there is no chain @b");
	refuses(w, "version: 1\nchains: {a: [openai:x, openai:x]}\n", "2:10: targets 1 and 2 are the same");
	refuses(w, "version: 1\nchains: {a: {targets: [openai:x], fall_on: [tired]}}\n",
	    "2:45: \"tired\" is no failure to fall back on");
	refuses(w, "version: 1\nchains: {a: {targets: [openai:x], in: 1}}\n", "2:35: ");
}

static void
F86_test_document__chains_that_go_round_are_refused(void **state)
{
	struct world *w = *state;

	refuses(w, "version: 1\nchains: {a: ['@a']}\n", "2:10: chain @a would lead back to itself");
	refuses(w, "version: 1\nchains: {a: ['@b'], b: ['@c', openai:x], c: ['@a']}\n",
	    "2:10: chain @a would lead back to itself");
	/* turned round in one step: no moment of it is a circle */
	applies(w, "version: 1\nchains: {a: ['@b'], b: [openai:x]}\n");
	applies(w, "version: 1\nchains: {a: [openai:x], b: ['@a']}\n");
	assert_string_equal(chains_find(w->chains, "b")->links[0].model, "a");
	applies(w, "version: 1\nchains: {a: ['@b'], b: [openai:x]}\n");
}

static void
test_document__a_chosen_chain_goes_only_with_consent(void **state)
{
	struct world *w = *state;
	struct document_result r;

	applies(w, "version: 1\nchains: {a: ['@b'], b: [openai:x]}\n");
	CHANGE(w, overrides_set_chain(w->os, "", "a", false, 0, &w->err));
	applies(w, "version: 1\nchains: {a: [openai:y, '@b'], b: [openai:x]}\n");
	assert_string_equal(overrides_find(w->os, "", false)->chain, "a");
	assert_int_equal(apply(w, "version: 1\n", false, &r), MP_E_CONFLICT);
	assert_string_equal(r.losses.list[0], "chain @a goes, and with it a live choice");
	document_result_clear(&r);
	assert_string_equal(overrides_find(w->os, "", false)->chain, "a");
	assert_int_equal(apply(w, "version: 1\n", true, &r), 0);
	document_result_clear(&r);
	assert_null(overrides_find(w->os, "", false));
	assert_int_equal(chains_count(w->chains), 0);
}

static void
test_document__nicknames_move_and_swap(void **state)
{
	struct world *w = *state;

	applies(w, "version: 1\nmodels: [openai:a]\nnicknames: {one: openai:a, two: openai:b}\n");
	applies(w, "version: 1\nmodels: [openai:a]\nnicknames: {one: openai:b, two: openai:a}\n");
	assert_string_equal(models_find_nick(w->ms, "one")->model, "b");
	assert_string_equal(models_find_nick(w->ms, "two")->model, "a");
	/* a name without its entry in the list, and the other way round */
	applies(w, "version: 1\nnicknames: {two: openai:a}\n");
	assert_false(models_find(w->ms, "openai", "a")->listed);
	assert_null(models_find(w->ms, "openai", "b"));
	applies(w, "version: 1\nmodels: [openai:a]\n");
	assert_true(models_find(w->ms, "openai", "a")->listed);
	assert_null(models_find(w->ms, "openai", "a")->nick);
}

static void
test_document__names_pass_from_one_to_the_other(void **state)
{
	struct world *w = *state;
	char *text;

	/* a built-in one gives up its name to one of the user's own */
	applies(w, "version: 1\nproviders:\n  remote: {built_in: ollama}\n  ollama: {built_in: "
		   "false, dialect: echo}\n");
	assert_string_equal(world_provider(w, "remote")->id, "catalogue:ollama");
	assert_string_equal(world_provider(w, "ollama")->dialect, "echo");
	text = export_text(w, false);
	assert_non_null(strstr(text, "  ollama:\n    built_in: false\n"));
	applies(w, text);
	free(text);
	applies(w, "version: 1\n");
	assert_string_equal(world_provider(w, "ollama")->id, "catalogue:ollama");
	assert_null(providers_find(w->ps, "remote"));
	/* in a row, in a ring, and back */
	applies(w, "version: 1\nproviders: {openai: {built_in: gemini}, gemini: {built_in: qwen}, "
		   "x: {built_in: openai}}\n");
	applies(w, "version: 1\nproviders: {openai: {built_in: gemini}, gemini: {built_in: qwen}, "
		   "qwen: {built_in: openai}}\n");
	assert_string_equal(world_provider(w, "openai")->id, "catalogue:gemini");
	assert_string_equal(world_provider(w, "qwen")->id, "catalogue:openai");
	applies(w, "version: 1\n");
	assert_string_equal(world_provider(w, "openai")->id, "catalogue:openai");
	assert_string_equal(world_provider(w, "qwen")->id, "catalogue:qwen");
}

/* ---- any state ---- */

static int
pick(int n)
{
	return (int)((unsigned)rand_r(&seed) % (unsigned)n);
}

/* One random change, as commands make them; refusals count as none. */
static void
mutate(struct world *w)
{
	static const char *const names[] = { "openai", "openrouter", "qwen", "a", "b", "c.d", "ollama" };
	static const char *const models[] = {
	    "m", "x/y:free", "\xc3\xa9t\xc3\xa9", "\xe2\x80\xa8", "1", "null"};
	static const char *const nicks[] = { "n", "true", "1", "null" };
	static const char *const spans[] = { "1m", "1h30m", "never", "4h", "12h", "30m" };
	const struct provider *p = providers_find(w->ps, names[pick(7)]);
	struct provider *fresh;
	int r = MP_E_NOT_FOUND;
	bool reverted;

	assert_int_equal(changes_begin(w->changes, &w->err), 0);
	fresh = p != NULL ? provider_copy(p) : provider_new();
	switch (p != NULL ? pick(8) : 0) {
	case 0:
		free(fresh->name);
		free(fresh->dialect);
		fresh->name = xstrdup(names[3 + pick(4)]);
		fresh->dialect = xstrdup("echo");
		fresh->auth = AUTH_NONE;
		r = p == NULL ? providers_add(w->ps, fresh, &w->err)
			      : providers_update(w->ps, p->name, fresh, "name", &w->err);
		break;
	case 1:
		fresh->enabled = pick(2);
		r = providers_update(w->ps, p->name, fresh, "enabled", &w->err);
		break;
	case 2:
		free(fresh->display_name);
		fresh->display_name = pick(2) ? xstrdup(models[pick(4)]) : NULL;
		r = providers_update(w->ps, p->name, fresh, "display_name", &w->err);
		break;
	case 3:
		provider_alias_add(fresh, models[pick(6)], models[pick(6)]);
		r = providers_update(w->ps, p->name, fresh, "models", &w->err);
		break;
	case 4:
		if (strncmp(p->id, "catalogue:", 10) != 0 && (r = models_remove_all(w->ms, p, &w->err)) != 0)
			break;
		r = providers_remove(w->ps, p->name, &reverted, &w->err);
		break;
	case 5:
		r = models_add(w->ms, p, models[pick(6)], pick(2) ? nicks[pick(4)] : NULL,
		    pick(4) == 0 ? clock_wall_ms() + 3600000 : 0, &w->err);
		break;
	case 6:
		r = models_nick(w->ms, p, models[pick(6)], pick(3) == 0 ? "" : nicks[pick(4)], &w->err);
		break;
	case 7:
		r = settings_set(w->settings, (enum setting)pick(SETTING_COUNT), spans[pick(6)], &w->err);
		break;
	}
	provider_free(fresh);
	if (r != 0)
		changes_rollback(w->changes);
	else
		assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, &w->err), 0);
	w->heard_count = 0;
}

static void
test_document__property_any_state_comes_back(void **state)
{
	struct world *w = *state;
	char *before, *after;
	int64_t rev;

	print_message("MPD_TEST_SEED=%u\n", seed);
	for (int round = 0; round < 60; round++) {
		for (int i = pick(12); i >= 0; i--)
			mutate(w);
		before = export_text(w, pick(2));
		/* an export says what is so */
		rev = changes_rev(w->changes);
		applies(w, before);
		for (size_t i = 0; i < w->heard_count; i++)
			print_message("told: %s %s\n", topic_name(w->heard[i].topic), w->heard[i].key);
		if (w->heard_count > 0)
			print_message("%s", before);
		assert_int_equal(changes_rev(w->changes), rev);
		/* and brings it back from anywhere */
		for (int i = pick(12); i >= 0; i--)
			mutate(w);
		for (size_t i = models_count(w->ms); i-- > 0;) {
			const struct model_entry *e = models_at(w->ms, i);

			/* what is there for a time may hold a nickname that the document wants */
			if (e->expires_ms != 0)
				CHANGE(w, models_remove(w->ms, world_provider(w, e->provider),
					      e->model, &w->err));
		}
		w->heard_count = 0;
		applies(w, before);
		w->heard_count = 0;
		after = export_text(w, strchr(before, '#') != NULL);
		assert_string_equal(after, before);
		free(after);
		world_reopen(w);
		after = export_text(w, strchr(before, '#') != NULL);
		assert_string_equal(after, before);
		free(after);
		free(before);
	}
}

static void
test_document__sections_can_be_asked_for(void **state)
{
	struct world *w = *state;
	const struct document_parts parts = parts_of(w);
	struct buf out = BUF_INIT;

	assert_int_equal(document_export(&parts, "nicknames settings", false, &out, &w->err), 0);
	assert_string_equal(buf_str(&out), "settings: {}\nnicknames: {}\n");
	assert_int_equal(document_export(&parts, "setings", false, &out, &w->err), MP_E_INVALID_PARAMS);
	assert_string_equal(w->err.field, "sections");
	assert_string_equal(w->err.candidates[0], "settings");
	buf_clear(&out);
}

int
main(void)
{
	const char *given = getenv("MPD_TEST_SEED");
	const struct CMUnitTest tests[] = {
		TEST(test_document__fresh_state_is_empty_sections),
		TEST(test_document__every_member_goes_in_and_comes_out),
		TEST(test_document__the_same_again_writes_nothing),
		TEST(test_document__check_changes_nothing),
		TEST(test_document__problems_have_places_and_suggestions),
		TEST(test_document__all_problems_of_all_sections),
		TEST(test_document__overrides_and_keys_are_never_touched),
		TEST(test_document__a_used_provider_goes_only_with_consent),
		TEST(test_document__a_moved_provider_keeps_its_key_unsent),
		TEST(test_document__models_for_a_time_are_not_in_it),
		TEST(test_document__budgets_that_cannot_be),
		TEST(test_document__budgets_change_one_by_one),
		TEST(test_document__prices_that_cannot_be),
		TEST(test_document__prices_change_one_by_one),
		TEST(test_document__chains_that_cannot_be),
		TEST(F86_test_document__chains_that_go_round_are_refused),
		TEST(test_document__a_chosen_chain_goes_only_with_consent),
		TEST(test_document__nicknames_move_and_swap),
		TEST(test_document__names_pass_from_one_to_the_other),
		TEST(test_document__property_any_state_comes_back),
		TEST(test_document__sections_can_be_asked_for),
	};

	seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
