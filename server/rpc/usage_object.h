/* usage_object.h - sums of usage as clients see them, and the topic `usage`. */
#ifndef SERVER_RPC_USAGE_OBJECT_H
#define SERVER_RPC_USAGE_OBJECT_H

#include "protocol/pack.h"
#include "server/rpc/request.h"
#include "server/store/usage_rows.h"

struct rpc_server;
struct usage_news;

/* Members of an open map. */
void pack_usage_sums(struct pack *p, const struct usage_sums *s);
/* {since_ms, total, providers}: what today comes to. */
void pack_usage_today(struct pack *p, const struct rpc_parts *parts);

/* Tells the topic `usage`. */
struct usage_news *usage_news_new(struct rpc_server *s);
void usage_news_free(struct usage_news *n); /* NULL is harmless */

#endif
