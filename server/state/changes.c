#include "server/state/changes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/model/uuid.h"

#define META_REV "rev"
#define META_CONFIG_REV "config_rev"

/* One piece of news with strings of its own: notes of the open transaction, then what waits to be told. */
struct note {
	struct change change;
	char *key, *method, *client, *reason;
	uint64_t number;
	struct note *next;
};

struct queue {
	struct note *first, **last;
};

struct subscriber {
	void (*on_change)(void *arg, const struct change *ch);
	void *arg;
	uint64_t from; /* hears notes with this number and later */
	bool gone;
	struct subscriber *next;
};

struct reload {
	void (*fn)(void *arg);
	void *arg;
	struct reload *next;
};

struct changes {
	struct store *store;
	int64_t rev, config_rev;
	char instance[17];
	bool open, telling, replaced;
	struct queue noted, untold;
	int (*count)(void *arg);
	void (*counted)(void *arg);
	void *count_arg;
	uint64_t next_number; /* of notes that are on their way out */
	struct subscriber *subscribers;
	struct reload *reloads;
};

static void
queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void
queue_add(struct queue *q, struct note *n)
{
	n->next = NULL;
	*q->last = n;
	q->last = &n->next;
}

static struct note *
queue_take(struct queue *q)
{
	struct note *n = q->first;

	if (n != NULL && (q->first = n->next) == NULL)
		q->last = &q->first;
	return n;
}

static void
note_free(struct note *n)
{
	free(n->key);
	free(n->method);
	free(n->client);
	free(n->reason);
	free(n);
}

static void
queue_clear(struct queue *q)
{
	struct note *n;

	while ((n = queue_take(q)) != NULL)
		note_free(n);
}

static int
rev_load(struct store *store, const char *key, int64_t otherwise, int64_t *rev)
{
	char *text = NULL, *end;
	int r = store_meta_get(store, key, &text);

	*rev = otherwise;
	if (r == MP_E_NOT_FOUND)
		return 0;
	if (r != 0)
		return r;
	*rev = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || *rev < 0)
		r = MP_E_STORAGE;
	free(text);
	return r;
}

static void
new_instance(struct changes *c)
{
	unsigned char id[8];

	random_bytes(id, sizeof id);
	for (size_t i = 0; i < sizeof id; i++)
		snprintf(c->instance + 2 * i, 3, "%02x", id[i]);
}

struct changes *
changes_new(struct store *store)
{
	struct changes *c = xcalloc(1, sizeof *c);

	c->store = store;
	queue_init(&c->noted);
	queue_init(&c->untold);
	if (rev_load(store, META_REV, 0, &c->rev) != 0 ||
	    rev_load(store, META_CONFIG_REV, c->rev, &c->config_rev) != 0) {
		log_error("the state revision cannot be read", LOG_TEXT("file", store_path(store)));
		free(c);
		return NULL;
	}
	new_instance(c);
	return c;
}

void
changes_free(struct changes *c)
{
	if (c == NULL)
		return;
	if (c->open)
		store_rollback(c->store);
	queue_clear(&c->noted);
	queue_clear(&c->untold);
	while (c->subscribers != NULL) {
		struct subscriber *s = c->subscribers;

		c->subscribers = s->next;
		free(s);
	}
	while (c->reloads != NULL) {
		struct reload *r = c->reloads;

		c->reloads = r->next;
		free(r);
	}
	free(c);
}

int64_t
changes_rev(const struct changes *c)
{
	return c->rev;
}

int64_t
changes_config_rev(const struct changes *c)
{
	return c->config_rev;
}

const char *
changes_instance(const struct changes *c)
{
	return c->instance;
}

int64_t
changes_next_rev(const struct changes *c)
{
	return c->rev + 1;
}

bool
changes_open(const struct changes *c)
{
	return c->open;
}

static int
storage_error(struct changes *c, int code, const char *what, struct error *err)
{
	error_set(err, code, "%s: %s", what, store_path(c->store));
	error_hint(err, store_read_only(c->store)
	    ? "an earlier write failed, so nothing is written until the disk is well; it is tried again "
	      "every second"
	    : "check free space and permissions of that folder");
	return code;
}

int
changes_begin(struct changes *c, struct error *err)
{
	int r;

	if (c->open || c->telling)
		return error_set(err, MP_E_INTERNAL, "a change was begun inside another one");
	if ((r = store_begin(c->store)) != 0)
		return storage_error(c, r, "the change cannot be stored", err);
	c->open = true;
	return 0;
}

static struct note *
note_new(enum topic topic, enum change_op op, const char *key)
{
	struct note *n = xcalloc(1, sizeof *n);

	n->change.topic = topic;
	n->change.op = op;
	n->key = xstrdup(key != NULL ? key : "");
	return n;
}

void
changes_note(struct changes *c, enum topic topic, enum change_op op, const char *key)
{
	const struct note *same = NULL;

	assert(c->open);
	/* the same thing said twice running is one piece of news */
	for (const struct note *n = c->noted.first; n != NULL; n = n->next)
		if (n->change.topic == topic && strcmp(n->key, key != NULL ? key : "") == 0)
			same = n;
	if (same == NULL || same->change.op != op)
		queue_add(&c->noted, note_new(topic, op, key));
}

static void
subscribers_sweep(struct changes *c)
{
	for (struct subscriber **at = &c->subscribers; *at != NULL;) {
		struct subscriber *s = *at;

		if (!s->gone) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		free(s);
	}
}

