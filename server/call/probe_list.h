/* probe_list.h - what probe.c and detect.c share: the set both belong to. Private to this folder. */
#ifndef SERVER_CALL_PROBE_LIST_H
#define SERVER_CALL_PROBE_LIST_H

#include "server/call/attempt.h"
#include "server/call/probe.h"
#include "server/state/discovered.h"

struct probes {
	struct attempt_parts parts;
	struct calls *calls;
	struct changes *changes;       /* NULL: nothing of a provider is changed */
	struct discovered *discovered; /* NULL: lists are not kept */
	struct probe *probes;
	struct detection *detections;
	struct recognition *recognitions;
};

/* A fresh list for the cache, of a provider as it was asked; takes its content. */
void probes_keep_list(struct probes *p, const struct provider *asked, struct roster *models);

/* What a gateway told of the key, for the books of the provider and of the key. */
struct listing_end;
void probes_keep_account(struct probes *p, const char *provider, const char *label,
    const struct listing_end *e);

/* Frees every detection of the set at once. */
void detections_free(struct probes *p);
void recognitions_free(struct probes *p);

#endif
