/* What people read: spans, counts, errors, scopes, tables, keys on the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/app.h"
#include "client/entry.h"
#include "client/fail.h"
#include "client/input.h"
#include "client/out.h"
#include "client/scope.h"
#include "client/spawn.h"
#include "protocol/base/json.h"
#include "protocol/message.h"

static void
test_out__ago(void **state)
{
	struct app a = {0};
	int64_t now = 1000000000000;

	(void)state;
	assert_string_equal(out_ago(&a, 0, now), "-");
	assert_string_equal(out_ago(&a, now - 3000, now), "now");
	assert_string_equal(out_ago(&a, now + 5000, now), "now");
	assert_string_equal(out_ago(&a, now - 59000, now), "59s ago");
	assert_string_equal(out_ago(&a, now - 28 * 60000, now), "28m ago");
	assert_string_equal(out_ago(&a, now - 3 * 86400000LL, now), "3d ago");
	app_clear(&a);
}

static void
test_out__numbers(void **state)
{
	struct app a = {0};

	(void)state;
	assert_string_equal(out_count(&a, 412), "412");
	assert_string_equal(out_count(&a, 88000), "88 k");
	assert_string_equal(out_count(&a, 1200000), "1.2 M");
	assert_string_equal(out_count(&a, -1), "-");
	assert_string_equal(out_latency(&a, 412), "412ms");
	assert_string_equal(out_latency(&a, -1), "-");
	assert_string_equal(out_money(&a, 3100), "$0.0031");
	assert_string_equal(out_money(&a, 3410000), "$3.41");
	app_clear(&a);
}

static void
test_out__left(void **state)
{
	struct app a = {0};

	(void)state;
	assert_string_equal(out_left(&a, 27 * 60000, 0), "27 min left");
	assert_string_equal(out_left(&a, 26 * 60000 + 500, 0), "27 min left");
	assert_string_equal(out_left(&a, 2 * 3600000 - 1, 0), "2 h left");
	assert_string_equal(out_left(&a, 42000, 0), "42 s left");
	app_clear(&a);
}

static void
test_table__widest_text_column_gives_way(void **state)
{
	static const struct column columns[] = {
	    {"A", COLUMN_FIXED}, {"B", COLUMN_TEXT}, {"C", COLUMN_TEXT}};
	size_t widths[] = {10, 40, 30};

	(void)state;
	table_shrink(columns, widths, 3, 60);
	assert_int_equal(widths[0], 10);
	assert_int_equal(widths[0] + widths[1] + widths[2] + 4, 60);
	assert_true(
	    widths[1] == widths[2] || widths[1] + 1 == widths[2] || widths[1] == widths[2] + 1);
	/* nothing left to take: it stays too wide, but ends */
	table_shrink(columns, widths, 3, 5);
	assert_int_equal(widths[1], 8);
}

static void
test_fail__three_parts(void **state)
{
	struct error err = ERROR_INIT;
	struct buf b = BUF_INIT;

	(void)state;
	error_set(&err, MP_E_NOT_FOUND, "unknown model \"%s\"", "so\033net");
	error_hint(&err, "mpc list");
	error_candidate(&err, "sonnet");
	error_candidate(&err, "opus");
	fail_text(&b, &err, "nobody added it");
	assert_string_equal(buf_str(&b),
	    "mpc: unknown model \"so\\x1bnet\"\n  why: nobody added it\n  fix: mpc list\n"
	    "  did you mean: sonnet, opus?\n");
	buf_clear(&b);
}

static void
test_fail__why_comes_from_the_facts(void **state)
{
	struct error err = ERROR_INIT;
	struct buf b = BUF_INIT;

	(void)state;
	error_set(&err, MP_E_RATE_LIMITED, "too many requests");
	snprintf(err.provider, sizeof(err.provider), "gemini");
	err.http_status = 429;
	err.retry_after_ms = 45000;
	fail_text(&b, &err, "");
	assert_string_equal(buf_str(&b),
	    "mpc: too many requests\n  why: gemini answered HTTP 429; it says to wait 45 s\n");
	buf_clear(&b);
}

static void
test_fail__json_is_json(void **state)
{
	struct error err = ERROR_INIT;
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT;

	(void)state;
	error_set(&err, MP_E_NOT_FOUND, "unknown \"x\"");
	error_hint(&err, "look");
	fail_json(&b, &err, "because", "not_found");
	assert_int_equal(json_read(&j, b.data, b.len, JSON_STRICT), 0);
	assert_true(json_equals(&j, json_path(&j, 0, "error", "code"), "not_found"));
	assert_true(json_equals(&j, json_path(&j, 0, "error", "message"), "unknown \"x\""));
	assert_true(json_equals(&j, json_path(&j, 0, "error", "hint"), "look"));
	assert_true(json_equals(&j, json_path(&j, 0, "error", "data", "why"), "because"));
	json_clear(&j);
	buf_clear(&b);
}

