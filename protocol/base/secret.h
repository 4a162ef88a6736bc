/* secret.h - a secret has its own type: locked memory, wiped when freed, no printf form.
 *
 * The bytes live in memory that is locked, guarded and kept out of core dumps (THREATS.md section 4).
 * Allocation costs ~30 us, so keep one secret per key, not one per request. */
#ifndef PROTOCOL_BASE_SECRET_H
#define PROTOCOL_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_MAX_BYTES 8192

struct secret;

/* Once, before any secret: initialises libsodium. 0 or MP_E_INTERNAL. */
int secret_init(void);
/* Whether memory locking works here (false under RLIMIT_MEMLOCK 0): for status and one warning. */
bool secret_memory_is_locked(void);

/* Copies n bytes (n <= SECRET_MAX_BYTES) into locked memory. NULL when memory is out or n is too
 * large. data may be NULL for n zero bytes to fill later. */
struct secret *secret_new(const void *data, size_t n);
struct secret *secret_take(void *data, size_t n); /* wipes data after copying */
void secret_free(struct secret *s);               /* NULL is harmless */

/* The bytes, borrowed until secret_free; NUL-terminated one past len. Do not copy them into
 * ordinary memory that is not wiped. */
const char *secret_bytes(const struct secret *s);
char *secret_mutable(struct secret *s);
size_t secret_len(const struct secret *s);
/* For a secret that is needed now and then: no access to its bytes until it is shown again. */
void secret_hide(const struct secret *s);
void secret_show(const struct secret *s);
/* Constant-time comparison. */
bool secret_equals(const struct secret *a, const struct secret *b);

/* THREATS.md section 3.4: bytes 0x21..0x7e only, 1..SECRET_MAX_BYTES/2 of them. */
bool secret_text_valid(const char *s, size_t n);

/* explicit_bzero under a portable name. */
void secret_wipe(void *p, size_t n);

#endif
