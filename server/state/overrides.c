/* overrides.c - the live choice.
 *
 * A scope's state is at most one persistent and one temporary item in force. The state before it is kept as
 * items marked `previous`; an item that stays in force through a change leaves a copy there. So undo
 * is to swap the marks, and a previous state without items is "nothing was chosen". */
#include "server/state/overrides.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/state/override_list.h"

/* While one with an end is in force we look this often: a timer stands still in suspend and does not see the
 * clock being set, and everyone is to know the end within a second. */
#define TICK_MS 500
#define RETRY_MS 60000 /* when an ended one could not be deleted; and for those kept for undo */

struct overrides {
	struct override_list list;
	struct changes *changes;
	struct loop_timer *timer;
	bool expiry_told; /* an ended item could not be deleted, but its end was told */
};

static int
stored(struct overrides *os, int r, struct error *err)
{
	if (r == 0)
		return 0;
	return error_set(err, r, "the choice cannot be stored: %s", store_path(os->list.store));
}

static void
note(struct overrides *os, enum change_op op, const char *scope)
{
	changes_note(os->changes, TOPIC_OVERRIDES, op, scope);
	changes_note(os->changes, TOPIC_ROUTE, CHANGE_SET, scope);
}

/* ---- the end of temporary ones ---- */

/* Until the next look at it; -1 = it needs none. */
static int64_t
look_in_ms(struct overrides *os, struct override_item *i)
{
	const int64_t most = i->previous ? RETRY_MS : TICK_MS;
	int64_t left;

	if (!override_alive(i))
		return os->expiry_told ? RETRY_MS : 0;
	if (!i->o.temporary || i->o.expires_ms == 0)
		return -1;
	left = override_left_ms(i);
	return left < 0 ? 0 : left < most ? left : most;
}

static void
arm(struct overrides *os)
{
	int64_t next = -1;

	for (size_t k = 0; k < os->list.count; k++) {
		int64_t ms = look_in_ms(os, os->list.items[k]);

		if (ms >= 0 && (next < 0 || ms < next))
			next = ms;
	}
	if (next < 0)
		loop_timer_stop(os->timer);
	else
		loop_timer_start(os->timer, next);
}

/* Inside a change: items whose time is up go; those that were in force are told. */
static int
sweep(struct overrides *os)
{
	int r;

	for (size_t k = os->list.count; k-- > 0;) {
		struct override_item *i = os->list.items[k];

		if (override_alive(i))
			continue;
		if (!i->previous)
			note(os, CHANGE_REMOVE, i->o.scope);
		if ((r = override_list_delete(&os->list, i)) != 0)
			return r;
	}
	return 0;
}

static bool
any_dead(const struct overrides *os)
{
	for (size_t k = 0; k < os->list.count; k++)
		if (!override_alive(os->list.items[k]))
			return true;
	return false;
}

/* The store refuses writes: the items stay, but they are out of force, and that is news. */
static void
tell_expired(struct overrides *os)
{
	for (size_t k = 0; k < os->list.count; k++) {
		struct override_item *i = os->list.items[k];
		char *scope;

		if (override_alive(i) || i->previous)
			continue;
		scope = xstrdup(i->o.scope);
		changes_tell(os->changes, TOPIC_OVERRIDES, CHANGE_REMOVE, scope, "expired");
		changes_tell(os->changes, TOPIC_ROUTE, CHANGE_SET, scope, "expired");
		free(scope);
	}
}

static int
sweep_and_commit(struct overrides *os, struct error *err)
{
	int r;

	if ((r = changes_begin(os->changes, err)) != 0)
		return r;
	if ((r = stored(os, sweep(os), err)) != 0) {
		changes_rollback(os->changes);
		return r;
	}
	return changes_commit(os->changes, NULL, NULL, "expired", err);
}

static void
expire(struct overrides *os)
{
	struct error err = ERROR_INIT;

	if (!any_dead(os))
		return;
	if (sweep_and_commit(os, &err) == 0) {
		os->expiry_told = false;
		return;
	}
	if (os->expiry_told)
		return;
	log_warn("an ended override cannot be deleted from the store; it is out of force all the same",
	    LOG_TEXT("why", err.message));
	os->expiry_told = true;
	tell_expired(os);
}

static void
on_timer(void *arg)
{
	struct overrides *os = arg;

	expire(os);
	arm(os);
}

/* ---- life ---- */

static void
reload(void *arg)
{
	struct overrides *os = arg;

	if (override_list_load(&os->list, os->list.store) != 0)
		log_error("overrides cannot be read back",
		    LOG_TEXT("file", store_path(os->list.store)));
	arm(os);
}

int
overrides_new(struct store *store, struct providers *providers, struct changes *changes,
    struct loop *loop, struct overrides **out, struct error *err)
{
	struct overrides *os = xcalloc(1, sizeof *os);
	int r;

