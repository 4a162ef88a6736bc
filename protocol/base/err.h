/* err.h - one family of errors, and the story that goes with one.
 *
 * Functions return 0 or a negative MP_E_... . Helpers only return the code; the layer that knows
 * the story fills a struct error once, and only the layer that ends the story logs it. */
#ifndef PROTOCOL_BASE_ERR_H
#define PROTOCOL_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mp_error {
	MP_OK = 0,
#define ERROR(id, code, num, retryable, exit_code) MP_E_##id = -(num),
#include "protocol/base/errors.def"
#undef ERROR
};

/* A story for people. Everything but `code` may be empty ("" or 0). All strings are UTF-8 without
 * control characters; error_set and friends see to that. Plain data: no clear function. */
struct error {
	int code;               /* MP_E_..., 0 = no error */
	char message[320];      /* what happened, one line, no secret */
	char hint[256];         /* what to do about it */
	char field[96];         /* the parameter at fault, for invalid_params */
	char provider[72];      /* the provider it is about */
	int http_status;        /* what the provider answered, 0 = none */
	int64_t retry_after_ms; /* wait this long before trying again, 0 = unknown */
	char candidates[4][160]; /* suggestions for a mistyped name, "" ends the list */
};
#define ERROR_INIT { .code = 0 }

/* Sets code and message (printf style; control characters are escaped, text cut to fit with "...");
 * clears every other member. A NULL err is allowed. Returns code, so callers write
 * `return error_set(err, MP_E_NOT_FOUND, ...)`. */
int error_set(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set with MP_E_INVALID_PARAMS, and names the parameter. */
int error_field(struct error *err, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds the hint to an error that is set. NULL err is allowed. */
void error_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds a suggestion (dropped when all places are taken). NULL err is allowed. */
void error_candidate(struct error *err, const char *text);

/* Adds what a mistyped name may have meant, of the `count` names that name_at gives (borrowed; index
 * 0..count-1): those that are few typing errors away, nearest first, then those that begin with it
 * ("open" -> openai). */
void error_suggest(struct error *err, const char *text,
    const char *(*name_at)(const void *arg, size_t i), const void *arg, size_t count);

/* The wire code ("not_found"), num, retryability and mpc exit code of an MP_E_...; a number that is
 * none of ours counts as MP_E_INTERNAL. */
const char *error_code(int code);
int error_num(int code);
bool error_retryable(int code);
int error_exit_code(int code);

/* The MP_E_... of a wire code; MP_E_INTERNAL for an unknown one (the set is open). */
int error_from_code(const char *code);

#endif
