#include "client/app.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/fail.h"
#include "client/help.h"
#include "client/link.h"
#include "client/scope.h"
#include "mpd_version.h"
#include "protocol/base/buf.h"
#include "protocol/limits.h"

struct app_text {
	struct app_text *next;
	char text[];
};

/* Without setlocale: it costs more than the rest of `mpc status`. */
static bool
locale_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *s = getenv(names[i]);

		if (s != NULL && *s != '\0')
			return strcasestr(s, "utf-8") != NULL || strcasestr(s, "utf8") != NULL;
	}
	return false;
}

/* UX.md section 5: only on a terminal; CLICOLOR_FORCE and --color=always say otherwise. */
static bool
wants_color(bool tty, const char *when)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR"),
		   *force = getenv("CLICOLOR_FORCE");

	if (when != NULL && strcmp(when, "auto") != 0)
		return strcmp(when, "always") == 0;
	if (no != NULL && *no != '\0')
		return false;
	if (force != NULL && *force != '\0' && strcmp(force, "0") != 0)
		return true;
	return tty && term != NULL && strcmp(term, "dumb") != 0;
}

static int
read_timeout(struct app *a, const char *text)
{
	char *end;
	double s;

	if (text == NULL)
		return 0;
	errno = 0;
	s = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !(s > 0 && s <= 86400))
		return fail_usage(a, "--timeout needs a number of seconds, not \"%.40s\"", text);
	a->timeout_ms = (int64_t)(s * 1000);
	if (a->timeout_ms == 0)
		a->timeout_ms = 1;
	return 0;
}

static int
read_globals(struct app *a)
{
	const char *color = args_value(&a->args, "color");
	const char *no_spawn = getenv("MODELPD_NO_SPAWN");

	if (args_has(&a->args, "plain") && args_has(&a->args, "json"))
		return fail_usage(a, "--json and --plain exclude each other");
	if (args_has(&a->args, "plain"))
		a->form = FORM_PLAIN;
	a->quiet = args_has(&a->args, "quiet");
	a->verbose = args_has(&a->args, "verbose");
	a->yes = args_has(&a->args, "yes");
	a->no_input = args_has(&a->args, "no-input");
	a->no_spawn = args_has(&a->args, "no-spawn") ||
		      (no_spawn != NULL && *no_spawn != '\0' && strcmp(no_spawn, "0") != 0);
	if (color != NULL && strcmp(color, "auto") != 0 && strcmp(color, "always") != 0 &&
	    strcmp(color, "never") != 0)
		return fail_usage(a, "--color is auto, always or never, not \"%.40s\"", color);
	a->out_color = wants_color(a->out_tty, color);
	a->err_color = wants_color(a->err_tty, color);
	return read_timeout(a, args_value(&a->args, "timeout"));
}

/* A word of the music client, or a mistyped one of ours. */
static int
fail_unknown_command(struct app *a, int argc, char **argv, struct error *err)
{
	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-' && command_is_music(argv[i]))
			return fail_music(a, argv[i]);
	return fail_as(a, err, "", "unknown_command", EXIT_USAGE);
}

/* What stood behind a mistake was not parsed, but is meant. */
static bool
is_given(int argc, char **argv, const char *option)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], option) == 0)
			return true;
	return false;
}

int
app_init(struct app *a, int argc, char **argv)
{
	struct error err = ERROR_INIT;
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	int r;

	a->program = argc == 0 ? "mpc" : slash != NULL ? slash + 1 : argv[0];
	a->in_tty = isatty(STDIN_FILENO);
	a->out_tty = isatty(STDOUT_FILENO);
	a->err_tty = isatty(STDERR_FILENO);
	a->utf8 = locale_is_utf8();
	r = args_parse(argc, argv, &a->args, &err);
	if (args_has(&a->args, "json") || (r != 0 && is_given(argc, argv, "--json")))
		a->form = FORM_JSON; /* also for the errors below */
	if (r == MP_E_UNKNOWN_METHOD)
		return fail_unknown_command(a, argc, argv, &err);
	if (r != 0) {
		if (err.hint[0] == '\0')
			error_hint(&err, "%s%s%s --help", a->program,
			    a->args.command != NULL ? " " : "",
			    a->args.command != NULL ? a->args.command->name : "");
		return fail_err(a, &err);
	}
	return read_globals(a);
}

