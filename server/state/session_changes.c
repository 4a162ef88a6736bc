/* session_changes.c - starting, activating, extending and stopping test sessions. */
#include <stdlib.h>
#include <string.h>

#include "server/state/session_list.h"
#include "server/vault/token.h"
#include "server/vault/vault.h"

#define TOKEN_PREFIX "mpd_test_"
#define MODEL_MAX_BYTES 256

static int
put(struct sessions *ss, struct session_item *i, enum change_op op, struct error *err)
{
	sessions_note(ss, op, i);
	return sessions_stored(ss, session_list_put(&ss->list, i, changes_next_rev(ss->changes)), err);
}

static struct session_item *
find_open(struct sessions *ss, int64_t id, struct error *err)
{
	struct session_item *i = session_list_find(&ss->list, id);

	if (i != NULL && session_alive(i))
		return i;
	sessions_unknown(ss, id, err);
	return NULL;
}

bool
sessions_deactivate(struct sessions *ss, int *r, struct error *err)
{
	bool any = false;

	*r = 0;
	for (size_t k = 0; k < ss->list.count && *r == 0; k++) {
		struct session_item *i = ss->list.items[k];

		if (!i->s.activated)
			continue;
		any = any || session_alive(i);
		i->s.activated = false;
		*r = put(ss, i, CHANGE_UPDATE, err);
	}
	return any;
}

static int
check_start(struct sessions *ss, const struct session_start *start, struct error *err)
{
	int r;

	if (*start->model == '\0' || strlen(start->model) > MODEL_MAX_BYTES)
		return error_field(err, "model", "a model id has 1 to %d bytes", MODEL_MAX_BYTES);
	if (start->duration_ms < SESSION_MIN_MS || start->duration_ms > SESSION_MAX_MS)
		return error_field(err, "duration_ms", "a test session lasts from 1 second to 24 hours");
	if (ss->list.count >= SESSIONS_MAX) {
		error_set(err, MP_E_TOO_MANY, "%d test sessions are open already", SESSIONS_MAX);
		error_hint(err, "end some: mpc test list, mpc test stop ID");
		return MP_E_TOO_MANY;
	}
	if (vault_is_locked(ss->vault)) {
		error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(ss->vault));
		error_hint(err, "mpc unlock");
		return MP_E_LOCKED;
	}
	if (start->key != NULL &&
	    (r = credentials_check(ss->credentials, start->provider, start->key, err)) != 0)
		return r;
	return 0;
}

/* The item is stored twice: its key is labelled with the id that the first time gives. */
static int
add_with_key(struct sessions *ss, struct session_item *i, const struct session_start *start,
    struct error *err)
{
	char label[CREDENTIAL_LABEL_BYTES];
	int64_t rev = changes_next_rev(ss->changes);
	int r;

	if ((r = sessions_stored(ss, session_list_add(&ss->list, i, rev), err)) != 0 || start->key == NULL)
		return r;
	credentials_session_label(i->s.id, label);
	free((char *)i->s.label);
	i->s.label = xstrdup(label);
	if ((r = credentials_set_session(ss->credentials, start->provider, i->s.id, i->s.expires_ms,
	         start->key, err)) != 0)
		return r;
	return sessions_stored(ss, session_list_put(&ss->list, i, rev), err);
}

int
sessions_start(struct sessions *ss, const struct session_start *start, struct secret **token,
    const struct session **out, struct error *err)
{
	struct secret *fresh = NULL;
	struct session_item *i;
	int r;

	if ((r = sessions_sweep(ss, err)) != 0 || (r = check_start(ss, start, err)) != 0)
		return r;
	if (start->activate)
		sessions_deactivate(ss, &r, err);
	if (r != 0)
		return r;
	if ((fresh = token_new(TOKEN_PREFIX)) == NULL)
		return error_set(err, MP_E_INTERNAL, "no locked memory for the token");
	i = session_item_new(start, start->label != NULL ? start->label : "default");
	if (vault_token_hash(ss->vault, secret_bytes(fresh), secret_len(fresh), i->token_hash) != 0) {
		session_item_free(i);
		secret_free(fresh);
		return error_set(err, MP_E_LOCKED, "the keys are locked");
	}
	if ((r = add_with_key(ss, i, start, err)) != 0) {
		secret_free(fresh); /* the item is the list's: the caller rolls back */
		return r;
	}
	sessions_note(ss, CHANGE_ADD, i);
	sessions_arm(ss);
	*token = fresh;
	*out = &i->s;
	return 0;
}

int
sessions_activate(struct sessions *ss, int64_t id, struct error *err)
{
	struct session_item *i;
	int r;

	if ((r = sessions_sweep(ss, err)) != 0)
		return r;
	if ((i = find_open(ss, id, err)) == NULL)
		return err->code;
	if (i->s.activated)
		return 0;
	sessions_deactivate(ss, &r, err);
	if (r != 0)
		return r;
	i->s.activated = true;
	return put(ss, i, CHANGE_UPDATE, err);
}

int
sessions_extend(struct sessions *ss, int64_t id, int64_t ms, struct error *err)
{
	struct session_item *i;
	int64_t lasts, room;
	char span[32];
	int r;

	if ((r = sessions_sweep(ss, err)) != 0)
		return r;
	if ((i = find_open(ss, id, err)) == NULL)
		return err->code;
	lasts = i->s.expires_ms - i->s.started_ms;
	room = SESSION_MAX_MS - lasts;
	if (ms < 1 || ms > room) {
		duration_format(room, span, sizeof span);
		return error_field(err, "duration_ms",
		    "a test session lasts 24 hours at most; this one can have %s more", span);
	}
	i->s.expires_ms += ms;
	i->expires_boot_ms += ms;
	if (i->s.has_key && (r = credentials_extend_session(ss->credentials, id, i->s.expires_ms,
	                         err)) != 0)
		return r;
	sessions_arm(ss);
	return put(ss, i, CHANGE_UPDATE, err);
}

int
sessions_stop(struct sessions *ss, int64_t id, const char *why, struct error *err)
{
	struct session_item *i;
	int r;

	if ((r = sessions_sweep(ss, err)) != 0)
		return r;
	if ((i = find_open(ss, id, err)) == NULL)
		return err->code;
	return sessions_end(ss, i, why, err);
}

int
sessions_remove_provider(struct sessions *ss, const struct provider *p, struct error *err)
{
	int r;

	for (size_t k = ss->list.count; k-- > 0;)
		if (strcmp(ss->list.items[k]->s.provider_id, p->id) == 0 &&
		    (r = sessions_end(ss, ss->list.items[k], "its provider was removed", err)) != 0)
			return r;
	return 0;
}
