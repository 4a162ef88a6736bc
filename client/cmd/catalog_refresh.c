/* catalog refresh: a newer list of prices. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/catalog.h"
#include "client/cmd/cmd.h"
#include "client/cmd/config.h"
#include "client/input.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"

#define LIST_MAX_BYTES ((size_t)8 << 20)

static long long
member(const struct value *v, const char *key)
{
	return (long long)value_int(value_get(v, key), 0);
}

int
catalog_refreshed(struct app *a, const char **words)
{
	const struct value *info;
	int r;

	link_begin(a, "catalog.info");
	if ((r = link_end(a, &info)) != 0)
		return r;
	if (value_get(info, "problem") != NULL)
		*words = app_format(a, "the list that was kept is not used: %s (again: mpc catalog refresh)",
		    app_member(a, info, "problem"));
	else if (value_equals(value_get(info, "source"), "catalogue"))
		*words = "none yet: mpc catalog refresh";
	else
		*words = app_format(a, "%s, from %s",
		    out_since(a, member(info, "date_ms"), term_wall_ms()), app_member(a, info, "from"));
	return 0;
}

static int
read_list(struct app *a, const char *path, struct buf *text)
{
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;
	struct error err = ERROR_INIT;

	buf_init(text, LIST_MAX_BYTES);
	if (fd < 0) {
		error_set(&err, MP_E_INVALID_PARAMS, "cannot open %.160s: %s", path, strerror(errno));
		return fail_err(a, &err);
	}
	r = input_read(fd, is_stdin ? "stdin" : path, text, &err);
	close(fd);
	if (r == MP_E_TOO_LARGE) {
		error_set(&err, r, "%.160s is too large: a price list has at most %zu MiB", path,
		    LIST_MAX_BYTES >> 20);
		error_hint(&err, "is it the right file?");
	}
	return r == 0 ? 0 : fail_err(a, &err);
}

static void
print_news(struct app *a, const struct value *news)
{
	long long models = member(news, "models"), changed = member(news, "changed");
	long long unpriced = member(news, "unpriced"), refused = member(news, "refused");

	if (a->form == FORM_PLAIN) {
		printf("%lld\t%lld\t%lld\t%lld\t%lld\t%lld\n", models, changed, member(news, "dearer"),
		    member(news, "cheaper"), member(news, "added"), member(news, "gone"));
		return;
	}
	printf("Prices of %lld models of providers, from %s.\n", models, app_member(a, news, "from"));
	if (a->quiet)
		return;
	if (changed + member(news, "added") + member(news, "gone") == 0)
		printf("  none of them is another one than before\n");
	else
		printf("  %lld changed (%lld dearer, %lld cheaper), %lld new, %lld gone\n", changed,
		    member(news, "dearer"), member(news, "cheaper"), member(news, "added"),
		    member(news, "gone"));
	if (unpriced > 0)
		printf("  %lld more have no price per token\n", unpriced);
	if (refused > 0)
		note(a, "%lld were left out: what is said of them cannot be", refused);
}

int
catalog_refresh(struct app *a)
{
	const char *path = args_word(&a->args, 1);
	const char *name = path != NULL && strcmp(path, "-") == 0 ? "stdin" : path;
	const struct value *result = NULL, *problems;
	struct error err = ERROR_INIT;
	struct buf text = BUF_INIT;
	struct pack *p;
	int r;

	if ((r = no_more_words(a, 2)) != 0 || (path != NULL && (r = read_list(a, path, &text)) != 0) ||
	    (r = link_open(a)) != 0)
		goto out;
	p = link_begin(a, "catalog.refresh");
	if (path != NULL) {
		pack_kv_str(p, "source", name);
		pack_kv_slice(p, "text", (struct slice){buf_str(&text), text.len});
	}
	if (args_has(&a->args, "force"))
		pack_kv_bool(p, "force", true);
	link_long(a);
	if (link_try(a, &result, &err) != 0) {
		problems = value_get(value_get(result, "data"), "problems");
		if (path != NULL && a->form != FORM_JSON && value_size(problems) > 1)
			config_print_problems(a, name, problems);
		r = link_fail(a, &err);
	} else if (a->form == FORM_JSON) {
		out_json(a, result);
	} else {
		print_news(a, result);
	}
out:
	buf_clear(&text);
	return r;
}
