/* roster.h - the models a provider listed: owned copies, bounded in number and size. */
#ifndef SERVER_MODEL_ROSTER_H
#define SERVER_MODEL_ROSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "server/model/listed.h"

#define ROSTER_MAX 20000
#define ROSTER_ID_BYTES 256
#define ROSTER_TITLE_BYTES 128

struct roster_model {
	char *id;
	char *title; /* NULL = none */
	int64_t context_tokens, output_tokens; /* 0 = unknown */
	unsigned abilities;
	int loaded; /* 1, 0; -1 = not said */
};

/* All zero is empty. */
struct roster {
	struct roster_model *models;
	size_t count, room;
};

/* Whether a model may be called so: in a selector, a log line and on a terminal. */
bool roster_id_valid(struct slice id);
/* A copy. What is no model id (empty, too long, blanks or control characters in it) is left out, as is
 * everything over ROSTER_MAX. */
void roster_add(struct roster *r, const struct listed_model *m);
/* Sorts by the bytes of the id; of the same id the first one stays. */
void roster_sort(struct roster *r);
/* In a sorted one; NULL = none. */
struct roster_model *roster_find(const struct roster *r, const char *id);
void roster_clear(struct roster *r);
/* The content moves; `from` is empty afterwards. */
void roster_move(struct roster *to, struct roster *from);
bool roster_model_same(const struct roster_model *a, const struct roster_model *b);

/* "tools", "images", "reasoning", "documents": the name of one bit. */
const char *model_ability_name(enum model_ability a);
#define MODEL_ABILITIES 4 /* bits 0 to 3 */

#endif
