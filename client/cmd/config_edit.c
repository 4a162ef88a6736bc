/* config edit: the whole configuration in an editor, as crontab -e does.
 *
 * What was typed is never lost: it lies in a private folder until it was applied or thrown away on
 * purpose, and every way out says where. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/config.h"
#include "client/fail.h"
#include "client/link.h"
#include "client/out.h"

#define FILE_NAME "config.yaml"
#define NOW_NAME "config-now.yaml"

struct edit {
	struct app *a;
	char *dir, *path;
	struct buf before; /* as it was fetched */
	struct buf text;   /* as it was typed */
	int64_t rev;       /* of the configuration that was fetched, or shown in a difference since */
	bool keep;         /* the folder stays */
};

enum choice { CHOICE_APPLY, CHOICE_EDIT, CHOICE_LEAVE };

/* ---- on the way out ---- */

static char farewell[600]; /* what a signal that ends us says */

static void
on_signal(int number)
{
	if (write(STDERR_FILENO, farewell, strlen(farewell)) < 0)
		_exit(EXIT_OTHER);
	_exit(128 + number);
}

static void
arm_farewell(const struct edit *e)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

	snprintf(farewell, sizeof(farewell), "\nmpc: nothing was changed; your text is in %.400s\n", e->path);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], on_signal);
}

