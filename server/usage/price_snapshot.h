/* price_snapshot.h - the price list that was taken last, kept over restarts: one file in the cache folder.
 *
 * It is written aside, made sure of and put in place with one rename, so it is the old or the new one at any
 * time. It is only a cache: what cannot be read as one of ours is left, and the built-in prices hold. */
#ifndef SERVER_USAGE_PRICE_SNAPSHOT_H
#define SERVER_USAGE_PRICE_SNAPSHOT_H

#include "protocol/base/err.h"
#include "server/usage/price_list.h"

#define PRICE_SNAPSHOT_NAME "prices.json"
#define PRICE_SNAPSHOT_MAX_BYTES ((size_t)2 << 20)
#define PRICE_SNAPSHOT_VERSION 1

/* Owned by its holder; all zero is empty. */
struct price_snapshot {
	char *source; /* "openrouter", "file" */
	char *from;   /* its URL or its name */
	int64_t date_ms;
	struct price_list list; /* as it was told: not settled */
};

void price_snapshot_clear(struct price_snapshot *s);
/* 0, or MP_E_TOO_LARGE over PRICE_SNAPSHOT_MAX_BYTES. */
int price_snapshot_write(const struct price_snapshot *s, struct buf *out, struct error *err);
/* MP_E_INVALID_STATE when it is damaged or none of ours, MP_E_VERSION_MISMATCH when a newer program wrote
 * it. */
int price_snapshot_read(struct slice text, struct price_snapshot *out, struct error *err);

/* Durable when it returns 0. May run in the worker. MP_E_STORAGE, MP_E_NOT_PERMITTED. */
int price_snapshot_save(const char *cache_dir, const struct buf *text, struct error *err);
/* MP_E_NOT_FOUND when there is none. Never waits for anything but the disk. */
int price_snapshot_load(const char *cache_dir, struct price_snapshot *out, struct error *err);

#endif
