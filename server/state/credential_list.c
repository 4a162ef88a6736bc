#include "server/state/credential_list.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/model/uuid.h"
#include "server/store/rows.h"

struct credential_item *
credential_item_new(const struct provider *p, const char *label, const char *origin)
{
	struct credential_item *i = xcalloc(1, sizeof *i);

	i->id = xcalloc(1, UUID_SIZE);
	uuid_new(i->id);
	i->c.id = i->id;
	i->provider_id = xstrdup(p->id);
	i->c.provider = xstrdup(p->name);
	i->c.label = xstrdup(label);
	i->c.origin = xstrdup(origin);
	i->source = xstrdup("");
	i->c.source_text = "";
	i->c.weight = 1;
	i->c.created_ms = clock_wall_ms();
	i->c.last_code = xstrdup("");
	return i;
}

void
credential_item_close(struct credential_item *i)
{
	i->verified = false;
	if (i->opened == NULL)
		return;
	log_secret_unregister(i->opened);
	secret_free(i->opened);
	i->opened = NULL;
}

void
credential_item_free(struct credential_item *i)
{
	if (i == NULL)
		return;
	credential_item_close(i);
	free((char *)i->c.provider);
	free((char *)i->c.label);
	free((char *)i->c.fingerprint);
	free((char *)i->c.last4);
	free((char *)i->c.origin);
	free((char *)i->c.last_code);
	free(i->id);
	free(i->provider_id);
	free(i->source);
	free(i->sealed);
	free(i);
}

struct seal_binding
credential_binding(const struct credential_item *i)
{
	return (struct seal_binding){
		.table = "credential",
		.row_id = i->id,
		.field = i->source[0] != '\0' ? "source" : "secret",
		.origin = i->c.origin,
		.session_id = i->c.session_id,
		.expires_ms = i->expires_ms,
	};
}

static int
compare(const void *a, const void *b)
{
	const struct credential *x = &(*(struct credential_item *const *)a)->c;
	const struct credential *y = &(*(struct credential_item *const *)b)->c;
	int r = strcmp(x->provider, y->provider);

	return r != 0 ? r : strcmp(x->label, y->label);
}

static void
sort(struct credential_list *l)
{
	if (l->count > 0)
		qsort(l->items, l->count, sizeof(struct credential_item *), compare);
}

void
credential_list_append(struct credential_list *l, struct credential_item *i)
{
	l->items = xrealloc(l->items, (l->count + 1) * sizeof(struct credential_item *));
	l->items[l->count++] = i;
}

static void
drop(struct credential_list *l, size_t at)
{
	credential_item_free(l->items[at]);
	memmove(&l->items[at], &l->items[at + 1], (l->count - at - 1) * sizeof(struct credential_item *));
	l->count--;
}

struct loading {
	struct credential_list *list;
	const struct providers *ps;
};

static char *
text(const char *s)
{
	return xstrdup(s != NULL ? s : "");
}

static void
load_row(void *arg, const struct credential_row *row)
{
	struct loading *to = arg;
	const struct provider *p = to->ps != NULL ? providers_find_id(to->ps, row->provider_id) : NULL;
	struct credential_item *i;

	if (p == NULL && to->ps != NULL)
		return;
	i = xcalloc(1, sizeof *i);
	i->id = text(row->id);
	i->c.id = i->id;
	i->provider_id = text(row->provider_id);
	i->c.provider = xstrdup(p != NULL ? p->name : "");
	i->c.label = text(row->label);
	i->c.fingerprint = text(row->fingerprint);
	i->c.last4 = text(row->last4);
	i->c.origin = text(row->origin);
	i->source = text(row->source);
	if (!key_source_parse(i->source, &i->c.source, &i->c.source_text))
		i->c.source = KEY_FILE; /* nothing of ours: its seal will not fit */
	i->c.weight = row->weight >= 1 && row->weight <= KEY_WEIGHT_MAX ? (unsigned)row->weight : 1;
	i->c.created_ms = row->created_ms;
	i->c.last_ok_ms = row->last_ok_ms;
	i->c.last_fail_ms = row->last_fail_ms;
	i->c.last_code = text(row->last_code);
	i->origin_moved = row->origin_moved;
	i->sealed = slice_dup((struct slice){ row->sealed, row->sealed_len });
	i->sealed_len = row->sealed_len;
	i->generation = row->generation;
	i->c.session_id = row->session_id;
	i->expires_ms = row->expires_ms;
	i->saved_ms = row->last_ok_ms > row->last_fail_ms ? row->last_ok_ms : row->last_fail_ms;
	credential_list_append(to->list, i);
}

