/* test_key_choice.c - which of several keys a conversation is asked with: the rules alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/call/key_choice.h"

#define CONVERSATIONS 10000

static const unsigned char seed[SHORT_HASH_KEY_BYTES] = "a seed of tests";

static struct key_choice *kc;

static int
setup(void **state)
{
	(void)state;
	kc = key_choice_new(seed);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	key_choice_free(kc);
	return 0;
}

static size_t
take(uint64_t conversation, const struct key_candidate *keys, size_t count)
{
	return key_choice_take(kc, KEY_SHARING_WEIGHTED, "p", conversation, keys, count);
}

static size_t
take_idlest(uint64_t conversation, const struct key_candidate *keys, size_t count)
{
	return key_choice_take(kc, KEY_SHARING_LEAST_LOADED, "p", conversation, keys, count);
}

/* Where it would go if nothing were remembered. */
static size_t
fresh(uint64_t conversation, const struct key_candidate *keys, size_t count)
{
	struct key_choice *other = key_choice_new(seed);
	size_t at = key_choice_take(other, KEY_SHARING_WEIGHTED, "p", conversation, keys, count);

	key_choice_free(other);
	return at;
}

/* ---- shares ---- */

static void
test_key_choice__shares_follow_the_weights(void **state)
{
	static const unsigned weights[][3] = { { 1, 2, 5 }, { 1, 1, 1 }, { 100, 1, 1 }, { 7, 93, 100 } };

	(void)state;
	for (size_t w = 0; w < sizeof weights / sizeof weights[0]; w++) {
		const struct key_candidate keys[] = { { "a", weights[w][0], 0, true },
			{ "b", weights[w][1], 0, true }, { "c", weights[w][2], 0, true } };
		unsigned got[3] = { 0 }, sum = weights[w][0] + weights[w][1] + weights[w][2];

		for (uint64_t c = 0; c < CONVERSATIONS; c++)
			got[take(c, keys, 3)]++;
		print_message("%u:%u:%u of %d: %u %u %u\n", weights[w][0], weights[w][1], weights[w][2],
		    CONVERSATIONS, got[0], got[1], got[2]);
		for (size_t i = 0; i < 3; i++) {
			int want = CONVERSATIONS * (int)weights[w][i] / (int)sum;

			/* four standard deviations of at most 50 */
			assert_in_range((int)got[i] + CONVERSATIONS, want - 200 + CONVERSATIONS,
			    want + 200 + CONVERSATIONS);
		}
	}
}

static void
test_key_choice__two_providers_are_shared_differently(void **state)
{
	const struct key_candidate keys[] = { { "a", 1, 0, true }, { "b", 1, 0, true } };
	int same = 0;

	(void)state;
	for (uint64_t c = 0; c < 1000; c++)
		same += key_choice_take(kc, KEY_SHARING_WEIGHTED, "p", c, keys, 2) ==
		    key_choice_take(kc, KEY_SHARING_WEIGHTED, "q", c, keys, 2);
	assert_in_range(same, 400, 600);
}

static void
test_key_choice__the_order_of_the_keys_means_nothing(void **state)
{
	const struct key_candidate one[] = { { "a", 2, 0, true }, { "b", 3, 0, true } };
	const struct key_candidate other[] = { { "b", 3, 0, true }, { "a", 2, 0, true } };

	(void)state;
	for (uint64_t c = 0; c < 1000; c++)
		assert_int_equal(fresh(c, one, 2), 1 - fresh(c, other, 2));
}

static void
test_key_choice__a_restart_moves_nobody_and_another_seed_does(void **state)
{
	static const unsigned char another[SHORT_HASH_KEY_BYTES] = "another of them";
	const struct key_candidate keys[] = { { "a", 1, 0, true }, { "b", 1, 0, true } };
	struct key_choice *other = key_choice_new(another);
	int moved = 0;

	(void)state;
	for (uint64_t c = 0; c < 1000; c++) {
		assert_int_equal(take(c, keys, 2), fresh(c, keys, 2));
		moved += key_choice_take(other, KEY_SHARING_WEIGHTED, "p", c, keys, 2) != take(c, keys, 2);
	}
	assert_in_range(moved, 400, 600);
	key_choice_free(other);
}

/* ---- keys that come and go ---- */

static void
test_key_choice__a_new_key_takes_its_share_and_no_other_moves(void **state)
{
	const struct key_candidate keys[] = {
		{ "a", 1, 0, true },
		{ "b", 2, 0, true },
		{ "c", 3, 0, true },
	};
	int moved = 0;

	(void)state;
	for (uint64_t c = 0; c < 2000; c++) {
		size_t before = fresh(c, keys, 2), after = fresh(c, keys, 3);

		assert_true(after == before || after == 2);
		moved += after == 2;
	}
	assert_in_range(moved, 880, 1120);
}

