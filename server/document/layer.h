/* layer.h - what the bundles of teams say in the shared sections, below what the user says.
 *
 * Providers have a layer of their own in the state. The rows of the other shared sections become rows of the
 * state like all others, where the user has none of that name; what was brought so is remembered,
 * with what it
 * said. A row that says something else, now, is the user's. What is brought is not exported, and goes when
 * the bundle does. An item is a member of a map, or a text of a list. */
#ifndef SERVER_DOCUMENT_LAYER_H
#define SERVER_DOCUMENT_LAYER_H

#include "server/document/section.h"

/* As s->export, without what a bundle brought. */
void layer_export(const struct document_parts *parts, const struct section *s, struct writer *w);
/* As s->apply, with what the bundles that are held say below n. What of theirs cannot be is left
 * out, and noted. */
int layer_apply(struct document_change *c, const struct section *s, const struct node *n,
    struct error *err);

/* For when the bundles that are held are others now. layer_drop: what none of them brings any more
 * goes, of all
 * sections, the last first; layer_raise: what they say comes. Between the two, providers may go. */
int layer_drop(struct document_change *c, struct error *err);
int layer_raise(struct document_change *c, struct error *err);

#endif
