#include "server/call/cooldowns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/state/credentials.h"

#define META_KEY "cooldowns"
#define ENTRIES_MAX 512
#define TRIAL_MS 30000  /* how long others wait for the one that was let through */
#define STORE_MS 500    /* after a change */
#define STORE_FROM_MS 2000 /* a shorter one is over before anybody restarts */
#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct entry {
	char *provider_id;
	char *label; /* NULL = whatever the key */
	char *model; /* as the provider calls it; NULL = whatever the model */
	enum failure_class class;
	unsigned failures;   /* in a row */
	int64_t until_ms;    /* wall clock; 0 = not open (yet) */
	int64_t trial_until_ms; /* wall clock: somebody was let through */
	bool stated;
};

struct cooldowns {
	struct loop *loop;
	struct store *store;
	struct providers *providers;
	struct changes *changes;
	struct entry *entries;
	size_t count;
	struct loop_timer *writer, *over;
};

/* ---- the rules, one row a class ---- */

static const struct {
	bool counts, model;        /* the model; whether it is the key's: failure_is_keys */
	unsigned from;             /* failures in a row before it opens */
	int64_t first_ms, most_ms; /* doubling, when no time is named */
} rules[] = {
	[FAILURE_NONE] = { false, false, 0, 0, 0 },
	[FAILURE_AUTH] = { true, false, 1, 300000, 300000 },
	[FAILURE_PERMISSION] = { true, true, 1, 600000, 600000 },
	[FAILURE_QUOTA] = { true, false, 1, 3600000, 3600000 },
	[FAILURE_RATE_LIMIT] = { true, true, 1, 1000, 60000 },
	[FAILURE_OVERLOADED] = { true, true, 1, 30000, 600000 },
	[FAILURE_SERVER] = { true, true, 3, 30000, 600000 },
	[FAILURE_TIMEOUT] = { true, true, 3, 30000, 600000 },
	[FAILURE_NETWORK] = { true, false, 1, 10000, 300000 },
	[FAILURE_BAD_REQUEST] = { false, false, 0, 0, 0 },
	[FAILURE_CONTEXT_LENGTH] = { false, false, 0, 0, 0 },
	[FAILURE_NOT_FOUND] = { true, true, 1, 600000, 600000 },
	[FAILURE_CONTENT_POLICY] = { false, false, 0, 0, 0 },
	[FAILURE_UNSUPPORTED] = { false, false, 0, 0, 0 },
	[FAILURE_PROTOCOL] = { true, true, 3, 30000, 600000 },
	[FAILURE_CANCELLED] = { false, false, 0, 0, 0 },
	[FAILURE_CONFIG] = { true, false, 1, 300000, 300000 },
};
_Static_assert(sizeof rules / sizeof rules[0] == FAILURE_CONFIG + 1, "a row per class");

static int64_t
span_ms(const struct entry *e)
{
	unsigned beyond = e->failures - rules[e->class].from;
	int64_t ms = rules[e->class].first_ms << (beyond < 16 ? beyond : 16);

	return ms < rules[e->class].most_ms ? ms : rules[e->class].most_ms;
}

/* ---- entries ---- */

static void
entry_clear(struct entry *e)
{
	free(e->provider_id);
	free(e->label);
	free(e->model);
}

static void
drop(struct cooldowns *cs, size_t i)
{
	entry_clear(&cs->entries[i]);
	cs->entries[i] = cs->entries[--cs->count];
}

static struct entry *
add(struct cooldowns *cs, const char *provider_id, const char *label, const char *model)
{
	struct entry *e;

	if (cs->count >= ENTRIES_MAX)
		return NULL;
	cs->entries = xrealloc(cs->entries, (cs->count + 1) * sizeof *cs->entries);
	e = &cs->entries[cs->count++];
	memset(e, 0, sizeof *e);
	e->provider_id = xstrdup(provider_id);
	e->label = xstrdup(label);
	e->model = xstrdup(model);
	return e;
}

static bool
covers(const struct entry *e, const char *provider_id, const struct target *t)
{
	return strcmp(e->provider_id, provider_id) == 0 &&
	    (e->label == NULL || strcmp(e->label, t->label) == 0) &&
	    (e->model == NULL || strcmp(e->model, t->upstream) == 0);
}

static const char *
id_of(const struct cooldowns *cs, const struct target *t)
{
	const struct provider *p = t->provider != NULL ? providers_find(cs->providers, t->provider) : NULL;

	return p != NULL ? p->id : NULL;
}

/* ---- news, and the end of each ---- */

static void
arm(struct cooldowns *cs)
{
	int64_t now = clock_wall_ms(), next = -1;

	for (size_t i = 0; i < cs->count; i++) {
		int64_t left = cs->entries[i].until_ms - now;

		if (left > 0 && (next < 0 || left < next))
			next = left;
	}
	if (next < 0)
		loop_timer_stop(cs->over);
	else
		loop_timer_start(cs->over, next + 1 < 60000 ? next + 1 : 60000);
}

