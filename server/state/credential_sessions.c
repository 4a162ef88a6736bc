/* credential_sessions.c - keys that end: of test sessions, and those that are only being tried. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/state/credential_list.h"
#include "server/store/rows.h"

#define SESSION_PREFIX "session-"
#define TRIAL_PREFIX "trial-"

void
credentials_session_label(int64_t session_id, char out[CREDENTIAL_LABEL_BYTES])
{
	snprintf(out, CREDENTIAL_LABEL_BYTES, SESSION_PREFIX "%lld", (long long)session_id);
}

static bool
numbered(const char *label, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(label, prefix, n) != 0 || label[n] == '\0')
		return false;
	return strspn(label + n, "0123456789") == strlen(label + n);
}

bool
credentials_label_reserved(const char *label)
{
	return numbered(label, SESSION_PREFIX) || numbered(label, TRIAL_PREFIX);
}

void
credentials_judge_sessions(struct credentials *cs,
    int (*judge)(void *arg, int64_t session_id, int64_t expires_ms, struct error *err), void *arg)
{
	cs->judge = judge;
	cs->judge_arg = arg;
}

bool
credential_is_session_s(const struct credential_item *i)
{
	char label[CREDENTIAL_LABEL_BYTES];

	credentials_session_label(i->c.session_id, label);
	return i->c.session_id > 0 && strcmp(i->c.label, label) == 0;
}

static struct credential_item *
session_item(const struct credentials *cs, int64_t session_id)
{
	for (size_t k = 0; k < cs->list.count; k++)
		if (cs->list.items[k]->c.session_id == session_id &&
		    credential_is_session_s(cs->list.items[k]))
			return cs->list.items[k];
	return NULL;
}

bool
credentials_has_session(const struct credentials *cs, int64_t session_id)
{
	return session_item(cs, session_id) != NULL;
}

int
credentials_check(struct credentials *cs, const struct provider *p, const struct secret *s,
    struct error *err)
{
	return credential_check(cs, p, s, err);
}

/* ---- trials ---- */

int
credentials_try(struct credentials *cs, const struct provider *p, const struct secret *s,
    char out[CREDENTIAL_LABEL_BYTES], struct error *err)
{
	struct credential_item *i;
	struct secret *copy = NULL;
	char *origin = NULL;
	int r;

	if ((r = credential_check(cs, p, s, err)) != 0 ||
	    (r = credential_bind_origin(p, NULL, &origin, err)) != 0)
		return r;
	if ((copy = secret_new(secret_bytes(s), secret_len(s))) == NULL) {
		free(origin);
		return error_set(err, MP_E_INTERNAL, "no locked memory for the key");
	}
	snprintf(out, CREDENTIAL_LABEL_BYTES, TRIAL_PREFIX "%lld", (long long)++cs->last_trial);
	i = credential_item_new(p, out, origin);
	i->c.session_id = -1;
	free(origin);
	log_secret_register(copy);
	i->opened = copy;
	credential_list_append(&cs->trials, i);
	return 0;
}

void
credentials_try_end(struct credentials *cs, const char *label)
{
	for (size_t k = 0; k < cs->trials.count; k++) {
		if (strcmp(cs->trials.items[k]->c.label, label) != 0)
			continue;
		credential_list_drop(&cs->trials, cs->trials.items[k]);
		return;
	}
}

/* ---- keys of sessions ---- */

/* How the provider stands may hang on it; that the key is there is nobody else's business. */
static void
note(struct credentials *cs, const char *provider)
{
	changes_note(cs->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, provider);
}

static int
put(struct credentials *cs, struct credential_item *i, struct error *err)
{
	return credential_stored(cs,
	    credential_list_put(&cs->list, i, changes_next_rev(cs->changes)), err);
}

int
credentials_set_session(struct credentials *cs, const struct provider *p, int64_t session_id,
    int64_t expires_ms, const struct secret *s, struct error *err)
{
	char label[CREDENTIAL_LABEL_BYTES];
	struct credential_item *i;
	char *origin = NULL;
	int r;

	if ((r = credential_check(cs, p, s, err)) != 0 ||
	    (r = credential_bind_origin(p, NULL, &origin, err)) != 0)
		return r;
	credentials_session_label(session_id, label);
	i = credential_item_new(p, label, origin);
	free(origin);
	i->c.session_id = session_id;
	i->expires_ms = expires_ms;
	if ((r = credential_seal(cs, i, s, err)) != 0 || (r = put(cs, i, err)) != 0) {
		credential_item_free(i);
		return r;
	}
	credential_list_replace(&cs->list, i);
	note(cs, p->name);
	return 0;
}

static int
open_session(struct credentials *cs, int64_t session_id, struct credential_item **out,
    struct error *err)
{
	struct credential_item *i = session_item(cs, session_id);
	int r;

	if (i == NULL) {
		error_set(err, MP_E_NO_CREDENTIAL, "the key of test session %lld is gone",
		    (long long)session_id);
		return MP_E_NO_CREDENTIAL;
	}
	*out = i;
	if ((r = credential_unlocked(cs, err)) != 0)
		return r;
	return credential_open(cs, i, err);
}

int
credentials_extend_session(struct credentials *cs, int64_t session_id, int64_t expires_ms,
    struct error *err)
{
	struct credential_item *i;
	int r;

	if ((r = open_session(cs, session_id, &i, err)) != 0)
		return r;
	i->expires_ms = expires_ms;
	if ((r = credential_seal(cs, i, i->opened, err)) != 0)
		return r;
	cs->scrub = true;
	return put(cs, i, err);
}

int
credentials_keep_session(struct credentials *cs, const struct provider *p, int64_t session_id,
    const char *label, struct error *err)
{
	struct credential_item *i;
	int r;

	if ((r = open_session(cs, session_id, &i, err)) != 0)
		return r;
	return credentials_set(cs, p, label, i->opened, NULL, err);
}

int
credentials_end_session(struct credentials *cs, const char *provider_id, int64_t session_id,
    struct error *err)
{
	struct credential_item *i = session_item(cs, session_id);
	char label[CREDENTIAL_LABEL_BYTES];
	int r;

	cs->scrub = true;
	if (i != NULL) {
		note(cs, i->c.provider);
		return credential_stored(cs, credential_list_delete(&cs->list, i), err);
	}
	credentials_session_label(session_id, label);
	r = store_credential_delete(cs->list.store, provider_id, label);
	return credential_stored(cs, r == MP_E_NOT_FOUND ? 0 : r, err);
}

bool
credentials_any_orphan(const struct credentials *cs, bool (*alive)(void *arg, int64_t session_id),
    void *arg)
{
	for (size_t k = 0; k < cs->list.count; k++)
		if (credential_is_session_s(cs->list.items[k]) &&
		    !alive(arg, cs->list.items[k]->c.session_id))
			return true;
	return false;
}

int
credentials_end_orphans(struct credentials *cs, bool (*alive)(void *arg, int64_t session_id), void *arg,
    struct error *err)
{
	int r;

	for (size_t k = cs->list.count; k-- > 0;) {
		struct credential_item *i = cs->list.items[k];

		if (!credential_is_session_s(i) || alive(arg, i->c.session_id))
			continue;
		cs->scrub = true;
		note(cs, i->c.provider);
		if ((r = credential_stored(cs, credential_list_delete(&cs->list, i), err)) != 0)
			return r;
	}
	return 0;
}

void
credentials_close_session(struct credentials *cs, int64_t session_id)
{
	struct credential_item *i = session_item(cs, session_id);

	if (i != NULL)
		credential_item_close(i);
}
