#include "server/state/restored.h"

#include <stdio.h>
#include <string.h>

#include "server/store/open.h"
#include "server/store/rows.h"
#include "server/vault/vault.h"

static void
count_provider(void *arg, const struct provider_row *row)
{
	(void)row;
	++*(int64_t *)arg;
}

static void
count_key(void *arg, const struct credential_row *row)
{
	*(int64_t *)arg += row->session_id == 0;
}

static void
count_slot(void *arg, const struct key_slot_row *row)
{
	(void)row;
	++*(int64_t *)arg;
}

static int
look_at_vault(struct store *s, const char *data_dir, struct restored *out, struct error *err)
{
	struct vault *v = NULL;
	int64_t slots = 0;
	int r = store_key_slot_each(s, count_slot, &slots);

	/* a vault without slots would get its first one, and a key file: not on trial */
	if (r != 0 || slots == 0)
		return r;
	if ((r = vault_open(s, data_dir, &v, NULL, err)) == 0) {
		out->locked = vault_is_locked(v);
		snprintf(out->why, sizeof out->why, "%s", vault_locked_why(v));
	}
	vault_free(v);
	return r;
}

static int
look_at_state(struct store *s, const char *data_dir, struct restored *out, struct error *err)
{
	int r = look_at_vault(s, data_dir, out, err);

	if (r == 0 && ((r = store_provider_each(s, count_provider, &out->providers)) != 0 ||
	    (r = store_credential_each(s, count_key, &out->keys)) != 0))
		error_set(err, r, "the rows of the backup cannot be read");
	return r;
}

int
restored_look(const struct restore *r, const char *data_dir, struct restored *out, struct error *err)
{
	const struct archive *a = restore_archive(r);
	int code = 0;

	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < a->count && code == 0; i++) {
		const struct database *is = database_find(a->files[i].name);
		struct error why = ERROR_INIT;
		struct store *s = NULL;

		code = store_open_existing(restore_folder(r), is, &s, &why);
		if (code == 0 && is == &database_state)
			code = look_at_state(s, data_dir, out, &why);
		store_close(s);
		if (code != 0) {
			error_set(err, code, "the backup cannot be used: %s", why.message);
			error_hint(err, "nothing was changed; use another backup");
		}
	}
	return code;
}
