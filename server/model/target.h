/* target.h - where one attempt goes: an immutable tuple, swapped whole (DESIGN.md section 3). */
#ifndef SERVER_MODEL_TARGET_H
#define SERVER_MODEL_TARGET_H

#include "server/model/provider.h"

struct target {
	char *provider; /* name */
	char *model;    /* as the user knows it: alias or upstream id */
	char *upstream; /* the id the provider knows (alias resolved) */
	char *label;    /* credential label, "default" when none was named */
};

void target_init(struct target *t);
void target_clear(struct target *t);
/* Copies strings. label NULL = "default"; upstream NULL = model. */
void target_set(struct target *t, const char *provider, const char *model, const char *upstream,
    const char *label);
void target_copy(struct target *to, const struct target *from);
bool target_equal(const struct target *a, const struct target *b);
/* "provider:model" into out (size >= 330). */
const char *target_ref(const struct target *t, char *out, size_t size);

#endif
