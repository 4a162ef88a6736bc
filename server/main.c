/* main.c - options, exit codes, and what a process must do before it touches a secret. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpd_version.h"
#include "protocol/base/secret.h"
#include "protocol/base/str.h"
#include "server/base/inherited.h"
#include "server/base/log.h"
#include "server/daemon.h"
#include "server/restore_offline.h"
#include "server/show_config.h"
#include "server/upstream/child_process.h"

#define EXIT_USAGE_CODE 64
#define EXIT_SOFTWARE_CODE 70
#define WANTED_DESCRIPTORS 8192

struct options {
	struct daemon_options daemon;
	bool detach;
	bool show_config;
	const char *restore; /* a backup to restore instead of serving */
	bool only_check;
};

/* ---- before anything else (THREATS.md section 4) ---- */

/* A database must never land on descriptor 0, 1 or 2. */
static void
open_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_SOFTWARE_CODE);
}

/* Whether a variable could leak keys, load code or redirect what we send. */
static bool
is_hostile(struct slice name)
{
	static const char *const exact[] = { "SSLKEYLOGFILE", "http_proxy", "https_proxy", "ftp_proxy",
		"all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY",
		"NO_PROXY", "GLIBC_TUNABLES", NULL };

	for (size_t i = 0; exact[i] != NULL; i++)
		if (slice_eq(name, exact[i]))
			return true;
	return slice_starts(name, "LD_") || slice_starts(name, "MALLOC_");
}

static bool
is_key(struct slice name)
{
	static const char suffix[] = "_API_KEY";
	const size_t n = sizeof suffix - 1;

	return name.len >= n && memcmp(name.data + name.len - n, suffix, n) == 0;
}

static void
clean_environment(void)
{
	if (environ == NULL)
		return;
	for (char **at = environ; *at != NULL;) {
		struct slice name = { *at, strcspn(*at, "=") };

		if (!is_hostile(name) && !is_key(name)) {
			at++;
			continue;
		}
		/* a key that is set up to be read from here; the others are dropped soon */
		if (is_key(name) && name.data[name.len] == '=')
			inherited_take(name.data, name.len, *at + name.len + 1);
		/* the value may be a key: not even /proc/PID/environ keeps it */
		explicit_bzero(*at, strlen(*at));
		for (char **move = at; *move != NULL; move++)
			move[0] = move[1];
	}
}

static void
set_limits(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	child_remember_limits();
	setrlimit(RLIMIT_CORE, &none);
#ifndef MPD_DEBUGGABLE
	prctl(PR_SET_DUMPABLE, 0);
#endif
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	/* a full file size limit is a storage error, not the end */
	signal(SIGXFSZ, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < WANTED_DESCRIPTORS) {
		files.rlim_cur = files.rlim_max < WANTED_DESCRIPTORS ? files.rlim_max
		    : WANTED_DESCRIPTORS;
		setrlimit(RLIMIT_NOFILE, &files);
	}
#if defined(__GLIBC__) && !defined(MPD_SANITIZED)
	/* one thread does the work: one arena, and memory goes back after a burst */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
#endif
}

/* ---- words ---- */

static void
print_help(void)
{
	puts("usage: modelpd [--socket PATH] [--log-level LEVEL]\n"
	     "               [--detach | --show-config | --restore FILE]\n"
	     "\n"
	     "The model provider daemon: one live AI-provider configuration for every terminal and\n"
	     "editor. Runs in the foreground; clients (mpc) start it by themselves.\n"
	     "\n"
	     "  --socket PATH      listen there (default $XDG_RUNTIME_DIR/modelpd/rpc.sock)\n"
	     "  --log-level LEVEL  error, warn, info or debug (default $MODELPD_LOG, else info)\n"
	     "  --detach           go to the background when ready; log to a file\n"
	     "  --show-config      print every effective value and end\n"
	     "  --restore FILE     put a backup in the place of the databases and end (mpc restore does it)\n"
	     "  --check            with --restore: only check it\n"
	     "  --version          print the version\n"
	     "  --help             print this\n"
	     "\n"
	     "Signals: TERM and INT stop it (running answers get 10 s; a second signal: at once),\n"
	     "HUP looks for local servers again and re-reads CA and proxy settings.\n"
	     "Exit codes: 64 usage, 74 storage, 75 already running, 78 configuration or permissions.\n"
	     "More: man modelpd");
}

