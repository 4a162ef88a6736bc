/* probe_list.h - what probe.c and detect.c share: the set both belong to. Private to this folder. */
#ifndef SERVER_CALL_PROBE_LIST_H
#define SERVER_CALL_PROBE_LIST_H

#include "server/call/attempt.h"
#include "server/call/probe.h"

struct probes {
	struct attempt_parts parts;
	struct calls *calls;
	struct probe *probes;
	struct detection *detections;
};

/* Frees every detection of the set at once. */
void detections_free(struct probes *p);

#endif