static void
test_key_choice__who_is_bound_does_not_move_to_a_new_key(void **state)
{
	const struct key_candidate keys[] = {
		{ "a", 1, 0, true },
		{ "b", 2, 0, true },
		{ "c", 100, 0, true },
	};
	size_t before[500];

	(void)state;
	for (uint64_t c = 0; c < 500; c++)
		before[c] = take(c, keys, 2);
	for (uint64_t c = 0; c < 500; c++)
		assert_int_equal(take(c, keys, 3), before[c]);
}

static void
test_key_choice__a_key_that_goes_moves_its_own_alone(void **state)
{
	const struct key_candidate keys[] = {
		{ "a", 1, 0, true },
		{ "b", 1, 0, true },
		{ "c", 1, 0, true },
	};
	size_t before[900], moved[3] = { 0 };

	(void)state;
	for (uint64_t c = 0; c < 900; c++)
		before[c] = take(c, keys, 3);
	for (uint64_t c = 0; c < 900; c++) {
		size_t after = take(c, keys, 2);

		if (before[c] < 2)
			assert_int_equal(after, before[c]);
		else
			moved[after]++;
	}
	/* both of those that stay take some of them */
	assert_in_range(moved[0], 100, 200);
	assert_in_range(moved[1], 100, 200);
}

/* ---- keys that cannot serve ---- */

static void
test_key_choice__who_had_to_move_stays_where_it_went(void **state)
{
	const struct key_candidate well[] = { { "a", 1, 0, true }, { "b", 1, 0, true } };
	const struct key_candidate cooling[] = { { "a", 1, 0, false }, { "b", 1, 0, true } };
	int moved = 0;

	(void)state;
	for (uint64_t c = 0; c < 200; c++) {
		size_t before = take(c, well, 2);

		if (c % 2 == 0)
			continue; /* these do not ask meanwhile */
		assert_int_equal(take(c, cooling, 2), 1);
		moved += before == 0;
	}
	assert_true(moved > 20);
	for (uint64_t c = 0; c < 200; c++)
		assert_int_equal(take(c, well, 2), c % 2 == 0 ? fresh(c, well, 2) : 1);
}

static void
test_key_choice__nobody_able_is_nobody_and_unbinds_nobody(void **state)
{
	const struct key_candidate well[] = { { "a", 1, 0, true }, { "b", 1, 0, true } };
	const struct key_candidate none[] = { { "a", 1, 0, false }, { "b", 1, 0, false } };
	const struct key_candidate only_b[] = { { "a", 1, 0, false }, { "b", 1, 0, true } };

	(void)state;
	assert_int_equal(take(7, none, 2), 2);
	assert_int_equal(take(7, none, 0), 0);
	assert_int_equal(take(7, only_b, 2), 1);
	assert_int_equal(take(7, none, 2), 2);
	assert_int_equal(take(7, well, 2), 1);
}

/* ---- the fewest calls ---- */

static void
test_key_choice__the_fewest_calls_for_the_weight_go_first(void **state)
{
	static const struct {
		unsigned weights[3], in_flight[3];
		size_t wins;
	} rows[] = {
		{ { 1, 1, 1 }, { 3, 2, 4 }, 1 },
		{ { 1, 1, 4 }, { 1, 1, 3 }, 2 }, /* 3/4 < 1 */
		{ { 1, 100, 1 }, { 0, 1, 1 }, 0 },
		{ { 2, 3, 100 }, { 1, 1, 100 }, 1 },
	};

	(void)state;
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		static const char *const names[] = { "a", "b", "c" };
		struct key_candidate keys[3];

		for (size_t i = 0; i < 3; i++)
			keys[i] = (struct key_candidate){ names[i], rows[r].weights[i], rows[r].in_flight[i],
				true };
		for (uint64_t c = 0; c < 50; c++)
			assert_int_equal(take_idlest(c + 1000 * r, keys, 3), rows[r].wins);
	}
}

static void
test_key_choice__calls_that_last_are_spread_by_the_weights(void **state)
{
	struct key_candidate keys[] = { { "a", 1, 0, true }, { "b", 2, 0, true }, { "c", 5, 0, true } };

	(void)state;
	for (uint64_t c = 0; c < 80; c++)
		keys[take_idlest(c, keys, 3)].in_flight++;
	assert_int_equal(keys[0].in_flight, 10);
	assert_int_equal(keys[1].in_flight, 20);
	assert_int_equal(keys[2].in_flight, 50);
}

static void
test_key_choice__a_conversation_stays_also_with_a_busy_key(void **state)
{
	struct key_candidate keys[] = { { "a", 1, 0, true }, { "b", 1, 0, true } };
	size_t at = take_idlest(1, keys, 2);

	(void)state;
	keys[at].in_flight = 20;
	assert_int_equal(take_idlest(1, keys, 2), at);
	assert_int_equal(take_idlest(2, keys, 2), 1 - at);
}

