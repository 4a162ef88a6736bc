/* team.h - between the files of the command team. Functions return exit codes. */
#ifndef CLIENT_CMD_TEAM_H
#define CLIENT_CMD_TEAM_H

#include <stdbool.h>
#include <stddef.h>

struct app;

/* Where a bundle is. */
struct team_place {
	const char *source; /* a full path or a URL; "" = stdin, or not known */
	const char *ca_file;
	bool local;
};
/* A bundle that is held; what it points to lives until the end of the run. */
struct team_held {
	const char *team;
	struct team_place from;
};
/* Those that are held, or that of one team; the caller frees the list. Opens the link. */
int team_list(struct app *a, const char *only, struct team_held **out, size_t *count);

int team_seal(struct app *a);
int team_add(struct app *a);
int team_update(struct app *a);

#endif
