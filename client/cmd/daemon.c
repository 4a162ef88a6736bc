/* daemon: start, stop, look. Nothing here starts a daemon by accident. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/fail.h"
#include "client/link.h"
#include "client/out.h"
#include "client/spawn.h"
#include "client/term.h"
#include "protocol/base/buf.h"

#define STOP_WAIT_MS 20000
#define LOG_POLL_MS 1000
#define LOG_TAIL_BYTES 16384L

static int
fail_not_running(struct app *a)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_NOT_FOUND, "the daemon is not running");
	error_hint(&err, "mpc daemon start");
	return fail_as(a, &err, app_format(a, "nothing listens on %s", a->paths.socket),
	    "no_daemon", EXIT_NO_DAEMON);
}

bool
daemon_runs(struct app *a)
{
	struct error err = ERROR_INIT;

	return link_try_open(a, &err) == 0;
}

/* 0: the link is open. Else an exit code: not running, or not ours. */
static int
open_running(struct app *a)
{
	struct error err = ERROR_INIT;
	int r = link_try_open(a, &err);

	if (r == 0)
		return 0;
	return r == MP_E_NOT_FOUND ? fail_not_running(a) : link_fail(a, &err);
}

static int
daemon_status(struct app *a)
{
	const struct value *v;
	int64_t clients, streams;
	char span[32];
	int r;

	if ((r = open_running(a)) != 0)
		return r;
	link_begin(a, "sys.info");
	if ((r = link_end(a, &v)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, v);
		return 0;
	}
	clients = value_int(value_get(v, "clients"), 0);
	streams = value_int(value_get(v, "streams"), 0);
	duration_format(value_int(value_get(v, "uptime_ms"), 0), span, sizeof(span));
	if (a->form == FORM_PLAIN)
		printf("%s\t%lld\t%lld\t%lld\t%s\t%lld\n", app_member(a, v, "version"),
		    (long long)value_int(value_get(v, "pid"), 0),
		    (long long)value_int(value_get(v, "uptime_ms"), 0), (long long)clients,
		    a->paths.socket, (long long)streams);
	else
		printf("modelpd %s runs, pid %lld, up %s, %lld client%s, %lld stream%s\n  socket "
		       "%s\n  data   %s\n",
		    app_member(a, v, "version"), (long long)value_int(value_get(v, "pid"), 0), span,
		    (long long)clients, clients == 1 ? "" : "s", (long long)streams,
		    streams == 1 ? "" : "s", a->paths.socket,
		    app_member(a, value_get(v, "paths"), "data_dir"));
	return 0;
}

static int
start(struct app *a, const char *done)
{
	struct error err = ERROR_INIT;
	struct buf why = BUF_INIT;
	int fd, r = 0;

	if (spawn_is_foreign(a)) {
		error_set(&err, MP_E_NOT_PERMITTED,
		    "root does not start a daemon in another user's home");
		error_hint(&err, "run mpc as that user");
		return fail_as(a, &err, "", "no_daemon", EXIT_NO_DAEMON);
	}
	if ((fd = spawn_and_connect(a, &why, &err)) < 0) {
		struct error story = ERROR_INIT;

		error_set(&story, fd, "cannot start the daemon");
		error_hint(&story, "%s", err.hint[0] != '\0' ? err.hint : "mpc doctor");
		r = fail_as(a, &story, why.len > 0 ? buf_str(&why) : err.message, "no_daemon",
		    EXIT_NO_DAEMON);
	} else {
		close(fd);
		if (a->form == FORM_TEXT && !a->quiet)
			printf("%s on %s.\n", done, a->paths.socket);
	}
	buf_clear(&why);
	return r;
}

static int
daemon_start(struct app *a)
{
	if (!daemon_runs(a))
		return start(a, "Started");
	if (a->form == FORM_TEXT && !a->quiet)
		printf("Runs already on %s.\n", a->paths.socket);
	return 0;
}

/* The daemon holds `lock` for life: whoever gets it knows that it is gone. */
static bool
lock_is_free(struct app *a)
{
	const char *path = app_format(a, "%s/lock", a->paths.run_dir);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool is_free;

	if (fd < 0)
		return true;
	is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return is_free;
}

/* Asks it to stop and waits until it has. */
static int
stop(struct app *a)
{
	struct error err = ERROR_INIT;
	struct spinner spinner;
	int64_t until = term_now_ms() + STOP_WAIT_MS;
	struct pack *p = link_begin(a, "sys.shutdown");
	int r;

	if (args_has(&a->args, "now"))
		pack_kv_int(p, "grace_ms", 0);
	if ((r = link_end(a, NULL)) != 0)
		return r;
	link_close(a);
	spinner_start(&spinner, a, "streams are finishing (--now stops them)");
	while (!lock_is_free(a) && term_now_ms() < until) {
		poll(NULL, 0, 5);
		spinner_tick(&spinner);
	}
	spinner_stop(&spinner);
	if (lock_is_free(a))
		return 0;
	error_set(
	    &err, MP_E_TIMEOUT, "the daemon is still stopping after %d s", STOP_WAIT_MS / 1000);
	error_hint(&err, "mpc daemon stop --now");
	return fail_err(a, &err);
}

