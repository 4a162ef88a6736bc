/* memory.h - how much memory the daemon has. */
#ifndef SERVER_RPC_METHODS_MEMORY_H
#define SERVER_RPC_METHODS_MEMORY_H

#include <stdint.h>

int64_t resident_bytes(void); /* 0 = not known */

#endif
