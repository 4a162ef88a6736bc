/* probe.h - auxiliary calls: is the key valid, does it answer, which models; are local servers there.
 * They never touch the route and never count as use. */
#ifndef SERVER_CALL_PROBE_H
#define SERVER_CALL_PROBE_H

#include "server/call/call.h"

struct probes;
struct probe;

struct probes *probes_new(struct loop *loop, struct upstream *up, struct providers *ps,
    struct credentials *cs, struct calls *calls);
void probes_free(struct probes *p);

struct probe_result {
	int code; /* 0 = ok, else MP_E_... */
	const struct error *error;
	const struct target *target;
	int64_t latency_ms;     /* -1 unknown */
	int64_t models;         /* listed; -1 unknown */
	int64_t first_token_ms; /* deep only; -1 unknown */
};

/* Checks a target: the model list with the key (cheap); deep also asks the model for one token.
 * on_done comes once, from the loop, unless cancelled. */
struct probe *probe_start(struct probes *p, const struct target *t, bool deep, int64_t timeout_ms,
    void (*on_done)(void *arg, const struct probe_result *r), void *arg, struct error *err);
void probe_cancel(struct probe *p);

/* Looks for the local servers the catalogue names (auto_detect), all at once, 1 s each. on_found comes per
 * server with its model ids; on_done once. Their status is reported to providers. */
struct detection;
struct detection *detect_start(struct probes *p,
    void (*on_found)(void *arg, const char *provider, const char *const *models, size_t count),
    void (*on_done)(void *arg), void *arg);
void detect_cancel(struct detection *d);

#endif
