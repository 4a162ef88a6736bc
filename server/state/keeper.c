#include "server/state/keeper.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/state/keeper_inside.h"

/* A timer stands still in suspend: while the lease counts, it is looked at this often. */
#define LEASE_TICK_MS 1000

/* ---- news ---- */

/* What hangs on the keys looks different now. */
static void
tell(struct keeper *k, const char *reason)
{
	changes_tell(k->p.changes, TOPIC_DAEMON, CHANGE_SET, "daemon", reason);
	for (size_t i = 0; i < providers_count(k->p.providers); i++) {
		const struct provider *p = providers_at(k->p.providers, i);

		if (credentials_find(k->p.credentials, p->name, NULL) != NULL)
			changes_tell(k->p.changes, TOPIC_PROVIDERS, CHANGE_UPDATE, p->name, reason);
	}
}

/* ---- the automatic lock ---- */

static void
arm(struct keeper *k)
{
	int64_t left = vault_lease_left_ms(k->p.vault);

	if (left == INT64_MAX)
		loop_timer_stop(k->lease);
	else
		loop_timer_start(k->lease, left < LEASE_TICK_MS ? left : LEASE_TICK_MS);
}

static void
on_lease(void *arg)
{
	struct keeper *k = arg;
	bool idle = vault_lease_idle(k->p.vault);

	if (vault_lease_left_ms(k->p.vault) <= 0)
		keeper_lock(k, idle ? "they were not used for long" : "they were open for long",
		    idle ? "idle" : "expired");
	else
		arm(k);
}

static void
read_settings(struct keeper *k)
{
	vault_set_lease(k->p.vault, settings_ms(k->p.settings, SETTING_lock_idle),
	    settings_ms(k->p.settings, SETTING_lock_after));
	arm(k);
}

static void
on_change(void *arg, const struct change *ch)
{
	if (ch->topic == TOPIC_SETTINGS)
		read_settings(arg);
}

void
keeper_opened(struct keeper *k)
{
	log_info("the keys are open", LOG_TEXT("by", vault_opened_by(k->p.vault)));
	vault_renew_keyring(k->p.vault);
	arm(k);
	tell(k, "unlocked");
}

/* ---- at once ---- */

bool
keeper_lock(struct keeper *k, const char *why, const char *reason)
{
	bool was_open = *vault_opened_by(k->p.vault) != '\0';

	vault_lock(k->p.vault, why);
	credentials_close_all(k->p.credentials);
	keeper_overtake(k);
	loop_timer_stop(k->lease);
	if (!was_open)
		return false;
	log_info("the keys are locked", LOG_TEXT("why", why));
	if (k->locked != NULL)
		k->locked(k->locked_arg);
	tell(k, reason);
	return true;
}

int
keeper_unlock_unattended(struct keeper *k, struct error *err)
{
	bool was_locked = vault_is_locked(k->p.vault);
	int r = vault_unlock_unattended(k->p.vault, err);

	if (r == 0 && was_locked)
		keeper_opened(k);
	return r;
}

/* ---- life ---- */

struct keeper *
keeper_new(const struct keeper_parts *parts)
{
	struct keeper *k = xcalloc(1, sizeof *k);

	k->p = *parts;
	k->last = &k->first;
	k->turn = loop_timer_new(k->p.loop, keeper_turn, k);
	k->lease = loop_timer_new(k->p.loop, on_lease, k);
	changes_subscribe(k->p.changes, on_change, k);
	read_settings(k);
	return k;
}

void
keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	keeper_use_commands(k, NULL);
	while (k->first != NULL)
		keeper_ask_cancel(k->first);
	changes_unsubscribe(k->p.changes, k);
	loop_timer_free(k->turn);
	loop_timer_free(k->lease);
	free(k);
}

void
keeper_on_lock(struct keeper *k, void (*locked)(void *arg), void *arg)
{
	k->locked = locked;
	k->locked_arg = arg;
}
