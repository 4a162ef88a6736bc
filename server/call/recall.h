/* recall.h - what the ledger knows of how providers have been doing, for a daemon that has just begun. */
#ifndef SERVER_CALL_RECALL_H
#define SERVER_CALL_RECALL_H

#include "server/state/providers.h"
#include "server/usage/ledger.h"

/* From the last few thousand attempts: when each was used last, and its latencies. A start waits for it. */
void recall_providers(struct ledger *ledger, struct providers *providers);

#endif
