/* client.h - the client library: a blocking connection to the daemon.
 *
 * Small on purpose: mpc and tests use it; no thread, no loop. */
#ifndef PROTOCOL_CLIENT_H
#define PROTOCOL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "protocol/message.h"
#include "protocol/pack.h"
#include "protocol/value.h"

struct client;

/* Takes fd (closed by client_close). */
struct client *client_new(int fd);
void client_close(struct client *c); /* NULL is harmless */
int client_fd(const struct client *c);

/* Begins a request: the caller writes the members of the params map into the pack that is returned
 * (the map is already open), then calls client_send. Several requests may be in flight. */
struct pack *client_begin(struct client *c, const char *method, bool secret);
/* Sends it. 0 and *msgid, or MP_E_PROVIDER_UNAVAILABLE (the daemon is gone), MP_E_TOO_LARGE. */
int client_send(struct client *c, uint32_t *msgid, struct error *err);

/* Waits for the next message (reply or notification), at most timeout_ms (-1: for ever). 1: *out is
 * borrowed until the next client call. 0: time-out. Negative: gone or protocol error
 * (MP_E_PROTOCOL; the message says so when it is Music Player Daemon). MP_E_CANCELLED when
 * interrupt_fd (see below) became readable. */
int client_next(struct client *c, struct message *out, int timeout_ms, struct error *err);
/* A descriptor whose readability ends a wait (a signal pipe); -1 = none. */
void client_set_interrupt(struct client *c, int fd);

/* Begin, send and wait for the reply in one: params may be NULL or a JSON object text. Events
 * that come meanwhile go to on_event (may be NULL: dropped). On success *result is borrowed until
 * the next call. On a server error its code is returned and err filled. */
int client_call(struct client *c, const char *method, const char *params_json, int timeout_ms,
    const struct value **result, struct error *err);
/* The same for a request begun with client_begin. Replies to other requests go to on_event too. */
int client_wait(struct client *c, uint32_t msgid, int timeout_ms, const struct value **result,
    struct error *err);
void client_on_event(struct client *c, void (*on_event)(void *arg, const struct message *m),
    void *arg);

#endif
