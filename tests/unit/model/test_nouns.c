#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/model/event.h"
#include "server/model/failure.h"
#include "server/model/target.h"
#include "server/model/usage.h"
#include "server/model/uuid.h"
#include "server/model/wire.h"

static void
test_provider__copy_shares_nothing(void **state)
{
	struct provider *p = provider_new(), *copy;
	enum provider_type type;

	(void)state;
	p->name = xstrdup("a");
	assert_int_equal(provider_alias_add(p, "x", "y/x"), 0);
	assert_int_equal(provider_alias_add(p, "x", "z"), MP_E_CONFLICT);
	assert_int_equal(provider_alias_add(p, "", "z"), MP_E_INVALID_PARAMS);
	copy = provider_copy(p);
	provider_free(p);
	assert_string_equal(copy->name, "a");
	assert_true(copy->enabled);
	assert_string_equal(provider_alias_model(copy, "x"), "y/x");
	assert_null(provider_alias_model(copy, "q"));
	assert_false(provider_has_feature(copy, "x"));
	provider_free(copy);
	provider_free(NULL);
	assert_true(provider_type_parse("plan-based", &type));
	assert_int_equal(type, PROVIDER_PLAN_BASED);
	assert_false(provider_type_parse("plan", &type));
}

static void
test_uuid__is_version_4_and_new(void **state)
{
	char a[UUID_SIZE], b[UUID_SIZE];

	(void)state;
	uuid_new(a);
	uuid_new(b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_string_not_equal(a, b);
}

static void
test_target__set_takes_its_own_members(void **state)
{
	struct target t, u;
	char ref[330];

	(void)state;
	target_init(&t);
	target_init(&u);
	assert_string_equal(target_ref(&t, ref, sizeof ref), "-");
	target_set(&t, "p", "alias", "vendor/model", NULL);
	target_set(&t, t.provider, t.model, t.upstream, t.label);
	assert_string_equal(target_ref(&t, ref, sizeof ref), "p:alias");
	assert_string_equal(t.label, "default");
	target_copy(&u, &t);
	assert_true(target_equal(&t, &u));
	target_set(&u, "p", "alias", "vendor/other", NULL);
	assert_false(target_equal(&t, &u));
	target_clear(&t);
	target_copy(&u, &t);
	assert_null(u.provider);
	target_clear(&u);
}

static void
test_usage__later_knowledge_wins(void **state)
{
	struct usage a = USAGE_INIT, b = USAGE_INIT;

	(void)state;
	assert_false(usage_known(&a));
	a.input_tokens = 10;
	a.output_tokens = 1;
	a.input_estimated = a.output_estimated = true;
	assert_string_equal(usage_counts_name(&a), "estimated");
	b.output_tokens = 5;
	usage_merge(&a, &b);
	assert_int_equal(a.input_tokens, 10);
	assert_int_equal(a.output_tokens, 5);
	assert_int_equal(a.cache_read_tokens, -1);
	/* a count is as sure as whoever told it last */
	assert_true(a.input_estimated);
	assert_false(a.output_estimated);
	assert_string_equal(usage_counts_name(&a), "input_estimated");
	b = (struct usage)USAGE_INIT;
	b.cost_microusd = 5;
	usage_merge(&a, &b);
	assert_string_equal(usage_counts_name(&a), "input_estimated");
	b.input_tokens = 11;
	usage_merge(&a, &b);
	assert_string_equal(usage_counts_name(&a), "reported");
	b.output_tokens = 6;
	b.output_estimated = true;
	usage_merge(&a, &b);
	assert_string_equal(usage_counts_name(&a), "output_estimated");
	assert_true(usage_estimated(&a));
	assert_true(usage_known(&a));
}

static void
test_failure__classes_become_error_codes(void **state)
{
	(void)state;
	assert_string_equal(failure_class_name(FAILURE_RATE_LIMIT), "rate_limit");
	assert_int_equal(failure_error_code(FAILURE_AUTH), MP_E_AUTH_REJECTED);
	assert_int_equal(failure_error_code(FAILURE_NETWORK), MP_E_PROVIDER_UNAVAILABLE);
	assert_int_equal(failure_error_code(FAILURE_CONTEXT_LENGTH), MP_E_UPSTREAM);
	assert_int_equal(failure_error_code(FAILURE_CONFIG), MP_E_PROVIDER_UNAVAILABLE);
	assert_int_equal(failure_error_code(FAILURE_NONE), 0);
	assert_string_equal(stop_reason_name(STOP_CONTENT_FILTER), "content_filter");
}

static void
test_wire__headers_are_checked(void **state)
{
	struct wire_request r;
	char name[16];

	(void)state;
	wire_request_init(&r);
	assert_int_equal(wire_request_header(&r, "X-Title", "mpd"), 0);
	assert_int_equal(wire_request_header(&r, "x-title", "other"), 0);
	assert_int_equal(r.header_count, 1);
	assert_string_equal(r.headers[0].value, "other");
	assert_int_equal(wire_request_header(&r, "a", "b\r\nEvil: yes"), MP_E_INVALID_PARAMS);
	assert_int_equal(wire_request_header(&r, "a:b", "c"), MP_E_INVALID_PARAMS);
	assert_int_equal(wire_request_header(&r, "", "c"), MP_E_INVALID_PARAMS);
	for (int i = 1; i < WIRE_HEADERS_MAX; i++) {
		name[0] = (char)('a' + i);
		name[1] = '\0';
		assert_int_equal(wire_request_header(&r, name, "v"), 0);
	}
	assert_int_equal(wire_request_header(&r, "one-more", "v"), MP_E_TOO_MANY);
	wire_request_clear(&r);
	assert_int_equal(r.header_count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_provider__copy_shares_nothing),
		cmocka_unit_test(test_uuid__is_version_4_and_new),
		cmocka_unit_test(test_target__set_takes_its_own_members),
		cmocka_unit_test(test_usage__later_knowledge_wins),
		cmocka_unit_test(test_failure__classes_become_error_codes),
		cmocka_unit_test(test_wire__headers_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
