/* gemini_names.c - Google wants a letter or '_' first and at most 64 of [A-Za-z0-9_.:-]. */
#include <stdio.h>
#include <string.h>

#include "server/dialect/gemini.h"

#define KEPT_BYTES (GEMINI_NAME_MAX - 10) /* '_' in front, '_' and eight digits behind */

static bool
is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool
is_inner(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == ':' || c == '-';
}

bool
gemini_name_fits(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > GEMINI_NAME_MAX || !is_letter(name[0]))
		return false;
	for (size_t i = 1; i < n; i++) {
		if (!is_inner(name[i]))
			return false;
	}
	return true;
}

void
gemini_name(const char *name, char out[GEMINI_NAME_MAX + 1])
{
	uint32_t hash = 2166136261u;
	size_t n = 0;

	if (gemini_name_fits(name)) {
		snprintf(out, GEMINI_NAME_MAX + 1, "%s", name);
		return;
	}
	for (const char *p = name; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	if (!is_letter(name[0]))
		out[n++] = '_';
	for (size_t i = 0; i < KEPT_BYTES && name[i] != '\0'; i++)
		out[n++] = is_inner(name[i]) ? name[i] : '_';
	/* two long names may begin alike */
	snprintf(out + n, GEMINI_NAME_MAX + 1 - n, "_%08x", hash);
}
