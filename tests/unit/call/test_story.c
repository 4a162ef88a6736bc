/* test_story.c - what people are told: every recorded refusal of a key names what the provider said, which
 * key it was, and what to do. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "protocol/base/str.h"
#include "server/call/story.h"
#include "server/dialect/dialect.h"

#define FOLDER MPD_SOURCE_DIR "/tests/transcripts"
#define NOW_MS 1795330000000

static const struct house {
	const char *folder, *name, *dialect, *base_url;
	enum provider_type type;
	enum auth_type auth;
	unsigned samples; /* that are about the key, its rights or its credit */
} houses[] = {
	{ "openai-chat", "openai", "openai-chat", "https://api.openai.com/v1", PROVIDER_DIRECT_API,
	    AUTH_API_KEY, 2 },
	{ "anthropic", "anthropic", "anthropic-messages", "https://api.anthropic.com", PROVIDER_DIRECT_API,
	    AUTH_API_KEY, 2 },
	{ "gemini", "gemini", "gemini", "https://generativelanguage.googleapis.com", PROVIDER_DIRECT_API,
	    AUTH_API_KEY, 3 },
	{ "openrouter", "openrouter", "openai-chat", "https://openrouter.ai/api/v1",
	    PROVIDER_UNIVERSAL_GATEWAY, AUTH_API_KEY, 2 },
	{ "qwen", "qwen", "openai-chat", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
	    PROVIDER_DIRECT_API, AUTH_API_KEY, 3 },
	{ "lmstudio", "lmstudio", "openai-chat", "http://127.0.0.1:1234/v1", PROVIDER_LOCAL,
	    AUTH_OPTIONAL_KEY, 1 },
	{ "ollama", "ollama", "ollama", "http://127.0.0.1:11434", PROVIDER_LOCAL, AUTH_NONE, 1 },
};

static const struct credential key = {
	.provider = "x", .label = "work", .fingerprint = "0a1b2c3d", .last4 = "f3a9",
	.created_ms = 1767484800000 /* 2026-01-04 */, .last_ok_ms = 1770768000000 /* 2026-02-11 */,
	.last_code = "",
};

static struct provider *
provider_of(const struct house *h)
{
	struct provider *p = provider_new();

	p->name = xstrdup(h->name);
	p->dialect = xstrdup(h->dialect);
	p->base_url = xstrdup(h->base_url);
	p->type = h->type;
	p->auth = h->auth;
	return p;
}

static void
must_say(const char *file, const char *text, const char *words)
{
	if (words == NULL || strstr(text, words) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", file, text, words != NULL ? words : "?");
}

/* The beginning of the provider's own words, wherever its language has them; a key in them is blanked. */
static const char *
words_of(const json_t *body, char out[24])
{
	const json_t *error = json_object_get(body, "error");
	const json_t *words = json_is_string(error) ? error
	    : json_object_get(json_is_object(error) ? error : body, "message");

	assert_true(json_is_string(words));
	snprintf(out, 24, "%.20s", json_string_value(words));
	return out;
}

static const char *
request_of(const json_t *body)
{
	return json_string_value(json_object_get(body, "request_id"));
}

static void
check_hint(const char *file, const struct house *h, const struct failure *f, const struct error *err)
{
	char fix[64];

	snprintf(fix, sizeof fix, "mpc key set %s --label work (", h->name);
	assert_string_not_equal(err->hint, "");
	if (h->auth == AUTH_NONE) {
		must_say(file, err->hint, "sign in on the server");
		return;
	}
	must_say(file, err->hint, "key \"work\" ending in f3a9, stored 2026-01-04");
	if (f->class == FAILURE_AUTH) {
		assert_ptr_equal(strstr(err->hint, fix), err->hint);
		must_say(file, err->hint, "last worked 2026-02-11)");
	} else if (f->class == FAILURE_PERMISSION) {
		must_say(file, err->hint, "allow it at the provider");
		must_say(file, err->hint, "mpc list ");
	} else {
		must_say(file, err->hint, f->wait_ms > 0 ? "try again in " : "add credit at the provider");
		must_say(file, err->hint, "mpc providers");
	}
	if (strcmp(h->name, "qwen") == 0 && f->class == FAILURE_AUTH)
		must_say(file, err->hint, "bound to a region: is this key for that host? https://dashscope-intl");
}

/* 1 when the sample is about a key. */
static unsigned
tell_sample(const struct house *h, const struct provider *p, const char *file)
{
	struct wire_head head = { 0, NULL, 0 };
	struct failure f = FAILURE_INIT;
	struct error err = ERROR_INIT;
	struct story s = { .provider = p, .credential = &key, .key_sent = h->auth != AUTH_NONE };
	char path[512], status[64], words[24], *text;
	json_error_t problem;
	json_t *sample, *body;
	struct target t;

	snprintf(path, sizeof path, "%s/%s/%s", FOLDER, h->folder, file);
	sample = json_load_file(path, 0, &problem);
	assert_non_null(sample);
	body = json_object_get(sample, "body");
	head.status = (int)json_integer_value(json_object_get(sample, "status"));
	text = body != NULL ? json_dumps(body, JSON_COMPACT) : xstrdup("");
	dialect_find(h->dialect)->refuse(p, &head, slice_of(text), NOW_MS, &f);
	free(text);
	if ((f.class != FAILURE_AUTH && f.class != FAILURE_PERMISSION &&
	        !(f.class == FAILURE_QUOTA && head.status == 403))) {
		/* every 401 and 403 is one, but for what a filter of content did not like */
		if (head.status == 401 || (head.status == 403 && f.class != FAILURE_CONTENT_POLICY))
			fail_msg("%s: class %s", path, failure_class_name(f.class));
		json_decref(sample);
		return 0;
	}
	target_init(&t);
	target_set(&t, h->name, "m1", NULL, "work");
	s.target = &t;
	failure_redact(&f);
	assert_int_equal(story_tell(&s, &f, &err), failure_error_code(f.class));
	must_say(file, err.message, h->name);
	must_say(file, err.message, words_of(body, words));
	snprintf(status, sizeof status, "(HTTP %d%s%s)", head.status,
	    request_of(body) != NULL ? ", request " : "", request_of(body) != NULL ? request_of(body) : "");
	must_say(file, err.message, status);
	check_hint(file, h, &f, &err);
	target_clear(&t);
	json_decref(sample);
	return 1;
}

static void
test_story__every_recorded_refusal_of_a_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof houses / sizeof houses[0]; i++) {
		struct provider *p = provider_of(&houses[i]);
		char path[512];
		struct dirent *entry;
		unsigned n = 0;
		DIR *dir;

		snprintf(path, sizeof path, "%s/%s", FOLDER, houses[i].folder);
		dir = opendir(path);
		assert_non_null(dir);
		while ((entry = readdir(dir)) != NULL)
			if (strncmp(entry->d_name, "error-4", 7) == 0)
				n += tell_sample(&houses[i], p, entry->d_name);
		closedir(dir);
		if (n != houses[i].samples)
			fail_msg("%s: %u samples", houses[i].folder, n);
		provider_free(p);
	}
}

