/* The carrier of programs: small shell scripts in a private folder. What a program sees and how it can
 * misbehave is tested with the whole daemon (tests/e2e/test_claude_cli.py). */
#include "tests/unit/upstream/script.h"

#include <signal.h>

static const struct transfer_callbacks callbacks = { customer_head, customer_frame, customer_body,
	customer_end };

static void
ask_with(struct customer *c, const char *input, bool stream, const char *file)
{
	struct wire_request req;

	wire_request_init(&req);
	req.program = "run";
	req.stream = stream;
	buf_adds(&req.body, input);
	wire_request_argument(&req, "word");
	if (file != NULL) {
		req.file_option = "--file";
		buf_adds(&req.file, file);
	}
	c->to.program = script;
	c->in_start = true;
	c->transfer = transfer_start(c->up, CARRIER_CHILD, FRAMING_NDJSON, &c->to, &req, &callbacks, c,
	    &c->err);
	c->in_start = false;
	assert_non_null(c->transfer);
	assert_false(c->told_in_start);
	assert_int_equal(req.body.len + req.argument_count, 0);
	wire_request_clear(&req);
}

static void
ask(struct customer *c, const char *input)
{
	ask_with(c, input, true, NULL);
}

static void
test_child__input_goes_in_and_lines_come_out(void **state)
{
	struct customer c;
	unsigned fds;

	(void)state;
	write_script("cat; echo; echo \"$1\"; printf last");
	customer_init(&c, NULL);
	loop_once(c.loop, 0);
	fds = open_fds();
	ask(&c, "one\ntwo\n");
	customer_wait(&c, 5000);
	assert_string_equal(buf_str(&c.text), "one|two|word|last|");
	assert_int_equal(c.heads, 1);
	assert_int_equal(c.status, 200);
	assert_int_equal(c.ends, 1);
	assert_failure(&c, FAILURE_NONE, "");
	customer_idle(&c, 100);
	assert_int_equal(open_fds(), fds);
	assert_int_equal(left_over(), 0);
	customer_clear(&c);
}

static void
test_child__private_text_lies_in_a_file(void **state)
{
	struct customer c;

	(void)state;
	write_script("test \"$2\" = --file && cat \"$3\"; ls; stat -c %a \"$3\" .");
	customer_init(&c, NULL);
	ask_with(&c, "", true, "the rules\n");
	customer_wait(&c, 5000);
	assert_string_equal(buf_str(&c.text), "the rules|600|700|");
	customer_idle(&c, 50);
	assert_int_equal(left_over(), 0);
	customer_clear(&c);
}

static void
test_child__no_stream_is_one_body_whatever_its_code(void **state)
{
	struct customer c;

	(void)state;
	write_script("echo '{'; echo '}'; echo why >&2; exit 1");
	customer_init(&c, NULL);
	ask_with(&c, "", false, NULL);
	customer_wait(&c, 5000);
	assert_string_equal(buf_str(&c.body), "{\n}\n");
	assert_int_equal(c.frames, 0);
	assert_failure(&c, FAILURE_PROTOCOL, "exit");
	assert_string_equal(c.failure.message, "run ended with code 1: why");
	customer_clear(&c);
}

static void
test_child__a_good_end_hands_over_the_last_words(void **state)
{
	struct customer c;

	(void)state;
	write_script("echo first >&2; printf '  last words \\n\\n' >&2");
	customer_init(&c, NULL);
	ask(&c, "");
	customer_wait(&c, 5000);
	assert_failure(&c, FAILURE_NONE, "");
	assert_string_equal(c.failure.message, "  last words");
	customer_clear(&c);
}

static void
test_child__pausing_holds_lines_back(void **state)
{
	struct customer c;

	(void)state;
	write_script("echo 1; echo 2; echo 3");
	customer_init(&c, NULL);
	c.pause_after = 2;
	ask(&c, "");
	customer_idle(&c, 300);
	assert_string_equal(buf_str(&c.text), "1|2|");
	assert_int_equal(c.ends, 0);
	transfer_pause(c.transfer, false);
	customer_wait(&c, 5000);
	assert_string_equal(buf_str(&c.text), "1|2|3|");
	assert_int_equal(c.ends, 1);
	customer_clear(&c);
}

static void
test_child__a_pause_stops_the_program(void **state)
{
	struct customer c;

	(void)state;
	write_script("i=0; while [ $i -lt 20000 ]; do echo $i 0123456789012345678901234567890123456789; "
		     "i=$((i+1)); done; echo done > \"$XDG_RUNTIME_DIR/done\"");
	customer_init(&c, NULL);
	c.pause_after = 1;
	ask(&c, "");
	customer_idle(&c, 700);
	assert_int_equal(c.frames, 1);
	/* its folder; it could not write all it had to say */
	assert_int_equal(left_over(), 1);
	transfer_pause(c.transfer, false);
	customer_wait(&c, 10000);
	assert_int_equal(c.frames, 20000);
	customer_clear(&c);
}

