/* failure.h - one classification of everything that can go wrong upstream
 * (providers/limits-and-errors.md section 1). */
#ifndef SERVER_MODEL_FAILURE_H
#define SERVER_MODEL_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

struct error;

enum failure_class {
	FAILURE_NONE,
	FAILURE_AUTH,
	FAILURE_PERMISSION,
	FAILURE_QUOTA,
	FAILURE_RATE_LIMIT,
	FAILURE_OVERLOADED,
	FAILURE_SERVER,
	FAILURE_TIMEOUT,
	FAILURE_NETWORK,
	FAILURE_BAD_REQUEST,
	FAILURE_CONTEXT_LENGTH,
	FAILURE_NOT_FOUND,
	FAILURE_CONTENT_POLICY,
	FAILURE_UNSUPPORTED,
	FAILURE_PROTOCOL,
	FAILURE_CANCELLED,
	FAILURE_CONFIG,
};

struct failure {
	enum failure_class class;
	int http_status;        /* 0 = the answer never came */
	int64_t wait_ms;        /* the provider asked for this wait; -1 = not said */
	int retry_said;         /* x-should-retry / availability.retryable: -1 not said, 0 no, 1 yes */
	bool unsigned_may_pass; /* it is the signatures in the history that were refused */
	char code[64];          /* the provider's machine-readable code, escaped */
	char message[512];      /* the provider's words: escaped, redacted later, cut */
	char request_id[96];
	char kind[24];          /* finer word: connect dns proxy tls address_refused first_byte silence total
	                         * redirect content_type cut too_large ...; "" = none */
};
#define FAILURE_INIT { .wait_ms = -1, .retry_said = -1 }

const char *failure_class_name(enum failure_class c); /* "rate_limit", ... as in the pages */
/* The protocol error a class becomes (UX.md section 6 gives the exit code). */
int failure_error_code(enum failure_class c);
/* Whether it is about the key that went along, or should have: another key of the provider may be served. */
bool failure_is_keys(const struct failure *f);

#endif
