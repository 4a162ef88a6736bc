/* catalog.h - what the commands of `mpc catalog` share. Functions return exit codes. */
#ifndef CLIENT_CMD_CATALOG_H
#define CLIENT_CMD_CATALOG_H

struct app;

int catalog_refresh(struct app *a);
/* Where the refreshed prices are from, in words; the link is open. */
int catalog_refreshed(struct app *a, const char **words);

#endif
