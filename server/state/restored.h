/* restored.h - what a backup that was taken out holds, for people who are asked whether they want it. */
#ifndef SERVER_STATE_RESTORED_H
#define SERVER_STATE_RESTORED_H

#include <stdbool.h>
#include <stdint.h>

#include "server/store/restore.h"

struct restored {
	int64_t providers, keys; /* providers: the user's own rows, changed ones of the catalogue too */
	bool locked;             /* its keys do not open here as things are */
	char why[600];           /* why not */
};

/* Opens each of its databases on trial, so that the swap cannot fail for their sake: an older schema is
 * brought up, the vault is tried with what this machine has. MP_E_TAMPERED, MP_E_STORAGE, ...: it cannot be
 * used; nothing was changed. In the loop's thread. */
int restored_look(const struct restore *r, const char *data_dir, struct restored *out, struct error *err);

#endif
