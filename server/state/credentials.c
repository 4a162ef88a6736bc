#include "server/state/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/state/credential_list.h"
#include "server/store/copies.h"
#include "server/store/rows.h"

#define LAST4_FROM_BYTES 20           /* THREATS.md section 3.4 */

static const char *
label_or_default(const char *label)
{
	return label != NULL && *label != '\0' ? label : "default";
}

int
credential_stored(struct credentials *cs, int r, struct error *err)
{
	if (r == 0)
		return 0;
	return error_set(err, r, "the key cannot be stored: %s", store_path(cs->list.store));
}

static void
note(struct credentials *cs, enum change_op op, const struct provider *p, const struct credential *c)
{
	char key[160];

	/* both are names of at most 64 bytes */
	snprintf(key, sizeof key, "%.70s/%.70s", p->name, c->label);
	if (c->session_id == 0)
		changes_note(cs->changes, TOPIC_KEYS, op, key);
	/* no-credential, available: keys decide how a provider stands */
	changes_note(cs->changes, TOPIC_PROVIDERS, CHANGE_UPDATE, p->name);
}

void
credential_note(struct credentials *cs, enum change_op op, const struct credential_item *i)
{
	const struct provider *p = providers_find_id(cs->providers, i->provider_id);

	if (p != NULL)
		note(cs, op, p, &i->c);
}

/* ---- life ---- */

static void
reload(void *arg)
{
	struct credentials *cs = arg;

	if (credential_list_load(&cs->list, cs->list.store, cs->providers) != 0)
		log_error("keys cannot be read back", LOG_TEXT("file", store_path(cs->list.store)));
}

static void
on_change(void *arg, const struct change *ch)
{
	struct credentials *cs = arg;

	if (ch->topic == TOPIC_PROVIDERS)
		credential_list_follow(&cs->list, cs->providers);
}

int
credentials_new(struct store *store, struct vault *vault, struct providers *providers,
    struct changes *changes, struct credentials **out, struct error *err)
{
	struct credentials *cs = xcalloc(1, sizeof *cs);
	int r;