/* Scripts tell us from Music Player Daemon's client by this line: the same under every name. */
static void
print_version(void)
{
	printf("mpc (model provider client) %s, protocol %d.%d\n", MPD_VERSION,
	    LIMIT_PROTOCOL_MAJOR, LIMIT_PROTOCOL_MINOR);
}

static int
run(struct app *a)
{
	const struct command *c = a->args.command;
	struct error err = ERROR_INIT;

	if (args_has(&a->args, "version")) {
		print_version();
		return 0;
	}
	if (args_has(&a->args, "help"))
		return help_print(a, c);
	if (c == NULL && a->args.word_count > 0)
		return fail_usage(a, "a command is missing");
	if (scope_environment() != NULL &&
	    scope_check(scope_environment(), "the name in MODELPD_SCOPE", &err) != 0)
		return fail_err(a, &err);
	if (paths_find(args_value(&a->args, "socket"), &a->paths, &err) != 0)
		return fail_err(a, &err);
	a->paths_known = true;
	return c == NULL ? cmd_status(a) : c->run(a);
}

/* Output that could not be written is a failure, but a reader that had enough (head) is not. */
static int
flush_output(struct app *a, int r)
{
	struct error err = ERROR_INIT;

	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return r;
	if (errno == EPIPE || r != 0)
		return r;
	error_set(&err, MP_E_STORAGE, "cannot write the output: %s", strerror(errno));
	return fail_err(a, &err);
}

int
app_main(int argc, char **argv)
{
	struct app a = {0};
	int r = app_init(&a, argc, argv);

	if (r == 0)
		r = run(&a);
	r = flush_output(&a, r);
	app_clear(&a);
	return r;
}

void
app_clear(struct app *a)
{
	link_close(a);
	args_clear(&a->args);
	if (a->paths_known)
		paths_clear(&a->paths);
	app_release(a, NULL);
	memset(a, 0, sizeof(*a));
}

struct app_text *
app_mark(const struct app *a)
{
	return a->texts;
}

void
app_release(struct app *a, const struct app_text *mark)
{
	while (a->texts != mark && a->texts != NULL) {
		struct app_text *next = a->texts->next;

		free(a->texts);
		a->texts = next;
	}
}

static const char *
keep_text(struct app *a, const char *s, size_t n)
{
	struct app_text *t = xcalloc(1, sizeof(*t) + n + 1);

	memcpy(t->text, s, n);
	t->next = a->texts;
	a->texts = t;
	return t->text;
}

const char *
app_escaped(struct app *a, struct slice s)
{
	struct buf b = BUF_INIT;
	const char *out;

	if (s.len == 0)
		return "";
	text_escape(&b, s.data, s.len, false);
	out = keep_text(a, buf_str(&b), b.len);
	buf_clear(&b);
	return out;
}

const char *
app_text(struct app *a, const struct value *v)
{
	return app_escaped(a, value_slice(v));
}

const char *
app_member(struct app *a, const struct value *map, const char *key)
{
	return app_text(a, value_get(map, key));
}

const char *
app_format(struct app *a, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	const char *out;
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	out = keep_text(a, buf_str(&b), b.len);
	buf_clear(&b);
	return out;
}

void
note(struct app *a, const char *fmt, ...)
{
	va_list ap;

	if (a->quiet)
		return;
	fflush(stdout);
	fputs("note: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

bool
app_confirm(struct app *a, const char *fmt, ...)
{
	char line[16] = "";
	va_list ap;

	if (a->yes)
		return true;
	va_start(ap, fmt);
	if (a->no_input || !a->in_tty || !a->err_tty) {
		struct error err = ERROR_INIT;
		struct buf b = BUF_INIT;

		buf_addv(&b, fmt, ap);
		error_set(&err, MP_E_INVALID_PARAMS, "not done without --yes: %s", buf_str(&b));
		error_hint(&err, "add --yes");
		fail_err(a, &err);
		buf_clear(&b);
	} else {
		vfprintf(stderr, fmt, ap);
		fputs(" [y/N] ", stderr);
		fflush(stderr);
		if (fgets(line, sizeof(line), stdin) == NULL)
			fputc('\n', stderr);
		if (line[0] != 'y' && line[0] != 'Y')
			note(a, "nothing was changed");
	}
	va_end(ap);
	return line[0] == 'y' || line[0] == 'Y';
}