static int
daemon_stop(struct app *a)
{
	int r;

	if ((r = open_running(a)) != 0 || (r = stop(a)) != 0)
		return r;
	if (a->form == FORM_TEXT && !a->quiet)
		printf("Stopped.\n");
	return 0;
}

static int
daemon_restart(struct app *a)
{
	int r;

	if (daemon_runs(a) && (r = stop(a)) != 0)
		return r;
	return start(a, "Restarted");
}

static int
daemon_reload(struct app *a)
{
	const struct value *v, *warnings;
	int r;

	if ((r = open_running(a)) != 0)
		return r;
	link_begin(a, "sys.reload");
	if ((r = link_end(a, &v)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, v);
		return 0;
	}
	warnings = value_get(v, "warnings");
	for (size_t i = 0; i < value_size(warnings); i++)
		note(a, "%s", app_text(a, value_at(warnings, i)));
	if (a->form == FORM_TEXT && !a->quiet)
		printf("Reloaded; overrides and streams are as they were.\n");
	return 0;
}

static void
print_log_line(struct app *a, const struct value *line)
{
	int64_t at = value_int(value_get(line, "at_ms"), 0);
	time_t s = (time_t)(at / 1000);
	struct tm tm;
	char when[32];

	if (a->form == FORM_JSON) {
		out_json_line(line);
		return;
	}
	localtime_r(&s, &tm);
	strftime(when, sizeof(when), "%F %H:%M:%S", &tm);
	if (a->form == FORM_PLAIN)
		printf("%lld\t%s\t%s\n", (long long)at, app_member(a, line, "level"),
		    app_member(a, line, "text"));
	else
		printf("%s.%03d %-5s %s\n", when, (int)(at % 1000), app_member(a, line, "level"),
		    app_member(a, line, "text"));
}

/* A daemon that is gone has left its last words in the file of its detached life. */
static int
print_log_file(struct app *a)
{
	const char *path = app_format(a, "%s/modelpd.log", a->paths.state_dir);
	FILE *f = fopen(path, "re");
	struct buf safe = BUF_INIT;
	char line[4096];

	if (f == NULL)
		return fail_not_running(a);
	note(a, "the daemon is not running; this is the end of %s", path);
	if (fseek(f, -LOG_TAIL_BYTES, SEEK_END) == 0 && fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0'; /* the first line is cut */
	while (fgets(line, sizeof(line), f) != NULL) {
		buf_reset(&safe, sizeof(line));
		text_escape(&safe, line, strlen(line), true);
		fputs(buf_str(&safe), stdout);
	}
	fclose(f);
	buf_clear(&safe);
	return EXIT_NO_DAEMON;
}

static int
daemon_log(struct app *a)
{
	bool follow = args_has(&a->args, "follow");
	int64_t since = 0;
	int r;

	if (!daemon_runs(a) && a->form == FORM_TEXT)
		return print_log_file(a);
	if ((r = open_running(a)) != 0)
		return r;
	do {
		const struct value *v, *lines;
		struct pack *p = link_begin(a, "sys.log");

		pack_kv_str(p, "level", args_value(&a->args, "level"));
		if (since > 0)
			pack_kv_int(p, "since_ms", since);
		if ((r = link_end(a, &v)) != 0)
			return r;
		lines = value_get(v, "lines");
		for (size_t i = 0; i < value_size(lines); i++) {
			print_log_line(a, value_at(lines, i));
			since = value_int(value_get(value_at(lines, i), "at_ms"), since) + 1;
		}
		fflush(stdout);
		if (follow)
			poll(NULL, 0, LOG_POLL_MS);
	} while (follow && !ferror(stdout));
	return 0;
}

int
cmd_daemon(struct app *a)
{
	static const struct {
		const char *name;
		int (*run)(struct app *a);
	} subs[] = {{"status", daemon_status}, {"start", daemon_start}, {"stop", daemon_stop},
	    {"restart", daemon_restart}, {"reload", daemon_reload}, {"log", daemon_log}};
	const char *sub = args_word(&a->args, 0);
	int r;

	if ((r = no_more_words(a, 1)) != 0)
		return r;
	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++)
		if (strcmp(subs[i].name, sub != NULL ? sub : "status") == 0)
			return subs[i].run(a);
	return fail_usage(
	    a, "daemon knows status, start, stop, restart, reload and log, not \"%.40s\"", sub);
}
