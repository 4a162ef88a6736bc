/* recognize.h - which language does the server at a URL speak? Every one we know is tried at once, with the
 * cheapest question there is: its list of models. Nothing leaves the origin of the URL, and nothing is
 * kept. */
#ifndef SERVER_CALL_RECOGNIZE_H
#define SERVER_CALL_RECOGNIZE_H

#include "protocol/base/secret.h"
#include "server/call/probe.h"
#include "server/model/roster.h"

struct recognition;

struct recognized {
	const char *dialect; /* NULL = none recognized */
	const char *base_url;
	const char *feature;          /* of the provider to be, NULL = none */
	const struct roster *models;  /* may be empty */
	bool wants_key;               /* it answered, but not without a (good) key */
	const char *evidence;         /* a sentence */
	const struct failure *failure; /* none recognized: how the likeliest question ended */
};

/* key may be NULL; used only during this call. on_done comes once, from the loop, unless cancelled. NULL and
 * err (MP_E_INVALID_PARAMS) for a URL that no provider may have. */
struct recognition *recognize_start(struct probes *p, const char *url, const struct secret *key,
    void (*on_done)(void *arg, const struct recognized *r), void *arg, struct error *err);
void recognize_cancel(struct recognition *r);

#endif