static void
remove_folder(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	/* an editor may have left files of its own beside ours */
	while (d != NULL && (entry = readdir(d)) != NULL)
		unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

static int
finish(struct edit *e, int r)
{
	if (e->dir != NULL && !e->keep)
		remove_folder(e->dir);
	else if (e->dir != NULL)
		fprintf(stderr, "  your text is in %s (mpc config apply FILE takes it)\n", e->path);
	free(e->dir);
	free(e->path);
	buf_clear(&e->before);
	buf_clear(&e->text);
	return r;
}

/* ---- the file ---- */

static int
write_file(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool good;

	if (fd < 0)
		return -1;
	good = write(fd, text->data, text->len) == (ssize_t)text->len;
	return close(fd) == 0 && good ? 0 : -1;
}

static int
make_file(struct edit *e)
{
	const char *tmp = getenv("TMPDIR");
	struct error err = ERROR_INIT;
	struct buf name = BUF_INIT;

	buf_addf(&name, "%s/modelpc-edit-XXXXXX", tmp != NULL && *tmp == '/' ? tmp : "/tmp");
	e->dir = xstrdup(buf_str(&name));
	buf_clear(&name);
	if (mkdtemp(e->dir) == NULL) {
		error_set(&err, MP_E_STORAGE, "cannot make a folder for the text: %s: %s", e->dir,
		    strerror(errno));
		free(e->dir);
		e->dir = NULL;
		return fail_err(e->a, &err);
	}
	buf_addf(&name, "%s/" FILE_NAME, e->dir);
	e->path = xstrdup(buf_str(&name));
	buf_clear(&name);
	if (write_file(e->path, &e->before) == 0)
		return 0;
	error_set(&err, MP_E_STORAGE, "cannot write %.160s: %s", e->path, strerror(errno));
	return fail_err(e->a, &err);
}

static bool
is_blank(const struct buf *text)
{
	return strspn(buf_str(text), " \t\r\n") == text->len;
}

static bool
is_same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* ---- the editor ---- */

static const char *
editor_command(void)
{
	const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");

	if (visual != NULL && *visual != '\0')
		return visual;
	if (editor != NULL && *editor != '\0')
		return editor;
	return access("/usr/bin/editor", X_OK) == 0 ? "/usr/bin/editor" : "vi";
}

/* Its exit status; 128 + N for a signal; -1 when it could not be run. The words of the variable are
 * the shell's, the path is not. */
static int
run_editor(const char *command, const char *path)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old_int, old_quit;
	struct buf line = BUF_INIT;
	int status = 0;
	pid_t child;

	/* plain words replace the shell, which would else take Ctrl-C for its own */
	buf_addf(&line, "%s%s \"$@\"",
	    strpbrk(command, "|&;<>()$`\\\"'*?[#~=%\n") == NULL ? "exec " : "", command);
	fflush(NULL);
	/* Ctrl-C in an editor is the editor's */
	sigaction(SIGINT, &ignore, &old_int);
	sigaction(SIGQUIT, &ignore, &old_quit);
	if ((child = fork()) == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
		execl("/bin/sh", "sh", "-c", buf_str(&line), command, path, (char *)NULL);
		_exit(127);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGQUIT, &old_quit, NULL);
	buf_clear(&line);
	if (child < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Lets the person edit; 0, or an exit code, with what there is to say said. *done: there is nothing to do. */
static int
edit_once(struct edit *e, bool *done)
{
	const char *command = editor_command();
	int status = run_editor(command, e->path), r;
	struct error err = ERROR_INIT;

	buf_clear(&e->text);
	if ((r = config_read(e->a, e->path, &e->text)) != 0) {
		e->keep = true;
		return r;
	}
	*done = true;
	if (status != 0) {
		e->keep = !is_blank(&e->text) && !is_same(&e->text, &e->before);
		error_set(&err, MP_E_INTERNAL, "the editor (%.80s) ended with status %d; nothing was changed",
		    command, status);
		error_hint(&err, "VISUAL and EDITOR say which one is used");
		return fail_err(e->a, &err);
	}
	if (is_blank(&e->text)) {
		error_set(&err, MP_E_INVALID_PARAMS, "the text is empty; nothing was changed");
		return fail_err(e->a, &err);
	}
	if (is_same(&e->text, &e->before)) {
		note(e->a, "nothing was changed");
		return 0;
	}
	*done = false;
	e->keep = true;
	return 0;
}

/* ---- questions ---- */

static bool
can_ask(const struct app *a)
{
	return !a->no_input && a->in_tty && a->err_tty;
}

/* The first letter of the answer, lower case; `otherwise` for an empty line, 0 for none. */
static char
ask(const char *question, char otherwise)
{
	char line[64];

	fflush(stdout);
	fprintf(stderr, "%s ", question);
	fflush(stderr);
	if (fgets(line, sizeof(line), stdin) == NULL) {
		fputc('\n', stderr);
		return 0;
	}
	if (line[0] == '\n')
		return otherwise;
	return (char)(line[0] | 0x20);
}

static enum choice
ask_after_problems(struct app *a)
{
	char c;

	if (a->yes || !can_ask(a))
		return CHOICE_LEAVE;
	c = ask("Edit it again? [Y/n]", 'y');
	return c == 'y' || c == 'e' ? CHOICE_EDIT : CHOICE_LEAVE;
}

static enum choice
ask_to_apply(struct app *a, bool loses)
{
	struct error err = ERROR_INIT;
	char c;

	if (a->yes)
		return CHOICE_APPLY;
	if (!can_ask(a)) {
		error_set(&err, MP_E_INVALID_PARAMS, "not applied without --yes");
		error_hint(&err, "mpc config edit --yes");
		fail_err(a, &err);
		return CHOICE_LEAVE;
	}
	c = ask(loses ? "Apply this, and lose that? [y/N/e(dit again)]"
		      : "Apply this? [y/N/e(dit again)]",
	    'n');
	return c == 'y' ? CHOICE_APPLY : c == 'e' ? CHOICE_EDIT : CHOICE_LEAVE;
}

/* ---- one round: the difference is shown, and decided on ---- */

/* Somebody else was here: what he made of it lies beside the text. */
static int
say_changed(struct edit *e, int64_t rev)
{
	const char *path = app_format(e->a, "%s/" NOW_NAME, e->dir);
	struct buf now = BUF_INIT;
	int r = config_fetch(e->a, &now, NULL);

	e->rev = rev;
	if (r == 0) {
		unlink(path);
		fprintf(stderr,
		    "The configuration was changed meanwhile. This is what your text would change "
		    "now; the\n"
		    "other one is in %s%s\n",
		    path, write_file(path, &now) == 0 ? "" : " (not written)");
	}
	buf_clear(&now);
	return r;
}

/* *again: the person wants to go on editing; else the exit code is the end. */
static int
apply_text(struct edit *e, bool loses, bool *again)
{
	const char *kept = config_keep(e->a, &e->before);
	const struct value *result;
	struct error err = ERROR_INIT;
	int r = config_send(e->a, &e->text, e->rev, loses, &result, &err);

	if (r == MP_E_PRECONDITION_FAILED) {
		*again = true; /* the next round shows the new difference */
		return 0;
	}
	if (r != 0)
		return fail_err(e->a, &err);
	e->keep = false;
	if (e->a->form == FORM_JSON)
		out_json(e->a, result);
	else
		config_print_done(e->a, result, kept);
	return 0;
}

static int
say_problems(struct edit *e, const struct value *problems, bool *edit)
{
	struct error err = ERROR_INIT;
	size_t n = value_size(problems);

	config_print_problems(e->a, e->path, problems);
	*edit = ask_after_problems(e->a) == CHOICE_EDIT;
	if (*edit)
		return 0;
	error_set(&err, MP_E_INVALID_PARAMS, "the text has %zu problem%s; nothing was changed", n,
	    n == 1 ? "" : "s");
	return fail_err(e->a, &err);
}

/* Looks at the text as it is. *again: another round; with *edit: through the editor. */
static int
decide(struct edit *e, bool *again, bool *edit)
{
	const struct value *result;
	bool loses;
	int64_t rev;
	int r;

	*again = *edit = false;
	if ((r = config_ask(e->a, &e->text, &result)) != 0)
		return r;
	if (value_size(value_get(result, "problems")) > 0) {
		r = say_problems(e, value_get(result, "problems"), edit);
		*again = *edit;
		return r;
	}
	if (value_size(value_get(result, "diff")) == 0) {
		e->keep = false;
		note(e->a, "the text says what is so already; nothing was changed");
		return 0;
	}
	rev = value_int(value_get(result, "rev"), 0);
	if (rev != e->rev) {
		/* the link is used in between: ask once more */
		*again = true;
		return say_changed(e, rev);
	}
	loses = value_size(value_get(result, "losses")) > 0;
	config_print_effects(e->a, result);
	switch (ask_to_apply(e->a, loses)) {
	case CHOICE_APPLY:
		return apply_text(e, loses, again);
	case CHOICE_EDIT:
		*again = *edit = true;
		return 0;
	case CHOICE_LEAVE:
		break;
	}
	note(e->a, "nothing was changed");
	return EXIT_OTHER;
}

int
config_edit(struct app *a)
{
	struct edit e = {.a = a};
	bool done = false, again = true, edit = true;
	int r;

	if ((r = no_more_words(a, 1)) != 0 || (r = link_open(a)) != 0)
		return r;
	if ((r = config_fetch(a, &e.before, &e.rev)) != 0 || (r = make_file(&e)) != 0)
		return finish(&e, r);
	arm_farewell(&e);
	while (r == 0 && again && !done) {
		if (edit)
			r = edit_once(&e, &done);
		if (r == 0 && !done)
			r = decide(&e, &again, &edit);
	}
	return finish(&e, r);
}
