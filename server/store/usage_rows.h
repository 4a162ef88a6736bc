/* usage_rows.h - what usage.db holds: a row per attempt, and what they come to per hour and per day.
 *
 * Hours and days are the caller's: he says where they begin. Tokens, costs and times are -1 = unknown. */
#ifndef SERVER_STORE_USAGE_ROWS_H
#define SERVER_STORE_USAGE_ROWS_H

#include <stdint.h>

#include "server/model/usage.h"
#include "server/store/store.h"

/* One attempt. Strings are never NULL; "" = none. */
struct usage_row {
	int64_t id;   /* its end, microseconds since the epoch; unique */
	int64_t call; /* the same for all attempts of a call */
	int64_t attempt;
	const char *provider;
	const char *model;    /* asked for, as the user knows it */
	const char *answered; /* as the provider names it */
	const char *label;    /* of the credential; "" = none was sent */
	const char *client;
	const char *scope;
	const char *chain;
	int64_t session; /* 0 = none */
	const char *outcome;  /* "done", "cancelled", a failure class or the code of an error */
	struct usage usage;
	int64_t duration_ms;
	int64_t first_token_ms;
	const char *request_key; /* NULL = a call of ours; else a client told it, once under this key */
	int64_t request_hash;    /* of what it told */
};

/* Several of them. Known members only; unknown ones add nothing. */
struct usage_sums {
	int64_t requests, failed, cancelled;
	int64_t input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens;
	int64_t cost_microusd; /* money */
	int64_t plan_microusd; /* what plans would have cost by list: no money */
	int64_t unpriced;      /* requests whose price is not known */
	int64_t estimated;     /* requests of whose tokens we estimated any */
	int64_t unknown;       /* requests whose tokens nobody knows */
	int64_t duration_ms;
};

/* MP_E_CONFLICT: the id is taken. */
int store_usage_add(struct store *s, const struct usage_row *row);
/* Adds the row to the sums of its hour and of its day. */
int store_usage_sum(struct store *s, const struct usage_row *row, int64_t hour_ms, int64_t day_ms);
/* Rows with from <= id < to, by id, at most limit of them. */
int store_usage_each(struct store *s, int64_t from, int64_t to, int64_t limit,
    void (*each)(void *arg, const struct usage_row *row), void *arg);
/* What was told under that key: when it is counted, and its hash. MP_E_NOT_FOUND. */
int store_usage_reported(struct store *s, const char *request_key, int64_t *id, int64_t *hash);
/* The next id in from <= id < to behind all that are there; `to` = none is left. */
int store_usage_next(struct store *s, int64_t from, int64_t to, int64_t *id);
/* Deletes at most limit rows with id < before; *gone says how many. */
int store_usage_delete(struct store *s, int64_t before, int64_t limit, int64_t *gone);
/* Deletes hours (days) that begin before; at most limit. */
int store_usage_delete_hours(struct store *s, int64_t before_ms, int64_t limit, int64_t *gone);
int store_usage_delete_days(struct store *s, int64_t before_ms, int64_t limit, int64_t *gone);
/* The id of the row that many from the end; 0 = there are fewer. */
int store_usage_recent(struct store *s, int64_t rows, int64_t *id);
/* Whether there are rows or hours before the one, or days before the other. */
int store_usage_left(struct store *s, int64_t rows_ms, int64_t days_ms, bool *left);
/* How many days with from_ms <= start < to_ms there are, and their requests. */
int store_usage_days(struct store *s, int64_t from_ms, int64_t to_ms, int64_t *requests, int64_t *days);
/* Gives at most so many unused pages back to the disk, from the next checkpoint on; *more: there are others.
 * Files that earlier versions made keep theirs for what comes. Outside of a transaction. */
int store_usage_shrink(struct store *s, int pages, bool *more);
int64_t store_usage_bytes(struct store *s); /* the size of the file when its log is empty */
/* What the rows of a test session come to, from that id on; cost -1 = none told. */
int store_usage_session(struct store *s, int64_t session, int64_t from, int64_t *calls,
    int64_t *cost_microusd);

enum usage_level { USAGE_ROWS, USAGE_HOURS, USAGE_DAYS };
enum usage_by {
	USAGE_BY_NOTHING,
	USAGE_BY_PROVIDER,
	USAGE_BY_MODEL, /* provider and model */
	USAGE_BY_CLIENT,
	USAGE_BY_START, /* the hour or day; 0 for rows */
	USAGE_BY_PURSE, /* provider, scope and chain: what a budget may be for */
};

/* Members it was not grouped by are "" and 0. */
struct usage_group {
	const char *provider, *model, *client, *scope, *chain;
	int64_t start_ms;
	struct usage_sums sums;
};

/* The sums of one level with from_ms <= start < to_ms (rows: by their end), a group at a time; nothing for no
 * requests. */
int store_usage_groups(struct store *s, enum usage_level level, enum usage_by by, int64_t from_ms,
    int64_t to_ms, void (*each)(void *arg, const struct usage_group *g), void *arg);

#endif
