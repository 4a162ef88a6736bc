/* effects.h - what a document does to the state, as members of a result. */
#ifndef SERVER_RPC_METHODS_EFFECTS_H
#define SERVER_RPC_METHODS_EFFECTS_H

#include "server/document/document.h"
#include "server/rpc/request.h"

struct document_parts document_parts_of(const struct rpc_request *req);

/* "problems": [{line, col, message}] */
void pack_problems(struct pack *p, const struct problems *ps);
void pack_sentences(struct pack *p, const char *key, const struct sentences *s);
/* "diff", "losses", "notes" */
void pack_effects(struct pack *p, const struct document_result *r);
/* A refusal, with the problems and losses in its data. */
struct rpc_answer fail_effects(struct rpc_request *req, const struct document_result *found,
    const struct error *err);

#endif
