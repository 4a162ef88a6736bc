/* log_ring.h - the last lines of the log, kept in memory for sys.log. Owns its texts. */
#ifndef SERVER_BASE_LOG_RING_H
#define SERVER_BASE_LOG_RING_H

#include "server/base/log.h"

#define LOG_RING_LINES 1000

void log_ring_add(enum log_level level, int64_t at_ms, const char *text, size_t n);
void log_ring_clear(void);

#endif
