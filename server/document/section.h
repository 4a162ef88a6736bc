/* section.h - the parts of the configuration document: one row of sections.def each, with two
 * functions.
 *
 * section_<id>_export writes what differs from how the program is shipped; section_<id>_apply makes
 * the state what the document says, or reports why it cannot be. A section that the document lacks
 * is one with nothing in it. Apply runs inside changes_begin/commit, in the order of the rows; it
 * writes and tells nothing where nothing differs, and it goes on after a problem, so that all of
 * them are found. */
#ifndef SERVER_DOCUMENT_SECTION_H
#define SERVER_DOCUMENT_SECTION_H

#include "server/document/node.h"
#include "server/document/writer.h"
#include "server/state/budgets.h"
#include "server/state/chains.h"
#include "server/state/credentials.h"
#include "server/state/models.h"
#include "server/state/overrides.h"
#include "server/state/own_prices.h"
#include "server/state/providers.h"
#include "server/state/sessions.h"
#include "server/state/settings.h"
#include "server/state/team.h"

/* What the document is about; borrowed. */
struct document_parts {
	struct changes *changes;
	struct settings *settings;
	struct providers *providers;
	struct credentials *credentials;
	struct models *models;
	struct chains *chains;
	struct budgets *budgets;
	struct own_prices *own_prices;
	struct overrides *overrides;
	struct sessions *sessions;
	struct team *team;
};

#define NOTES_MAX 64

/* Sentences for people; owned. */
struct sentences {
	char *list[NOTES_MAX];
	size_t count;
};
void sentence_add(struct sentences *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sentences_clear(struct sentences *s);

/* One run of apply. */
struct document_change {
	const struct document_parts *parts;
	struct problems *problems;
	struct sentences *losses; /* what goes with a removed provider and cannot come back by itself */
	struct sentences *notes;  /* what one may not have thought of */
};

/* How a failure of the state counts: what the document is to blame for becomes a problem at n (at
 * its key with `at_key`) and 0 is returned; anything else (storage) is returned. */
int section_blame(struct document_change *c, const struct node *n, bool at_key, int r,
    const struct error *err);

struct section {
	const char *name;
	const char *comment; /* above it in an export */
	void (*export)(const struct document_parts *parts, struct writer *w);
	/* n NULL = not there; else a map or list or null. 0, or MP_E_... with err: the whole run fails. */
	int (*apply)(struct document_change *c, const struct node *n, struct error *err);
	bool shared; /* a team's bundle may hold it */
};
/* In their order; NULL beyond the last. */
const struct section *section_at(size_t i);
size_t section_count(void);

#define SECTION(id, comment) \
	void section_##id##_export(const struct document_parts *parts, struct writer *w); \
	int section_##id##_apply(struct document_change *c, const struct node *n, struct error *err);
#include "server/document/sections.def"
#undef SECTION

#endif
