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
/* Lists that come in are kept from now on, and a server that moved is followed. Both outlive p. */
struct changes;
struct discovered;
void probes_remember(struct probes *p, struct discovered *d, struct changes *c);

struct probe_result {
	int code; /* 0 = ok, else MP_E_... */
	const struct error *error;
	const struct target *target;
	int64_t latency_ms;     /* -1 unknown */
	int64_t models;         /* listed; -1 unknown */
	int64_t first_token_ms; /* deep only; -1 unknown */
	int key_valid;          /* 1 the provider took the key, 0 rejected it; -1 unknown, or none was sent */
	int reachable;          /* 1 somebody answered, 0 nobody did; -1 nobody was asked */
	int answers;            /* deep only: 1, 0; -1 the model was not asked */
	const struct limits *limits; /* what was told of the key; count 0 = nothing */
	const char *warning;    /* for people: why the list of models is not whole; NULL = it is */
};

/* Checks a target: the model list with the key (cheap), and where a gateway tells it, what the key is good
 * for (kept in the provider's limits); deep also asks the model for one token.
 * on_done comes once, from the loop, unless cancelled. */
struct probe *probe_start(struct probes *p, const struct target *t, bool deep, int64_t timeout_ms,
    void (*on_done)(void *arg, const struct probe_result *r), void *arg, struct error *err);
void probe_cancel(struct probe *p);

/* Looks for the local servers the catalogue names (auto_detect) on this machine, all at once: first whether
 * somebody listens at all, only then, in 1 s, what answers. ollama_host (NULL = none) is a second place to
 * look for Ollama, as its own programs read OLLAMA_HOST; a provider the user did not set up himself, or that
 * does not answer where it is, moves there when it answers. on_found comes per server with its models (NULL
 * when it wants a key first); on_done once, from the loop. Their status is reported to providers. */
struct detection;
struct roster;
struct found_server {
	const struct provider *provider; /* as it is now */
	const struct roster *models;
	bool moved; /* its address is another one now */
};
struct detection *detect_start(struct probes *p, const char *ollama_host,
    void (*on_found)(void *arg, const struct found_server *f), void (*on_done)(void *arg),
    void *arg);
void detect_cancel(struct detection *d);

#endif
