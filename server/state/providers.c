#include "server/state/providers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/state/catalogue.h"
#include "server/state/provider_members.h"
#include "server/state/providers_inside.h"
#include "server/store/rows.h"

#define PROVIDERS_MAX 1000

/* The disk is the truth; what calls learned about health stays, and so do the objects of providers that are
 * what they were (others borrow them). */
void
providers_reload(struct providers *ps)
{
	struct entries old = ps->entries;
	struct entry *e;

	ps->entries = (struct entries){ .count = 0 };
	if (entries_load(&ps->entries, ps->store) != 0)
		log_error("providers cannot be read back", LOG_TEXT("file", store_path(ps->store)));
	for (size_t i = 0; i < old.count; i++) {
		struct provider *p = old.list[i].p;

		if ((e = entries_by_id(&ps->entries, p->id)) == NULL)
			continue;
		/* a bundle below may have come or gone without another revision of the user's row */
		if (p->rev == e->p->rev && p->origin == e->p->origin && !changes_are_replaced(ps->changes) &&
		    provider_members_same(p, e->p, "*")) {
			old.list[i].p = e->p;
			e->p = p;
		}
		e->health = old.list[i].health;
		health_init(&old.list[i].health);
	}
	entries_clear(&old);
}

static void
reload(void *arg)
{
	providers_reload(arg);
}

int
providers_new(struct store *store, struct changes *changes, struct providers **out,
    struct error *err)
{
	struct providers *ps = xcalloc(1, sizeof *ps);
	int r;

