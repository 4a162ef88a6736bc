/* link.h - the connection of one run to the daemon, which is started when there is none.
 *
 * link_begin and the other requests connect on their first use. sys.hello travels in front of the
 * first request; nobody waits for its reply alone. */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "protocol/message.h"
#include "protocol/pack.h"
#include "protocol/value.h"

struct app;

#define LINK_TIMEOUT_MS 30000
#define LINK_LONG_MS 180000 /* for methods marked long */

/* Connects if that has not happened yet. 0 or an exit code. */
int link_open(struct app *a);
/* The same without starting a daemon and without a word: MP_E_NOT_FOUND when none runs. */
int link_try_open(struct app *a, struct error *err);
void link_close(struct app *a);
/* Says hello again with this scope (NULL = none); the reply is read with the next one. */
void link_set_scope(struct app *a, const char *scope);
/* MODELPD_SCOPE, else this terminal's scope or this project's if it has an override, else none:
 * asks the daemon and sets it. 0 or an exit code. */
int link_find_scope(struct app *a);

/* A request: begin, write the members of params, then one of the ends. The link must be open. */
struct pack *link_begin(struct app *a, const char *method);
struct pack *link_begin_secret(struct app *a, const char *method);
/* Waits for its reply. *result is borrowed until the next use of the link. 0 or MP_E_...: nothing
 * has been said yet, and *result is the whole error where the daemon answered with one. */
int link_try(struct app *a, const struct value **result, struct error *err);
/* The same; the error has been said, the result is an exit code. */
int link_end(struct app *a, const struct value **result);
/* Sends without waiting; several may be in flight. 0 or MP_E_... */
int link_send(struct app *a, uint32_t *msgid, struct error *err);

/* Whether a method carries a secret: its parameters must not lie in the shell's history. */
bool link_is_secret(const char *method);
/* Opens, asks with these params (a JSON object, NULL = none), waits. 0 or an exit code. */
int link_call(
    struct app *a, const char *method, const char *params_json, const struct value **result);

/* Waits for the replies to n requests, in any order; each is shown once while it is valid, err set
 * when it is an error. 0 or MP_E_... (the link itself failed). */
int link_gather(struct app *a, const uint32_t *msgids, size_t n,
    void (*on_reply)(void *arg, size_t i, const struct value *result, const struct error *err),
    void *arg, struct error *err);
/* The next message that is not our hello's reply: 1, 0 after timeout_ms, or MP_E_... */
int link_next(struct app *a, struct message *m, int timeout_ms, struct error *err);
/* How an error of the link itself ends: exit code 5 when the daemon is gone, 10 for a foreign peer.
 */
int link_fail(struct app *a, const struct error *err);
/* Raises the limit for the next link_end of a method marked long. */
void link_long(struct app *a);

#endif