	cs->vault = vault;
	cs->providers = providers;
	cs->changes = changes;
	if ((r = credential_list_load(&cs->list, store, providers)) != 0) {
		credential_list_clear(&cs->list);
		free(cs);
		return error_set(err, r, "the keys cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, cs);
	changes_subscribe(changes, on_change, cs);
	*out = cs;
	return 0;
}

void
credentials_free(struct credentials *cs)
{
	if (cs == NULL)
		return;
	credential_reports_flush(cs);
	credential_environment_clear(cs);
	credential_list_clear(&cs->list);
	credential_list_clear(&cs->trials);
	free(cs);
}

/* ---- looking ---- */

static struct credential_item *
item_find(const struct credentials *cs, const struct provider *p, const char *label)
{
	struct credential_item *i = credential_list_find(&cs->list, p->id, label_or_default(label));

	return i != NULL ? i : credential_list_find(&cs->trials, p->id, label_or_default(label));
}

const struct credential *
credentials_find(const struct credentials *cs, const char *provider, const char *label)
{
	const struct provider *p = providers_find(cs->providers, provider);
	const struct credential_item *i = p != NULL ? item_find(cs, p, label) : NULL;

	return i != NULL ? &i->c : NULL;
}

void
credentials_each(const struct credentials *cs, const char *provider,
    void (*each)(void *arg, const struct credential *c), void *arg)
{
	const struct provider *p = provider != NULL ? providers_find(cs->providers, provider) : NULL;

	if (provider != NULL && p == NULL)
		return;
	for (size_t i = 0; i < cs->list.count; i++)
		if (cs->list.items[i]->c.session_id == 0 &&
		    (p == NULL || strcmp(cs->list.items[i]->provider_id, p->id) == 0))
			each(arg, &cs->list.items[i]->c);
}

/* ---- opening ---- */

static int
no_credential(const struct provider *p, const char *label, struct error *err)
{
	bool usual = strcmp(label, "default") == 0;

	error_set(err, MP_E_NO_CREDENTIAL, "there is no key for %s%s%s", p->name,
	    usual ? "" : " with label ", usual ? "" : label);
	error_hint(err, "mpc key set %s%s%s", p->name, usual ? "" : " --label ", usual ? "" : label);
	return MP_E_NO_CREDENTIAL;
}

int
credential_tampered(const struct credential_item *i, const char *what, struct error *err)
{
	log_error("a stored key does not fit its row; it is refused", LOG_TEXT("provider", i->c.provider),
	    LOG_TEXT("row", i->id), LOG_TEXT("what", what));
	error_set(err, MP_E_TAMPERED, "the stored key of %s was changed outside of this program (%s)",
	    i->c.provider, what);
	error_hint(err, "store it again: mpc key set %s", i->c.provider);
	return MP_E_TAMPERED;
}

/* The key goes to the origin it was stored for and nowhere else. An origin that differs is honest when
 * the user moved the provider, or when the catalogue did; else somebody edited the row. */
static int
check_origin(struct credentials *cs, const struct provider *p, const struct credential_item *i,
    struct error *err)
{
	char *now = NULL;
	int r = 0;

	if (p->base_url == NULL || url_origin(p->base_url, &now, NULL) != 0)
		now = xstrdup("");
	if (strcmp(now, i->c.origin) == 0)
		goto out;
	if (!i->origin_moved && providers_user_set(cs->providers, p, "base_url")) {
		r = credential_tampered(i, "its provider's address", err);
		goto out;
	}
	r = error_set(err, MP_E_ORIGIN, "the key of %s was stored for %s, not for %s", p->name,
	    i->c.origin, now);
	error_hint(err, "if the new address is right, store the key again: mpc key set %s", p->name);
out:
	free(now);
	return r;
}

int
credential_unlocked(const struct credentials *cs, struct error *err)
{
	if (!vault_is_locked(cs->vault))
		return 0;
	error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(cs->vault));
	error_hint(err, "mpc unlock");
	return MP_E_LOCKED;
}

int
credential_open(struct credentials *cs, struct credential_item *i, struct error *err)
{
	struct seal_binding b = credential_binding(i);
	struct secret *opened = NULL;
	int r;

	if (i->c.source != KEY_STORED)
		return credential_source_verify(cs, i, err);
	if (i->opened != NULL)
		return 0;
	if (i->c.session_id == -1)
		return error_set(err, MP_E_LOCKED, "the keys were locked while this one was tried");
	r = vault_open_sealed(cs->vault, &b, i->sealed, i->sealed_len, i->generation, &opened);
	if (r == MP_E_TAMPERED)
		return credential_tampered(i, "its sealed bytes or what they are bound to", err);
	if (r != 0)
		return error_set(err, r, "the key of %s cannot be opened", i->c.provider);
	log_secret_register(opened);
	i->opened = opened;
	return 0;
}

int
credentials_open(struct credentials *cs, const struct provider *p, const char *label,
    const struct secret **out, struct error *err)
{
	struct credential_item *i = item_find(cs, p, label);
	int r;

	if (i == NULL)
		return no_credential(p, label_or_default(label), err);
	if (i->c.session_id > 0 && !credential_is_session_s(i))
		return credential_tampered(i, "the test session it is bound to", err);
	if (i->c.session_id > 0 && cs->judge != NULL &&
	    (r = cs->judge(cs->judge_arg, i->c.session_id, i->expires_ms, err)) != 0)
		return r;
	if ((r = credential_unlocked(cs, err)) != 0 || (r = check_origin(cs, p, i, err)) != 0 ||
	    (r = credential_open(cs, i, err)) != 0)
		return r;
	vault_used(cs->vault);
	*out = i->opened;
	return 0;
}

void
credentials_close_all(struct credentials *cs)
{
	for (size_t k = 0; k < cs->list.count; k++)
		credential_item_close(cs->list.items[k]);
	for (size_t k = 0; k < cs->trials.count; k++)
		credential_item_close(cs->trials.items[k]);
}

/* ---- changing ---- */

int
credential_bind_origin(const struct provider *p, const char *wanted, char **out, struct error *err)
{
	char *now = NULL, *asked = NULL;
	int r = 0;

	if (p->base_url == NULL || url_origin(p->base_url, &now, NULL) != 0)
		return error_set(err, MP_E_INVALID_STATE, "%s has no address that a key could go to",
		    p->name);
	if (wanted != NULL && *wanted != '\0') {
		if (url_origin(wanted, &asked, NULL) != 0)
			r = error_field(err, "origin", "the origin is not a URL such as https://host");
		else if (strcmp(asked, now) != 0)
			r = error_set(err, MP_E_ORIGIN, "%s is at %s, not at %s", p->name, now, asked);
	}
	free(asked);
	if (r != 0)
		free(now);
	else
		*out = now;
	return r;
}

int
credential_check(struct credentials *cs, const struct provider *p, const struct secret *s,
    struct error *err)
{
	if (p->auth == AUTH_NONE || p->auth == AUTH_OAUTH_PERSONAL) {
		error_set(err, MP_E_INVALID_STATE, "%s takes no key (its auth type is %s)", p->name,
		    auth_type_name(p->auth));
		if (p->login_command != NULL)
			error_hint(err, "log in with its own program: %s", p->login_command);
		else
			error_hint(err, "if it does: mpc provider set %s auth_type=optional-key", p->name);
		return MP_E_INVALID_STATE;
	}
	if (s != NULL && !secret_text_valid(secret_bytes(s), secret_len(s))) {
		error_field(err, "secret", "that cannot be a key: it is empty, too long, or holds blanks, "
		    "line ends or characters outside ASCII");
		error_hint(err, "keys are 1 to %d visible ASCII characters", SECRET_MAX_BYTES / 2);
		return MP_E_INVALID_PARAMS;
	}
	return credential_unlocked(cs, err);
}

static int
check_label(struct credentials *cs, const struct provider *p, const char *label, struct error *err)
{
	size_t keys = 0;

	if (!name_valid(label))
		return error_field(err, "label", "\"%.80s\" is not a valid label", label);
	if (credentials_label_reserved(label))
		return error_field(err, "label", "\"%.80s\" is for keys of test sessions", label);
	for (size_t i = 0; i < cs->list.count; i++)
		keys += cs->list.items[i]->c.session_id == 0 &&
		    strcmp(cs->list.items[i]->provider_id, p->id) == 0;
	if (keys >= CREDENTIALS_PER_PROVIDER && item_find(cs, p, label) == NULL)
		return error_set(err, MP_E_TOO_MANY, "%s has %d keys already", p->name,
		    CREDENTIALS_PER_PROVIDER);
	return 0;
}

int
credential_seal(struct credentials *cs, struct credential_item *i, const struct secret *s, struct error *err)
{
	struct seal_binding b = credential_binding(i);
	struct buf sealed = BUF_INIT;
	char fingerprint[9], last4[5] = "";
	size_t n = secret_len(s);
	int r;

	if ((r = vault_seal(cs->vault, &b, s, &sealed)) != 0
	    || (r = vault_fingerprint(cs->vault, s, fingerprint)) != 0) {
		buf_clear(&sealed);
		return error_set(err, r, "the key cannot be sealed");
	}
	if (n >= LAST4_FROM_BYTES)
		memcpy(last4, secret_bytes(s) + n - 4, 4);
	free(i->sealed);
	free((char *)i->c.fingerprint);
	free((char *)i->c.last4);
	i->sealed = buf_steal(&sealed, &i->sealed_len);
	i->generation = vault_generation(cs->vault);
	i->c.fingerprint = xstrdup(fingerprint);
	i->c.last4 = xstrdup(last4);
	return 0;
}

/* What the provider said is left was left of this key. */
static void
forget_limits(struct credentials *cs, const struct provider *p, const char *label)
{
	if (strcmp(label, label_or_default(NULL)) == 0)
		providers_forget_limits(cs->providers, p);
}

int
credential_begin(struct credentials *cs, const struct provider *p, const char *label,
    const char *origin, struct credential_item **out, struct error *err)
{
	const struct credential_item *old;
	char *bound = NULL;
	int r;

	label = label_or_default(label);
	if ((r = check_label(cs, p, label, err)) != 0 ||
	    (r = credential_bind_origin(p, origin, &bound, err)) != 0)
		return r;
	*out = credential_item_new(p, label, bound);
	if ((old = credential_list_find(&cs->list, p->id, label)) != NULL)
		(*out)->c.weight = old->c.weight;
	free(bound);
	return 0;
}

int
credential_finish(struct credentials *cs, const struct provider *p, struct credential_item *fresh,
    struct error *err)
{
	int r = credential_stored(cs,
	    credential_list_put(&cs->list, fresh, changes_next_rev(cs->changes)), err);

