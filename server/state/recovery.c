#include "server/state/recovery.h"

#include <assert.h>
#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/store/database.h"

#define EVERY_MS 1000

struct recovery {
	struct changes *changes;
	struct store *stores[DATABASES];
	size_t count;
	struct loop_timer *timer;
	bool told; /* that one failed */
	void (*on_change)(void *arg, bool well, bool unknown);
	void *arg;
};

/* Called in the midst of a transaction: the rest is for later. */
static void
on_failure(void *arg)
{
	struct recovery *r = arg;

	if (!loop_timer_running(r->timer))
		loop_timer_start(r->timer, r->told ? EVERY_MS : 0);
}

static bool
try_all(struct recovery *r)
{
	struct error err = ERROR_INIT;
	bool well = true;

	for (size_t i = 0; i < r->count; i++)
		if (store_read_only(r->stores[i]) && store_recover(r->stores[i], &err) != 0)
			well = false;
	return well;
}

static void
on_timer(void *arg)
{
	struct recovery *r = arg;

	if (!r->told) {
		r->told = true;
		r->on_change(r->arg, false, false);
		loop_timer_start(r->timer, EVERY_MS);
		return;
	}
	if (changes_open(r->changes) || !try_all(r)) {
		loop_timer_start(r->timer, EVERY_MS);
		return;
	}
	r->told = false;
	log_info("the databases take writes again");
	r->on_change(r->arg, true, changes_recovered(r->changes));
}

struct recovery *
recovery_new(struct loop *loop, struct changes *changes,
    void (*on_change)(void *arg, bool well, bool unknown), void *arg)
{
	struct recovery *r = xcalloc(1, sizeof *r);

	r->changes = changes;
	r->on_change = on_change;
	r->arg = arg;
	r->timer = loop_timer_new(loop, on_timer, r);
	return r;
}

void
recovery_free(struct recovery *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->count; i++)
		store_on_failure(r->stores[i], NULL, NULL);
	loop_timer_free(r->timer);
	free(r);
}

void
recovery_add(struct recovery *r, struct store *s)
{
	assert(r->count < DATABASES);
	r->stores[r->count++] = s;
	store_on_failure(s, on_failure, r);
}