static void
test_app__foreign_text_is_harmless(void **state)
{
	struct app a = {0};

	(void)state;
	assert_string_equal(app_escaped(&a, SLICE("ok \033]52;c;x\007 \xe2\x80\xae")),
	    "ok \\x1b]52;c;x\\x07 \\u{202e}");
	assert_string_equal(app_escaped(&a, (struct slice){NULL, 0}), "");
	app_clear(&a);
}

static void
test_scope__project_is_found_upwards(void **state)
{
	char root[] = "/tmp/scope-XXXXXX", path[128];
	char *found;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/.git", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/a", root);
	assert_int_equal(mkdir(path, 0700), 0);
	found = scope_project(path);
	snprintf(path, sizeof(path), "project:%s", root);
	assert_string_equal(found, path);
	free(found);
	snprintf(path, sizeof(path), "%s/a", root);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/.git", root);
	rmdir(path);
	rmdir(root);
}

static void
test_scope__long_path_is_shortened_but_distinct(void **state)
{
	char root[] = "/tmp/scope-XXXXXX", a[1024], b[1024];
	char part[101], *one, *two;

	(void)state;
	assert_non_null(mkdtemp(root));
	memset(part, 'x', 100);
	part[100] = '\0';
	snprintf(a, sizeof(a), "mkdir -p %s/1/%s/%s/%s/.git %s/2/%s/%s/%s/.git", root, part, part,
	    part, root, part, part, part);
	assert_int_equal(system(a), 0);
	snprintf(a, sizeof(a), "%s/1/%s/%s/%s", root, part, part, part);
	snprintf(b, sizeof(b), "%s/2/%s/%s/%s", root, part, part, part);
	one = scope_project(a);
	two = scope_project(b);
	assert_true(strlen(one) <= SCOPE_MAX_BYTES && strlen(two) <= SCOPE_MAX_BYTES);
	assert_string_not_equal(one, two);
	free(one);
	free(two);
	snprintf(a, sizeof(a), "rm -r %s", root);
	assert_int_equal(system(a), 0);
}

static void
test_scope__environment_names_one(void **state)
{
	(void)state;
	setenv("MODELPD_SCOPE", "mine", 1);
	assert_string_equal(scope_environment(), "mine");
	setenv("MODELPD_SCOPE", "", 1);
	assert_null(scope_environment());
	unsetenv("MODELPD_SCOPE");
	assert_null(scope_environment());
}

static void
test_scope__names_that_are_none(void **state)
{
	struct error err = ERROR_INIT;
	char text[SCOPE_MAX_BYTES + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[SCOPE_MAX_BYTES + 1] = '\0';
	assert_int_not_equal(scope_check(text, "a scope", &err), 0);
	assert_string_equal(err.message, "a scope has 1 to 256 bytes, not 257");
	text[SCOPE_MAX_BYTES] = '\0';
	assert_int_equal(scope_check(text, "a scope", &err), 0);
	assert_int_equal(scope_check("it's \"odd\" \xc3\xbc", "a scope", &err), 0);
	assert_int_not_equal(scope_check("", "a scope", &err), 0);
	assert_int_not_equal(scope_check("a\nb", "a scope", &err), 0);
	assert_int_not_equal(scope_check("a\x7f", "a scope", &err), 0);
	assert_int_not_equal(scope_check("\xff", "a scope", &err), 0);
}

static void
test_scope__a_terminal_is_gone_with_its_leader(void **state)
{
	char text[64];
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	snprintf(text, sizeof(text), "tty:pts/3@%d", (int)pid);
	assert_true(scope_terminal_gone(slice_of(text)));
	snprintf(text, sizeof(text), "tty:pts/3@%d", (int)getpid());
	assert_false(scope_terminal_gone(slice_of(text)));
	assert_true(scope_is_terminal(slice_of(text)));
	/* names that only look like one */
	assert_false(scope_terminal_gone(slice_of("tty:")));
	assert_false(scope_terminal_gone(slice_of("tty:pts/3@")));
	assert_false(scope_terminal_gone(slice_of("tty:x@99999999x")));
	assert_false(scope_terminal_gone(slice_of("project:/a@99999999")));
	assert_false(scope_terminal_gone(slice_of("")));
}

static void
test_spawn__environment_is_an_allow_list(void **state)
{
	static const char *const from[] = {"HOME=/h", "OPENAI_API_KEY=sk-1", "LD_PRELOAD=x",
	    "LC_ALL=C", "XDG_RUNTIME_DIR=/r", "MODELPD_LOG=debug", "MPD_HOST=h", "PATH=/evil",
	    "HOMEX=1", "https_proxy=p", NULL};
	char **to = spawn_environment((char *const *)(uintptr_t)from);
	static const char *const want[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/h",
	    "LC_ALL=C", "XDG_RUNTIME_DIR=/r", "MODELPD_LOG=debug"};
	size_t n = 0;

	(void)state;
	for (; to[n] != NULL; n++) {
		assert_true(n < sizeof(want) / sizeof(want[0]));
		assert_string_equal(to[n], want[n]);
		free(to[n]);
	}
	assert_int_equal(n, sizeof(want) / sizeof(want[0]));
	free(to);
}

static void
test_entry__what_looks_like_a_key(void **state)
{
	(void)state;
	assert_true(entry_looks_like_key("sk-abc"));
	assert_true(entry_looks_like_key("AIzaSyA"));
	assert_true(entry_looks_like_key("0123456789abcdef0123456789abcdef"));
	assert_false(entry_looks_like_key("openrouter"));
	assert_false(entry_looks_like_key("my-work-label"));
}

static void
test_F115_entry__bytes_of_a_key(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool good;
	} keys[] = {{"sk-abc", 6, true}, {"a b", 3, false}, {"a\rb", 3, false}, {"a\nb", 3, false},
	    {"a\0b", 3, false}, {"\xc3\xa4", 2, false}, {"", 0, false}, {"~!", 2, true}};
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct entry e = {.bytes = (char *)(uintptr_t)keys[i].bytes, .len = keys[i].n};

		assert_int_equal(entry_check(&e, &err) == 0, keys[i].good);
	}
}