/* The same row with the same seal: what was opened from it, and what was learned, still holds. */
static void
adopt(struct credential_list *l, struct credential_item *old)
{
	struct credential_item *i = credential_list_find(l, old->provider_id, old->c.label);

	if (i == NULL || strcmp(i->id, old->id) != 0 || strcmp(i->c.origin, old->c.origin) != 0
	    || i->generation != old->generation || i->c.session_id != old->c.session_id
	    || i->expires_ms != old->expires_ms || strcmp(i->source, old->source) != 0
	    || i->sealed_len != old->sealed_len
	    || memcmp(i->sealed, old->sealed, i->sealed_len) != 0)
		return;
	i->opened = old->opened;
	i->stale_ms = old->stale_ms;
	i->c.limits = old->c.limits;
	old->opened = NULL;
	if (i->c.source != KEY_STORED) {
		free((char *)i->c.fingerprint);
		i->c.fingerprint = xstrdup(old->c.fingerprint);
	}
	if (!old->unsaved)
		return;
	i->unsaved = true;
	i->c.last_ok_ms = old->c.last_ok_ms;
	i->c.last_fail_ms = old->c.last_fail_ms;
	free((char *)i->c.last_code);
	i->c.last_code = xstrdup(old->c.last_code);
}

int
credential_list_load(struct credential_list *l, struct store *store, const struct providers *ps)
{
	struct credential_list old = *l;
	struct loading to = { l, ps };
	int r;

	*l = (struct credential_list){ .store = store };
	r = store_credential_each(store, load_row, &to);
	sort(l);
	for (size_t k = 0; k < old.count; k++)
		adopt(l, old.items[k]);
	credential_list_clear(&old);
	return r;
}

void
credential_list_clear(struct credential_list *l)
{
	for (size_t k = 0; k < l->count; k++)
		credential_item_free(l->items[k]);
	free(l->items);
	l->items = NULL;
	l->count = 0;
}

struct credential_item *
credential_list_find(const struct credential_list *l, const char *provider_id, const char *label)
{
	for (size_t k = 0; k < l->count; k++)
		if (strcmp(l->items[k]->provider_id, provider_id) == 0
		    && strcmp(l->items[k]->c.label, label) == 0)
			return l->items[k];
	return NULL;
}

int
credential_list_put(struct credential_list *l, struct credential_item *i, int64_t rev)
{
	struct credential_row row = {
		.id = i->id,
		.provider_id = i->provider_id,
		.label = i->c.label,
		.source = i->source,
		.origin = i->c.origin,
		.origin_moved = i->origin_moved,
		.sealed = i->sealed,
		.sealed_len = i->sealed_len,
		.generation = i->generation,
		.fingerprint = i->c.fingerprint,
		.last4 = i->c.last4,
		.created_ms = i->c.created_ms,
		.last_ok_ms = i->c.last_ok_ms,
		.last_fail_ms = i->c.last_fail_ms,
		.last_code = i->c.last_code,
		.session_id = i->c.session_id,
		.expires_ms = i->expires_ms,
		.weight = i->c.weight,
		.rev = rev,
	};

	return store_credential_put(l->store, &row);
}

bool
credential_list_replace(struct credential_list *l, struct credential_item *i)
{
	bool replaced = false;

	for (size_t k = l->count; k-- > 0;) {
		if (strcmp(l->items[k]->provider_id, i->provider_id) != 0
		    || strcmp(l->items[k]->c.label, i->c.label) != 0)
			continue;
		drop(l, k);
		replaced = true;
	}
	credential_list_append(l, i);
	sort(l);
	return replaced;
}

int
credential_list_delete(struct credential_list *l, struct credential_item *i)
{
	int r = store_credential_delete(l->store, i->provider_id, i->c.label);

	/* gone already is what we want */
	if (r != 0 && r != MP_E_NOT_FOUND)
		return r;
	credential_list_drop(l, i);
	return 0;
}

void
credential_list_drop(struct credential_list *l, const struct credential_item *i)
{
	for (size_t k = 0; k < l->count; k++) {
		if (l->items[k] == i) {
			drop(l, k);
			return;
		}
	}
}

void
credential_list_checked(struct credential_list *l, struct credential_item *i)
{
	if (store_credential_checked(l->store, i->id, i->c.last_ok_ms, i->c.last_fail_ms,
	        i->c.last_code) != 0)
		return;
	i->unsaved = false;
	i->saved_ms = clock_wall_ms();
}

void
credential_list_follow(struct credential_list *l, const struct providers *ps)
{
	for (size_t k = l->count; k-- > 0;) {
		struct credential_item *i = l->items[k];
		const struct provider *p = providers_find_id(ps, i->provider_id);

		if (p == NULL) {
			drop(l, k);
		} else if (strcmp(p->name, i->c.provider) != 0) {
			free((char *)i->c.provider);
			i->c.provider = xstrdup(p->name);
		}
	}
	sort(l);
}
