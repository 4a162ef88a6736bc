#include "server/call/listing_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/dialect/local_lists.h"

#define SHOWS_MAX 64 /* models that are asked for one by one */
#define PAGES_MAX 32 /* of a thousand models each, where we may say so */

/* ---- what an answer says ---- */

static void
add_model(void *arg, const struct listed_model *m)
{
	roster_add(&((struct listing *)arg)->models, m);
}

static void
take_facts(struct roster_model *to, const struct listed_model *m)
{
	if (m->context_tokens > 0)
		to->context_tokens = m->context_tokens;
	to->abilities |= m->abilities;
	if (m->loaded >= 0)
		to->loaded = m->loaded != 0;
}

static void
add_loaded(void *arg, const struct listed_model *m)
{
	struct roster *r = &((struct listing *)arg)->models;

	for (size_t i = 0; i < r->count; i++)
		if (slice_eq(m->id, r->models[i].id))
			take_facts(&r->models[i], m);
}

static void
add_props(void *arg, const struct listed_model *m)
{
	struct roster *r = &((struct listing *)arg)->models;

	if (r->count == 1)
		take_facts(&r->models[0], m);
}

static int
read_loaded(struct listing *l, struct slice body)
{
	for (size_t i = 0; i < l->models.count; i++)
		l->models.models[i].loaded = 0;
	return ollama_loaded_reply(body, add_loaded, l);
}

static int
read_show(struct listing *l, struct slice body)
{
	struct roster_model *to = &l->models.models[l->show];
	struct listed_model m = LISTED_MODEL_INIT;
	int loaded = to->loaded, r;

	m.id = slice_of(to->id);
	r = l->dialect->show_reply(body, &m);
	if (r == MP_E_NOT_FOUND) {
		/* it does not chat */
		free(to->id);
		free(to->title);
		memmove(to, to + 1, (l->models.count - l->show - 1) * sizeof(*to));
		l->models.count--;
		l->show--; /* wraps at 0; the next look begins behind it */
		return 0;
	}
	if (r != 0)
		return r;
	/* what a loaded one really has is known already */
	if (loaded == 1 && to->context_tokens > 0)
		m.context_tokens = 0;
	take_facts(to, &m);
	return 0;
}

static bool
can_be_asked_for(const struct listing *l, const char *cursor)
{
	struct wire_request wire;
	int r;

	wire_request_init(&wire);
	r = list_page_request(l->dialect, l->provider, cursor, &wire);
	wire_request_clear(&wire);
	return r == 0;
}

/* Whatever the server promises: the same page is not asked for twice, and not for ever. */
static void
look_for_more(struct listing *l, struct slice body)
{
	char next[PAGE_CURSOR_SIZE] = "";
	int r = list_next_page(l->dialect, body, next);
	const char *trouble = NULL;

	if (r < 0)
		trouble = "more was promised, but not where it is";
	else if (r > 0 && strcmp(next, l->cursor) == 0)
		trouble = "the same page was named again";
	else if (r > 0 && (l->pages == PAGES_MAX || l->models.count >= ROSTER_MAX))
		trouble = "it does not end";
	else if (r > 0 && !can_be_asked_for(l, next))
		trouble = "the next page cannot be asked for";
	if (trouble != NULL) {
		listing_warn(l, trouble);
		next[0] = '\0';
	}
	memcpy(l->cursor, next, sizeof(l->cursor));
}

static int
read_page(struct listing *l, struct slice body)
{
	int r = l->dialect->list_reply(body, add_model, l);

	if (r != 0)
		return r;
	l->pages++;
	look_for_more(l, body);
	return 0;
}

static int
read_key(struct listing *l, struct slice body)
{
	int r = account_key_reply(body, clock_wall_ms(), &l->account);

	l->key_told = r == 0;
	return r;
}

