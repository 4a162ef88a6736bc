#include "server/call/listing_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/local_lists.h"

#define SHOWS_MAX 64 /* models that are asked for one by one */

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

int
listing_step_read(struct listing *l, struct slice body)
{
	switch (l->step) {
	case STEP_HEALTH:
	case STEP_NONE:
		return 0;
	case STEP_NATIVE:
		return lmstudio_list_reply(body, add_model, l);
	case STEP_NATIVE_OLD:
		return lmstudio_old_list_reply(body, add_model, l);
	case STEP_LIST:
		return l->dialect->list_reply(body, add_model, l);
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
	case STEP_NATIVE:
		there = provider_has_feature(l->provider, "lmstudio-api") &&
		    own_path(out, "/api/v1/models");
		break;
	case STEP_NATIVE_OLD:
		there = !l->listed && provider_has_feature(l->provider, "lmstudio-api") &&
		    own_path(out, "/api/v0/models");
		break;
	case STEP_LIST:
		there = !l->listed && l->dialect->list_request(l->provider, out) == 0;
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
