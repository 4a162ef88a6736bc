/* limits.h - the numbers of PROTOCOL.md section 1 and THREATS.md sections 5 and 6, in one place. */
#ifndef PROTOCOL_LIMITS_H
#define PROTOCOL_LIMITS_H

#define LIMIT_PROTOCOL_MAJOR 1
#define LIMIT_PROTOCOL_MINOR 0

#define LIMIT_MESSAGE_BEFORE_HELLO ((size_t)1 << 20)
#define LIMIT_MESSAGE_AFTER_HELLO ((size_t)16 << 20)
#define LIMIT_DEPTH 16
#define LIMIT_ELEMENTS 65536u
#define LIMIT_METHOD_BYTES 64
#define LIMIT_PENDING_REQUESTS 64
#define LIMIT_STREAMS 16
#define LIMIT_CONNECTIONS 256
#define LIMIT_FIRST_MESSAGE_MS 10000
#define LIMIT_PARTIAL_MESSAGE_MS 30000
#define LIMIT_OUT_SOFT ((size_t)1 << 20)  /* pause upstream, merge state events */
#define LIMIT_OUT_HARD ((size_t)8 << 20)  /* close */
#define LIMIT_OUT_STALL_MS 30000          /* close after this long without progress */
#define LIMIT_OUT_TOTAL ((size_t)128 << 20)
#define LIMIT_INT_MAX 9007199254740991LL  /* 2^53 - 1 */
#define LIMIT_SOCKET_PATH 107
#define LIMIT_HANDLER_BYTES 256
#define LIMIT_REQUEST_KEY_BYTES 64
#define LIMIT_NAME_BYTES 64

#endif
