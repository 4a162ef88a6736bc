/* test_tool_calls.c - what one answer's tool calls may hold together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/err.h"
#include "server/rpc/methods/tool_calls.h"

#define PIECE ((size_t)512 << 10)

static struct tool_calls calls;
static char *text;

static int
setup(void **state)
{
	(void)state;
	text = malloc(PIECE);
	if (text == NULL)
		return -1;
	memset(text, 'x', PIECE);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tool_calls_clear(&calls);
	free(text);
	return 0;
}

static int
give(enum event_type type, unsigned index, size_t bytes)
{
	const struct tool_call *whole;
	struct event e = { .type = type, .index = index };

	if (type == EVENT_TOOL_CALL)
		e.name = (struct slice){ text, bytes };
	else
		e.text = (struct slice){ text, bytes };
	return tool_calls_event(&calls, &e, &whole);
}

static void
test_tool_calls__arguments_have_a_ceiling(void **state)
{
	size_t taken;

	(void)state;
	assert_int_equal(give(EVENT_TOOL_CALL, 0, 4), 0);
	for (taken = 4; taken + PIECE <= TOOL_ARGUMENTS_MAX; taken += PIECE)
		assert_int_equal(give(EVENT_TOOL_ARGS, 0, PIECE), 0);
	assert_int_equal(give(EVENT_TOOL_ARGS, 0, PIECE), MP_E_TOO_LARGE);
}

/* A provider can make those large too, 256 times. */
static void
test_tool_calls__names_count_as_well(void **state)
{
	unsigned i = 0;

	(void)state;
	for (size_t taken = 0; taken + PIECE <= TOOL_ARGUMENTS_MAX; taken += PIECE)
		assert_int_equal(give(EVENT_TOOL_CALL, i++, PIECE), 0);
	assert_int_equal(give(EVENT_TOOL_CALL, i, 1), MP_E_TOO_LARGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_tool_calls__arguments_have_a_ceiling, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tool_calls__names_count_as_well, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
