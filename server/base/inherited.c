#include "server/base/inherited.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

#define INHERITED_MAX 64

static struct {
	char *name;
	struct secret *value;
} all[INHERITED_MAX];
static size_t count;

void
inherited_take(const char *name, size_t name_len, char *value)
{
	size_t n = strlen(value);
	struct secret *s = NULL;

	if (count < INHERITED_MAX && secret_text_valid(value, n))
		s = secret_new(value, n);
	secret_wipe(value, n);
	if (s == NULL)
		return;
	all[count].name = slice_dup((struct slice){ name, name_len });
	all[count++].value = s;
}

void
inherited_take_from_environment(const char *name)
{
	char *value = getenv(name);

	if (value == NULL)
		return;
	inherited_take(name, strlen(name), value);
	unsetenv(name);
}

const struct secret *
inherited_find(const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].name, name) == 0)
			return all[i].value;
	return NULL;
}

void
inherited_drop(bool (*wanted)(void *arg, const char *name), void *arg)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		if (wanted != NULL && wanted(arg, all[i].name)) {
			all[left++] = all[i];
			continue;
		}
		secret_free(all[i].value);
		free(all[i].name);
	}
	count = left;
}
