/* config show, export, check, apply: the whole configuration as one document. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/config.h"
#include "client/fail.h"
#include "client/input.h"
#include "client/link.h"
#include "client/out.h"
#include "client/pager.h"
#include "client/term.h"

/* ---- what the commands share ---- */

int
config_fetch(struct app *a, struct buf *text, int64_t *rev)
{
	const struct value *result;
	struct slice s;
	int r;

	link_begin(a, "config.export");
	if ((r = link_end(a, &result)) != 0)
		return r;
	s = value_slice(value_get(result, "text"));
	buf_add(text, s.data, s.len);
	if (rev != NULL)
		*rev = value_int(value_get(result, "rev"), 0);
	return 0;
}

int
config_ask(struct app *a, const struct buf *text, const struct value **result)
{
	pack_kv_slice(link_begin(a, "config.check"), "text", (struct slice){buf_str(text), text->len});
	return link_end(a, result);
}

int
config_send(struct app *a, const struct buf *text, int64_t rev, bool consent,
    const struct value **result, struct error *err)
{
	struct pack *p = link_begin(a, "config.apply");

	pack_kv_slice(p, "text", (struct slice){buf_str(text), text->len});
	pack_kv_int(p, "if_rev", rev);
	if (consent)
		pack_kv_bool(p, "cascade", true);
	return link_try(a, result, err);
}

void
config_print_problems(struct app *a, const char *name, const struct value *problems)
{
	fflush(stdout);
	for (size_t i = 0; i < value_size(problems); i++) {
		const struct value *p = value_at(problems, i);
		int64_t line = value_int(value_get(p, "line"), 0);

		if (line > 0)
			fprintf(stderr, "%s:%lld:%lld: %s\n", name, (long long)line,
			    (long long)value_int(value_get(p, "col"), 0), app_member(a, p, "message"));
		else
			fprintf(stderr, "%s: %s\n", name, app_member(a, p, "message"));
	}
}

void
config_print_effects(struct app *a, const struct value *result)
{
	const struct value *diff = value_get(result, "diff"), *losses = value_get(result, "losses");
	const struct value *notes = value_get(result, "notes");
	int64_t more = value_int(value_get(result, "diff_more"), 0);

	for (size_t i = 0; i < value_size(diff); i++) {
		const struct value *d = value_at(diff, i);
		const char *color = value_equals(value_get(d, "op"), "add")      ? "32"
				    : value_equals(value_get(d, "op"), "remove") ? "31"
										 : "33";

		printf("%s%s%s\n", sgr_out(a, color), app_member(a, d, "text"), sgr_out(a, "0"));
	}
	if (more > 0)
		printf("  and %lld more\n", (long long)more);
	fflush(stdout);
	for (size_t i = 0; i < value_size(losses); i++)
		fprintf(stderr, "%swarning%s: %s\n", sgr_err(a, "31"), sgr_err(a, "0"),
		    app_text(a, value_at(losses, i)));
	for (size_t i = 0; i < value_size(notes); i++)
		note(a, "%s", app_text(a, value_at(notes, i)));
}