static void
test_key_choice__what_is_idle_is_shared_by_weight(void **state)
{
	const struct key_candidate keys[] = { { "a", 1, 0, true }, { "b", 3, 0, true } };
	int first = 0;

	(void)state;
	for (uint64_t c = 0; c < 2000; c++)
		first += take_idlest(c, keys, 2) == 0;
	assert_in_range(first, 420, 580);
}

/* ---- what is remembered ---- */

static void
test_key_choice__the_longest_unused_is_forgotten_first(void **state)
{
	const struct key_candidate well[] = { { "a", 1, 0, true }, { "b", 1, 0, true } };
	const struct key_candidate only_b[] = { { "a", 1, 0, false }, { "b", 1, 0, true } };
	uint64_t of_a[2], next = 0;
	size_t found = 0;

	(void)state;
	for (; found < 2; next++)
		if (fresh(next, well, 2) == 0)
			of_a[found++] = next;
	/* both move to b; the first is used again, and then as many others come as there is room beside it */
	assert_int_equal(take(of_a[0], only_b, 2), 1);
	assert_int_equal(take(of_a[1], only_b, 2), 1);
	assert_int_equal(take(of_a[0], well, 2), 1);
	for (size_t i = 0; i < KEY_CHOICE_CONVERSATIONS - 1; i++)
		take(next++, well, 2);
	assert_int_equal(take(of_a[0], well, 2), 1);
	assert_int_equal(take(of_a[1], well, 2), 0);
}

/* ---- conversations ---- */

static uint64_t
said(const char *system, const char *first, const char *later)
{
	struct chat_request *r = chat_request_new();
	uint64_t hash;

	if (system != NULL)
		chat_add_text(chat_add_message(r, ROLE_SYSTEM), system, strlen(system));
	chat_add_text(chat_add_message(r, ROLE_USER), first, strlen(first));
	if (later != NULL) {
		chat_add_text(chat_add_message(r, ROLE_ASSISTANT), "yes", 3);
		chat_add_text(chat_add_message(r, ROLE_USER), later, strlen(later));
	}
	hash = key_choice_conversation(kc, r);
	chat_request_free(r);
	return hash;
}

static void
test_key_choice__a_conversation_is_its_beginning(void **state)
{
	static const unsigned char another[SHORT_HASH_KEY_BYTES] = "another of them";
	struct key_choice *first = kc;
	uint64_t hash = said("be brief", "hello", NULL);

	(void)state;
	assert_true(said("be brief", "hello", "and now?") == hash);
	assert_true(said("be brief", "hello", "or now?") == hash);
	assert_false(said("be brief", "hello!", NULL) == hash);
	assert_false(said("be long", "hello", NULL) == hash);
	assert_false(said(NULL, "hello", NULL) == hash);
	assert_false(said(NULL, "be briefhello", NULL) == hash);
	assert_false(said("be briefhello", "", NULL) == hash);
	kc = key_choice_new(another);
	assert_false(said("be brief", "hello", NULL) == hash);
	key_choice_free(kc);
	kc = first;
}

static void
test_key_choice__a_conversation_without_words_is_one_too(void **state)
{
	struct chat_request *r = chat_request_new();

	(void)state;
	key_choice_conversation(kc, r);
	chat_add_part(chat_add_message(r, ROLE_USER), PART_IMAGE);
	assert_true(key_choice_conversation(kc, r) == key_choice_conversation(kc, r));
	chat_request_free(r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_key_choice__shares_follow_the_weights),
		T(test_key_choice__two_providers_are_shared_differently),
		T(test_key_choice__the_order_of_the_keys_means_nothing),
		T(test_key_choice__a_restart_moves_nobody_and_another_seed_does),
		T(test_key_choice__a_new_key_takes_its_share_and_no_other_moves),
		T(test_key_choice__who_is_bound_does_not_move_to_a_new_key),
		T(test_key_choice__a_key_that_goes_moves_its_own_alone),
		T(test_key_choice__who_had_to_move_stays_where_it_went),
		T(test_key_choice__nobody_able_is_nobody_and_unbinds_nobody),
		T(test_key_choice__the_fewest_calls_for_the_weight_go_first),
		T(test_key_choice__calls_that_last_are_spread_by_the_weights),
		T(test_key_choice__a_conversation_stays_also_with_a_busy_key),
		T(test_key_choice__what_is_idle_is_shared_by_weight),
		T(test_key_choice__the_longest_unused_is_forgotten_first),
		T(test_key_choice__a_conversation_is_its_beginning),
		T(test_key_choice__a_conversation_without_words_is_one_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
