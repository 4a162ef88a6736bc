/* credential_sources.c - keys that are read from a source: what is stored of them, and for how long what was
 * read is kept. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/inherited.h"
#include "server/base/log.h"
#include "server/state/credential_list.h"

/* ---- the source itself ---- */

/* The seal covers the row and the origin, what is sealed is the source: none can be changed in the table. */
static int
seal_source(struct credentials *cs, struct credential_item *i, struct error *err)
{
	struct secret *words = secret_new(i->source, strlen(i->source));
	struct seal_binding b = credential_binding(i);
	struct buf sealed = BUF_INIT;
	int r = words != NULL ? vault_seal(cs->vault, &b, words, &sealed) : MP_E_INTERNAL;

	secret_free(words);
	if (r != 0) {
		buf_clear(&sealed);
		return error_set(err, r, "the source of the key cannot be sealed");
	}
	i->sealed = buf_steal(&sealed, &i->sealed_len);
	i->generation = vault_generation(cs->vault);
	i->c.fingerprint = xstrdup("");
	i->c.last4 = xstrdup("");
	return 0;
}

int
credentials_set_source(struct credentials *cs, const struct provider *p, const char *label,
    enum key_source_kind kind, const char *text, const char *origin, struct error *err)
{
	struct credential_item *fresh;
	struct buf source = BUF_INIT;
	int r;

	if ((r = credential_check(cs, p, NULL, err)) != 0 ||
	    (r = credential_begin(cs, p, label, origin, &fresh, err)) != 0)
		return r;
	buf_addf(&source, "%s %s", key_source_name(kind), text);
	free(fresh->source);
	fresh->source = buf_steal(&source, NULL);
	(void)key_source_parse(fresh->source, &fresh->c.source, &fresh->c.source_text);
	if ((r = seal_source(cs, fresh, err)) != 0 || (r = credential_finish(cs, p, fresh, err)) != 0)
		credential_item_free(fresh);
	return r;
}

int
credential_source_verify(struct credentials *cs, struct credential_item *i, struct error *err)
{
	struct seal_binding b = credential_binding(i);
	struct secret *words = NULL;
	int r;

	if (i->opened != NULL && clock_boot_ms() >= i->stale_ms)
		credential_item_close(i);
	if (i->verified)
		return 0;
	r = vault_open_sealed(cs->vault, &b, i->sealed, i->sealed_len, i->generation, &words);
	if (r == 0 && (secret_len(words) != strlen(i->source) ||
	        memcmp(secret_bytes(words), i->source, secret_len(words)) != 0))
		r = MP_E_TAMPERED;
	secret_free(words);
	if (r == MP_E_TAMPERED)
		return credential_tampered(i, "its source or what that is bound to", err);
	if (r != 0)
		return error_set(err, r, "the source of the key of %s cannot be opened", i->c.provider);
	i->verified = true;
	return 0;
}

/* ---- what was read ---- */

void
credentials_keep_read(struct credentials *cs, int64_t keep_ms)
{
	cs->keep_ms = keep_ms;
}

static struct credential_item *
item_of(struct credentials *cs, const char *id)
{
	for (size_t k = 0; k < cs->list.count; k++)
		if (strcmp(cs->list.items[k]->id, id) == 0)
			return cs->list.items[k];
	return NULL;
}

static void
show(struct credentials *cs, struct credential_item *i)
{
	char fingerprint[9];

	if (vault_fingerprint(cs->vault, i->opened, fingerprint) != 0)
		return;
	free((char *)i->c.fingerprint);
	i->c.fingerprint = xstrdup(fingerprint);
}

void
credentials_was_read(struct credentials *cs, const char *id, struct secret *value)
{
	struct credential_item *i = item_of(cs, id);
	bool wanted = i != NULL && i->c.source != KEY_STORED && !vault_is_locked(cs->vault);
	bool verified;

	if (!wanted) {
		secret_free(value);
		return;
	}
	verified = i->verified;
	credential_item_close(i);
	i->verified = verified;
	log_secret_register(value);
	i->opened = value;
	i->stale_ms = clock_boot_ms() + cs->keep_ms;
	show(cs, i);
}

