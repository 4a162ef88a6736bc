/* difference.h - what is another in the second of two documents: leaf by leaf, for people and as data. */
#ifndef SERVER_DOCUMENT_DIFFERENCE_H
#define SERVER_DOCUMENT_DIFFERENCE_H

#include "protocol/base/buf.h"
#include "server/document/node.h"

#define DOCUMENT_PATH_MAX 16

enum difference_op { DIFFERENCE_ADD, DIFFERENCE_REMOVE, DIFFERENCE_CHANGE };
const char *difference_op_name(enum difference_op op); /* "add", "remove", "change" */

struct difference_item {
	enum difference_op op;
	char *path[DOCUMENT_PATH_MAX]; /* "providers", "lab", "base_url" */
	size_t depth;
	char *before, *after; /* as written; NULL where there is none */
};

struct difference {
	struct difference_item *items;
	size_t count;
};

/* Items come in the order of the documents. Lists are compared as sets, and once more as wholes
 * when only their order differs. Free with difference_clear. */
void difference_of(const struct node *before, const struct node *after, struct difference *out);
void difference_clear(struct difference *d);
/* "+ providers.lab.type: local", "~ settings.lock_idle: 4h -> never": appended, without a newline. */
void difference_line(const struct difference_item *i, struct buf *out);

#endif
