/* The command line, and the table it is read by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/args.h"
#include "client/commands.h"
#include "protocol/base/buf.h"

/* Splits at blanks: "mpc add a b" */
static int
parse(const char *line, struct args *out, struct error *err)
{
	static char text[256];
	char *argv[32];
	int argc = 0;

	memset(err, 0, sizeof(*err));
	snprintf(text, sizeof(text), "%s", line);
	for (char *s = strtok(text, " "); s != NULL; s = strtok(NULL, " "))
		argv[argc++] = s;
	return args_parse(argc, argv, out, err);
}

static void
test_args__flags_may_follow_words(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc add openrouter --nick g gpt-4 --switch --json", &a, &err), 0);
	assert_string_equal(a.command->name, "add");
	assert_int_equal(a.word_count, 2);
	assert_string_equal(args_word(&a, 1), "gpt-4");
	assert_string_equal(args_value(&a, "nick"), "g");
	assert_true(args_has(&a, "switch"));
	assert_true(args_has(&a, "json"));
	assert_null(args_word(&a, 2));
	args_clear(&a);
}

static void
test_args__globals_may_precede_the_command(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc --socket list -q which sonnet", &a, &err), 0);
	assert_string_equal(a.command->name, "which");
	assert_string_equal(args_value(&a, "socket"), "list");
	assert_true(args_has(&a, "quiet"));
	args_clear(&a);
}

static void
test_args__model_before_a_command_means_nothing(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc model switch x", &a, &err), 0);
	assert_string_equal(a.command->name, "switch");
	assert_string_equal(args_word(&a, 0), "x");
	args_clear(&a);
	assert_int_equal(parse("mpc model", &a, &err), 0);
	assert_string_equal(a.command->name, "list");
	args_clear(&a);
	assert_int_equal(parse("mpc which model", &a, &err), 0);
	assert_string_equal(args_word(&a, 0), "model");
	args_clear(&a);
}

static void
test_args__double_dash_ends_options(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc p -- --raw -x", &a, &err), 0);
	assert_false(args_has(&a, "raw"));
	assert_int_equal(a.word_count, 2);
	assert_string_equal(args_word(&a, 1), "-x");
	args_clear(&a);
}

static void
test_args__a_lone_dash_is_a_word(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc switch -", &a, &err), 0);
	assert_string_equal(args_word(&a, 0), "-");
	args_clear(&a);
}

static void
test_args__short_options_join(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc p -qvmsonnet -f a -fb -o k=v", &a, &err), 0);
	size_t at = 0;

	assert_true(args_has(&a, "quiet") && args_has(&a, "verbose"));
	assert_string_equal(args_value(&a, "model"), "sonnet");
	assert_string_equal(args_each(&a, "file", &at), "a");
	assert_string_equal(args_each(&a, "file", &at), "b");
	assert_null(args_each(&a, "file", &at));
	assert_string_equal(args_value(&a, "option"), "k=v");
	args_clear(&a);
}

static void
test_args__value_forms(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc switch x --for=2h", &a, &err), 0);
	assert_string_equal(args_value(&a, "for"), "2h");
	args_clear(&a);
	assert_int_equal(parse("mpc switch x --for", &a, &err), MP_E_INVALID_PARAMS);
	args_clear(&a);
	assert_int_equal(parse("mpc switch x --temp=1", &a, &err), MP_E_INVALID_PARAMS);
	args_clear(&a);
	assert_int_equal(parse("mpc switch x --for 1h --for 2h", &a, &err), MP_E_INVALID_PARAMS);
	args_clear(&a);
}

static void
test_args__unknown_option_suggests_and_hides_its_value(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc key set p --stdni=sk-secret", &a, &err), MP_E_INVALID_PARAMS);
	assert_string_equal(err.candidates[0], "--stdin");
	assert_null(strstr(err.message, "secret"));
	args_clear(&a);
	assert_int_equal(parse("mpc add a b --temp", &a, &err), MP_E_INVALID_PARAMS);
	args_clear(&a);
}