static void
test_entry__one_newline_is_dropped(void **state)
{
	struct error err = ERROR_INIT;
	struct entry e = {0};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "sk-1\n\n", 6), 6);
	close(fds[1]);
	assert_int_equal(entry_init(&e, &err), 0);
	assert_int_equal(entry_read_fd(&e, fds[0], &err), 0);
	assert_int_equal(e.len, 5);
	assert_int_not_equal(entry_check(&e, &err), 0);
	assert_null(strstr(err.message, "sk-1"));
	entry_clear(&e);
	close(fds[0]);
}

/* What an option's text becomes on the wire. */
static void
check_option(const char *text, enum value_type type)
{
	struct buf wire = BUF_INIT;
	struct message_reader *r = message_reader_new(1 << 16);
	struct error err = ERROR_INIT;
	struct message m;
	struct pack p;
	size_t room;
	bool known;

	pack_init(&p, &wire);
	pack_array_begin(&p);
	pack_int(&p, 2);
	pack_str(&p, "x");
	pack_array_begin(&p);
	input_option_value(&p, text);
	pack_array_end(&p);
	pack_array_end(&p);
	memcpy(message_reader_room(r, wire.len, &room), wire.data, wire.len);
	message_reader_fed(r, wire.len);
	assert_int_equal(message_reader_next(r, &m, &known, &err), 1);
	assert_int_equal(value_type(value_at(m.params, 0)), type);
	message_release(r, false);
	message_reader_free(r);
	buf_clear(&wire);
}

static void
test_input__options_are_typed(void **state)
{
	(void)state;
	check_option("500", VALUE_INT);
	check_option("0.2", VALUE_FLOAT);
	check_option("true", VALUE_BOOL);
	check_option("high", VALUE_STR);
	check_option("\"5\"", VALUE_STR);
	check_option("[\"a\",\"b\"]", VALUE_ARRAY);
	check_option("{\"a\":1}", VALUE_MAP);
	check_option("{a:1}", VALUE_STR);
	check_option("", VALUE_STR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_out__ago),
	    cmocka_unit_test(test_out__numbers),
	    cmocka_unit_test(test_out__left),
	    cmocka_unit_test(test_table__widest_text_column_gives_way),
	    cmocka_unit_test(test_fail__three_parts),
	    cmocka_unit_test(test_fail__why_comes_from_the_facts),
	    cmocka_unit_test(test_fail__json_is_json),
	    cmocka_unit_test(test_app__foreign_text_is_harmless),
	    cmocka_unit_test(test_scope__project_is_found_upwards),
	    cmocka_unit_test(test_scope__long_path_is_shortened_but_distinct),
	    cmocka_unit_test(test_scope__environment_names_one),
	    cmocka_unit_test(test_scope__names_that_are_none),
	    cmocka_unit_test(test_scope__a_terminal_is_gone_with_its_leader),
	    cmocka_unit_test(test_spawn__environment_is_an_allow_list),
	    cmocka_unit_test(test_entry__what_looks_like_a_key),
	    cmocka_unit_test(test_F115_entry__bytes_of_a_key),
	    cmocka_unit_test(test_entry__one_newline_is_dropped),
	    cmocka_unit_test(test_input__options_are_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
