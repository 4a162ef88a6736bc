/* http.h - HTTP out: one libcurl multi on our loop (DESIGN.md section 9, THREATS.md section 9).
 *
 *   http - owns -> stack (a multi handle, its sockets and timer) - watches -> exchanges in flight
 *        - owns -> idle easy handles, each bound to one origin and key
 *
 * A reload retires the stack: what runs ends on the old one, what starts uses the new one. */
#ifndef SERVER_UPSTREAM_HTTP_H
#define SERVER_UPSTREAM_HTTP_H

#include "server/upstream/http_library.h"

#include "protocol/base/secret.h"
#include "server/base/loop.h"

struct http;
struct http_stack;

/* What an easy handle may be used again for: never for another key, origin, CA or proxy. */
struct http_binding {
	uint64_t tag[2];
};

struct http *http_new(struct loop *loop); /* NULL when the library refuses */
void http_free(struct http *h);
void http_reload(struct http *h);

void http_bind(const struct http *h, const char *origin, const struct secret *key, const char *ca_file,
    const char *proxy, struct http_binding *out);
/* An easy handle without options, fresh or used for the same binding before. NULL: no memory. */
CURL *http_take(struct http *h, const struct http_binding *binding);
/* Back into the pool (reset), or freed when `spoiled` or there are enough. */
void http_give(struct http *h, const struct http_binding *binding, CURL *easy, bool spoiled);

/* Starts the transfer of an easy handle; on_done comes once from the loop, unless it is removed first.
 * 0 or MP_E_INTERNAL. */
int http_run(struct http *h, CURL *easy, void (*on_done)(void *arg, CURLcode code), void *arg,
    struct http_stack **stack);
void http_remove(struct http_stack *stack, CURL *easy);

#endif
