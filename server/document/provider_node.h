/* provider_node.h - a provider as a part of a document: its members, written and read. Words are
 * those of Provider in PROTOCOL.md. */
#ifndef SERVER_DOCUMENT_PROVIDER_NODE_H
#define SERVER_DOCUMENT_PROVIDER_NODE_H

#include "server/document/node.h"
#include "server/document/writer.h"
#include "server/model/provider.h"

/* Writes the named members ("*": all that say something). */
void provider_node_write(struct writer *w, const struct provider *p, const char *members);
/* Whether that would write nothing. */
bool provider_node_is_bare(const struct provider *p, const char *members);

/* Reads the members of map into p and adds their names to `members`, space separated. Keys in `skip` (space
 * separated) are somebody else's. False when something was reported. */
bool provider_node_read(const struct node *map, const char *skip, struct provider *p,
    struct buf *members, struct problems *ps);

#endif
