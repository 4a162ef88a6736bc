#include "server/call/retention.h"

#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"

#define FIRST_MS 60000 /* a start has other things to do */
#define LOOK_MS INT64_C(3600000)

struct retention {
	struct settings *settings;
	struct prune *prune;
	struct ledger *ledger;
	struct changes *changes;
	struct loop_timer *look;
};

static void
look(void *arg)
{
	struct retention *r = arg;
	int64_t keep_ms = settings_ms(r->settings, SETTING_usage_keep);
	struct error err = ERROR_INIT;
	struct prune_plan plan = { .days = false };

	if (keep_ms <= 0)
		return; /* the setting wakes us */
	plan.before_ms = prune_day(clock_wall_ms() - keep_ms);
	if (plan.before_ms > ledger_rows_from_ms(r->ledger))
		prune_begin(r->prune, &plan, NULL, NULL, &err); /* when it cannot, in an hour */
	loop_timer_start(r->look, LOOK_MS);
}

static void
on_change(void *arg, const struct change *ch)
{
	struct retention *r = arg;

	if (ch->topic == TOPIC_SETTINGS)
		loop_timer_start(r->look, 0);
}

struct retention *
retention_new(struct loop *loop, struct settings *settings, struct prune *prune, struct ledger *ledger,
    struct changes *changes)
{
	struct retention *r = xcalloc(1, sizeof *r);

	r->settings = settings;
	r->prune = prune;
	r->ledger = ledger;
	r->changes = changes;
	r->look = loop_timer_new(loop, look, r);
	loop_timer_start(r->look, FIRST_MS);
	changes_subscribe(changes, on_change, r);
	return r;
}

void
retention_free(struct retention *r)
{
	if (r == NULL)
		return;
	changes_unsubscribe(r->changes, r);
	loop_timer_free(r->look);
	free(r);
}
