#include "server/call/recall.h"

#include <string.h>

#define ROWS 2000

static void
recall_row(void *arg, const struct usage_row *row)
{
	struct providers *providers = arg;
	bool done = strcmp(row->outcome, "done") == 0;
	int64_t latency_ms = row->first_token_ms >= 0 ? row->first_token_ms : row->duration_ms;

	if (row->request_key == NULL) /* the calls of others say nothing about ours */
		providers_recall(providers, row->provider, row->id / 1000, done ? latency_ms : -1);
}

void
recall_providers(struct ledger *ledger, struct providers *providers)
{
	int64_t from = 0;

	if (store_usage_recent(ledger_store(ledger), ROWS, &from) == 0)
		ledger_rows(ledger, from, INT64_MAX, ROWS, recall_row, providers);
}
