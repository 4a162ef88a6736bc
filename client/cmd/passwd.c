/* passwd: the passphrase of the stored keys (UX.md section 8). */
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/cmd/vault.h"
#include "client/entry.h"
#include "client/link.h"
#include "client/out.h"

/* The old one first when there is one; each on a line of its own. */
static int
split(struct app *a, const struct entry *e, bool with_old, size_t *old_len)
{
	const char *end = memchr(e->bytes, '\n', e->len);

	*old_len = end != NULL ? (size_t)(end - e->bytes) : 0;
	if (with_old == (end != NULL) &&
	    (end == NULL || memchr(end + 1, '\n', e->len - *old_len - 1) == NULL))
		return 0;
	return fail_usage(a, with_old ? "two lines are needed: the old passphrase, the new one"
	                              : "one line is needed: the new passphrase");
}

static int
send_passwd(struct app *a, const struct entry *old, const char *fresh, size_t n, size_t old_len,
    const struct value **result)
{
	struct pack *p = link_begin_secret(a, "vault.passwd");

	if (old != NULL)
		pack_passphrase(p, "old", old->bytes, old_len);
	pack_passphrase(p, "new", fresh, n);
	link_long(a);
	a->waiting = "making a key of the passphrase";
	return link_end(a, result);
}

static int
passwd_by_fd(struct app *a, int fd, bool with_old, const struct value **result)
{
	struct entry e = {0};
	size_t n;
	int r;

	if ((r = passphrase_read(a, fd, &e)) != 0)
		return r;
	if ((r = split(a, &e, with_old, &n)) == 0)
		r = with_old ? send_passwd(a, &e, e.bytes + n + 1, e.len - n - 1, n, result)
		             : send_passwd(a, NULL, e.bytes, e.len, 0, result);
	entry_clear(&e);
	return r;
}

static int
passwd_by_terminal(struct app *a, bool with_old, const struct value **result)
{
	struct entry old = {0}, fresh = {0}, again = {0};
	struct error err = ERROR_INIT;
	int r = 0;

	if (with_old)
		r = passphrase_ask(a, "Old passphrase: ", &old);
	if (r == 0)
		r = passphrase_ask(a, "New passphrase: ", &fresh);
	if (r == 0)
		r = passphrase_ask(a, "New passphrase again: ", &again);
	if (r == 0 && (fresh.len != again.len || memcmp(fresh.bytes, again.bytes, fresh.len) != 0)) {
		error_set(&err, MP_E_INVALID_PARAMS, "they are not the same; nothing was changed");
		r = fail_err(a, &err);
	}
	if (r == 0)
		r = send_passwd(a, with_old ? &old : NULL, fresh.bytes, fresh.len, old.len, result);
	entry_clear(&old);
	entry_clear(&fresh);
	entry_clear(&again);
	return r;
}

/* A key file beside a passphrase makes the passphrase worth little: now is the moment to ask. */
static int
offer_removal(struct app *a, const struct vault_view *before, const struct value *result)
{
	int r;

	if (before->key_file == 0 || !a->in_tty || a->no_input) {
		vault_notes(a, result);
		return 0;
	}
	note(a, "the key file beside it opens the keys without the passphrase");
	if (!app_confirm(a, "Delete the key file, so that only the passphrase opens the keys?"))
		return 0;
	if ((r = vault_remove_slot(a, before->key_file, &result)) == 0 && !a->quiet)
		printf("The key file is deleted.\n");
	return r;
}

int
cmd_passwd(struct app *a)
{
	const struct value *result;
	struct vault_view before;
	int fd, r;

	if ((r = passphrase_refuse_words(a)) != 0 || (r = key_source(a, &fd)) != 0 ||
	    (r = link_open(a)) != 0 || (r = vault_look(a, &before)) != 0)
		return r;
	r = fd >= 0 ? passwd_by_fd(a, fd, before.passphrase, &result)
	            : passwd_by_terminal(a, before.passphrase, &result);
	if (r != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (a->form == FORM_TEXT && !a->quiet)
		printf(before.passphrase ? "The passphrase is changed.\n" : "The passphrase is set.\n");
	if (a->form == FORM_TEXT && !before.passphrase)
		return offer_removal(a, &before, result);
	return 0;
}
