/* common.h - what the tests of this folder all include. */
#ifndef TESTS_UNIT_PROTOCOL_BASE_COMMON_H
#define TESTS_UNIT_PROTOCOL_BASE_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/buf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Compares bytes and lengths, then empties the buffer. */
#define assert_buf(b, bytes, n)                                                                    \
	do {                                                                                       \
		assert_int_equal((b)->len, (n));                                                   \
		assert_memory_equal(buf_str(b), (bytes), (n));                                     \
		assert_int_equal(buf_str(b)[(b)->len], 0);                                         \
		buf_reset((b), SIZE_MAX);                                                          \
	} while (0)
#define assert_buf_text(b, text) assert_buf((b), (text), strlen(text))

#endif
