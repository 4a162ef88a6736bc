#include "server/state/override_list.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/store/rows.h"

#define ITEMS_MAX 4096
#define SCOPE_MAX_BYTES 256
#define MODEL_MAX_BYTES 256
#define TTL_MAX_MS (INT64_C(10) * 366 * 24 * 3600 * 1000)

struct override_item *
override_item_new(const char *scope, const struct override_choice *what, bool temporary,
    int64_t ttl_ms)
{
	struct override_item *i = xcalloc(1, sizeof *i);

	i->o.scope = xstrdup(scope);
	i->o.provider_id = xstrdup(what->provider != NULL ? what->provider->id : "");
	i->o.model = xstrdup(what->chain == NULL ? what->model : "");
	i->o.label = xstrdup(what->label != NULL ? what->label : "default");
	i->o.chain = xstrdup(what->chain);
	i->o.temporary = temporary;
	i->o.since_ms = clock_wall_ms();
	i->boot_id = xstrdup(temporary ? clock_boot_id() : "");
	if (ttl_ms > 0) {
		i->o.expires_ms = i->o.since_ms + ttl_ms;
		i->expires_boot_ms = clock_boot_ms() + ttl_ms;
	}
	return i;
}

struct override_item *
override_item_copy(const struct override_item *from)
{
	struct override_item *i = xcalloc(1, sizeof *i);

	*i = *from;
	i->o.id = 0;
	i->o.scope = xstrdup(from->o.scope);
	i->o.provider_id = xstrdup(from->o.provider_id);
	i->o.model = xstrdup(from->o.model);
	i->o.label = xstrdup(from->o.label);
	i->o.chain = xstrdup(from->o.chain);
	i->boot_id = xstrdup(from->boot_id);
	return i;
}

void
override_item_free(struct override_item *i)
{
	if (i == NULL)
		return;
	free((char *)i->o.scope);
	free((char *)i->o.provider_id);
	free((char *)i->o.model);
	free((char *)i->o.label);
	free((char *)i->o.chain);
	free(i->boot_id);
	free(i);
}

static bool
ended(const struct override_item *i)
{
	if (strcmp(i->boot_id, clock_boot_id()) != 0)
		return true;
	if (i->o.expires_ms != 0 && clock_wall_ms() >= i->o.expires_ms)
		return true;
	return i->expires_boot_ms != 0 && clock_boot_ms() >= i->expires_boot_ms;
}

bool
override_alive(struct override_item *i)
{
	i->over = i->over || (i->o.temporary && ended(i));
	return !i->over;
}

int64_t
override_left_ms(const struct override_item *i)
{
	int64_t wall = i->o.expires_ms - clock_wall_ms();
	int64_t boot = i->expires_boot_ms - clock_boot_ms();

	return i->expires_boot_ms == 0 || wall < boot ? wall : boot;
}

bool
override_same(const struct override_item *a, const struct override_item *b, bool same_end)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->o.temporary == b->o.temporary
	    && (!same_end || a->o.expires_ms == b->o.expires_ms)
	    && strcmp(a->o.provider_id, b->o.provider_id) == 0
	    && strcmp(a->o.model, b->o.model) == 0 && strcmp(a->o.label, b->o.label) == 0
	    && (a->o.chain == NULL) == (b->o.chain == NULL)
	    && (a->o.chain == NULL || strcmp(a->o.chain, b->o.chain) == 0);
}

static int
compare(const void *a, const void *b)
{
	const struct override_item *x = *(struct override_item *const *)a;
	const struct override_item *y = *(struct override_item *const *)b;
	int r = strcmp(x->o.scope, y->o.scope);

	if (r == 0)
		r = x->o.temporary - y->o.temporary;
	if (r == 0)
		r = x->previous - y->previous;
	return r != 0 ? r : (x->o.id > y->o.id) - (x->o.id < y->o.id);
}

void
override_list_sort(struct override_list *l)
{
	if (l->count > 0)
		qsort(l->items, l->count, sizeof(struct override_item *), compare);
}

static void
append(struct override_list *l, struct override_item *i)
{
	l->items = xrealloc(l->items, (l->count + 1) * sizeof(struct override_item *));
	l->items[l->count++] = i;
}

static char *
text_or(const char *s, const char *otherwise)
{
	return xstrdup(s != NULL ? s : otherwise);
}

