/* credential_rekey.c - every sealed key under another master key. */
#include <stdlib.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/state/credential_list.h"

/* One that does not open is left as it is: it was refused before, and it stays refused. */
static int
reseal(struct credentials *cs, struct credential_item *i, int64_t rev, size_t *unreadable)
{
	struct seal_binding b = credential_binding(i);
	struct buf sealed = BUF_INIT;
	struct secret *plain = NULL;
	char fingerprint[9];
	int r = vault_open_sealed(cs->vault, &b, i->sealed, i->sealed_len, i->generation, &plain);

	if (r == MP_E_TAMPERED) {
		log_error("a stored key does not fit its row; it is not sealed anew", LOG_TEXT("row", i->id));
		++*unreadable;
		return 0;
	}
	if (r == 0)
		r = vault_next_seal(cs->vault, &b, plain, &sealed);
	if (r == 0) {
		/* of a key that is read from a source, what is sealed is the source */
		fingerprint[0] = '\0';
		if (i->source[0] == '\0')
			vault_next_fingerprint(cs->vault, plain, fingerprint);
		free(i->sealed);
		free((char *)i->c.fingerprint);
		i->sealed = buf_steal(&sealed, &i->sealed_len);
		i->generation = vault_next_generation(cs->vault);
		i->c.fingerprint = xstrdup(fingerprint);
		r = credential_list_put(&cs->list, i, rev);
	}
	secret_free(plain);
	buf_clear(&sealed);
	return r;
}

int
credentials_rekey(struct credentials *cs, size_t *unreadable, struct error *err)
{
	struct credential_list all = { .store = cs->list.store };
	int64_t rev = changes_next_rev(cs->changes);
	int r;

	*unreadable = 0;
	/* what was learned of them is written first: the rows are read back */
	credential_reports_flush(cs);
	/* also those whose provider is not there now */
	r = credential_list_load(&all, cs->list.store, NULL);
	for (size_t k = 0; k < all.count && r == 0; k++)
		r = reseal(cs, all.items[k], rev, unreadable);
	credential_list_clear(&all);
	if (r == 0)
		r = credential_list_load(&cs->list, cs->list.store, cs->providers);
	if (r != 0)
		return credential_stored(cs, r, err);
	for (size_t k = 0; k < cs->list.count; k++)
		credential_note(cs, CHANGE_UPDATE, cs->list.items[k]);
	cs->scrub = true;
	return 0;
}

void
credentials_rekeyed(struct credentials *cs)
{
	for (size_t k = cs->environment_count; k-- > 0;) {
		struct environment_value *v = &cs->environment[k];
		struct seal_binding b = credential_variable_binding(v->name);
		struct secret *plain = NULL;
		struct buf sealed = BUF_INIT;

		if (vault_open_sealed(cs->vault, &b, v->sealed.data, v->sealed.len, v->generation,
		        &plain) == 0 &&
		    vault_next_seal(cs->vault, &b, plain, &sealed) == 0) {
			buf_clear(&v->sealed);
			v->sealed = sealed;
			v->generation = vault_next_generation(cs->vault);
		} else {
			buf_clear(&sealed);
			log_warn("a key from the environment is lost until the next start",
			    LOG_TEXT("variable", v->name));
		}
		secret_free(plain);
	}
}