int64_t
credentials_drop_stale(struct credentials *cs)
{
	int64_t now = clock_boot_ms(), next = -1;

	for (size_t k = 0; k < cs->list.count; k++) {
		struct credential_item *i = cs->list.items[k];

		if (i->c.source == KEY_STORED || i->opened == NULL)
			continue;
		if (now >= i->stale_ms)
			credential_item_close(i);
		else if (next < 0 || i->stale_ms - now < next)
			next = i->stale_ms - now;
	}
	return next;
}

/* ---- the environment ---- */

struct seal_binding
credential_variable_binding(const char *name)
{
	return (struct seal_binding){ .table = "environment", .row_id = name, .field = "value",
		.origin = "" };
}

static struct environment_value *
find_variable(const struct credentials *cs, const char *name)
{
	for (size_t k = 0; k < cs->environment_count; k++)
		if (strcmp(cs->environment[k].name, name) == 0)
			return &cs->environment[k];
	return NULL;
}

/* As a stored key it is open only while it is used, and locked with the others. */
static void
seal_variable(struct credentials *cs, const char *name, const struct secret *value)
{
	struct seal_binding b = credential_variable_binding(name);
	struct environment_value *fresh;
	struct buf sealed = BUF_INIT;

	if (vault_seal(cs->vault, &b, value, &sealed) != 0) {
		buf_clear(&sealed);
		return;
	}
	cs->environment = xrealloc(cs->environment,
	    (cs->environment_count + 1) * sizeof *cs->environment);
	fresh = &cs->environment[cs->environment_count++];
	*fresh = (struct environment_value){ xstrdup(name), sealed, vault_generation(cs->vault) };
}

static bool
is_named(void *arg, const char *name)
{
	const struct credentials *cs = arg;

	for (size_t k = 0; k < cs->list.count; k++)
		if (cs->list.items[k]->c.source == KEY_ENV &&
		    strcmp(cs->list.items[k]->c.source_text, name) == 0)
			return true;
	return false;
}

void
credentials_take_environment(struct credentials *cs)
{
	bool locked = vault_is_locked(cs->vault);

	for (size_t k = 0; k < cs->list.count; k++) {
		const struct credential *c = &cs->list.items[k]->c;
		const struct secret *value;

		if (c->source != KEY_ENV || find_variable(cs, c->source_text) != NULL)
			continue;
		if (inherited_find(c->source_text) == NULL)
			inherited_take_from_environment(c->source_text);
		if (!locked && (value = inherited_find(c->source_text)) != NULL)
			seal_variable(cs, c->source_text, value);
	}
	inherited_drop(locked ? is_named : NULL, cs);
}

bool
credentials_has_variable(struct credentials *cs, const char *name)
{
	return find_variable(cs, name) != NULL || inherited_find(name) != NULL;
}

int
credentials_variable(struct credentials *cs, const char *name, struct secret **out,
    struct error *err)
{
	struct seal_binding b = credential_variable_binding(name);
	const struct environment_value *v;

	credentials_take_environment(cs);
	if ((v = find_variable(cs, name)) != NULL &&
	    vault_open_sealed(cs->vault, &b, v->sealed.data, v->sealed.len, v->generation, out) == 0)
		return 0;
	return error_set(err, MP_E_NO_CREDENTIAL, "the daemon was started without it; set it where the "
	    "daemon is started, then: mpc daemon restart");
}

void
credential_environment_clear(struct credentials *cs)
{
	for (size_t k = 0; k < cs->environment_count; k++) {
		free(cs->environment[k].name);
		buf_clear(&cs->environment[k].sealed);
	}
	free(cs->environment);
	cs->environment = NULL;
	cs->environment_count = 0;
}
