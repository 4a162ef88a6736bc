#include "server/dialect/dialect.h"

#include <string.h>

#define DIALECT(id) extern const struct dialect dialect_##id;
#include "server/dialect/dialects.def"

static const struct dialect *const rows[] = {
#define DIALECT(id) &dialect_##id,
#include "server/dialect/dialects.def"
	NULL,
};

static const char *const later[] = {
#define LATER(name) name,
#include "server/dialect/dialects.def"
	NULL,
};

const struct dialect *
dialect_find(const char *name)
{
	size_t i;

	for (i = 0; name != NULL && rows[i] != NULL; i++) {
		if (strcmp(rows[i]->name, name) == 0)
			return rows[i];
	}
	return NULL;
}

const struct dialect *const *
dialect_list(void)
{
	return rows;
}

bool
dialect_name_known(const char *name)
{
	size_t i;

	if (name == NULL)
		return false;
	for (i = 0; later[i] != NULL; i++) {
		if (strcmp(later[i], name) == 0)
			return true;
	}
	return dialect_find(name) != NULL;
}
