/* uuid.h - random names for rows: a version 4 UUID (RFC 9562). */
#ifndef SERVER_MODEL_UUID_H
#define SERVER_MODEL_UUID_H

#include <stddef.h>

#define UUID_SIZE 37 /* 36 characters and the NUL */

void uuid_new(char out[UUID_SIZE]);
/* n random bytes; ends the process when the system has none to give (nothing safe is left then). */
void random_bytes(void *out, size_t n);

#endif