static void
test_args__unknown_command_suggests(void **state)
{
	struct args a;
	struct error err;

	(void)state;
	assert_int_equal(parse("mpc swich x", &a, &err), MP_E_UNKNOWN_METHOD);
	assert_string_equal(err.candidates[0], "switch");
	args_clear(&a);
	assert_int_equal(parse("mpc stat", &a, &err), MP_E_UNKNOWN_METHOD);
	args_clear(&a);
}

static void
test_commands__no_prefixes(void **state)
{
	(void)state;
	assert_null(command_find("stat"));
	assert_null(command_find("provid"));
	assert_non_null(command_find("p"));
	assert_ptr_equal(command_find("p"), command_find("prompt"));
}

static void
test_commands__music_verbs_are_never_ours(void **state)
{
	static const char *const verbs[] = {"play", "pause", "toggle", "next", "prev", "volume",
	    "seek", "current", "queued", "playlist", "ls", "load", "shuffle", "random", "repeat",
	    "single", "idle", "update"};

	(void)state;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		assert_true(command_is_music(verbs[i]));
		assert_null(command_find(verbs[i]));
	}
	assert_false(command_is_music("add"));
	assert_false(command_is_music("switch"));
	assert_false(command_is_music("status"));
}

static void
test_commands__later_ones_are_unknown(void **state)
{
	static const char *const later[] = {"chat", "env", "exec", "gateway", "template",
	    "bridge", "completion"};

	(void)state;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		assert_null(command_find(later[i]));
		assert_false(command_is_music(later[i]));
	}
}

static void
test_commands__every_row_is_well_formed(void **state)
{
	struct option_row row;

	(void)state;
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *c = command_at(i);
		const char *at = c->options;

		assert_true(strlen(c->purpose) > 0 && strlen(c->purpose) < 72 &&
			    (c->group != GROUP_DAILY || strlen(c->purpose) < 48));
		assert_non_null(c->run);
		while (option_row_next(&at, &row)) {
			assert_true(strlen(row.name) > 1);
			assert_true(row.help_len > 0);
		}
	}
}

/* The manual follows the table: a command or an option that it does not name fails here. */
static void
test_commands__manual_names_all_of_them(void **state)
{
	FILE *f = fopen(MPD_SOURCE_DIR "/contrib/man/modelpc.1.scd", "r");
	static char text[65536];
	struct option_row row;
	char want[64];

	(void)state;
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *c = command_at(i);
		const char *at = c->options;

		snprintf(want, sizeof(want), "*mpc %s", c->name);
		if (strstr(text, want) == NULL)
			fail_msg("modelpc.1 does not name %s", want);
		while (option_row_next(&at, &row)) {
			snprintf(want, sizeof(want), "--%s", row.name);
			if (strstr(text, want) == NULL)
				fail_msg("modelpc.1 does not name %s of %s", want, c->name);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_args__flags_may_follow_words),
	    cmocka_unit_test(test_args__globals_may_precede_the_command),
	    cmocka_unit_test(test_args__model_before_a_command_means_nothing),
	    cmocka_unit_test(test_args__double_dash_ends_options),
	    cmocka_unit_test(test_args__a_lone_dash_is_a_word),
	    cmocka_unit_test(test_args__short_options_join),
	    cmocka_unit_test(test_args__value_forms),
	    cmocka_unit_test(test_args__unknown_option_suggests_and_hides_its_value),
	    cmocka_unit_test(test_args__unknown_command_suggests),
	    cmocka_unit_test(test_commands__no_prefixes),
	    cmocka_unit_test(test_commands__music_verbs_are_never_ours),
	    cmocka_unit_test(test_commands__later_ones_are_unknown),
	    cmocka_unit_test(test_commands__every_row_is_well_formed),
	    cmocka_unit_test(test_commands__manual_names_all_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
