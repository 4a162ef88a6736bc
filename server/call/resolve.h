/* resolve.h - what a selector means: nicknames, providers, aliases and model ids (UX.md section 4). */
#ifndef SERVER_CALL_RESOLVE_H
#define SERVER_CALL_RESOLVE_H

#include "protocol/base/err.h"
#include "server/model/target.h"
#include "server/state/models.h"
#include "server/state/providers.h"

/* text is not empty. target is written only on success; *why (may be NULL; caller frees) is a sentence:
 * "nickname of openrouter:gpt-4". MP_E_INVALID_PARAMS, or MP_E_NOT_FOUND and MP_E_AMBIGUOUS with
 * candidates. */
int resolve_selector(const struct providers *ps, const struct models *ms, const char *text,
    struct target *out, char **why, struct error *err);
/* The target of a provider's model as the user knows it: aliases become upstream ids. */
void resolve_model(const struct provider *p, const char *model, const char *label,
    struct target *out);

#endif