/* Tells what waits, in order. News that a subscriber causes while it listens joins the end. */
static void
tell(struct changes *c)
{
	struct note *n;

	if (c->telling)
		return;
	c->telling = true;
	while ((n = queue_take(&c->untold)) != NULL) {
		n->change.key = n->key;
		n->change.method = n->method;
		n->change.client = n->client;
		n->change.reason = n->reason;
		for (struct subscriber *s = c->subscribers; s != NULL; s = s->next)
			if (!s->gone && s->from <= n->number)
				s->on_change(s->arg, &n->change);
		note_free(n);
	}
	c->telling = false;
	subscribers_sweep(c);
}

static void
undo(struct changes *c)
{
	c->open = false;
	queue_clear(&c->noted);
	for (struct reload *r = c->reloads; r != NULL; r = r->next)
		r->fn(r->arg);
}

void
changes_replaced(struct changes *c)
{
	int64_t rev = c->rev;

	assert(!c->open);
	if (rev_load(c->store, META_REV, 0, &c->rev) != 0)
		log_error("the state revision cannot be read", LOG_TEXT("file", store_path(c->store)));
	/* what the next change writes is later than what anybody has seen */
	if (c->rev < rev)
		c->rev = rev;
	c->config_rev = ++c->rev;
	new_instance(c);
	c->replaced = true;
	undo(c);
	c->replaced = false;
}

bool
changes_recovered(struct changes *c)
{
	int64_t stored = c->rev;
	bool unknown;

	assert(!c->open);
	/* the revision counts news that is not stored, too: a refused commit is the only one beyond it */
	unknown = rev_load(c->store, META_REV, 0, &stored) == 0 && stored > c->rev;
	if (unknown)
		c->rev = c->config_rev = stored;
	undo(c);
	return unknown;
}

bool
changes_are_replaced(const struct changes *c)
{
	return c->replaced;
}

/* Whether what a configuration document says may have changed. */
static bool
is_configuration(enum topic t)
{
	return t == TOPIC_PROVIDERS || t == TOPIC_MODELS || t == TOPIC_CHAINS || t == TOPIC_SETTINGS ||
	       t == TOPIC_TEAM;
}

static bool
changes_configuration(const struct changes *c)
{
	for (const struct note *n = c->noted.first; n != NULL; n = n->next)
		if (is_configuration(n->change.topic))
			return true;
	return false;
}

static int
commit_rows(struct changes *c, bool configuration)
{
	char text[24];
	int r = 0;

	if (c->noted.first != NULL) {
		snprintf(text, sizeof text, "%" PRId64, c->rev + 1);
		r = store_meta_set(c->store, META_REV, text);
		if (r == 0 && configuration)
			r = store_meta_set(c->store, META_CONFIG_REV, text);
	}
	if (r == 0 && c->count != NULL)
		r = c->count(c->count_arg);
	if (r == 0)
		return store_commit(c->store);
	store_rollback(c->store);
	return r;
}

int
changes_commit(struct changes *c, const char *method, const char *client, const char *reason,
    struct error *err)
{
	bool configuration = changes_configuration(c);
	int64_t prev = c->rev;
	struct note *n;
	int r;

	assert(c->open);
	if ((r = commit_rows(c, configuration)) != 0) {
		undo(c);
		return storage_error(c, r, "the change cannot be stored", err);
	}
	c->open = false;
	if (c->counted != NULL)
		c->counted(c->count_arg);
	if (c->noted.first != NULL)
		c->rev++;
	if (configuration)
		c->config_rev = c->rev;
	while ((n = queue_take(&c->noted)) != NULL) {
		n->change.rev = c->rev;
		n->change.prev_rev = prev;
		prev = c->rev;
		n->method = xstrdup(method);
		n->client = xstrdup(client);
		n->reason = xstrdup(reason);
		n->number = c->next_number++;
		queue_add(&c->untold, n);
	}
	tell(c);
	return 0;
}

void
changes_count(struct changes *c, int (*write)(void *arg), void (*done)(void *arg), void *arg)
{
	c->count = write;
	c->counted = done;
	c->count_arg = arg;
}

void
changes_rollback(struct changes *c)
{
	if (!c->open)
		return;
	store_rollback(c->store);
	undo(c);
}

void
changes_tell(struct changes *c, enum topic topic, enum change_op op, const char *key,
    const char *reason)
{
	struct note *n;

	if (c->open) {
		/* the transaction owns the next revision: this news travels with it */
		changes_note(c, topic, op, key);
		return;
	}
	n = note_new(topic, op, key);
	n->change.prev_rev = c->rev;
	n->change.rev = ++c->rev;
	n->reason = xstrdup(reason);
	n->number = c->next_number++;
	queue_add(&c->untold, n);
	tell(c);
}

void
changes_subscribe(struct changes *c, void (*on_change)(void *arg, const struct change *ch),
    void *arg)
{
	struct subscriber *s = xcalloc(1, sizeof *s), **end = &c->subscribers;

	s->on_change = on_change;
	s->arg = arg;
	s->from = c->next_number;
	while (*end != NULL)
		end = &(*end)->next;
	*end = s;
}

void
changes_unsubscribe(struct changes *c, void *arg)
{
	for (struct subscriber *s = c->subscribers; s != NULL; s = s->next)
		if (s->arg == arg)
			s->gone = true;
	if (!c->telling)
		subscribers_sweep(c);
}

void
changes_on_rollback(struct changes *c, void (*reload)(void *arg), void *arg)
{
	struct reload *r = xcalloc(1, sizeof *r), **end = &c->reloads;

	r->fn = reload;
	r->arg = arg;
	while (*end != NULL)
		end = &(*end)->next;
	*end = r;
}
