/* The little language of `mpc watch --format`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/template.h"
#include "protocol/base/json.h"
#include "protocol/message.h"
#include "protocol/pack.h"

/* A snapshot as it comes from the wire: a notification whose event is this JSON. */
struct fixture {
	struct message_reader *reader;
	struct message message;
	const struct value *event;
};

static const char snapshot[] =
    "{\"route\":{\"ref\":\"openrouter:gpt-4\",\"nick\":\"\",\"rev\":7,\"ok\":true},"
    "\"daemon\":{\"state\":\"started\",\"evil\":\"a\\u001b[31m\\nb\"},\"overrides\":[1,2,3]}";

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = ERROR_INIT;
	struct json j = JSON_INIT;
	struct buf wire = BUF_INIT;
	struct pack p;
	bool known;
	size_t room;
	char *at;

	pack_init(&p, &wire);
	pack_array_begin(&p);
	pack_int(&p, 2);
	pack_str(&p, "x");
	pack_array_begin(&p);
	assert_int_equal(json_read(&j, snapshot, sizeof(snapshot) - 1, JSON_STRICT), 0);
	pack_json(&p, &j, 0);
	pack_array_end(&p);
	pack_array_end(&p);
	f->reader = message_reader_new(1 << 20);
	at = message_reader_room(f->reader, wire.len, &room);
	memcpy(at, wire.data, wire.len);
	message_reader_fed(f->reader, wire.len);
	assert_int_equal(message_reader_next(f->reader, &f->message, &known, &err), 1);
	f->event = value_at(f->message.params, 0);
	json_clear(&j);
	buf_clear(&wire);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	message_release(f->reader, false);
	message_reader_free(f->reader);
	free(f);
	return 0;
}

static const struct value *
look(void *arg, struct slice name)
{
	struct fixture *f = arg;
	char *key = slice_dup(name);
	const struct value *v = value_get(f->event, strcmp(key, "active") == 0 ? "route" : key);

	free(key);
	return v;
}

static const char *
words(void *arg, struct slice path)
{
	(void)arg;
	return slice_eq(path, "active.since") ? "27 min\n" : NULL;
}

static void
check(struct fixture *f, const char *format, const char *want)
{
	struct buf b = BUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(template_check(format, &err), 0);
	template_render(format, &(struct template_names){ look, words, f }, &b);
	assert_string_equal(buf_str(&b), want);
	buf_clear(&b);
}

static void
test_template__paths_and_alternatives(void **state)
{
	struct fixture *f = *state;

	check(f, "{active.nick|active.ref} {daemon.state}", "openrouter:gpt-4 started");
	check(f, "{active.rev}/{overrides}", "7/3");
	check(f, "{active.ok}", "true");
	check(f, "[{nothing}]", "[]");
	check(f, "{nothing.at.all|active.nowhere|daemon.state}", "started");
	check(f, "no braces", "no braces");
	check(f, "{{x}", "{x}");
	check(f, "", "");
	check(f, "{active}", "");
	check(f, "{active..ref}{|}{.}", "");
	check(f, "{nothing|active.since} {active.ref}", "27 min\\x0a openrouter:gpt-4");
}

static void
test_template__output_is_one_harmless_line(void **state)
{
	struct fixture *f = *state;

	check(f, "{daemon.evil}", "a\\x1b[31m\\x0ab");
}

static void
test_template__mistakes_are_found_before(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(template_check("{active", &err), MP_E_INVALID_PARAMS);
	assert_int_equal(template_check("{}", &err), MP_E_INVALID_PARAMS);
	assert_int_equal(template_check("{a{b}", &err), MP_E_INVALID_PARAMS);
	assert_int_equal(template_check("a}b", &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_template__paths_and_alternatives, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_template__output_is_one_harmless_line, setup, teardown),
	    cmocka_unit_test(test_template__mistakes_are_found_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
