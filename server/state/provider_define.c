/* provider_define.c - a user's row made whole at once, as a configuration document says it. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/state/catalogue.h"
#include "server/state/provider_members.h"
#include "server/state/providers_inside.h"

struct provider *
providers_shipped(const struct providers *ps, const struct provider *p)
{
	const struct entry *e = entries_by_id(&ps->entries, p->id);

	return e != NULL ? entry_shipped(e) : NULL;
}

const struct provider *
providers_find_shipped(const struct providers *ps, const char *name)
{
	for (size_t i = 0; i < ps->entries.count; i++) {
		const struct entry *e = &ps->entries.list[i];
		const char *shipped = e->catalogue != NOT_SHIPPED ? catalogue_name_at(e->catalogue)
				      : e->below != NULL          ? e->below->name
								  : NULL;

		if (shipped != NULL && strcmp(shipped, name) == 0)
			return e->p;
	}
	return NULL;
}

const char *
providers_members_set(const struct providers *ps, const struct provider *p)
{
	const struct entry *e = entries_by_id(&ps->entries, p->id);

	return e != NULL && e->changed != NULL ? e->changed : "";
}

static bool
same_members(const char *a, const char *b)
{
	char *all = provider_members_join(a, b), *mine = provider_members_join(a, "");
	bool same = strcmp(all, mine) == 0;

	free(mine);
	mine = provider_members_join(b, "");
	same = same && strcmp(all, mine) == 0;
	free(mine);
	free(all);
	return same;
}

int
providers_define(struct providers *ps, const struct provider *p, const char *members,
    struct error *err)
{
	struct entry *e = entries_by_id(&ps->entries, p->id);
	bool own = e != NULL && !entry_is_shipped(e), reverted;
	struct provider *made;
	int r;

	if (e == NULL)
		return error_set(err, MP_E_NOT_FOUND, "there is no provider %s to change", p->name);
	if (own)
		members = "*";
	if (same_members(members, providers_members_set(ps, p)) && provider_members_same(p, e->p, members))
		return 0;
	if (*members == '\0')
		return providers_remove(ps, e->p->name, &reverted, err);
	made = own ? provider_copy(e->p) : entry_shipped(e);
	provider_members_copy(made, p, members);
	if ((r = provider_check(made, err)) != 0 || (r = providers_claim_name(ps, e, made->name, err)) != 0) {
		provider_free(made);
		return r;
	}
	return providers_write(ps, e, made, members, err);
}
