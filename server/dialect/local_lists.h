/* local_lists.h - what local servers tell of their models beyond the list of their dialect: which are
 * loaded, and how much context is really usable. Pure functions over a reply's bytes
 * (providers/lmstudio.md, providers/ollama.md). */
#ifndef SERVER_DIALECT_LOCAL_LISTS_H
#define SERVER_DIALECT_LOCAL_LISTS_H

#include "protocol/base/str.h"
#include "server/model/listed.h"

/* All return 0, or MP_E_INVALID_PARAMS when the reply is no such thing; models come in its order. */

/* GET /api/v1/models of LM Studio, and the older /api/v0/models. */
int lmstudio_list_reply(struct slice json, void (*each)(void *arg, const struct listed_model *m),
    void *arg);
int lmstudio_old_list_reply(struct slice json,
    void (*each)(void *arg, const struct listed_model *m), void *arg);
/* GET /api/ps of Ollama: what is in memory, with the context in use. */
int ollama_loaded_reply(struct slice json, void (*each)(void *arg, const struct listed_model *m),
    void *arg);
/* GET /props of llama.cpp: one call with an empty id, for the one model it serves. */
int llamacpp_props_reply(struct slice json, void (*each)(void *arg, const struct listed_model *m),
    void *arg);

#endif
