#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/dialect/refusal.h"

static void
test_moment__go_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* INT64_MIN = refused */
	} rows[] = {
		{ "6m0s", 360000 },
		{ "1m12.5s", 72500 },
		{ "20ms", 20 },
		{ "1s", 1000 },
		{ "8.64s", 8640 },
		{ "24h0m0s", 86400000 },
		{ "0", 0 },
		{ "0s", 0 },
		{ "1h", 3600000 },
		{ "1500us", 2 },
		{ "2\xc2\xb5s", 1 },
		{ "2\xce\xbcs", 1 },
		{ "1ns", 1 },
		{ "-5s", -5000 },
		{ "+5s", 5000 },
		{ ".5s", 500 },
		{ "", INT64_MIN },
		{ "5", INT64_MIN },
		{ "s", INT64_MIN },
		{ ".s", INT64_MIN },
		{ "5 s", INT64_MIN },
		{ "5s ", INT64_MIN },
		{ "5x", INT64_MIN },
		{ "1d", INT64_MIN },
		{ "--5s", INT64_MIN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = INT64_MIN;

		if (go_duration_parse(slice_of(rows[i].text), &ms) !=
		        (rows[i].ms != INT64_MIN) || ms != rows[i].ms)
			fail_msg("%s gives %lld", rows[i].text, (long long)ms);
	}
}

static void
test_moment__absurd_durations_are_capped(void **state)
{
	int64_t ms;

	(void)state;
	assert_true(go_duration_parse(slice_of("99999999999999999999999999h"), &ms));
	assert_true(ms > 0);
}

static void
test_moment__rfc3339(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1 = refused */
	} rows[] = {
		{ "2026-11-22T08:00:00Z", 1795334400000 },
		{ "2026-11-22t08:00:00z", 1795334400000 },
		{ "2026-11-22T10:00:00+02:00", 1795334400000 },
		{ "2026-11-22T02:30:00-05:30", 1795334400000 },
		{ "2026-11-22T08:00:00.250Z", 1795334400250 },
		{ "2026-11-22T08:00:00.123456789Z", 1795334400123 },
		{ "2024-02-29T00:00:00Z", 1709164800000 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
		{ "2026-02-29T00:00:00Z", -1 },
		{ "2026-13-01T00:00:00Z", -1 },
		{ "2026-11-22T24:00:00Z", -1 },
		{ "2026-11-22T08:00:00", -1 },
		{ "2026-11-22T08:00:00.Z", -1 },
		{ "2026-11-22T08:00:00Z ", -1 },
		{ "2026-11-22", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = -1;

		if (rfc3339_parse(slice_of(rows[i].text), &ms) != (rows[i].ms != -1) ||
		    ms != rows[i].ms)
			fail_msg("%s gives %lld", rows[i].text, (long long)ms);
	}
}

static void
test_moment__http_dates_in_three_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "Sun, 22 Nov 2026 08:00:00 GMT", 1795334400000 },
		{ "Sunday, 22-Nov-26 08:00:00 GMT", 1795334400000 },
		{ "Sun Nov 22 08:00:00 2026", 1795334400000 },
		{ "Sun Nov  1 08:00:00 2026", 1793520000000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777000 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777000 },
		{ "Sun Nov  6 08:49:37 1994", 784111777000 },
		{ "Sun, 22 Nov 2026 08:00:00", -1 },
		{ "Sun, 22 Nov 2026 08:00:00 CET", -1 },
		{ "Sun, 32 Nov 2026 08:00:00 GMT", -1 },
		{ "Sun, 22 Foo 2026 08:00:00 GMT", -1 },
		{ "22 Nov 2026 08:00:00 GMT", -1 },
		{ "12", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = -1;

		if (http_date_parse(slice_of(rows[i].text), &ms) != (rows[i].ms != -1) ||
		    ms != rows[i].ms)
			fail_msg("%s gives %lld", rows[i].text, (long long)ms);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moment__go_durations),
		cmocka_unit_test(test_moment__absurd_durations_are_capped),
		cmocka_unit_test(test_moment__rfc3339),
		cmocka_unit_test(test_moment__http_dates_in_three_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