static int
music_hint(const char *what)
{
	fprintf(stderr, "modelpd: \"%s\" is for the Music Player Daemon; this is the model provider "
	    "daemon\n"
	    "  fix: call the music daemon by its own path, or install modelpd without the mpd name "
	    "(man modelpd, COEXISTENCE)\n", what);
	return EXIT_USAGE_CODE;
}

static int
usage_error(const char *what, const char *word)
{
	fprintf(stderr, "modelpd: %s \"%s\"\n  fix: modelpd --help\n", what, word);
	return EXIT_USAGE_CODE;
}

/* The words of a failed start, as they are shown to people. */
static void
format_error(const struct error *err, char *out, size_t size)
{
	if (err->hint[0] != '\0')
		snprintf(out, size, "modelpd: %s\n  fix: %s\n", err->message, err->hint);
	else
		snprintf(out, size, "modelpd: %s\n", err->message);
}

/* ---- options ---- */

static bool
is_music(const char *word)
{
	static const char *const words[] = { "--systemd", "--no-daemon", "--stdout", "--stderr",
		"--kill", "--no-create-db", "--create-db", NULL };
	size_t n = strlen(word);

	for (size_t i = 0; words[i] != NULL; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return word[0] != '-' && n > 5 && strcmp(word + n - 5, ".conf") == 0;
}

/* -1: go on. Otherwise the exit code. */
static int
parse(int argc, char **argv, struct options *o)
{
	enum { SOCKET = 1, LEVEL, DETACH, SHOW_CONFIG, RESTORE, CHECK, VERSION, HELP, TEST_TIMEOUTS };
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, SOCKET },
		{ "log-level", required_argument, NULL, LEVEL },
		{ "detach", no_argument, NULL, DETACH },
		{ "show-config", no_argument, NULL, SHOW_CONFIG },
		{ "restore", required_argument, NULL, RESTORE },
		{ "check", no_argument, NULL, CHECK },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ "test-timeouts", required_argument, NULL, TEST_TIMEOUTS },
		{ NULL, 0, NULL, 0 },
	};
	enum log_level level;
	int c;

	for (int i = 1; i < argc; i++)
		if (is_music(argv[i]))
			return music_hint(argv[i]);
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
		switch (c) {
		case SOCKET:
			o->daemon.socket = optarg;
			break;
		case LEVEL:
			if (!log_level_parse(optarg, &level))
				return usage_error("unknown log level", optarg);
			o->daemon.log_level = optarg;
			break;
		case DETACH:
			o->detach = true;
			break;
		case SHOW_CONFIG:
			o->show_config = true;
			break;
		case RESTORE:
			o->restore = optarg;
			break;
		case CHECK:
			o->only_check = true;
			break;
		case VERSION:
			puts("modelpd (model provider daemon) " MPD_VERSION ", protocol 1.0");
			return 0;
		case HELP:
		case 'h':
			print_help();
			return 0;
		case TEST_TIMEOUTS:
			o->daemon.test_timeout_ms = strtoll(optarg, NULL, 10);
			if (o->daemon.test_timeout_ms <= 0)
				return usage_error("bad number", optarg);
			break;
		case ':':
			return usage_error("a value is missing after", argv[optind - 1]);
		default:
			return usage_error("unknown option", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage_error("unexpected argument", argv[optind]);
	return -1;
}

/* ---- running ---- */

static void
say_ready(FILE *to, const char *socket)
{
	fprintf(to, "%smodelpd %s ready on %s\n", getenv("JOURNAL_STREAM") != NULL ? "<6>" : "",
	    MPD_VERSION, socket);
	fflush(to);
}

/* 64 usage, 70 internal, 74 storage, 75 already running, 78 configuration or permissions. */
static int
exit_code(int error)
{
	switch (error) {
	case 0:
		return 0;
	case MP_E_STORAGE:
	case MP_E_TOO_LARGE:
		return 74; /* EX_IOERR */
	case MP_E_BUSY:
	case MP_E_CONFLICT:
		return 75; /* EX_TEMPFAIL */
	case MP_E_NOT_PERMITTED:
	case MP_E_INVALID_PARAMS:
	case MP_E_VERSION_MISMATCH:
	case MP_E_TAMPERED:
		return 78; /* EX_CONFIG */
	default:
		return 70; /* EX_SOFTWARE */
	}
}

static int
run_in_foreground(const struct options *o)
{
	struct error err = ERROR_INIT;
	char text[700];
	struct daemon *d;
	int r;

	if ((r = daemon_new(&o->daemon, &d, &err)) != 0) {
		format_error(&err, text, sizeof text);
		fputs(text, stderr);
		return exit_code(r);
	}
	say_ready(stderr, daemon_socket(d));
	r = daemon_run(d);
	daemon_free(d);
	return exit_code(r);
}

/* What is done instead of serving. */
static int
run_once(const struct options *o)
{
	struct error err = ERROR_INIT;
	char text[700];
	int r = o->show_config ? show_config(&o->daemon, stdout, &err)
	    : restore_offline(&o->daemon, o->restore, o->only_check, stdout, &err);

	if (r != 0) {
		format_error(&err, text, sizeof text);
		fputs(text, stderr);
	}
	return exit_code(r);
}

/* The child's first words to its parent: an exit code, then what to print. */
static void
report(int fd, int code, const char *text)
{
	unsigned char byte = (unsigned char)code;

	if (write(fd, &byte, 1) != 1 || write(fd, text, strlen(text)) < 0)
		_exit(EXIT_SOFTWARE_CODE); /* nobody waits for us any more */
	close(fd);
}

static int
run_in_background(struct options *o, int fd)
{
	struct error err = ERROR_INIT;
	char text[700];
	struct daemon *d;
	int null, r;

	setsid();
	if (chdir("/") != 0)
		return EXIT_SOFTWARE_CODE;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int std = 0; std <= 2; std++)
		if (null < 0 || dup2(null, std) < 0)
			return EXIT_SOFTWARE_CODE;
	close(null);
	o->daemon.log_to_file = true;
	if ((r = daemon_new(&o->daemon, &d, &err)) != 0) {
		format_error(&err, text, sizeof text);
		report(fd, exit_code(r), text);
		return exit_code(r);
	}
	snprintf(text, sizeof text, "modelpd %s ready on %s\n", MPD_VERSION, daemon_socket(d));
	report(fd, 0, text);
	r = daemon_run(d);
	daemon_free(d);
	return exit_code(r);
}

