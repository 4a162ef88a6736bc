/* buf.h - bytes that grow up to a ceiling.
 *
 * Invariants: len <= cap <= max (cap may be max + 1 for the NUL); data is never NULL after a
 * successful add; data[len] is always NUL, so text can be printed, but len is the truth (bytes may
 * contain NUL). A buf that is all zero is valid and empty with the default ceiling. */
#ifndef PROTOCOL_BASE_BUF_H
#define PROTOCOL_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUF_DEFAULT_MAX ((size_t)64 << 20)

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max;  /* 0 means BUF_DEFAULT_MAX */
	bool wipe;   /* holds a secret: old memory is zeroed whenever it is let go */
	bool failed; /* an add did not fit or memory ran out; sticky until buf_reset/buf_clear */
};
#define BUF_INIT { NULL, 0, 0, 0, false, false }

/* Empty buffer with a ceiling in bytes (0 = default). No allocation happens yet. */
void buf_init(struct buf *b, size_t max_bytes);
/* As buf_init; the memory is wiped whenever it is freed, moved or reset. */
void buf_init_secret(struct buf *b, size_t max_bytes);
/* Frees the memory (wiping it if asked); the buffer is as after buf_init with the same ceiling. */
void buf_clear(struct buf *b);
/* Empties but keeps the memory. Gives memory back when more than keep_bytes are held. */
void buf_reset(struct buf *b, size_t keep_bytes);

/* Makes room for n more bytes. 0, MP_E_TOO_LARGE (over the ceiling) or MP_E_INTERNAL (no memory);
 * on failure the content is untouched and `failed` is set. The adds below return the same. */
int buf_reserve(struct buf *b, size_t n);
int buf_add(struct buf *b, const void *data, size_t n);
int buf_adds(struct buf *b, const char *s);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_addv(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Drops the first n bytes (n <= len). */
void buf_drain(struct buf *b, size_t n);
/* Shortens to n bytes (n <= len). */
void buf_truncate(struct buf *b, size_t n);
/* Gives the bytes away: the caller frees the NUL-terminated result; b is empty. Never NULL unless
 * memory is out. Not for secret buffers (asserted). */
char *buf_steal(struct buf *b, size_t *len);
/* The text, "" when empty. Borrowed until the next change. */
const char *buf_str(const struct buf *b);

#endif
