/* suggest.c - what a mistyped name may have meant. */
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"

#define PREFIX_FROM 3 /* shorter beginnings say too little */

void
error_suggest(struct error *err, const char *text,
    const char *(*name_at)(const void *arg, size_t i), const void *arg, size_t count)
{
	size_t n = strlen(text);
	unsigned limit = n <= 4 ? 1 : n <= 8 ? 2 : 3;

	for (unsigned d = 0; d <= limit; d++)
		for (size_t i = 0; i < count; i++)
			if (edit_distance(text, name_at(arg, i), limit) == d)
				error_candidate(err, name_at(arg, i));
	for (size_t i = 0; n >= PREFIX_FROM && i < count; i++) {
		const char *name = name_at(arg, i);

		if (strncmp(name, text, n) == 0 && edit_distance(text, name, limit) > limit)
			error_candidate(err, name);
	}
}