	if (r != 0)
		return r;
	cs->scrub = credential_list_replace(&cs->list, fresh) || cs->scrub;
	providers_forget_failure(cs->providers, p);
	forget_limits(cs, p, fresh->c.label);
	note(cs, CHANGE_SET, p, &fresh->c);
	return 0;
}

int
credentials_set(struct credentials *cs, const struct provider *p, const char *label,
    const struct secret *s, const char *origin, struct error *err)
{
	struct credential_item *fresh;
	int r;

	if ((r = credential_check(cs, p, s, err)) != 0 ||
	    (r = credential_begin(cs, p, label, origin, &fresh, err)) != 0)
		return r;
	if ((r = credential_seal(cs, fresh, s, err)) != 0 ||
	    (r = credential_finish(cs, p, fresh, err)) != 0)
		credential_item_free(fresh);
	return r;
}

int
credentials_weigh(struct credentials *cs, const struct provider *p, const char *label, unsigned weight,
    struct error *err)
{
	struct credential_item *i = credential_list_find(&cs->list, p->id, label_or_default(label));
	int r;

	if (i == NULL || i->c.session_id != 0)
		return no_credential(p, label_or_default(label), err);
	if (weight < 1 || weight > KEY_WEIGHT_MAX)
		return error_field(err, "weight", "a weight is 1 to %d", KEY_WEIGHT_MAX);
	if (i->c.weight == weight)
		return 0;
	i->c.weight = weight;
	if ((r = credential_stored(cs,
	         credential_list_put(&cs->list, i, changes_next_rev(cs->changes)), err)) == 0)
		note(cs, CHANGE_UPDATE, p, &i->c);
	return r;
}

static int
drop(struct credentials *cs, const struct provider *p, struct credential_item *i, struct error *err)
{
	int r;

	note(cs, CHANGE_REMOVE, p, &i->c);
	forget_limits(cs, p, i->c.label);
	if ((r = credential_stored(cs, credential_list_delete(&cs->list, i), err)) != 0)
		return r;
	cs->scrub = true;
	return 0;
}

int
credentials_delete(struct credentials *cs, const struct provider *p, const char *label,
    struct error *err)
{
	struct credential_item *i = item_find(cs, p, label);

