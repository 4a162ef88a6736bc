/* ledger: what one call adds: CPU per row when every turn of the loop ends with one row, and with eight. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/usage/ledger.h"

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int
main(void)
{
	const struct usage_row row = { .call = 1, .attempt = 1, .provider = "openrouter",
		.model = "anthropic/claude-sonnet-4", .answered = "anthropic/claude-4-sonnet-20250522",
		.label = "default", .client = "modelpc", .scope = "", .chain = "coding", .outcome = "done",
		.usage = { 1200, 300, 800, -1, 50, 4300, false, false, COST_REPORTED, 0 }, .duration_ms = 900,
		.first_token_ms = 300 };
	static const int turns[] = { 1, 8, 64 };
	char dir[] = "/tmp/mpd-bench-XXXXXX", command[64];
	struct error err = ERROR_INIT;
	struct ledger *l = NULL;
	struct loop *loop = loop_new();

	if (mkdtemp(dir) == NULL || ledger_open(dir, loop, &l, &err) != 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	for (size_t t = 0; t < sizeof turns / sizeof *turns; t++) {
		double begin = cpu_us();
		int n = 0;

		for (; n < 20000; n += turns[t]) {
			for (int i = 0; i < turns[t]; i++)
				ledger_add(l, &row);
			loop_once(loop, 0);
		}
		ledger_flush(l);
		printf("%d row(s) a turn: %.1f us of CPU a row\n", turns[t], (cpu_us() - begin) / n);
	}
	ledger_free(l);
	loop_free(loop);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command) != 0;
}
