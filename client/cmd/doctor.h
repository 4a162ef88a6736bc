/* doctor.h - what the checks of `mpc doctor` share. */
#ifndef CLIENT_CMD_DOCTOR_H
#define CLIENT_CMD_DOCTOR_H

#include <stdbool.h>

#include "client/app.h"
#include "protocol/base/json.h"

enum level { LEVEL_OK, LEVEL_WARN, LEVEL_FAIL };

struct doctor {
	struct app *a;
	struct buf json;
	struct json_writer w;
	const char *home;
	bool failed;
	bool runs; /* a daemon answers */
};

/* One line: what was found, and what to do about it; fix "" = nothing. LEVEL_FAIL makes the whole
 * fail. */
void doctor_report(struct doctor *d, enum level level, const char *name, const char *fix,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* What lies around the daemon: certificates, the environment, other programs of our names. */
void doctor_look_around(struct doctor *d);

#endif
