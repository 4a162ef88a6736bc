/* keyfile.h - the key file: 32 random bytes in base64, in a private folder of its own (THREATS.md 3.1). */
#ifndef SERVER_VAULT_KEYFILE_H
#define SERVER_VAULT_KEYFILE_H

#include "protocol/base/err.h"
#include "protocol/base/secret.h"

#define KEYFILE_BYTES 32

/* <data_dir>/key/master.key; caller frees. */
char *keyfile_path(const char *data_dir);
/* Reads it: 0 and the key; MP_E_NOT_FOUND when there is none; else the reason it cannot be trusted. */
int keyfile_read(const char *data_dir, struct secret **out, struct error *err);
/* Makes one that is on the disk, name and all, when this returns 0. There must be none. */
int keyfile_create(const char *data_dir, struct secret **out, struct error *err);
/* The one that follows, beside it, on the disk when this returns 0 (one of a change that did not happen is
 * replaced): for a change of the slot, which is committed while both are there. */
int keyfile_next_create(const char *data_dir, struct secret **out, struct error *err);
int keyfile_next_read(const char *data_dir, struct secret **out, struct error *err); /* as keyfile_read */
int keyfile_next_take(const char *data_dir, struct error *err); /* it is the key file now */
void keyfile_next_drop(const char *data_dir);
/* Deletes it, its name from the disk, too; one that is not there is fine. */
int keyfile_remove(const char *data_dir, struct error *err);

#endif
