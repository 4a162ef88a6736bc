/* discovered.h - what providers listed the last time they were asked: a cache with its age.
 *
 * Memory is the truth while the daemon runs; the disk follows in small steps, so that a list of thousands
 * does not hold up the loop. It is nobody's decision: no revision, no news, no undo. A list belongs to the
 * address it came from and goes when its provider is removed or moves. */
#ifndef SERVER_STATE_DISCOVERED_H
#define SERVER_STATE_DISCOVERED_H

#include "protocol/base/err.h"
#include "server/base/loop.h"
#include "server/model/roster.h"
#include "server/state/changes.h"
#include "server/state/providers.h"
#include "server/store/store.h"

struct discovered;

struct discovered_list {
	struct roster models; /* sorted by id */
	int64_t fetched_ms;
};

int discovered_new(struct store *store, struct providers *providers, struct changes *changes,
    struct loop *loop, struct discovered **out, struct error *err);
/* What is not on the disk yet is written first. NULL is harmless. */
void discovered_free(struct discovered *d);

/* Borrowed until the loop turns; NULL = never listed. */
const struct discovered_list *discovered_list(const struct discovered *d, const struct provider *p);
/* By the id the provider knows. */
const struct roster_model *discovered_find(const struct discovered *d, const struct provider *p,
    const char *id);
/* A new list replaces the old one; takes its content. */
void discovered_set(struct discovered *d, const struct provider *p, struct roster *models,
    int64_t now_ms);

#endif
