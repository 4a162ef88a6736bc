#include "tests/unit/upstream/station.h"

static const struct transfer_callbacks callbacks = { customer_head, customer_frame, customer_body,
	customer_end };

static void
ask(struct customer *c, const char *lines, const char *delay)
{
	struct wire_request req;

	wire_request_init(&req);
	req.method = "POST";
	buf_adds(&req.body, lines);
	if (delay != NULL)
		assert_int_equal(wire_request_header(&req, "x-loopback-delay-ms", delay), 0);
	c->in_start = true;
	c->transfer = transfer_start(c->up, CARRIER_LOOPBACK, FRAMING_NDJSON, &c->to, &req, &callbacks,
	    c, &c->err);
	c->in_start = false;
	assert_non_null(c->transfer);
	assert_false(c->told_in_start);
	assert_int_equal(req.body.len, 0);
	wire_request_clear(&req);
}

static void
test_loopback__the_lines_come_back(void **state)
{
	struct customer c;

	(void)state;
	customer_init(&c, NULL);
	ask(&c, "1\n2\n\n3\n", NULL);
	customer_wait(&c, 1000);
	assert_string_equal(buf_str(&c.text), "1|2|3|");
	assert_int_equal(c.status, 200);
	assert_int_equal(c.heads, 1);
	assert_failure(&c, FAILURE_NONE, "");
	customer_clear(&c);
}

static void
test_loopback__a_few_lines_per_tick(void **state)
{
	struct buf lines = BUF_INIT;
	struct customer c;

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_adds(&lines, "x\n");
	customer_init(&c, NULL);
	ask(&c, buf_str(&lines), NULL);
	loop_once(c.loop, 10);
	loop_once(c.loop, 10);
	assert_true(c.frames > 0 && c.frames < 100);
	customer_wait(&c, 5000);
	assert_int_equal(c.frames, 1000);
	buf_clear(&lines);
	customer_clear(&c);
}

static void
test_loopback__a_delay_between_lines(void **state)
{
	int64_t start = clock_monotonic_ms();
	struct customer c;

	(void)state;
	customer_init(&c, NULL);
	ask(&c, "1\n2\n3\n4\n", "50");
	customer_wait(&c, 2000);
	assert_int_equal(c.frames, 4);
	assert_in_range(c.ended_ms - start, 150, 400);
	customer_clear(&c);
}

static void
test_loopback__pausing(void **state)
{
	struct customer c;

	(void)state;
	customer_init(&c, NULL);
	c.pause_after = 2;
	ask(&c, "1\n2\n3\n", NULL);
	customer_idle(&c, 50);
	assert_string_equal(buf_str(&c.text), "1|2|");
	assert_int_equal(c.ends, 0);
	transfer_pause(c.transfer, false);
	customer_wait(&c, 1000);
	assert_string_equal(buf_str(&c.text), "1|2|3|");
	assert_int_equal(c.ends, 1);
	customer_clear(&c);
}

static void
test_loopback__cancelling(void **state)
{
	struct customer c;

	(void)state;
	customer_init(&c, NULL);
	ask(&c, "1\n2\n3\n", NULL);
	transfer_cancel(c.transfer);
	customer_idle(&c, 20);
	assert_int_equal(c.heads + c.frames + c.ends, 0);
	c.cancel_after = 2;
	ask(&c, "1\n2\n3\n", NULL);
	customer_idle(&c, 20);
	assert_int_equal(c.frames, 2);
	assert_int_equal(c.ends, 0);
	/* one that nobody waits for */
	ask(&c, "1\n2\n3\n", NULL);
	customer_clear(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback__the_lines_come_back),
		cmocka_unit_test(test_loopback__a_few_lines_per_tick),
		cmocka_unit_test(test_loopback__a_delay_between_lines),
		cmocka_unit_test(test_loopback__pausing),
		cmocka_unit_test(test_loopback__cancelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