	ps->store = store;
	ps->changes = changes;
	if ((r = entries_load(&ps->entries, store)) != 0) {
		providers_free(ps);
		return error_set(err, r, "the providers cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, ps);
	*out = ps;
	return 0;
}

void
providers_free(struct providers *ps)
{
	if (ps == NULL)
		return;
	entries_clear(&ps->entries);
	free(ps);
}

/* ---- looking ---- */

const struct provider *
providers_find(const struct providers *ps, const char *name)
{
	const struct entry *e = entries_by_name(&ps->entries, name);

	return e != NULL ? e->p : NULL;
}

const struct provider *
providers_find_id(const struct providers *ps, const char *id)
{
	const struct entry *e = entries_by_id(&ps->entries, id);

	return e != NULL ? e->p : NULL;
}

size_t
providers_count(const struct providers *ps)
{
	return ps->entries.count;
}

const struct provider *
providers_at(const struct providers *ps, size_t i)
{
	assert(i < ps->entries.count);
	return ps->entries.list[i].p;
}

bool
providers_user_set(const struct providers *ps, const struct provider *p, const char *member)
{
	const struct entry *e = entries_by_id(&ps->entries, p->id);

	return e != NULL && e->changed != NULL && provider_members_has(e->changed, member);
}

static const char *
name_at(const void *arg, size_t i)
{
	return ((const struct providers *)arg)->entries.list[i].p->name;
}

void
providers_suggest(const struct providers *ps, const char *text, struct error *err)
{
	error_suggest(err, text, name_at, ps, ps->entries.count);
}

/* ---- changing ---- */

static void
trim_slash(struct provider *p)
{
	size_t n = p->base_url != NULL ? strlen(p->base_url) : 0;

	while (n > 0 && p->base_url[n - 1] == '/')
		p->base_url[--n] = '\0';
}

static int
write_row(struct providers *ps, struct provider *p, const char *changed, struct error *err)
{
	struct provider_row row = { .provider = p, .changed = changed };
	int r;

	p->rev = changes_next_rev(ps->changes);
	if ((r = store_provider_put(ps->store, &row)) != 0)
		return error_set(err, r, "provider %s cannot be stored", p->name);
	return 0;
}

int
providers_claim_name(const struct providers *ps, const struct entry *e, const char *name,
    struct error *err)
{
	const struct entry *other = entries_by_name(&ps->entries, name);

	if (other == NULL || other == e)
		return 0;
	if (strcmp(other->p->name, name) == 0)
		error_set(err, MP_E_CONFLICT, "there is already a provider %s", name);
	else
		error_set(err, MP_E_CONFLICT, "%s is another name of provider %s", name, other->p->name);
	error_hint(err, "change it: mpc provider set %s KEY=VALUE", other->p->name);
	return MP_E_CONFLICT;
}

int
providers_add(struct providers *ps, const struct provider *p, struct error *err)
{
	struct provider *copy;
	int r;

	if ((r = provider_check(p, err)) != 0 || (r = providers_claim_name(ps, NULL, p->name, err)) != 0)
		return r;
	if (ps->entries.count >= PROVIDERS_MAX)
		return error_set(err, MP_E_TOO_MANY, "there are %d providers already", PROVIDERS_MAX);
	copy = provider_copy(p);
	copy->origin = ORIGIN_USER;
	trim_slash(copy);
	if ((r = write_row(ps, copy, "*", err)) != 0) {
		provider_free(copy);
		return r;
	}
	changes_note(ps->changes, TOPIC_PROVIDERS, CHANGE_ADD, copy->name);
	entries_add(&ps->entries, copy, NOT_SHIPPED, "*");
	entries_sort(&ps->entries);
	return 0;
}

static int
not_found(const struct providers *ps, const char *name, struct error *err)
{
	error_set(err, MP_E_NOT_FOUND, "there is no provider \"%s\"", name);
	providers_suggest(ps, name, err);
	return MP_E_NOT_FOUND;
}

static void
note_update(struct providers *ps, const char *old_name, const char *new_name)
{
	if (strcmp(old_name, new_name) == 0) {
		changes_note(ps->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, new_name);
	} else {
		changes_note(ps->changes, TOPIC_PROVIDERS, CHANGE_REMOVE, old_name);
		changes_note(ps->changes, TOPIC_PROVIDERS, CHANGE_ADD, new_name);
	}
	/* names and aliases are part of what a route shows */
	changes_note(ps->changes, TOPIC_ROUTE, CHANGE_SET, "");
}

int
providers_write(struct providers *ps, struct entry *e, struct provider *p, const char *members,
    struct error *err)
{
	char *copy = xstrdup(members);
	int r;

	p->origin = ORIGIN_USER;
	trim_slash(p);
	if ((r = write_row(ps, p, copy, err)) != 0) {
		provider_free(p);
		free(copy);
		return r;
	}
	note_update(ps, e->p->name, p->name);
	provider_free(e->p);
	e->p = p;
	free(e->changed);
	e->changed = copy;
	entries_sort(&ps->entries);
	if (ps->entries.hidden > 0)
		providers_reload(ps); /* a name may be free again */
	return 0;
}

/* The shipped name may have been taken while the provider went by another one. */
static int
shipped_name_free(const struct providers *ps, const struct entry *e, const char *name,
    struct error *err)
{
	const struct entry *other = entries_by_name(&ps->entries, name);

	if (other == NULL || other == e || strcmp(other->p->name, name) != 0)
		return 0;
	error_set(err, MP_E_CONFLICT, "the shipped name %s is taken by another provider", name);
	error_hint(err, "rename that one first: mpc provider rename %s NEW", name);
	return MP_E_CONFLICT;
}

static int
revert(struct providers *ps, struct entry *e, struct error *err)
{
	struct provider *shipped = entry_shipped(e);
	int r;

	if ((r = shipped_name_free(ps, e, shipped->name, err)) != 0) {
		provider_free(shipped);
		return r;
	}
	if ((r = store_provider_delete(ps->store, e->p->id)) != 0) {
		provider_free(shipped);
		return error_set(err, r, "provider %s cannot be changed in the store", e->p->name);
	}
	note_update(ps, e->p->name, shipped->name);
	provider_free(e->p);
	e->p = shipped;
	free(e->changed);
	e->changed = NULL;
	entries_sort(&ps->entries);
	return 0;
}

int
providers_update(struct providers *ps, const char *name, const struct provider *changed,
    const char *fields, struct error *err)
{
	struct entry *e = entries_by_name(&ps->entries, name);
	struct provider *copy = NULL;
	char *members = NULL;
	int r;

	if (e == NULL)
		return not_found(ps, name, err);
	if ((r = provider_members_known(fields, err)) != 0)
		return r;
	copy = provider_copy(e->p);
	provider_members_copy(copy, changed, fields);
	if ((r = provider_check(copy, err)) != 0 ||
	    (r = providers_claim_name(ps, e, copy->name, err)) != 0)
		goto out;
	members = !entry_is_shipped(e)
	    ? xstrdup("*")
	    : provider_members_join(e->changed != NULL ? e->changed : "", fields);
	entry_forget_name(e, copy->name, &members);
	if (*members == '\0') {
		r = revert(ps, e, err); /* it is as it was shipped again */
		goto out;
	}
	r = providers_write(ps, e, copy, members, err);
	copy = NULL;
out:
	provider_free(copy);
	free(members);
	return r;
}

int
providers_remove(struct providers *ps, const char *name, bool *reverted, struct error *err)
{
	struct entry *e = entries_by_name(&ps->entries, name);
	int r;

	if (e == NULL)
		return not_found(ps, name, err);
	*reverted = entry_is_shipped(e);
	if (*reverted && e->changed == NULL) {
		error_set(err, MP_E_INVALID_STATE, "%s %s%s and is unchanged", e->p->name,
		    e->team != NULL ? "comes with the bundle of team " : "is built in",
		    e->team != NULL ? e->team : "");
		error_hint(err, "turn it off: mpc provider disable %s", e->p->name);
		return MP_E_INVALID_STATE;
	}
	if (*reverted)
		return revert(ps, e, err);
	if ((r = store_provider_delete(ps->store, e->p->id)) != 0)
		return error_set(err, r, "provider %s cannot be removed from the store", e->p->name);
	changes_note(ps->changes, TOPIC_PROVIDERS, CHANGE_REMOVE, e->p->name);
	changes_note(ps->changes, TOPIC_ROUTE, CHANGE_SET, "");
	entries_remove(&ps->entries, e);
	if (ps->entries.hidden > 0)
		providers_reload(ps); /* its name is free again */
	return 0;
}

/* ---- health ---- */

const char *
provider_status_name(enum provider_status s)
{
	switch (s) {
	case STATUS_ACTIVE:
		return "active";
	case STATUS_AVAILABLE:
		return "available";
	case STATUS_RATE_LIMITED:
		return "rate-limited";
	case STATUS_ERROR:
		return "error";
	case STATUS_LOCKED:
		return "locked";
	case STATUS_NO_CREDENTIAL:
		return "no-credential";
	case STATUS_DISABLED:
		return "disabled";
	}
	return "error";
}

static void
stands_well(struct providers *ps, struct entry *e, int64_t latency_ms)
{
	if (health_ok(&e->health, latency_ms, clock_wall_ms()))
		changes_tell(ps->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, e->p->name, "recovered");
}

static void
stands_badly(struct providers *ps, struct entry *e, int code, const char *message, int64_t until_ms)
{
	if (health_failed(&e->health, code, message, until_ms, clock_wall_ms()))
		changes_tell(ps->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, e->p->name, error_code(code));
}

void
providers_report_ok(struct providers *ps, const char *name, int64_t latency_ms)
{
	struct entry *e = entries_by_name(&ps->entries, name);

	if (e == NULL)
		return;
	activity_note(&e->health.activity, false, clock_wall_ms());
	stands_well(ps, e, latency_ms);
}

void
providers_report_failure(struct providers *ps, const char *name, int code, const char *message,
    int64_t until_ms)
{
	struct entry *e = entries_by_name(&ps->entries, name);

	if (e == NULL)
		return;
	activity_note(&e->health.activity, true, clock_wall_ms());
	stands_badly(ps, e, code, message, until_ms);
}

void
providers_report_limits(struct providers *ps, const char *name, const struct limits *l)
{
	struct entry *e = entries_by_name(&ps->entries, name);

	if (e != NULL && health_limits(&e->health, l, clock_wall_ms()))
		changes_tell(ps->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, e->p->name, "limits");
}

void
providers_forget_limits(struct providers *ps, const struct provider *p)
{
	struct entry *e = entries_by_id(&ps->entries, p->id);

	if (e != NULL)
		e->health.limits = (struct limits){ .count = 0 };
}

const struct limits *
providers_limits(const struct providers *ps, const char *name)
{
	const struct entry *e = entries_by_name(&ps->entries, name);

	return e != NULL && e->health.limits.count > 0 ? &e->health.limits : NULL;
}

void
providers_report_seen(struct providers *ps, const char *name, int code, const char *message,
    int64_t latency_ms)
{
	struct entry *e = entries_by_name(&ps->entries, name);
	int64_t used_ms;

	if (e == NULL)
		return;
	used_ms = e->health.last_used_ms;
	if (code == 0)
		stands_well(ps, e, latency_ms);
	else
		stands_badly(ps, e, code, message, 0);
	e->health.last_used_ms = used_ms;
}

void
providers_forget_failure(struct providers *ps, const struct provider *p)
{
	struct entry *e = entries_by_id(&ps->entries, p->id);

	if (e == NULL || e->health.code == 0)
		return;
	e->health.code = 0;
	e->health.until_ms = 0;
	/* a server that is only looked for is where nobody has looked yet */
	e->health.since_ms = e->p->auto_detect ? 0 : clock_wall_ms();
	free(e->health.message);
	e->health.message = NULL;
}

void
providers_health(const struct providers *ps, const char *name, struct provider_health *out)
{
	const struct entry *e = entries_by_name(&ps->entries, name);

	*out = (struct provider_health){
		.message = "", .latency_p50_ms = -1, .latency_p95_ms = -1, .models_count = -1
	};
	if (e == NULL)
		return;
	out->code = e->health.code;
	out->message = e->health.message != NULL ? e->health.message : "";
	out->since_ms = e->health.since_ms;
	out->until_ms = e->health.until_ms;
	out->last_used_ms = e->health.last_used_ms;
	out->latency_p50_ms = health_latency(&e->health, 50);
	out->latency_p95_ms = health_latency(&e->health, 95);
	out->activity = &e->health.activity;
	out->models_count = e->health.models_count;
}

void
providers_set_models_count(struct providers *ps, const char *name, int64_t count)
{
	struct entry *e = entries_by_name(&ps->entries, name);

	if (e == NULL || e->health.models_count == count)
		return;
	e->health.models_count = count;
	changes_tell(ps->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, e->p->name, NULL);
}