static void
tell(struct cooldowns *cs, const char *reason)
{
	arm(cs);
	loop_timer_start(cs->writer, STORE_MS);
	changes_tell(cs->changes, TOPIC_ROUTE, CHANGE_SET, "", reason);
}

/* The clock may have been set, and a timer stands still in suspend: looked at once a minute, at least. */
static void
on_over(void *arg)
{
	struct cooldowns *cs = arg;

	arm(cs);
	changes_tell(cs->changes, TOPIC_ROUTE, CHANGE_SET, "", "cooled");
}

/* ---- the store: one line each ---- */

static bool
is_kept(const struct entry *e, int64_t now_ms)
{
	return e->until_ms > now_ms + STORE_FROM_MS &&
	    (e->label == NULL || !credentials_label_reserved(e->label));
}

static void
write_all(void *arg)
{
	struct cooldowns *cs = arg;
	int64_t now = clock_wall_ms();
	struct buf text = BUF_INIT;
	int r;

	for (size_t i = 0; i < cs->count; i++) {
		const struct entry *e = &cs->entries[i];

		if (is_kept(e, now))
			buf_addf(&text, "%s\t%s\t%s\t%d\t%u\t%" PRId64 "\t%d\n", e->provider_id,
			    e->label != NULL ? e->label : "", e->model != NULL ? e->model : "", (int)e->class,
			    e->failures, e->until_ms, e->stated);
	}
	if ((r = store_begin(cs->store)) == 0) {
		if ((r = store_meta_set(cs->store, META_KEY, buf_str(&text))) == 0)
			r = store_commit(cs->store);
		else
			store_rollback(cs->store);
	}
	if (r != 0)
		log_warn("what cools down cannot be stored", LOG_TEXT("file", store_path(cs->store)));
	buf_clear(&text);
}

/* A limit that the provider's usual key ran into shows in its status again, until it is over. */
static void
recall(struct cooldowns *cs, const struct entry *e)
{
	const struct provider *p = providers_find_id(cs->providers, e->provider_id);
	char what[96];

	if (p == NULL || (e->class != FAILURE_RATE_LIMIT && e->class != FAILURE_QUOTA) ||
	    p->key_sharing != KEY_SHARING_OFF ||
	    (e->label != NULL && strcmp(e->label, "default") != 0))
		return;
	snprintf(what, sizeof what, "left alone after a failure (%s)", failure_class_name(e->class));
	providers_recall_refusal(cs->providers, p->name, failure_error_code(e->class), what, e->until_ms);
}

static void
read_line(struct cooldowns *cs, char *line, int64_t now)
{
	char *field[7], *at = line;
	struct entry *e;
	long long class, failures, until;

	for (size_t i = 0; i < 7; i++)
		if ((field[i] = strsep(&at, "\t")) == NULL)
			return;
	class = strtoll(field[3], NULL, 10);
	failures = strtoll(field[4], NULL, 10);
	until = strtoll(field[5], NULL, 10);
	if (class <= FAILURE_NONE || class > FAILURE_CONFIG || failures < 1 || failures > 1000 ||
	    until <= now || until > now + DAY_MS || providers_find_id(cs->providers, field[0]) == NULL)
		return;
	e = add(cs, field[0], *field[1] != '\0' ? field[1] : NULL, *field[2] != '\0' ? field[2] : NULL);
	if (e == NULL)
		return;
	e->class = (enum failure_class)class;
	e->failures = (unsigned)failures;
	e->until_ms = until;
	e->stated = *field[6] == '1';
	recall(cs, e);
}

static void
read_all(struct cooldowns *cs)
{
	char *text = NULL, *at, *line;

	if (store_meta_get(cs->store, META_KEY, &text) != 0)
		return;
	for (at = text; (line = strsep(&at, "\n")) != NULL;)
		read_line(cs, line, clock_wall_ms());
	free(text);
}

/* ---- life ---- */

/* News that the user made, which may have put right what was wrong: of a provider, or of one key, then of
 * that key alone. A key is news of its provider, too, but changes nothing of its other keys; nor does a
 * test session, which looks different from outside. */
static bool
is_remedy(const struct change *ch)
{
	if (ch->method == NULL)
		return false;
	if (ch->topic == TOPIC_KEYS)
		return ch->op != CHANGE_UPDATE; /* its weight */
	return ch->topic == TOPIC_PROVIDERS && strncmp(ch->method, "key.", strlen("key.")) != 0 &&
	    strncmp(ch->method, "session.", strlen("session.")) != 0;
}

static void
on_change(void *arg, const struct change *ch)
{
	struct cooldowns *cs = arg;
	const char *key = ch->key != NULL ? ch->key : "";
	size_t n = strcspn(key, "/"), before = cs->count;
	const char *label = key[n] == '/' ? key + n + 1 : NULL;
	char name[65];
	const struct provider *p;

	if (!is_remedy(ch) || n >= sizeof name)
		return;
	memcpy(name, key, n);
	name[n] = '\0';
	if ((p = providers_find(cs->providers, name)) == NULL)
		return;
	for (size_t i = cs->count; i-- > 0;)
		if (strcmp(cs->entries[i].provider_id, p->id) == 0 && (label == NULL ||
		        (cs->entries[i].label != NULL && strcmp(cs->entries[i].label, label) == 0)))
			drop(cs, i);
	if (cs->count < before)
		loop_timer_start(cs->writer, STORE_MS);
}

