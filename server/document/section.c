#include "server/document/section.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"

static const struct section sections[] = {
#define SECTION(id, comment) { #id, comment, section_##id##_export, section_##id##_apply, false },
#define SHARED_SECTION(id, comment) { #id, comment, section_##id##_export, section_##id##_apply, true },
#include "server/document/sections.def"
#undef SECTION
};
#define SECTIONS (sizeof sections / sizeof sections[0])

size_t
section_count(void)
{
	return SECTIONS;
}

const struct section *
section_at(size_t i)
{
	return i < SECTIONS ? &sections[i] : NULL;
}

void
sentence_add(struct sentences *s, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	if (s->count == NOTES_MAX)
		return;
	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	s->list[s->count++] = buf_steal(&text, NULL);
}

void
sentences_clear(struct sentences *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->list[i]);
	memset(s, 0, sizeof *s);
}

/* Whose fault an error is: the document's, or the machine's. */
static bool
is_of_the_document(int r)
{
	return r == MP_E_INVALID_PARAMS || r == MP_E_CONFLICT || r == MP_E_NOT_FOUND || r == MP_E_TOO_MANY ||
	    r == MP_E_INVALID_STATE || r == MP_E_TOO_LARGE;
}

int
section_blame(struct document_change *c, const struct node *n, bool at_key, int r,
    const struct error *err)
{
	if (r == 0 || !is_of_the_document(r))
		return r;
	if (at_key)
		node_key_problem(n, err, c->problems);
	else
		node_problem(n, err, c->problems);
	return 0;
}
