#include "client/entry.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <termios.h>
#include <unistd.h>

#include "protocol/base/secret.h"

static const char *
what(const struct entry *e)
{
	return e->what != NULL ? e->what : "key";
}

int
entry_init(struct entry *e, struct error *err)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	e->len = 0;
	e->mapped = 2 * (size_t)ENTRY_MAX_BYTES;
	e->bytes =
	    mmap(NULL, e->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (e->bytes == MAP_FAILED) {
		e->bytes = NULL;
		return error_set(err, MP_E_INTERNAL, "no memory for the %s", what(e));
	}
	/* Both may be refused by limits; the bytes are wiped in any case. */
	mlock(e->bytes, e->mapped);
#ifdef MADV_DONTDUMP
	madvise(e->bytes, e->mapped, MADV_DONTDUMP);
#endif
	return 0;
}

void
entry_clear(struct entry *e)
{
	if (e->bytes == NULL)
		return;
	secret_wipe(e->bytes, e->mapped);
	munlock(e->bytes, e->mapped);
	munmap(e->bytes, e->mapped);
	e->bytes = NULL;
	e->len = 0;
}

/* ---- the terminal ---- */

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
#define CAUGHT (sizeof(caught) / sizeof(caught[0]))

static volatile sig_atomic_t signalled;

static void
on_signal(int number)
{
	signalled = number;
}

struct quiet {
	int fd;
	struct termios before;
	struct sigaction old[CAUGHT];
};

/* No SA_RESTART: a signal ends the read, and the way out restores the terminal. */
static void
quiet_signals(struct quiet *q)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigemptyset(&sa.sa_mask);
	signalled = 0;
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &sa, &q->old[i]);
}

static void
restore_signals(struct quiet *q)
{
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &q->old[i], NULL);
}

static int
quiet_begin(struct quiet *q)
{
	struct termios off;

	if (tcgetattr(q->fd, &q->before) != 0)
		return -1;
	off = q->before;
	off.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	off.c_lflag |= ICANON | ISIG;
	return tcsetattr(q->fd, TCSAFLUSH, &off);
}

static void
quiet_end(struct quiet *q)
{
	while (tcsetattr(q->fd, TCSAFLUSH, &q->before) != 0 && errno == EINTR)
		;
}

static void
tell(int fd, const char *s)
{
	if (write(fd, s, strlen(s)) < 0)
		signalled = SIGHUP; /* the terminal is gone */
}