struct cooldowns *
cooldowns_new(struct loop *loop, struct store *store, struct providers *ps, struct changes *changes)
{
	struct cooldowns *cs = xcalloc(1, sizeof *cs);

	cs->loop = loop;
	cs->store = store;
	cs->providers = ps;
	cs->changes = changes;
	cs->writer = loop_timer_new(loop, write_all, cs);
	cs->over = loop_timer_new(loop, on_over, cs);
	changes_subscribe(changes, on_change, cs);
	read_all(cs);
	arm(cs);
	return cs;
}

void
cooldowns_free(struct cooldowns *cs)
{
	if (cs == NULL)
		return;
	if (loop_timer_running(cs->writer))
		write_all(cs);
	changes_unsubscribe(cs->changes, cs);
	loop_timer_free(cs->writer);
	loop_timer_free(cs->over);
	while (cs->count > 0)
		drop(cs, cs->count - 1);
	free(cs->entries);
	free(cs);
}

/* ---- asking and telling ---- */

static bool
find(const struct cooldowns *cs, const struct target *t, bool of_key, struct cooldown *out)
{
	const char *id = id_of(cs, t);
	int64_t now = clock_wall_ms();
	bool found = false;

	for (size_t i = 0; id != NULL && i < cs->count; i++) {
		const struct entry *e = &cs->entries[i];
		int64_t until = e->until_ms > now ? e->until_ms : 0;

		if (of_key && e->label == NULL)
			continue;
		if (!covers(e, id, t) || (until == 0 && e->trial_until_ms <= now))
			continue;
		if (!found || until > out->until_ms)
			*out = (struct cooldown){ e->class, until, e->stated };
		found = true;
	}
	return found;
}

bool
cooldowns_find(const struct cooldowns *cs, const struct target *t, struct cooldown *out)
{
	return find(cs, t, false, out);
}

bool
cooldowns_find_key(const struct cooldowns *cs, const struct target *t, struct cooldown *out)
{
	return find(cs, t, true, out);
}

bool
cooldowns_begin(struct cooldowns *cs, const struct target *t)
{
	const char *id = id_of(cs, t);
	int64_t now = clock_wall_ms();
	bool tries = false;

	for (size_t i = 0; id != NULL && i < cs->count; i++) {
		struct entry *e = &cs->entries[i];

		if (e->until_ms == 0 || e->until_ms > now || !covers(e, id, t))
			continue;
		e->trial_until_ms = now + TRIAL_MS;
		tries = true;
	}
	return tries;
}

static void
forget(struct cooldowns *cs, const char *id, const struct target *t)
{
	bool open = false, any = false;

	for (size_t i = cs->count; i-- > 0;) {
		if (!covers(&cs->entries[i], id, t))
			continue;
		any = true;
		open = open || cs->entries[i].until_ms != 0;
		drop(cs, i);
	}
	if (any && open)
		tell(cs, "recovered");
}

static struct entry *
obtain(struct cooldowns *cs, const char *id, const struct target *t, const struct failure *f)
{
	const char *label = failure_is_keys(f) ? t->label : NULL;
	const char *model = rules[f->class].model ? t->upstream : NULL;

	for (size_t i = 0; i < cs->count; i++) {
		struct entry *e = &cs->entries[i];

		if (strcmp(e->provider_id, id) == 0 && (e->label == NULL) == (label == NULL) &&
		    (label == NULL || strcmp(e->label, label) == 0) &&
		    (e->model == NULL) == (model == NULL) && (model == NULL || strcmp(e->model, model) == 0))
			return e;
	}
	return add(cs, id, label, model);
}

/* Whoever was let through is back without an answer: another one may try, or the wait begins again. */
static void
end_trials(struct cooldowns *cs, const char *id, const struct target *t)
{
	for (size_t i = 0; i < cs->count; i++)
		if (covers(&cs->entries[i], id, t))
			cs->entries[i].trial_until_ms = 0;
}

void
cooldowns_report(struct cooldowns *cs, const struct target *t, const struct failure *f)
{
	const char *id = id_of(cs, t);
	int64_t now = clock_wall_ms();
	struct entry *e;

	if (id == NULL)
		return;
	if (f == NULL) {
		forget(cs, id, t);
		return;
	}
	end_trials(cs, id, t);
	if (!rules[f->class].counts || (e = obtain(cs, id, t, f)) == NULL)
		return;
	e->class = f->class;
	e->failures++;
	e->stated = f->wait_ms > 0;
	if (e->stated)
		e->until_ms = now + (f->wait_ms < DAY_MS ? f->wait_ms : DAY_MS);
	else if (e->failures >= rules[f->class].from)
		e->until_ms = now + span_ms(e);
	else
		return;
	tell(cs, "cooling");
}