static void
load_row(void *arg, const struct override_row *row)
{
	struct override_list *l = arg;
	struct override_item *i = xcalloc(1, sizeof *i);

	i->o.id = row->id;
	i->o.scope = text_or(row->scope, "");
	i->o.temporary = row->temporary;
	i->o.provider_id = text_or(row->provider_id, "");
	i->o.model = text_or(row->model, "");
	i->o.label = text_or(row->label, "default");
	i->o.chain = xstrdup(row->chain);
	i->o.since_ms = row->since_ms;
	i->o.expires_ms = row->expires_ms;
	i->o.rev = row->rev;
	i->boot_id = text_or(row->boot_id, "");
	i->expires_boot_ms = row->expires_boot_ms;
	i->previous = row->previous;
	append(l, i);
}

int
override_list_check(const struct override_list *l, const char *scope,
    const struct override_choice *what, int64_t ttl_ms, struct error *err)
{
	size_t n = strlen(scope);

	if (n > SCOPE_MAX_BYTES || !utf8_valid(scope, n))
		return error_field(err, "scope", "a scope is text of at most %d bytes", SCOPE_MAX_BYTES);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)scope[i] < 0x20 || scope[i] == 0x7f)
			return error_field(err, "scope", "a scope holds no control characters");
	if (what->chain == NULL && (*what->model == '\0' || strlen(what->model) > MODEL_MAX_BYTES))
		return error_field(err, "ref", "a model id has 1 to %d bytes", MODEL_MAX_BYTES);
	if (ttl_ms < 0 || ttl_ms > TTL_MAX_MS)
		return error_field(err, "ttl_ms", "ttl_ms must be between 1 ms and 10 years");
	if (l->count >= ITEMS_MAX) {
		error_set(err, MP_E_TOO_MANY, "too many scopes hold a choice of their own");
		error_hint(err, "clear some: mpc switch --clear --scope NAME");
		return MP_E_TOO_MANY;
	}
	return 0;
}

int
override_list_load(struct override_list *l, struct store *store)
{
	int r;

	override_list_clear(l);
	l->store = store;
	r = store_override_each(store, load_row, l);
	override_list_sort(l);
	return r;
}

void
override_list_clear(struct override_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		override_item_free(l->items[i]);
	free(l->items);
	l->items = NULL;
	l->count = 0;
}

struct override_item *
override_list_find(const struct override_list *l, const char *scope, bool temporary, bool previous)
{
	for (size_t k = 0; k < l->count; k++) {
		struct override_item *i = l->items[k];

		if (i->o.temporary == temporary && i->previous == previous
		    && strcmp(i->o.scope, scope) == 0 && override_alive(i))
			return i;
	}
	return NULL;
}

int
override_list_put(struct override_list *l, struct override_item *i, int64_t rev)
{
	struct override_row row = {
		.id = i->o.id,
		.scope = i->o.scope,
		.temporary = i->o.temporary,
		.provider_id = i->o.provider_id,
		.model = i->o.model,
		.label = i->o.label,
		.chain = i->o.chain,
		.since_ms = i->o.since_ms,
		.expires_ms = i->o.expires_ms,
		.expires_boot_ms = i->expires_boot_ms,
		.boot_id = i->boot_id,
		.previous = i->previous,
		.rev = rev,
	};

	i->o.rev = rev;
	return store_override_put(l->store, &row, &i->o.id);
}

int
override_list_add(struct override_list *l, struct override_item *i, int64_t rev)
{
	append(l, i);
	return override_list_put(l, i, rev);
}

int
override_list_delete(struct override_list *l, struct override_item *i)
{
	int r = store_override_delete(l->store, i->o.id);

	/* gone already is what we want */
	if (r != 0 && r != MP_E_NOT_FOUND)
		return r;
	for (size_t k = 0; k < l->count; k++) {
		if (l->items[k] != i)
			continue;
		memmove(&l->items[k], &l->items[k + 1], (l->count - k - 1) * sizeof(struct override_item *));
		l->count--;
		break;
	}
	override_item_free(i);
	return 0;
}

int
override_list_forget_previous(struct override_list *l, const char *scope)
{
	struct override_item *i;
	int r;

	for (int k = 0; k < 2; k++)
		while ((i = override_list_find(l, scope, k == 1, true)) != NULL)
			if ((r = override_list_delete(l, i)) != 0)
				return r;
	return 0;
}

int
override_list_swap(struct override_list *l, struct override_item *now, struct override_item *before,
    int64_t rev)
{
	struct override_item *pair[2] = { now, before };
	int r;

	if (override_same(now, before, true))
		return 0;
	for (int k = 0; k < 2; k++) {
		if (pair[k] == NULL)
			continue;
		pair[k]->previous = !pair[k]->previous;
		if ((r = override_list_put(l, pair[k], rev)) != 0)
			return r;
	}
	return 0;
}