/* A signal that comes just before the wait must end it as well: they pass while we wait and only then. */
static int
wait_for_input(int fd)
{
	sigset_t ours, before;
	fd_set set;
	int r = 0;

	sigemptyset(&ours);
	for (size_t i = 0; i < CAUGHT; i++)
		sigaddset(&ours, caught[i]);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	sigprocmask(SIG_BLOCK, &ours, &before);
	if (signalled == 0)
		r = pselect(fd + 1, &set, NULL, NULL, NULL, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r < 0 && errno != EINTR ? -1 : 0;
}

/* One line without its newline. 0 at its end, the number of the signal that came first, or -1.
 * Ctrl-C takes the line away that we were woken for, so the read itself never waits. */
static int
read_line(struct entry *e, int fd)
{
	for (;;) {
		ssize_t n;

		if (wait_for_input(fd) != 0)
			return -1;
		if (signalled != 0)
			return signalled;
		n = read(fd, e->bytes + e->len, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0 || e->bytes[e->len] == '\n')
			return n < 0 ? -1 : 0;
		if (e->len < ENTRY_MAX_BYTES)
			e->len++;
	}
}

/* Ctrl-Z: the echo is on while we sleep, the question comes again afterwards. */
static int
ask(struct entry *e, struct quiet *q, const char *prompt)
{
	int r;

	for (;;) {
		quiet_signals(q);
		if (quiet_begin(q) != 0) {
			restore_signals(q);
			return -1;
		}
		tell(q->fd, prompt);
		fcntl(q->fd, F_SETFL, O_RDWR | O_NONBLOCK);
		r = read_line(e, q->fd);
		fcntl(q->fd, F_SETFL, O_RDWR);
		quiet_end(q);
		tell(q->fd, "\n");
		restore_signals(q);
		if (r <= 0)
			return r;
		secret_wipe(e->bytes, e->mapped);
		e->len = 0;
		if (r != SIGTSTP && r != SIGTTIN && r != SIGTTOU)
			return r;
		raise(r);
	}
}

int
entry_read_terminal(struct entry *e, const char *prompt, struct error *err)
{
	struct quiet q = {.fd = open("/dev/tty", O_RDWR | O_CLOEXEC)};
	int r;

	if (q.fd >= FD_SETSIZE) {
		close(q.fd);
		return error_set(err, MP_E_INTERNAL, "too many files are open");
	}
	if (q.fd < 0) {
		error_set(err, MP_E_INVALID_PARAMS, "there is no terminal to ask for the %s on", what(e));
		error_hint(err, "%s",
		    e->how != NULL ? e->how : "pass it on stdin: mpc key set PROVIDER --stdin");
		return MP_E_INVALID_PARAMS;
	}
	r = ask(e, &q, prompt);
	close(q.fd);
	if (r > 0) {
		/* as the signal would have ended us, now that the terminal is as it was */
		entry_clear(e);
		signal(r, SIG_DFL);
		raise(r);
		return error_set(err, MP_E_CANCELLED, "cancelled");
	}
	if (r < 0)
		return error_set(
		    err, MP_E_INVALID_PARAMS, "cannot read from the terminal: %s", strerror(errno));
	if (e->len == 0)
		return error_set(
		    err, MP_E_INVALID_PARAMS, "no %s was entered; nothing was changed", what(e));
	return 0;
}

int
entry_read_fd(struct entry *e, int fd, struct error *err)
{
	for (;;) {
		ssize_t n = read(fd, e->bytes + e->len, e->mapped - e->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, MP_E_INVALID_PARAMS,
			    "cannot read the %s from descriptor %d: %s", what(e), fd,
			    strerror(errno));
		if (n == 0)
			break;
		e->len += (size_t)n;
		if (e->len >= e->mapped)
			return error_set(err, MP_E_INVALID_PARAMS,
			    "the %s is longer than %d bytes", what(e), ENTRY_MAX_BYTES);
	}
	if (e->len > 0 && e->bytes[e->len - 1] == '\n')
		e->len--;
	return 0;
}

int
entry_check(const struct entry *e, struct error *err)
{
	if (e->len == 0)
		return error_set(err, MP_E_INVALID_PARAMS, "the key is empty");
	if (e->len > ENTRY_MAX_BYTES)
		return error_set(
		    err, MP_E_INVALID_PARAMS, "the key is longer than %d bytes", ENTRY_MAX_BYTES);
	for (size_t i = 0; i < e->len; i++) {
		unsigned char c = (unsigned char)e->bytes[i];

		if (c >= 0x21 && c <= 0x7e)
			continue;
		error_set(err, MP_E_INVALID_PARAMS,
		    "byte %zu of the key is %s; a key has visible ASCII characters only", i + 1,
		    c == ' '                ? "a blank"
		    : c < 0x20 || c == 0x7f ? "a control character"
					    : "no ASCII character");
		error_hint(err, "copy the key again; one newline at the end is fine");
		return MP_E_INVALID_PARAMS;
	}
	return 0;
}

bool
entry_looks_like_key(const char *word)
{
	static const char *const prefixes[] = {
	    "sk-", "sk_", "AIza", "gsk_", "xai-", "mpd_", "hf_", "Bearer", "pplx-", "r8_", "AKIA"};
	size_t n = strlen(word);
	bool upper = false, lower = false, digit = false;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(word, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	for (size_t i = 0; i < n; i++) {
		upper = upper || isupper((unsigned char)word[i]);
		lower = lower || islower((unsigned char)word[i]);
		digit = digit || isdigit((unsigned char)word[i]);
	}
	return n >= 32 || (n >= 20 && digit && (upper || lower));
}
