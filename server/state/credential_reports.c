/* credential_reports.c - what calls learned about keys. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/state/credential_list.h"

#define CHECKED_EVERY_MS (INT64_C(3600) * 1000) /* "last worked" is stored this often at most */

static struct credential_item *
find(const struct credentials *cs, const struct provider *p, const char *label)
{
	struct credential_item *i;

	if (label == NULL || *label == '\0')
		label = "default";
	i = credential_list_find(&cs->list, p->id, label);
	return i != NULL ? i : credential_list_find(&cs->trials, p->id, label);
}

void
credential_reports_flush(struct credentials *cs)
{
	bool own, any = false;

	for (size_t k = 0; k < cs->list.count; k++)
		any = any || cs->list.items[k]->unsaved;
	own = !changes_open(cs->changes);
	if (!any || store_read_only(cs->list.store) || (own && store_begin(cs->list.store) != 0))
		return;
	for (size_t k = 0; k < cs->list.count; k++)
		if (cs->list.items[k]->unsaved)
			credential_list_checked(&cs->list, cs->list.items[k]);
	if (own)
		store_commit(cs->list.store);
}

/* A limit comes and goes, many times an hour, and what cools down is stored by itself. */
static bool
is_passing(const char *word)
{
	return strcmp(word, error_code(MP_E_RATE_LIMITED)) == 0;
}

void
credentials_report(struct credentials *cs, const char *provider, const char *label, int code)
{
	const struct provider *p = providers_find(cs->providers, provider);
	struct credential_item *i = p != NULL ? find(cs, p, label) : NULL;
	int64_t now = clock_wall_ms();
	const char *word = code != 0 ? error_code(code) : "";
	bool turned;

	if (i == NULL)
		return;
	turned = (strcmp(word, i->c.last_code) != 0 && !is_passing(word) && !is_passing(i->c.last_code)) ||
	    (code == 0 && i->c.last_ok_ms == 0);
	if (code == 0)
		i->c.last_ok_ms = now;
	else
		i->c.last_fail_ms = now;
	if (strcmp(word, i->c.last_code) != 0) {
		free((char *)i->c.last_code);
		i->c.last_code = xstrdup(word);
	}
	/* a source may give another key by now */
	if ((code == MP_E_AUTH_REJECTED || code == MP_E_NO_CREDENTIAL) && i->c.source != KEY_STORED)
		credential_item_close(i);
	i->unsaved = true;
	/* no disk on the way of a call, but for what people would miss after a crash */
	if (turned || now - i->saved_ms >= CHECKED_EVERY_MS || now < i->saved_ms)
		credential_reports_flush(cs);
}

static bool
is_usual(const char *label)
{
	return label == NULL || *label == '\0' || strcmp(label, "default") == 0;
}

void
credentials_report_limits(struct credentials *cs, const char *provider, const char *label,
    const struct limits *l)
{
	const struct provider *p = providers_find(cs->providers, provider);
	struct limits reading = *l;
	struct credential_item *i;
	int64_t now = clock_wall_ms();
	bool had;

	if (is_usual(label)) {
		providers_report_limits(cs->providers, provider, l);
		return;
	}
	if (p == NULL || l->count == 0 || (i = credential_list_find(&cs->list, p->id, label)) == NULL)
		return;
	had = limits_wall(&i->c.limits, now) != NULL;
	/* an event in an answer knows no clock */
	if (reading.at_ms == 0)
		reading.at_ms = now;
	limits_merge(&i->c.limits, &reading);
	if (had != (limits_wall(&i->c.limits, now) != NULL))
		changes_tell(cs->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, p->name, "limits");
}

const struct limits *
credentials_limits(const struct credentials *cs, const char *provider, const char *label)
{
	const struct credential *c;

	if (is_usual(label))
		return providers_limits(cs->providers, provider);
	c = credentials_find(cs, provider, label);
	return c != NULL && c->limits.count > 0 ? &c->limits : NULL;
}

void
credentials_note_expiry(struct credentials *cs, const char *provider, const char *label,
    int64_t ends_ms)
{
	const struct provider *p = providers_find(cs->providers, provider);
	struct credential_item *i = p != NULL ? find(cs, p, label) : NULL;

	if (i != NULL)
		i->c.ends_ms = ends_ms;
}
