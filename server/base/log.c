#include "server/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/err.h"
#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log_ring.h"

#define FIELD_SHOWN 512
/* Below PIPE_BUF: a pipe that polls as writable takes a whole line without blocking. */
#define LINE_MAX_BYTES 4000
#define FULL_PIPE_WAIT_MS 50

static struct {
	int fd;
	char *path; /* NULL: stderr */
	enum log_level level;
	bool journal;
	bool stuck; /* the reader of our pipe stopped reading; do not wait for it again */
	uint64_t lost;
} out = { .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

static const struct {
	const char *name, *journal;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "<3>" },
	[LOG_LEVEL_WARN] = { "warn", "<4>" },
	[LOG_LEVEL_INFO] = { "info", "<6>" },
	[LOG_LEVEL_DEBUG] = { "debug", "<7>" },
};

const char *
log_level_name(enum log_level l)
{
	return levels[l].name;
}

bool
log_level_parse(const char *name, enum log_level *l)
{
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		if (strcmp(levels[i].name, name) != 0)
			continue;
		*l = (enum log_level)i;
		return true;
	}
	return false;
}

/* The variable is inherited by everything a service starts: it is about us only if it names our stderr. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char *end, *end2;
	unsigned long long dev, ino;
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	dev = strtoull(stream, &end, 10);
	if (*end != ':')
		return false;
	ino = strtoull(end + 1, &end2, 10);
	return *end2 == '\0' && end2 != end + 1 && dev == st.st_dev && ino == st.st_ino;
}

/* A descriptor of a private regular file, or MP_E_... */
static int
open_file(const char *path)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, flags, 0600);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP ? MP_E_NOT_PERMITTED : MP_E_STORAGE;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    ((st.st_mode & 077) != 0 && fchmod(fd, 0600) != 0)) {
		close(fd);
		return MP_E_NOT_PERMITTED;
	}
	return fd;
}

int
log_open(const char *path, const char *level_name)
{
	enum log_level level = LOG_LEVEL_INFO;
	int fd = STDERR_FILENO;

	if (level_name != NULL && !log_level_parse(level_name, &level))
		return MP_E_INVALID_PARAMS;
	if (path != NULL && (fd = open_file(path)) < 0)
		return fd;
	log_close();
	out.fd = fd;
	out.path = xstrdup(path);
	out.level = level;
	out.journal = path == NULL && stderr_is_journal();
	return 0;
}

int
log_reopen(void)
{
	int fd;

	if (out.path == NULL)
		return 0;
	if ((fd = open_file(out.path)) < 0)
		return fd; /* the old file goes on */
	close(out.fd);
	out.fd = fd;
	return 0;
}

void
log_close(void)
{
	if (out.path != NULL)
		close(out.fd);
	free(out.path);
	out.path = NULL;
	out.fd = STDERR_FILENO;
	out.journal = out.stuck = false;
	out.lost = 0;
	log_ring_clear();
}

/* ---- one line ---- */

static bool
needs_quotes(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] == ' ' || s[i] == '"' || s[i] == '=')
			return true;
	return n == 0;
}

/* Redacted while it is whole: cut first, and half a key would no longer be recognised. */
static void
add_foreign(struct buf *line, const char *text)
{
	struct buf raw = BUF_INIT, shown = BUF_INIT;
	size_t n = strnlen(text, FIELD_SHOWN + SECRET_MAX_BYTES);
	size_t take = n < FIELD_SHOWN ? n : FIELD_SHOWN;
	bool quote;

	buf_init_secret(&raw, 0);
	buf_add(&raw, text, n);
	log_redact_buf(&raw);
	if (take < n)
		take -= utf8_incomplete_tail(raw.data, take);
	text_escape(&shown, buf_str(&raw), take, false);
	quote = needs_quotes(buf_str(&shown), shown.len);
	if (quote)
		buf_addc(line, '"');
	for (size_t i = 0; i < shown.len; i++) {
		if (quote && shown.data[i] == '"')
			buf_addc(line, '\\');
		buf_addc(line, shown.data[i]);
	}
	buf_adds(line, take < n ? "..." : "");
	if (quote)
		buf_addc(line, '"');
	buf_clear(&raw);
	buf_clear(&shown);
}

static void
add_head(struct buf *line, enum log_level level, int64_t now_ms)
{
	time_t seconds = (time_t)(now_ms / 1000);
	char when[32];
	struct tm tm;

	if (out.journal) {
		buf_adds(line, levels[level].journal);
		return;
	}
	localtime_r(&seconds, &tm);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	buf_addf(line, "%s.%03d %-5s ", when, (int)(now_ms % 1000), levels[level].name);
}

static void
add_body(struct buf *line, const char *what, const struct log_field *fields)
{
	buf_adds(line, what);
	for (const struct log_field *f = fields; f != NULL && f->key != NULL; f++) {
		buf_addf(line, " %s=", f->key);
		if (f->text != NULL)
			add_foreign(line, f->text);
		else
			buf_addf(line, "%lld", (long long)f->number);
	}
}

/* ---- the way out ---- */

/* Whether writing now cannot hold up the loop: a reader that stopped costs one short wait, then its
 * lines are counted instead. */
static bool
can_write(void)
{
	struct pollfd p = { out.fd, POLLOUT, 0 };

	if (out.path != NULL)
		return true;
	if (poll(&p, 1, out.stuck ? 0 : FULL_PIPE_WAIT_MS) == 1 && (p.revents & POLLOUT) != 0) {
		out.stuck = false;
		return true;
	}
	out.stuck = true;
	return false;
}

static void
write_all(const char *data, size_t n)
{
	while (n > 0) {
		ssize_t w = write(out.fd, data, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return; /* nobody is left to tell */
		data += w;
		n -= (size_t)w;
	}
}

static void
write_line(struct buf *line)
{
	char gap[64];

	if (!can_write()) {
		out.lost++;
		return;
	}
	if (out.lost > 0) {
		int n = snprintf(gap, sizeof gap, "(%llu lines were lost)\n", (unsigned long long)out.lost);

		write_all(gap, (size_t)n);
		out.lost = 0;
		if (!can_write()) {
			out.lost++;
			return;
		}
	}
	write_all(line->data, line->len);
}

void
log_write(enum log_level level, const char *what, const struct log_field *fields)
{
	int64_t now_ms = clock_wall_ms();
	struct buf line = BUF_INIT;
	int saved = errno;
	size_t head;

	if (level > out.level)
		return;
	add_head(&line, level, now_ms);
	head = line.len;
	add_body(&line, what, fields);
	if (line.len > LINE_MAX_BYTES) {
		buf_truncate(&line, LINE_MAX_BYTES - utf8_incomplete_tail(line.data, LINE_MAX_BYTES));
		buf_adds(&line, "...");
	}
	if (line.failed) {
		buf_clear(&line);
		errno = saved;
		return;
	}
	log_redact(line.data + head, line.len - head);
	log_ring_add(level, now_ms, line.data + head, line.len - head);
	buf_addc(&line, '\n');
	write_line(&line);
	buf_clear(&line);
	errno = saved;
}