	(void)providers; /* an override outlives a provider that is gone for now */
	os->changes = changes;
	os->timer = loop_timer_new(loop, on_timer, os);
	if ((r = override_list_load(&os->list, store)) != 0) {
		overrides_free(os);
		return error_set(err, r, "the overrides cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, os);
	/* those of an earlier boot, and those that ended while nobody ran */
	expire(os);
	arm(os);
	*out = os;
	return 0;
}

void
overrides_free(struct overrides *os)
{
	if (os == NULL)
		return;
	loop_timer_free(os->timer);
	override_list_clear(&os->list);
	free(os);
}

/* ---- looking ---- */

/* One that is seen to have ended leaves the store at once: neither a crash nor a clock that is set back
 * revives it. */
static bool
alive(const struct overrides *os, struct override_item *i)
{
	if (override_alive(i))
		return true;
	if (!os->expiry_told)
		loop_timer_start(os->timer, 0);
	return false;
}

const struct override *
overrides_find(const struct overrides *os, const char *scope, bool temporary)
{
	for (size_t k = 0; k < os->list.count; k++) {
		struct override_item *i = os->list.items[k];

		if (i->o.temporary == temporary && !i->previous
		    && strcmp(i->o.scope, scope != NULL ? scope : "") == 0 && alive(os, i))
			return &i->o;
	}
	return NULL;
}

void
overrides_each(const struct overrides *os, void (*each)(void *arg, const struct override *o),
    void *arg)
{
	for (size_t k = 0; k < os->list.count; k++)
		if (alive(os, os->list.items[k]) && !os->list.items[k]->previous)
			each(arg, &os->list.items[k]->o);
}

int64_t
overrides_scope_rev(const struct overrides *os, const char *scope)
{
	int64_t rev = 0;

	/* previous ones too: a clear leaves its revision on them */
	for (size_t k = 0; k < os->list.count; k++) {
		const struct override *o = &os->list.items[k]->o;

		if (strcmp(o->scope, scope != NULL ? scope : "") == 0 && o->rev > rev)
			rev = o->rev;
	}
	return rev;
}

static bool
is_of_provider(const struct override *o, const void *p)
{
	return strcmp(o->provider_id, ((const struct provider *)p)->id) == 0;
}

static bool
is_of_chain(const struct override *o, const void *name)
{
	return o->chain != NULL && strcmp(o->chain, name) == 0;
}

static bool
uses(const struct overrides *os, bool (*is_of)(const struct override *o, const void *what), const void *what)
{
	for (size_t k = 0; k < os->list.count; k++) {
		struct override_item *i = os->list.items[k];

		if (!i->previous && is_of(&i->o, what) && alive(os, i))
			return true;
	}
	return false;
}

bool
overrides_uses_provider(const struct overrides *os, const struct provider *p)
{
	return uses(os, is_of_provider, p);
}

bool
overrides_uses_chain(const struct overrides *os, const char *chain)
{
	return uses(os, is_of_chain, chain);
}

/* ---- changing ---- */

/* What was in force becomes the previous state; what stays in force leaves a copy there. */
static int
keep_previous(struct overrides *os, struct override_item *old, bool stays)
{
	int64_t rev = changes_next_rev(os->changes);
	struct override_item *copy;

	if (!stays) {
		old->previous = true;
		return override_list_put(&os->list, old, rev);
	}
	copy = override_item_copy(old);
	copy->previous = true;
	return override_list_add(&os->list, copy, rev);
}

/* Makes `next` the scope's state: index 0 persistent, 1 temporary; NULL = none. Each is an item in force,
 * which stays, or one from outside the list, which is taken. On failure the caller rolls back,
 * which reads the list again. */
static int
advance(struct overrides *os, const char *scope, struct override_item *next[2])
{
	struct override_item *fresh[2] = { NULL, NULL }, *old;
	int r = override_list_forget_previous(&os->list, scope);

	for (int k = 0; k < 2; k++)
		if (next[k] != NULL && next[k]->o.id == 0)
			fresh[k] = next[k];
	for (int k = 0; k < 2 && r == 0; k++) {
		old = override_list_find(&os->list, scope, k == 1, false);
		if (old != NULL)
			r = keep_previous(os, old, old == next[k]);
		if (r == 0 && fresh[k] != NULL) {
			r = override_list_add(&os->list, fresh[k], changes_next_rev(os->changes));
			fresh[k] = NULL;
		}
	}
	override_item_free(fresh[0]);
	override_item_free(fresh[1]);
	override_list_sort(&os->list);
	arm(os);
	return r;
}

/* Chosen already: "the one before" must not become the same one, so only its end moves. */
static int
renew(struct overrides *os, struct override_item *now, struct override_item *fresh)
{
	now->o.expires_ms = fresh->o.expires_ms;
	now->expires_boot_ms = fresh->expires_boot_ms;
	override_item_free(fresh);
	arm(os);
	return override_list_put(&os->list, now, changes_next_rev(os->changes));
}

static int
set(struct overrides *os, const char *scope, const struct override_choice *what, bool temporary,
    int64_t ttl_ms, struct error *err)
{
	struct override_item *next[2] = { NULL, NULL }, *fresh, *now;
	bool same, lone;
	int r;

	scope = scope != NULL ? scope : "";
	if ((r = override_list_check(&os->list, scope, what, ttl_ms, err)) != 0
	    || (r = stored(os, sweep(os), err)) != 0)
		return r;
	temporary = temporary || ttl_ms > 0;
	fresh = override_item_new(scope, what, temporary, ttl_ms);
	now = override_list_find(&os->list, scope, temporary, false);
	same = now != NULL && override_same(now, fresh, false);
	lone = temporary || override_list_find(&os->list, scope, true, false) == NULL;
	note(os, CHANGE_SET, scope);
	if (same && lone)
		return stored(os, renew(os, now, fresh), err);
	if (temporary)
		next[0] = override_list_find(&os->list, scope, false, false);
	next[temporary ? 1 : 0] = fresh;
	return stored(os, advance(os, scope, next), err);
}

int
overrides_set(struct overrides *os, const char *scope, const struct provider *p, const char *model,
    const char *label, bool temporary, int64_t ttl_ms, struct error *err)
{
	const struct override_choice what = { p, model, label, NULL };

	return set(os, scope, &what, temporary, ttl_ms, err);
}

int
overrides_set_chain(struct overrides *os, const char *scope, const char *chain, bool temporary,
    int64_t ttl_ms, struct error *err)
{
	const struct override_choice what = { NULL, "", NULL, chain };

	return set(os, scope, &what, temporary, ttl_ms, err);
}

int
overrides_clear(struct overrides *os, const char *scope, struct error *err)
{
	struct override_item *next[2] = { NULL, NULL };
	int r;

	scope = scope != NULL ? scope : "";
	if ((r = stored(os, sweep(os), err)) != 0)
		return r;
	if (overrides_find(os, scope, false) == NULL && overrides_find(os, scope, true) == NULL) {
		if (*scope == '\0')
			return error_set(err, MP_E_NOT_FOUND, "there is no override to clear");
		return error_set(err, MP_E_NOT_FOUND, "scope \"%.80s\" has no override to clear", scope);
	}
	note(os, CHANGE_REMOVE, scope);
	return stored(os, advance(os, scope, next), err);
}

int
overrides_clear_id(struct overrides *os, int64_t id, struct error *err)
{
	struct override_item *next[2], *i = NULL;
	int r;

	if ((r = stored(os, sweep(os), err)) != 0)
		return r;
	for (size_t k = 0; k < os->list.count; k++)
		if (os->list.items[k]->o.id == id && !os->list.items[k]->previous)
			i = os->list.items[k];
	if (i == NULL)
		return error_set(err, MP_E_NOT_FOUND, "there is no override with id %lld", (long long)id);
	next[0] = override_list_find(&os->list, i->o.scope, false, false);
	next[1] = override_list_find(&os->list, i->o.scope, true, false);
	next[i->o.temporary ? 1 : 0] = NULL;
	note(os, CHANGE_REMOVE, i->o.scope);
	return stored(os, advance(os, i->o.scope, next), err);
}

int
overrides_undo(struct overrides *os, const char *scope, struct error *err)
{
	struct override_item *now[2], *before[2];
	bool same = true;
	int r;

	scope = scope != NULL ? scope : "";
	if ((r = stored(os, sweep(os), err)) != 0)
		return r;
	for (int k = 0; k < 2; k++) {
		now[k] = override_list_find(&os->list, scope, k == 1, false);
		before[k] = override_list_find(&os->list, scope, k == 1, true);
		same = same && override_same(now[k], before[k], true);
	}
	if (same) {
		error_set(err, MP_E_NOT_FOUND, "there is no earlier choice to go back to");
		error_hint(err, "choose one: mpc switch PROVIDER:MODEL");
		return MP_E_NOT_FOUND;
	}
	note(os, CHANGE_SET, scope);
	for (int k = 0; k < 2; k++)
		if ((r = stored(os, override_list_swap(&os->list, now[k], before[k],
		                      changes_next_rev(os->changes)), err)) != 0)
			return r;
	override_list_sort(&os->list);
	arm(os);
	return 0;
}

static int
remove_all(struct overrides *os, bool (*is_of)(const struct override *o, const void *what),
    const void *what, struct error *err)
{
	int r;

	for (size_t k = os->list.count; k-- > 0;) {
		struct override_item *i = os->list.items[k];

		if (!is_of(&i->o, what))
			continue;
		if (!i->previous)
			note(os, CHANGE_REMOVE, i->o.scope);
		if ((r = stored(os, override_list_delete(&os->list, i), err)) != 0)
			return r;
	}
	arm(os);
	return 0;
}

int
overrides_remove_provider(struct overrides *os, const struct provider *p, struct error *err)
{
	return remove_all(os, is_of_provider, p, err);
}

int
overrides_remove_chain(struct overrides *os, const char *chain, struct error *err)
{
	return remove_all(os, is_of_chain, chain, err);
}