static void
test_child__cancelling_ends_the_program(void **state)
{
	int64_t until;
	struct customer c;

	(void)state;
	write_script("echo 1; echo 2; exec sleep 60");
	customer_init(&c, NULL);
	c.cancel_after = 1;
	ask(&c, "");
	until = clock_monotonic_ms() + 5000;
	do {
		loop_once(c.loop, 10);
	} while ((c.frames == 0 || left_over() > 0) && clock_monotonic_ms() < until);
	assert_int_equal(c.frames, 1);
	assert_int_equal(c.ends, 0);
	assert_int_equal(left_over(), 0);
	/* before it began */
	ask(&c, "");
	transfer_cancel(c.transfer);
	customer_idle(&c, 50);
	assert_int_equal(left_over(), 0);
	/* one that nobody waits for, and one that does not listen */
	write_script("trap '' TERM; echo 1; sleep 60");
	ask(&c, "");
	customer_idle(&c, 200);
	customer_clear(&c);
	assert_int_equal(left_over(), 0);
}

static void
test_child__a_place_that_comes_free_is_given_in_order(void **state)
{
	struct customer c[6];

	(void)state;
	write_script("cat; sleep 0.2");
	for (unsigned i = 0; i < 6; i++)
		customer_init(&c[i], NULL);
	for (unsigned i = 1; i < 6; i++) {
		upstream_free(c[i].up);
		loop_free(c[i].loop);
		c[i].up = c[0].up;
		c[i].loop = c[0].loop;
	}
	for (unsigned i = 0; i < 6; i++)
		ask(&c[i], "x\n");
	/* one of those that wait goes */
	loop_once(c[0].loop, 10);
	loop_once(c[0].loop, 10);
	transfer_cancel(c[4].transfer);
	customer_wait(&c[5], 10000);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(c[i].ends, i != 4);
	assert_true(c[5].ended_ms - c[0].ended_ms >= 150);
	for (unsigned i = 1; i < 6; i++)
		customer_forget(&c[i]);
	customer_clear(&c[0]);
}

static void
test_child__F100_no_word_in_time(void **state)
{
	struct customer c;
	int64_t start = clock_monotonic_ms();

	(void)state;
	write_script("exec sleep 60");
	customer_init(&c, NULL);
	c.to.first_byte_ms = 300;
	ask(&c, "");
	customer_wait(&c, 5000);
	assert_failure(&c, FAILURE_TIMEOUT, "first_byte");
	assert_in_range(c.ended_ms - start, 300, 800);
	customer_forget(&c);
	write_script("echo 1; exec sleep 60");
	c.to.first_byte_ms = 0;
	c.to.silence_ms = 300;
	ask(&c, "");
	customer_wait(&c, 5000);
	assert_failure(&c, FAILURE_TIMEOUT, "silence");
	customer_forget(&c);
	write_script("while :; do echo 1; sleep 0.05; done");
	c.to.total_ms = 500;
	ask(&c, "");
	customer_wait(&c, 5000);
	assert_failure(&c, FAILURE_TIMEOUT, "total");
	customer_clear(&c);
	assert_int_equal(left_over(), 0);
}

static void
test_child__F99_distinct_reasons(void **state)
{
	struct customer c;

	(void)state;
	write_script("echo 1");
	customer_init(&c, NULL);
	assert_int_equal(unlink(script), 0);
	ask(&c, "");
	customer_wait(&c, 1000);
	assert_failure(&c, FAILURE_CONFIG, "program");
	customer_forget(&c);
	write_script("kill -9 $$");
	ask(&c, "");
	customer_wait(&c, 5000);
	assert_failure(&c, FAILURE_PROTOCOL, "killed");
	customer_forget(&c);
	assert_int_equal(chmod(script, 0702), 0);
	ask(&c, "");
	customer_wait(&c, 1000);
	assert_failure(&c, FAILURE_CONFIG, "program");
	assert_non_null(strstr(c.failure.message, "others can change"));
	customer_clear(&c);
}

static void
test_child__a_program_that_takes_no_input(void **state)
{
	struct buf big = BUF_INIT;
	struct customer c;

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_adds(&big, "0123456789");
	write_script("exec <&-; echo fine; exec sleep 0.2");
	customer_init(&c, NULL);
	ask(&c, buf_str(&big));
	customer_wait(&c, 5000);
	assert_string_equal(buf_str(&c.text), "fine|");
	assert_failure(&c, FAILURE_NONE, "");
	buf_clear(&big);
	customer_clear(&c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_child__input_goes_in_and_lines_come_out),
		T(test_child__private_text_lies_in_a_file),
		T(test_child__no_stream_is_one_body_whatever_its_code),
		T(test_child__a_good_end_hands_over_the_last_words),
		T(test_child__pausing_holds_lines_back),
		T(test_child__a_pause_stops_the_program),
		T(test_child__cancelling_ends_the_program),
		T(test_child__a_place_that_comes_free_is_given_in_order),
		T(test_child__F100_no_word_in_time),
		T(test_child__F99_distinct_reasons),
		T(test_child__a_program_that_takes_no_input),
	};

	signal(SIGPIPE, SIG_IGN);
	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
