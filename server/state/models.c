#include "server/state/models.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/state/model_list.h"

#define MODELS_MAX 2000 /* all of them fit into a document that is applied in one turn of the loop */
#define MODEL_MAX_BYTES 256
/* While one has an end we look this often: a timer stands still in suspend and does not see the clock being
 * set. */
#define TICK_MS 500
#define RETRY_MS 60000 /* when an ended one could not be deleted */

struct models {
	struct model_list list;
	struct providers *providers;
	struct changes *changes;
	struct loop_timer *timer;
	bool refused; /* an ended one could not be deleted */
	struct discovered *discovered;
};

static int
stored(struct models *ms, int r, struct error *err)
{
	if (r == 0)
		return 0;
	return error_set(err, r, "the model cannot be stored: %s", store_path(ms->list.store));
}

static void
note(struct models *ms, enum change_op op, const struct model_item *i)
{
	char text[MODEL_REF_BYTES];

	changes_note(ms->changes, TOPIC_MODELS, op, model_item_ref(i, text));
	/* a route shows the nickname of its target */
	if (i->e.nick != NULL)
		changes_note(ms->changes, TOPIC_ROUTE, CHANGE_SET, "");
}

static int
delete(struct models *ms, struct model_item *i, struct error *err)
{
	note(ms, CHANGE_REMOVE, i);
	return stored(ms, model_list_delete(&ms->list, i), err);
}

/* ---- the end of temporary ones ---- */

static void
arm(struct models *ms)
{
	int64_t now = clock_wall_ms(), next = -1;

	for (size_t i = 0; i < ms->list.count; i++) {
		int64_t left = ms->list.items[i].e.expires_ms - now;

		if (ms->list.items[i].e.expires_ms == 0)
			continue;
		if (left <= 0)
			left = ms->refused ? RETRY_MS : 0;
		else if (left > TICK_MS)
			left = TICK_MS;
		if (next < 0 || left < next)
			next = left;
	}
	if (next < 0)
		loop_timer_stop(ms->timer);
	else
		loop_timer_start(ms->timer, next);
}

static int
sweep_and_commit(struct models *ms, struct error *err)
{
	int r;

	if ((r = changes_begin(ms->changes, err)) != 0)
		return r;
	for (size_t i = ms->list.count; i-- > 0;) {
		if (!model_item_ended(&ms->list.items[i]))
			continue;
		if ((r = delete(ms, &ms->list.items[i], err)) != 0) {
			changes_rollback(ms->changes);
			return r;
		}
	}
	return changes_commit(ms->changes, NULL, NULL, "expired", err);
}

static void
expire(struct models *ms)
{
	struct error err = ERROR_INIT;
	bool any = false, told = ms->refused;

	for (size_t i = 0; i < ms->list.count; i++)
		any = any || model_item_ended(&ms->list.items[i]);
	ms->refused = any && sweep_and_commit(ms, &err) != 0;
	if (ms->refused && !told)
		log_warn("an ended model cannot be deleted from the store", LOG_TEXT("why", err.message));
}

static void
on_timer(void *arg)
{
	struct models *ms = arg;

	expire(ms);
	arm(ms);
}

/* ---- life ---- */

static void
reload(void *arg)
{
	struct models *ms = arg;

	if (model_list_load(&ms->list, ms->list.store, ms->providers) != 0)
		log_error("models cannot be read back", LOG_TEXT("file", store_path(ms->list.store)));
	arm(ms);
}

static void
on_change(void *arg, const struct change *ch)
{
	struct models *ms = arg;

	if (ch->topic == TOPIC_PROVIDERS)
		model_list_follow(&ms->list, ms->providers);
}

void
models_follow(struct models *ms)
{
	model_list_follow(&ms->list, ms->providers);
}

int
models_new(struct store *store, struct providers *providers, struct changes *changes,
    struct loop *loop, struct models **out, struct error *err)
{
	struct models *ms = xcalloc(1, sizeof *ms);
	int r;

	ms->providers = providers;
	ms->changes = changes;
	ms->timer = loop_timer_new(loop, on_timer, ms);
	if ((r = model_list_load(&ms->list, store, providers)) != 0) {
		models_free(ms);
		return error_set(err, r, "the models cannot be read from %s", store_path(store));
	}
	if ((r = discovered_new(store, providers, changes, loop, &ms->discovered, err)) != 0) {
		models_free(ms);
		return r;
	}
	changes_on_rollback(changes, reload, ms);
	changes_subscribe(changes, on_change, ms);
	expire(ms);
	arm(ms);
	*out = ms;
	return 0;
}

void
models_free(struct models *ms)
{
	if (ms == NULL)
		return;
	discovered_free(ms->discovered);
	loop_timer_free(ms->timer);
	model_list_clear(&ms->list);
	free(ms);
}

struct discovered *
models_discovered(const struct models *ms)
{
	return ms->discovered;
}

/* ---- looking ---- */

size_t
models_count(const struct models *ms)
{
	return ms->list.count;
}

const struct model_entry *
models_at(const struct models *ms, size_t i)
{
	assert(i < ms->list.count);
	return &ms->list.items[i].e;
}

const struct model_entry *
models_find(const struct models *ms, const char *provider, const char *model)
{
	const struct provider *p = providers_find(ms->providers, provider);
	const struct model_item *i = p != NULL ? model_list_find(&ms->list, p->id, model) : NULL;

	return i != NULL && !model_item_ended(i) ? &i->e : NULL;
}

const struct model_entry *
models_find_nick(const struct models *ms, const char *nick)
{
	const struct model_item *i = model_list_find_nick(&ms->list, nick);

	return i != NULL && !model_item_ended(i) ? &i->e : NULL;
}

