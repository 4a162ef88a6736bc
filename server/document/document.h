/* document.h - the whole configuration as one text: exported, checked, applied (DESIGN.md section
 * 4, PROTOCOL.md section 5).
 *
 * The document is the whole of what a person decided: what it says becomes so, what it lacks is as
 * shipped. Keys, overrides and test sessions are never in it. Applying an export changes nothing.
 */
#ifndef SERVER_DOCUMENT_DOCUMENT_H
#define SERVER_DOCUMENT_DOCUMENT_H

#include "server/document/difference.h"
#include "server/document/section.h"

#define DOCUMENT_VERSION 1

/* Appends the document, in YAML. only: the names of the sections wanted, space separated; NULL = all. 0, or
 * MP_E_INVALID_PARAMS for a section that is none (field "sections"). */
int document_export(const struct document_parts *parts, const char *only, bool comments,
    struct buf *out, struct error *err);

/* What a document does to the state. */
struct document_result {
	struct problems problems;
	struct difference difference; /* complete only without problems */
	struct sentences losses, notes;
};
void document_result_clear(struct document_result *r);

/* Who causes the change, for the news. */
struct document_cause {
	const char *method, *client; /* borrowed; NULL = none */
};

/* Finds out what applying would do, and changes nothing. 0 whether there are problems or not;
 * MP_E_STORAGE and the like when it cannot be found out. */
int document_check(const struct document_parts *parts, const char *text, size_t n,
    struct document_result *out, struct error *err);

/* Makes it so, as one transaction, or changes nothing: MP_E_INVALID_PARAMS with problems;
 * MP_E_CONFLICT when there are losses and no consent to them; MP_E_STORAGE and the like. A document
 * that says what is so already writes nothing. */
int document_apply(const struct document_parts *parts, const char *text, size_t n, bool consent,
    const struct document_cause *cause, struct document_result *out, struct error *err);

#endif