	if (i == NULL || i->c.session_id != 0)
		return error_set(err, MP_E_NOT_FOUND, "%s has no key \"%.80s\"", p->name,
		    label_or_default(label));
	return drop(cs, p, i, err);
}

int
credentials_delete_all(struct credentials *cs, const struct provider *p, struct error *err)
{
	int r;

	for (size_t k = cs->list.count; k-- > 0;)
		if (strcmp(cs->list.items[k]->provider_id, p->id) == 0
		    && (r = drop(cs, p, cs->list.items[k], err)) != 0)
			return r;
	return 0;
}

int
credentials_origin_moved(struct credentials *cs, const struct provider *p, struct error *err)
{
	int64_t rev = changes_next_rev(cs->changes);
	int r;

	for (size_t k = 0; k < cs->list.count; k++) {
		struct credential_item *i = cs->list.items[k];

		if (strcmp(i->provider_id, p->id) != 0 || i->origin_moved)
			continue;
		i->origin_moved = true;
		if ((r = credential_stored(cs, credential_list_put(&cs->list, i, rev), err)) != 0)
			return r;
		note(cs, CHANGE_UPDATE, p, &i->c);
	}
	return 0;
}

void
credentials_scrub(struct credentials *cs)
{
	if (!cs->scrub || changes_open(cs->changes))
		return;
	cs->scrub = false;
	if (store_checkpoint(cs->list.store) != 0)
		log_warn("the write-ahead log could not be emptied; the next checkpoint does it",
		    LOG_TEXT("file", store_path(cs->list.store)));
	copies_scrub(cs->list.store);
}
