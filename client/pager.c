#include "client/pager.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/term.h"

#ifdef __APPLE__
#define PAGER_MODE "w"
#else
#define PAGER_MODE "we"
#endif

FILE *
pager_open(const struct app *a, size_t lines)
{
	const char *pager = getenv("PAGER");
	unsigned height = term_height();

	if (!a->out_tty || !a->in_tty || height == 0 || a->no_input || lines < height)
		return NULL;
	if (pager != NULL && (*pager == '\0' || strcmp(pager, "cat") == 0))
		return NULL;
	if (pager == NULL && access("/usr/bin/less", X_OK) != 0)
		return NULL;
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN); /* who leaves the pager early has seen enough */
	return popen(pager != NULL ? pager : "/usr/bin/less -FRX", PAGER_MODE);
}

void
pager_close(FILE *pager)
{
	if (pager != NULL)
		pclose(pager);
}
