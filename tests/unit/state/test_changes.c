#include "tests/unit/state/world.h"

static void
test_changes__news_after_commit_in_order_with_one_revision(void **state)
{
	struct world *w = *state;
	int64_t rev = changes_rev(w->changes);

	assert_int_equal(changes_begin(w->changes, NULL), 0);
	assert_true(changes_open(w->changes));
	assert_int_equal(changes_next_rev(w->changes), rev + 1);
	changes_note(w->changes, TOPIC_MODELS, CHANGE_ADD, "a:b");
	changes_note(w->changes, TOPIC_ROUTE, CHANGE_SET, "");
	changes_note(w->changes, TOPIC_ROUTE, CHANGE_SET, "");
	changes_note(w->changes, TOPIC_MODELS, CHANGE_REMOVE, "a:b");
	changes_note(w->changes, TOPIC_MODELS, CHANGE_ADD, "a:b");
	assert_int_equal(w->heard_count, 0);
	assert_int_equal(changes_commit(w->changes, "model.add", "me", "why", NULL), 0);
	assert_int_equal(changes_rev(w->changes), rev + 1);
	assert_int_equal(w->heard_count, 4);
	assert_int_equal(w->heard[0].topic, TOPIC_MODELS);
	assert_int_equal(w->heard[0].prev_rev, rev);
	assert_int_equal(w->heard[1].topic, TOPIC_ROUTE);
	assert_int_equal(w->heard[1].prev_rev, rev + 1);
	assert_int_equal(w->heard[2].op, CHANGE_REMOVE);
	assert_int_equal(w->heard[3].op, CHANGE_ADD);
	assert_string_equal(w->heard[3].method, "model.add");
	assert_string_equal(w->heard[3].reason, "why");
}

static void
test_changes__rollback_tells_nothing_and_reloads(void **state)
{
	struct world *w = *state;
	const struct provider *p = world_provider(w, "openai");
	int64_t rev = changes_rev(w->changes);

	assert_int_equal(changes_begin(w->changes, NULL), 0);
	assert_int_equal(overrides_set(w->os, "", p, "gpt-4", NULL, false, 0, &w->err), 0);
	assert_int_equal(models_add(w->ms, p, "m", "nick", 0, &w->err), 0);
	assert_non_null(overrides_find(w->os, "", false));
	changes_rollback(w->changes);
	assert_null(overrides_find(w->os, "", false));
	assert_null(models_find_nick(w->ms, "nick"));
	assert_int_equal(changes_rev(w->changes), rev);
	assert_int_equal(w->heard_count, 0);
	changes_rollback(w->changes);
}

static void
test_changes__the_configuration_has_a_revision_of_its_own(void **state)
{
	struct world *w = *state;
	const struct provider *p = world_provider(w, "openai");
	int64_t rev;

	CHANGE(w, settings_set(w->settings, SETTING_lock_idle, "1h", &w->err));
	rev = changes_config_rev(w->changes);
	assert_int_equal(rev, changes_rev(w->changes));
	/* a choice is no configuration, and news of a provider's health is not stored */
	CHANGE(w, overrides_set(w->os, "", p, "a", NULL, false, 0, &w->err));
	changes_tell(w->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, "openai", "recovered");
	assert_int_equal(changes_config_rev(w->changes), rev);
	assert_true(changes_rev(w->changes) > rev);
	CHANGE(w, models_add(w->ms, p, "m", NULL, 0, &w->err));
	assert_int_equal(changes_config_rev(w->changes), changes_rev(w->changes));
	rev = changes_config_rev(w->changes);
	world_reopen(w);
	assert_int_equal(changes_config_rev(w->changes), rev);
}

static void
test_changes__revision_survives_and_instance_does_not(void **state)
{
	struct world *w = *state;
	char instance[32];
	int64_t rev;

	CHANGE(w, overrides_set(w->os, "", world_provider(w, "openai"), "a", NULL, false, 0, &w->err));
	rev = changes_rev(w->changes);
	snprintf(instance, sizeof instance, "%s", changes_instance(w->changes));
	assert_int_equal(strlen(instance), 16);
	world_reopen(w);
	assert_int_equal(changes_rev(w->changes), rev);
	assert_string_not_equal(changes_instance(w->changes), instance);
}

static void
test_changes__one_inside_another_is_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(changes_begin(w->changes, NULL), 0);
	assert_int_equal(changes_begin(w->changes, &w->err), MP_E_INTERNAL);
	changes_rollback(w->changes);
}

struct talker {
	struct changes *changes;
	int told;
	int64_t revs[4];
	int heard, begin;
};

static void
talk_back(void *arg, const struct change *ch)
{
	struct talker *t = arg;

	t->revs[t->heard++] = ch->rev;
	if (t->told++ == 0) {
		t->begin = changes_begin(t->changes, NULL);
		changes_tell(t->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, "late", NULL);
	}
}

static void
test_changes__news_caused_by_news_comes_after_it(void **state)
{
	struct world *w = *state;
	struct talker t = { .changes = w->changes };

	changes_subscribe(w->changes, talk_back, &t);
	assert_int_equal(changes_begin(w->changes, NULL), 0);
	changes_note(w->changes, TOPIC_DAEMON, CHANGE_SET, "one");
	changes_note(w->changes, TOPIC_DAEMON, CHANGE_SET, "two");
	assert_int_equal(changes_commit(w->changes, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(t.heard, 3);
	assert_int_equal(t.begin, MP_E_INTERNAL);
	assert_true(t.revs[0] == t.revs[1] && t.revs[2] == t.revs[1] + 1);
	assert_string_equal(w->heard[1].key, "two");
	assert_string_equal(w->heard[2].key, "late");
	changes_unsubscribe(w->changes, &t);
	changes_tell(w->changes, TOPIC_DAEMON, CHANGE_SET, "three", "r");
	assert_int_equal(t.heard, 3);
	assert_string_equal(w->heard[3].reason, "r");
}

static void
leave(void *arg, const struct change *ch)
{
	struct talker *t = arg;

	(void)ch;
	t->heard++;
	changes_unsubscribe(t->changes, t);
}

static void
test_changes__a_subscriber_may_leave_while_listening(void **state)
{
	struct world *w = *state;
	struct talker t = { .changes = w->changes };

	changes_subscribe(w->changes, leave, &t);
	changes_tell(w->changes, TOPIC_DAEMON, CHANGE_SET, "", NULL);
	changes_tell(w->changes, TOPIC_DAEMON, CHANGE_SET, "", NULL);
	assert_int_equal(t.heard, 1);
}

static void
test_changes__topics_have_names(void **state)
{
	enum topic t;

	(void)state;
	assert_string_equal(topic_name(TOPIC_ROUTE), "route");
	assert_true(topic_parse("overrides", 9, &t));
	assert_int_equal(t, TOPIC_OVERRIDES);
	assert_false(topic_parse("override", 8, &t));
	assert_string_equal(change_op_name(CHANGE_REMOVE), "remove");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes__topics_have_names),
		TEST(test_changes__news_after_commit_in_order_with_one_revision),
		TEST(test_changes__rollback_tells_nothing_and_reloads),
		TEST(test_changes__revision_survives_and_instance_does_not),
		TEST(test_changes__the_configuration_has_a_revision_of_its_own),
		TEST(test_changes__one_inside_another_is_refused),
		TEST(test_changes__news_caused_by_news_comes_after_it),
		TEST(test_changes__a_subscriber_may_leave_while_listening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
