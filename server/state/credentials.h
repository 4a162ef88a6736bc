/* credentials.h - keys of providers: write-only, sealed, bound to an origin. */
#ifndef SERVER_STATE_CREDENTIALS_H
#define SERVER_STATE_CREDENTIALS_H

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "server/state/changes.h"
#include "server/state/providers.h"
#include "server/vault/vault.h"

struct credentials;

struct credential {
	const char *provider; /* name */
	const char *label;    /* "default" */
	const char *fingerprint;
	const char *last4;    /* "" when unknown */
	const char *origin;
	int64_t created_ms, last_ok_ms, last_fail_ms;
	const char *last_code;
};

int credentials_new(struct store *store, struct vault *vault, struct providers *providers,
    struct changes *changes, struct credentials **out, struct error *err);
void credentials_free(struct credentials *cs);

/* NULL label = "default". Borrowed until the next change. */
const struct credential *credentials_find(const struct credentials *cs, const char *provider,
    const char *label);
void credentials_each(const struct credentials *cs, const char *provider,
    void (*each)(void *arg, const struct credential *c), void *arg);

/* Opens the key for sending to that provider now. MP_E_NO_CREDENTIAL, MP_E_LOCKED, MP_E_ORIGIN (the
 * provider moved since), MP_E_TAMPERED; err names what to do. The secret is the module's, borrowed until
 * the next change, and is registered with the log's redactor. */
int credentials_open(struct credentials *cs, const struct provider *p, const char *label,
    const struct secret **out, struct error *err);

/* Inside changes_begin/commit. set: the secret is checked (secret_text_valid) and copied; origin NULL = that
 * of the provider's base URL. Replaces. */
int credentials_set(struct credentials *cs, const struct provider *p, const char *label,
    const struct secret *s, const char *origin, struct error *err);
int credentials_delete(struct credentials *cs, const struct provider *p, const char *label,
    struct error *err);
int credentials_delete_all(struct credentials *cs, const struct provider *p, struct error *err);
/* The user moved the provider to another origin: its keys stay but are refused. */
int credentials_origin_moved(struct credentials *cs, const struct provider *p, struct error *err);

/* What a call learned about a key; stored lazily, no change event. */
void credentials_report(struct credentials *cs, const char *provider, const char *label, int code);

/* Deleted and replaced keys: wiped from the WAL after the commit. */
void credentials_scrub(struct credentials *cs);

#endif
