/* models.h - models the user added (some for a time), nicknames, and what the providers listed. */
#ifndef SERVER_STATE_MODELS_H
#define SERVER_STATE_MODELS_H

#include "protocol/base/err.h"
#include "server/base/loop.h"
#include "server/state/changes.h"
#include "server/state/discovered.h"
#include "server/state/providers.h"

struct models;

struct model_entry {
	const char *provider; /* name */
	const char *model;    /* as added: alias or upstream id */
	const char *nick;     /* NULL = none */
	int64_t added_ms, expires_ms;
	bool listed;
	int64_t rev;
};

/* 0, or MP_E_INVALID_PARAMS: 1 to 256 bytes of UTF-8 without blanks and control characters. */
int model_id_check(const char *model, struct error *err);

int models_new(struct store *store, struct providers *providers, struct changes *changes,
    struct loop *loop, struct models **out, struct error *err);
void models_free(struct models *ms);
size_t models_count(const struct models *ms);
const struct model_entry *models_at(const struct models *ms, size_t i); /* sorted by provider, model */
const struct model_entry *models_find(const struct models *ms, const char *provider, const char *model);
const struct model_entry *models_find_nick(const struct models *ms, const char *nick);

/* The lists the providers gave; lives as long as ms. */
struct discovered *models_discovered(const struct models *ms);

/* Entries are told of a provider's new name when that change is committed; within its transaction,
 * by this. */
void models_follow(struct models *ms);

/* Inside changes_begin/commit. nick may be NULL. A nickname that is taken, or that is a provider's name:
 * MP_E_CONFLICT. expires_ms 0 = for good. Adding an existing model changes nick/expiry. */
int models_add(struct models *ms, const struct provider *p, const char *model, const char *nick,
    int64_t expires_ms, struct error *err);
int models_remove(struct models *ms, const struct provider *p, const char *model, struct error *err);
int models_remove_all(struct models *ms, const struct provider *p, struct error *err);
int models_nick(struct models *ms, const struct provider *p, const char *model, const char *nick,
    struct error *err); /* "" deletes */

#endif
