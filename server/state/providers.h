/* providers.h - all providers: the catalogue, the bundles of teams over it, the user's own rows over both. */
#ifndef SERVER_STATE_PROVIDERS_H
#define SERVER_STATE_PROVIDERS_H

#include "protocol/base/err.h"
#include "server/model/limits.h"
#include "server/model/provider.h"
#include "server/state/changes.h"
#include "server/store/store.h"

struct providers;

int providers_new(struct store *store, struct changes *changes, struct providers **out,
    struct error *err);
void providers_free(struct providers *ps);

/* By name, or by another name the catalogue gives it ("claude-code-max", "qwen-direct"). Borrowed until
 * that provider changes (a rollback takes changes back, and is one for those it concerns). NULL when
 * there is none. */
const struct provider *providers_find(const struct providers *ps, const char *name);
const struct provider *providers_find_id(const struct providers *ps, const char *id);
/* Sorted by name; index 0..count-1. */
size_t providers_count(const struct providers *ps);
const struct provider *providers_at(const struct providers *ps, size_t i);

/* ---- inside changes_begin/commit ---- */

/* Adds the user's own provider (copied). Name taken: MP_E_CONFLICT. Checks name, URL, dialect word,
 * header-safe values; a URL whose host is no loopback needs https. */
int providers_add(struct providers *ps, const struct provider *p, struct error *err);
/* Replaces it by `changed`; `fields` are the members that differ, space separated ("base_url enabled
 * name"). A rename keeps the id. */
int providers_update(struct providers *ps, const char *name, const struct provider *changed,
    const char *fields, struct error *err);
/* The user's own row goes; a provider that is shipped, by the catalogue or a bundle, comes back as it was
 * (*reverted), or MP_E_INVALID_STATE when there is nothing to remove. */
int providers_remove(struct providers *ps, const char *name, bool *reverted, struct error *err);

/* The provider as it is without the user's row, of one that is shipped; NULL for the user's own. The caller
 * frees it. */
struct provider *providers_shipped(const struct providers *ps, const struct provider *p);
/* The one that is shipped under this name, whatever it is called now; NULL = none. Borrowed as from find. */
const struct provider *providers_find_shipped(const struct providers *ps, const char *name);
/* The members the user's row sets, space separated; "*" for the user's own, "" for none. Borrowed. */
const char *providers_members_set(const struct providers *ps, const struct provider *p);
/* Inside changes_begin/commit. Makes the user's row of the provider with p's id exactly `members`
 * of p: others are as shipped again ("" = all of them); the user's own are always whole ("*").
 * Nothing is written or told when that is how it is. MP_E_NOT_FOUND, and the errors of update. */
int providers_define(struct providers *ps, const struct provider *p, const char *members,
    struct error *err);

/* ---- bundles of teams ---- */

/* Whose bundle says something about p, below the user's row; NULL = nobody's. Borrowed as from find. */
const char *providers_team(const struct providers *ps, const struct provider *p);
/* The name in that team's bundle of a provider that it brings, however it is called now; NULL for others. */
const char *providers_bundle_name(const struct provider *p, const char *team);
/* One that a bundle brings ("*"), or members of one of the catalogue. */
struct bundle_provider {
	struct provider *p; /* whole, with the id of the catalogue's; for "*" the id is made here */
	const char *members;
};
/* Inside changes_begin/commit. A team's bundle says this and nothing else about providers (copied); without
 * any it is gone. A name that one of the user's own has is hidden by it; another team's, or a renamed
 * provider's: MP_E_CONFLICT. Rows of the user over what is gone go with it. On an error err.field is the
 * member and *at the index. */
int providers_bundle(struct providers *ps, const char *team, const struct bundle_provider *list,
    size_t count, size_t *at, struct error *err);

/* Whether the user's own row says what this member (a word of `fields`) is; false = the catalogue does. */
bool providers_user_set(const struct providers *ps, const struct provider *p, const char *member);

/* Adds up to four near names to err as candidates. */
void providers_suggest(const struct providers *ps, const char *text, struct error *err);

/* ---- status: not stored, told on topic providers ---- */
enum provider_status {
	STATUS_ACTIVE, /* only as seen from outside: the effective route uses it */
	STATUS_AVAILABLE,
	STATUS_RATE_LIMITED,
	STATUS_ERROR,
	STATUS_LOCKED,
	STATUS_NO_CREDENTIAL,
	STATUS_DISABLED,
};
const char *provider_status_name(enum provider_status s);

/* What calls and checks learned. Latency feeds a running median. */
void providers_report_ok(struct providers *ps, const char *name, int64_t latency_ms);
/* What was so before the daemon began; latency_ms -1 = it did not answer. No news, and no change of
 * status. */
void providers_recall(struct providers *ps, const char *name, int64_t used_ms, int64_t latency_ms);
/* It had refused for a limit, until a time that has not come. No news, and no use of it. */
void providers_recall_refusal(struct providers *ps, const char *name, int code, const char *message,
    int64_t until_ms);
void providers_report_failure(struct providers *ps, const char *name, int code, const char *message,
    int64_t until_ms);
/* What looking around found, which is no use of the provider: code 0 = it is there (latency_ms -1 = not
 * measured). */
void providers_report_seen(struct providers *ps, const char *name, int code, const char *message,
    int64_t latency_ms);
/* What was wrong may be right now (a new key, another URL): back to "not tried since". */
void providers_forget_failure(struct providers *ps, const struct provider *p);
/* What a provider said is left, in any answer. Told on topic providers when a wall is reached or gone,
 * else at most once a second. */
void providers_report_limits(struct providers *ps, const char *name, const struct limits *l);
/* They were those of a key that is not used any more. */
void providers_forget_limits(struct providers *ps, const struct provider *p);
/* Borrowed until the next report; NULL = it never said anything. */
const struct limits *providers_limits(const struct providers *ps, const char *name);

struct activity;
struct provider_health {
	int code;               /* MP_E_... of the last failure; 0 = fine or never used */
	const char *message;    /* borrowed; "" = none */
	int64_t since_ms;       /* when it became so; 0 = never used */
	int64_t until_ms;       /* rate-limited until; 0 = unknown */
	int64_t last_used_ms;   /* 0 = never */
	int64_t latency_p50_ms; /* -1 = unknown */
	int64_t latency_p95_ms; /* -1 = unknown */
	int64_t models_count;   /* from the last listing; -1 = unknown */
	const struct activity *activity; /* borrowed; NULL: no such provider */
};
void providers_health(const struct providers *ps, const char *name, struct provider_health *out);
void providers_set_models_count(struct providers *ps, const char *name, int64_t count);

#endif
