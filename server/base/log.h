/* log.h - the one logging entry point: a level, a sentence, fields; every line is redacted.
 *
 * Foreign text goes through fields (escaped, cut), never through the format. A ring of recent lines
 * serves sys.log. Keys that are open right now are registered with the redactor and never appear
 * (THREATS.md section 11). */
#ifndef SERVER_BASE_LOG_H
#define SERVER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/secret.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* To stderr (with <N> prefixes when journald reads it), or to a file opened 0600 when path is not NULL.
 * level_name NULL means info. 0 or MP_E_... */
int log_open(const char *path, const char *level_name);
int log_reopen(void); /* after rotation; SIGHUP */
void log_close(void);
bool log_level_parse(const char *name, enum log_level *out);
const char *log_level_name(enum log_level l);

struct log_field {
	const char *key;
	const char *text; /* foreign text: escaped, at most 512 bytes shown; NULL: use number */
	int64_t number;
};
static inline const char *
log_text(const char *s)
{
	return s != NULL ? s : "";
}
#define LOG_TEXT(k, v) { (k), log_text(v), 0 }
#define LOG_INT(k, v) { (k), NULL, (v) }

/* `what` is a fixed sentence of ours. Fields end with a NULL key. Written through the macros below:
 * log_warn("the sentence", LOG_TEXT("why", text), LOG_INT("count", n)); fields may be left out. */
void log_write(enum log_level level, const char *what, const struct log_field *fields);
#define LOG_END { NULL, NULL, 0 }
#define LOG_CALL(level, what, ...) log_write(level, what, (const struct log_field[]){ __VA_ARGS__ })
#define log_error(...) LOG_CALL(LOG_LEVEL_ERROR, __VA_ARGS__, LOG_END)
#define log_warn(...) LOG_CALL(LOG_LEVEL_WARN, __VA_ARGS__, LOG_END)
#define log_info(...) LOG_CALL(LOG_LEVEL_INFO, __VA_ARGS__, LOG_END)
#define log_debug(...) LOG_CALL(LOG_LEVEL_DEBUG, __VA_ARGS__, LOG_END)

/* The redactor: also used on provider error texts before they travel. Replaces every registered secret
 * and everything that looks like a key (sk-, sk-ant-, AIza, mpd_, Bearer, key=) in place. */
void log_redact(char *text, size_t n);
void log_redact_buf(struct buf *b);
/* The secret stays the caller's and must be unregistered before it is freed. */
void log_secret_register(const struct secret *s);
void log_secret_unregister(const struct secret *s);

/* Recent lines, oldest first. */
struct log_line {
	int64_t at_ms;
	enum log_level level;
	const char *text; /* borrowed for the call */
};
void log_recent(enum log_level at_most, int64_t since_ms, size_t limit,
    void (*each)(void *arg, const struct log_line *line), void *arg);

#endif