/* ---- changing ---- */

int
model_id_check(const char *model, struct error *err)
{
	size_t n = strlen(model);

	if (n == 0 || n > MODEL_MAX_BYTES || !utf8_valid(model, n))
		return error_field(err, "model", "a model id has 1 to %d bytes", MODEL_MAX_BYTES);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)model[i] <= 0x20 || model[i] == 0x7f)
			return error_field(err, "model",
			    "a model id holds no blanks and no control characters");
	return 0;
}

/* Whether `nick` may name this model of p. */
static int
claim_nick(struct models *ms, const struct provider *p, const char *model, const char *nick,
    struct error *err)
{
	struct model_item *i;
	char text[MODEL_REF_BYTES];

	if (!name_valid(nick)) {
		error_field(err, "nick", "\"%.80s\" is not a valid nickname", nick);
		error_hint(err, "lower-case letters, digits, '.', '_' and '-'; up to 64");
		return MP_E_INVALID_PARAMS;
	}
	if (providers_find(ms->providers, nick) != NULL) {
		error_set(err, MP_E_CONFLICT, "%s is the name of a provider", nick);
		error_hint(err, "choose another nickname");
		return MP_E_CONFLICT;
	}
	i = model_list_find_nick(&ms->list, nick);
	if (i == NULL || (strcmp(i->provider_id, p->id) == 0 && strcmp(i->e.model, model) == 0))
		return 0;
	if (model_item_ended(i))
		return delete(ms, i, err);
	error_set(err, MP_E_CONFLICT, "%s is already the nickname of %.200s", nick,
	    model_item_ref(i, text));
	error_hint(err, "delete it first: mpc nick --delete %s", nick);
	return MP_E_CONFLICT;
}

/* The item, made when there is none. */
static struct model_item *
obtain(struct models *ms, const struct provider *p, const char *model, enum change_op *op,
    struct error *err)
{
	struct model_item *i = model_list_find(&ms->list, p->id, model);

	if (i != NULL && model_item_ended(i)) {
		/* what it was called ended with it */
		if (delete(ms, i, err) != 0)
			return NULL;
		i = NULL;
	}
	*op = i != NULL ? CHANGE_UPDATE : CHANGE_ADD;
	if (i != NULL)
		return i;
	if (ms->list.count >= MODELS_MAX) {
		error_set(err, MP_E_TOO_MANY, "there are %d models already", MODELS_MAX);
		error_hint(err, "remove some: mpc remove PROVIDER:MODEL");
		return NULL;
	}
	i = model_list_add(&ms->list, p, model);
	i->e.added_ms = clock_wall_ms();
	return i;
}

static int
put(struct models *ms, struct model_item *i, enum change_op op, struct error *err)
{
	note(ms, op, i);
	arm(ms);
	return stored(ms, model_list_put(&ms->list, i, changes_next_rev(ms->changes)), err);
}

int
models_add(struct models *ms, const struct provider *p, const char *model, const char *nick,
    int64_t expires_ms, struct error *err)
{
	struct model_item *i;
	enum change_op op;
	int r;

	if ((r = model_id_check(model, err)) != 0)
		return r;
	if (nick != NULL && (r = claim_nick(ms, p, model, nick, err)) != 0)
		return r;
	if (expires_ms != 0 && expires_ms <= clock_wall_ms())
		return error_field(err, "ttl_ms", "that time is over already");
	if ((i = obtain(ms, p, model, &op, err)) == NULL)
		return err->code;
	i->e.listed = true;
	i->e.expires_ms = expires_ms;
	if (nick != NULL)
		model_item_set_nick(i, nick);
	return put(ms, i, op, err);
}

int
models_remove(struct models *ms, const struct provider *p, const char *model, struct error *err)
{
	struct model_item *i = model_list_find(&ms->list, p->id, model);
	int r;

	if (i == NULL) {
		error_set(err, MP_E_NOT_FOUND, "%s:%.200s was not added", p->name, model);
		error_hint(err, "what was: mpc list %s", p->name);
		return MP_E_NOT_FOUND;
	}
	if ((r = delete(ms, i, err)) != 0)
		return r;
	arm(ms);
	return 0;
}

int
models_remove_all(struct models *ms, const struct provider *p, struct error *err)
{
	int r;

	for (size_t i = ms->list.count; i-- > 0;)
		if (strcmp(ms->list.items[i].provider_id, p->id) == 0
		    && (r = delete(ms, &ms->list.items[i], err)) != 0)
			return r;
	arm(ms);
	return 0;
}

static int
delete_nick(struct models *ms, const struct provider *p, const char *model, struct error *err)
{
	struct model_item *i = model_list_find(&ms->list, p->id, model);

	if (i == NULL || i->e.nick == NULL)
		return error_set(err, MP_E_NOT_FOUND, "%s:%.200s has no nickname", p->name, model);
	if (!i->e.listed)
		return delete(ms, i, err);
	changes_note(ms->changes, TOPIC_ROUTE, CHANGE_SET, "");
	model_item_set_nick(i, NULL);
	return put(ms, i, CHANGE_UPDATE, err);
}

int
models_nick(struct models *ms, const struct provider *p, const char *model, const char *nick,
    struct error *err)
{
	struct model_item *i;
	enum change_op op;
	int r;

	if (*nick == '\0')
		return delete_nick(ms, p, model, err);
	if ((r = model_id_check(model, err)) != 0 || (r = claim_nick(ms, p, model, nick, err)) != 0)
		return r;
	if ((i = obtain(ms, p, model, &op, err)) == NULL)
		return err->code;
	model_item_set_nick(i, nick);
	return put(ms, i, op, err);
}