int
listing_step_read(struct listing *l, struct slice body)
{
	switch (l->step) {
	case STEP_HEALTH:
	case STEP_NONE:
		return 0;
	case STEP_KEY:
		return read_key(l, body);
	case STEP_NATIVE:
		return lmstudio_list_reply(body, add_model, l);
	case STEP_NATIVE_OLD:
		return lmstudio_old_list_reply(body, add_model, l);
	case STEP_LIST:
		return read_page(l, body);
	case STEP_CREDITS:
		return account_credits_reply(body, clock_wall_ms(), &l->account);
	case STEP_LOADED:
		return read_loaded(l, body);
	case STEP_PROPS:
		return llamacpp_props_reply(body, add_props, l);
	case STEP_SHOW:
		return read_show(l, body);
	}
	return 0;
}

/* ---- what is asked ---- */

/* A path of the server's own, where the list lies at LIST there. */
static bool
beside_list(const struct wire_request *list, const char *from, const char *to,
    struct wire_request *out)
{
	size_t n = strlen(list->path), m = strlen(from);

	if (n < m || strcmp(list->path + n - m, from) != 0 || n - m + strlen(to) >= sizeof(out->path))
		return false;
	out->at_origin = list->at_origin;
	snprintf(out->path, sizeof(out->path), "%.*s%s", (int)(n - m), list->path, to);
	return true;
}

static bool
own_path(struct wire_request *out, const char *path)
{
	out->at_origin = true;
	snprintf(out->path, sizeof(out->path), "%s", path);
	return true;
}

static bool
health_request(const struct listing *l, const struct wire_request *list, struct wire_request *out)
{
	const char *path = l->provider->health_check;

	/* most definitions name the list itself: that is asked anyway */
	if (!l->health || path == NULL || strlen(path) >= sizeof(out->path) ||
	    (strncmp(path, list->path, strlen(path)) == 0 &&
	    strchr("?", list->path[strlen(path)]) != NULL))
		return false;
	snprintf(out->path, sizeof(out->path), "%s", path);
	return true;
}

/* The next model whose facts are still missing. */
static bool
show_request(struct listing *l, struct wire_request *out)
{
	if (l->dialect->show_request == NULL || l->dialect->show_reply == NULL)
		return false;
	for (l->show++; l->show < l->models.count && l->shows < SHOWS_MAX; l->show++) {
		const struct roster_model *m = &l->models.models[l->show];

		if (m->context_tokens > 0 && m->abilities != 0)
			continue;
		l->shows++;
		wire_request_clear(out);
		return l->dialect->show_request(l->provider, slice_of(m->id), out) == 0;
	}
	return false;
}

static bool
asks_about_key(const struct listing *l)
{
	return provider_has_feature(l->provider, "credit-limits") &&
	    credentials_find(l->parts->credentials, l->provider->name, l->label) != NULL;
}

static bool
page_request(const struct listing *l, struct wire_request *out)
{
	if (l->cursor[0] == '\0')
		return l->dialect->list_request(l->provider, out) == 0;
	return list_page_request(l->dialect, l->provider, l->cursor, out) == 0;
}

bool
listing_step_request(struct listing *l, struct wire_request *out)
{
	struct wire_request list;
	bool there = false;

	wire_request_init(&list);
	out->method = "GET";
	if (l->dialect->list_request(l->provider, &list) != 0)
		return false;
	switch (l->step) {
	case STEP_HEALTH:
		there = health_request(l, &list, out);
		break;
	case STEP_KEY:
		there = asks_about_key(l) && beside_list(&list, "/models", "/key", out);
		break;
	case STEP_NATIVE:
		there = provider_has_feature(l->provider, "lmstudio-api") &&
		    own_path(out, "/api/v1/models");
		break;
	case STEP_NATIVE_OLD:
		there = !l->listed && provider_has_feature(l->provider, "lmstudio-api") &&
		    own_path(out, "/api/v0/models");
		break;
	case STEP_LIST:
		there = !l->listed && page_request(l, out);
		break;
	case STEP_CREDITS:
		there = l->key_told && beside_list(&list, "/models", "/credits", out);
		break;
	case STEP_LOADED:
		there = beside_list(&list, "/api/tags", "/api/ps", out);
		break;
	case STEP_PROPS:
		there = provider_has_feature(l->provider, "llamacpp-props") && own_path(out, "/props");
		break;
	case STEP_SHOW:
		there = show_request(l, out);
		break;
	case STEP_NONE:
		break;
	}
	wire_request_clear(&list);
	return there;
}
