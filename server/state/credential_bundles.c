/* credential_bundles.c - keys known by their row: those that a team's bundle brought. */
#include <string.h>

#include "protocol/base/str.h"
#include "server/state/credential_list.h"

const char *
credentials_row_id(const struct credentials *cs, const struct provider *p, const char *label)
{
	const struct credential_item *i =
	    credential_list_find(&cs->list, p->id, label != NULL && *label != '\0' ? label : "default");

	return i != NULL ? i->id : NULL;
}

int
credentials_delete_row(struct credentials *cs, const char *row_id, struct error *err)
{
	for (size_t k = 0; k < cs->list.count; k++) {
		const struct credential_item *i = cs->list.items[k];
		const struct provider *p = providers_find_id(cs->providers, i->provider_id);

		if (strcmp(i->id, row_id) == 0 && p != NULL)
			return credentials_delete(cs, p, i->c.label, err);
	}
	return 0;
}