const char *
config_keep(struct app *a, const struct buf *before)
{
	const char *path = app_format(a, "%s/config-previous.yaml", a->paths.state_dir);
	struct error err = ERROR_INIT;
	int dir = private_dir_open(a->paths.state_dir, true, &err), fd;
	bool good;

	if (dir < 0)
		return NULL;
	unlinkat(dir, "config-previous.yaml", 0);
	fd = openat(dir, "config-previous.yaml", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	close(dir);
	if (fd < 0)
		return NULL;
	good = write(fd, before->data, before->len) == (ssize_t)before->len;
	close(fd);
	return good ? path : NULL;
}

void
config_print_done(struct app *a, const struct value *result, const char *kept)
{
	size_t n = value_size(value_get(result, "diff")) +
		   (size_t)value_int(value_get(result, "diff_more"), 0);

	printf("Applied: %zu change%s.\n", n, n == 1 ? "" : "s");
	if (kept != NULL && !a->quiet)
		printf("  undo: mpc config apply %s\n", kept);
}

int
config_read(struct app *a, const char *path, struct buf *text)
{
	struct error err = ERROR_INIT;
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	buf_init(text, CONFIG_MAX_BYTES);
	if (fd < 0) {
		error_set(&err, MP_E_INVALID_PARAMS, "cannot open %.160s: %s", path, strerror(errno));
		return fail_err(a, &err);
	}
	r = input_read(fd, strcmp(path, "-") == 0 ? "stdin" : path, text, &err);
	close(fd);
	if (r == MP_E_TOO_LARGE) {
		error_set(&err, r, "%.160s is too large: a configuration has at most %zu KiB", path,
		    CONFIG_MAX_BYTES >> 10);
		error_hint(&err, "is it the right file?");
	}
	return r == 0 ? 0 : fail_err(a, &err);
}

/* ---- show, export ---- */

/* Comments dimmed on a terminal; the text came from the daemon and holds no control characters but line
 * ends. */
static void
print_lines(struct app *a, struct slice text, FILE *to)
{
	while (text.len > 0) {
		const char *end = memchr(text.data, '\n', text.len);
		size_t n = end != NULL ? (size_t)(end - text.data) : text.len, blank = 0;
		struct slice line = {text.data, n};
		bool comment;

		while (blank < n && text.data[blank] == ' ')
			blank++;
		comment = blank < n && text.data[blank] == '#';
		fprintf(to, "%s%s%s\n", comment ? sgr_out(a, "2") : "", app_escaped(a, line),
		    comment ? sgr_out(a, "0") : "");
		n += end != NULL;
		text.data += n;
		text.len -= n;
	}
}

static int
print_document(struct app *a, bool comments, bool paged)
{
	const struct value *result;
	struct slice text;
	size_t lines = 1;
	struct pack *p;
	FILE *pager;
	int r;

	if ((!paged && (r = no_more_words(a, 1)) != 0) || (r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "config.export");
	pack_kv_bool(p, "comments", comments);
	if (a->args.word_count > 1) {
		pack_str(p, "sections");
		pack_array_begin(p);
		for (size_t i = 1; i < a->args.word_count; i++)
			pack_str(p, args_word(&a->args, i));
		pack_array_end(p);
	}
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	text = value_slice(value_get(result, "text"));
	if (!paged || !a->out_tty) {
		fwrite(text.data, 1, text.len, stdout);
		return 0;
	}
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	pager = pager_open(a, lines);
	print_lines(a, text, pager != NULL ? pager : stdout);
	pager_close(pager);
	return 0;
}

int
config_show(struct app *a)
{
	return print_document(a, false, true);
}

int
config_export(struct app *a)
{
	return print_document(a, true, false);
}

/* ---- check, apply ---- */

/* Says what is wrong, if anything is. 0, or the exit code of a document that cannot be used. */
static int
judge(struct app *a, const char *name, const struct value *result)
{
	const struct value *problems = value_get(result, "problems");
	struct error err = ERROR_INIT;
	size_t n = value_size(problems);

	if (n == 0)
		return 0;
	config_print_problems(a, name, problems);
	error_set(&err, MP_E_INVALID_PARAMS, "%.100s has %zu problem%s; nothing was changed", name, n,
	    n == 1 ? "" : "s");
	return fail_err(a, &err);
}

/* How the file that is named is called in messages; NULL: none is, which was said. */
static const char *
file_name(struct app *a)
{
	const char *path = args_word(&a->args, 1);

	if (path == NULL)
		fail_usage(a, "a FILE is missing (- reads stdin)");
	return path != NULL && strcmp(path, "-") == 0 ? "stdin" : path;
}

static int
ask_about_file(struct app *a, struct buf *text, const struct value **result)
{
	int r;

	*result = NULL;
	if ((r = no_more_words(a, 2)) != 0 || (r = config_read(a, args_word(&a->args, 1), text)) != 0 ||
	    (r = link_open(a)) != 0)
		return r;
	return config_ask(a, text, result);
}

int
config_check(struct app *a)
{
	const char *name = file_name(a);
	const struct value *result;
	struct buf text = BUF_INIT;
	int r;

	if (name == NULL)
		return EXIT_USAGE;
	if ((r = ask_about_file(a, &text, &result)) != 0)
		goto out;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		r = value_bool(value_get(result, "ok"), false) ? 0 : EXIT_USAGE;
	} else if ((r = judge(a, name, result)) == 0) {
		config_print_effects(a, result);
		if (a->form == FORM_TEXT && !a->quiet && value_size(value_get(result, "diff")) == 0)
			printf("%s says what is so already.\n", name);
	}
out:
	buf_clear(&text);
	return r;
}

/* Whether what goes may go. */
static bool
may_lose(struct app *a, const struct value *result)
{
	if (value_size(value_get(result, "losses")) == 0 || args_has(&a->args, "cascade"))
		return true;
	return app_confirm(a, "Apply, and lose that?");
}

static int
apply(struct app *a, const struct buf *text, const char *name, const struct value *result)
{
	int64_t rev = value_int(value_get(result, "rev"), 0);
	bool nothing = value_size(value_get(result, "diff")) == 0;
	bool loses = value_size(value_get(result, "losses")) > 0;
	struct error err = ERROR_INIT;
	struct buf before = BUF_INIT;
	const char *kept = NULL;
	int r = 0;

	if (a->form == FORM_TEXT)
		config_print_effects(a, result);
	if (!nothing && !may_lose(a, result))
		return EXIT_USAGE;
	if (!nothing && (r = config_fetch(a, &before, NULL)) == 0)
		kept = config_keep(a, &before);
	buf_clear(&before);
	if (r != 0)
		return r;
	if (config_send(a, text, rev, loses, &result, &err) != 0)
		return fail_err(a, &err);
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (nothing && a->form == FORM_TEXT && !a->quiet)
		printf("%s says what is so already; nothing was changed.\n", name);
	else if (!nothing && a->form == FORM_TEXT)
		config_print_done(a, result, kept);
	return 0;
}

int
config_apply(struct app *a)
{
	const char *name = file_name(a);
	const struct value *result;
	struct buf text = BUF_INIT;
	int r;

	if (name == NULL)
		return EXIT_USAGE;
	if ((r = ask_about_file(a, &text, &result)) == 0 && (r = judge(a, name, result)) == 0)
		r = apply(a, &text, name, result);
	buf_clear(&text);
	return r;
}