/* Waits for the child's first words and passes them on. */
static int
wait_until_ready(int fd, pid_t child)
{
	char text[1024];
	size_t n = 0;
	ssize_t got;
	int status;

	while (n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	text[n] = '\0';
	if (n == 0) {
		waitpid(child, &status, 0);
		fputs("modelpd: the daemon ended while it was starting\n", stderr);
		return EXIT_SOFTWARE_CODE;
	}
	fputs(text + 1, stderr);
	return (unsigned char)text[0];
}

static int
detach(struct options *o)
{
	int ends[2];
	pid_t child;

	/* whatever the shell left open does not live on in a daemon */
	close_range(3, ~0U, 0);
	if (pipe2(ends, O_CLOEXEC) != 0 || (child = fork()) < 0) {
		fprintf(stderr, "modelpd: cannot go to the background: %s\n", strerror(errno));
		return 71; /* EX_OSERR */
	}
	if (child == 0) {
		close(ends[0]);
		return run_in_background(o, ends[1]);
	}
	close(ends[1]);
	return wait_until_ready(ends[0], child);
}

int
main(int argc, char **argv)
{
	struct options o = { .detach = false };
	int r;

	open_standard_descriptors();
	set_limits();
	if (secret_init() != 0)
		return EXIT_SOFTWARE_CODE;
	clean_environment();
	if ((r = parse(argc, argv, &o)) >= 0)
		return r;
	if (o.show_config || o.restore != NULL)
		return run_once(&o);
	return o.detach ? detach(&o) : run_in_foreground(&o);
}