static void
tell(const struct story *s, enum failure_class class, int status, struct error *err)
{
	struct failure f = FAILURE_INIT;

	f.class = class;
	f.http_status = status;
	story_tell(s, &f, err);
}

static void
test_story__keys_of_other_kinds(void **state)
{
	const struct house local = { "", "lab", "openai-chat", "http://127.0.0.1:1/v1", PROVIDER_LOCAL,
		AUTH_OPTIONAL_KEY, 0 };
	struct credential fresh = key;
	struct provider *p = provider_of(&local);
	struct target t;
	struct story s = { .provider = p, .target = &t };
	struct error err = ERROR_INIT;

	(void)state;
	target_init(&t);
	target_set(&t, "lab", "m1", NULL, NULL);
	/* none is stored */
	tell(&s, FAILURE_AUTH, 401, &err);
	assert_string_equal(err.message, "cannot use lab:m1: the provider asks for a key (HTTP 401)");
	assert_string_equal(err.hint, "mpc key set lab");
	/* too short for its end to be shown; never worked */
	fresh.label = "default";
	fresh.last4 = "";
	fresh.last_ok_ms = 0;
	s.credential = &fresh;
	s.key_sent = true;
	tell(&s, FAILURE_AUTH, 401, &err);
	assert_string_equal(err.hint,
	    "mpc key set lab (key \"default\", stored 2026-01-04, never worked yet)");
	/* the program holds the login: there is no key of ours */
	p->auth = AUTH_OAUTH_PERSONAL;
	p->login_command = xstrdup("claude auth login");
	s.credential = NULL;
	s.key_sent = false;
	tell(&s, FAILURE_AUTH, 0, &err);
	assert_string_equal(err.hint, "log in with: claude auth login");
	target_clear(&t);
	provider_free(p);
}

/* However long everything is, it fits, and is cut where one can see it. */
static void
test_story__everything_at_its_longest(void **state)
{
	const struct house far = { "", "qwen", "openai-chat",
		"https://dashscope-intl.aliyuncs.com/compatible-mode/v1/and/a/path/that/is/longer/than/any/real/one",
		PROVIDER_DIRECT_API, AUTH_API_KEY, 0 };
	struct provider *p = provider_of(&far);
	struct failure f = FAILURE_INIT;
	struct error err = ERROR_INIT;
	struct target t;
	struct story s = { .provider = p, .target = &t, .credential = &key, .key_sent = true };
	char model[200];

	(void)state;
	memset(model, 'm', sizeof model - 1);
	model[sizeof model - 1] = '\0';
	target_init(&t);
	target_set(&t, "qwen", model, NULL, "work");
	f.class = FAILURE_AUTH;
	f.http_status = 401;
	memset(f.message, 'w', sizeof f.message - 1);
	memset(f.request_id, 'r', sizeof f.request_id - 1);
	story_tell(&s, &f, &err);
	assert_true(strlen(err.message) < sizeof err.message && strlen(err.hint) < sizeof err.hint);
	assert_ptr_equal(strstr(err.message, "cannot use qwen:mmm"), err.message);
	assert_ptr_equal(strstr(err.hint, "mpc key set qwen --label work (key \"work\" ending in f3a9"),
	    err.hint);
	target_clear(&t);
	provider_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_story__every_recorded_refusal_of_a_key),
		cmocka_unit_test(test_story__keys_of_other_kinds),
		cmocka_unit_test(test_story__everything_at_its_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
