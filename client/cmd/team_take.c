/* team add, update: a bundle of somebody else's, looked at before it is taken. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/config.h"
#include "client/cmd/team.h"
#include "client/fail.h"
#include "client/input.h"
#include "client/link.h"
#include "client/out.h"

#define BUNDLE_MAX_BYTES (((size_t)1 << 20) + 4096)

static bool
is_url(const char *text)
{
	return strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0;
}

/* 0, or an exit code with the reason said. */
static int
fetch(struct app *a, const struct team_place *from, struct buf *text)
{
	const struct value *result;
	struct slice got;
	struct pack *p;
	int r;

	p = link_begin(a, "team.fetch");
	pack_kv_str(p, "url", from->source);
	pack_kv_str(p, "ca_file", from->ca_file);
	if (from->local)
		pack_kv_bool(p, "local", true);
	link_long(a);
	if ((r = link_end(a, &result)) != 0)
		return r;
	got = value_slice(value_get(result, "text"));
	buf_add(text, got.data, got.len);
	return 0;
}

static int
read_bundle(struct app *a, const struct team_place *from, struct buf *text)
{
	struct error err = ERROR_INIT;
	int fd, r;

	buf_init(text, BUNDLE_MAX_BYTES);
	if (is_url(from->source))
		return fetch(a, from, text);
	fd = *from->source == '\0' ? dup(STDIN_FILENO) : open(from->source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		error_set(&err, MP_E_NOT_FOUND, "cannot open %.160s: %s", from->source, strerror(errno));
		return fail_err(a, &err);
	}
	r = input_read(fd, *from->source == '\0' ? "stdin" : from->source, text, &err);
	close(fd);
	if (r == MP_E_TOO_LARGE) {
		error_set(&err, r, "%.160s is too large: a bundle has at most %zu KiB", from->source,
		    BUNDLE_MAX_BYTES >> 10);
		error_hint(&err, "is it the right file?");
	}
	return r == 0 ? 0 : fail_err(a, &err);
}

/* Whether it may be taken: a signer that is not known yet is trusted by his fingerprint, never by
 * --yes alone. */
static int
may_take(struct app *a, const struct value *found, bool known)
{
	const char *team = app_member(a, found, "team"), *signer = app_member(a, found, "signer");
	size_t losses = value_size(value_get(found, "losses"));
	struct error err = ERROR_INIT;

	if (losses > 0 && !args_has(&a->args, "cascade"))
		return app_confirm(a, "Take it, and lose that?") ? 0 : EXIT_USAGE;
	if (known || args_value(&a->args, "signer") != NULL)
		return 0;
	if (!a->in_tty || a->no_input || a->yes) {
		error_set(&err, MP_E_NOT_PERMITTED,
		    "the bundle of team %s is signed by somebody new: %s", team, signer);
		error_hint(&err, "if that is the fingerprint you were told: --signer %s", signer);
		return fail_err(a, &err);
	}
	return app_confirm(a,
	    "Trust %s to sign for team %s? Compare it with what its owner tells you.", signer, team)
		   ? 0
		   : EXIT_USAGE;
}

static int
send_bundle(struct app *a, const struct buf *text, const struct team_place *from,
    const char *signer, bool losses, const struct value **result)
{
	struct pack *p = link_begin(a, "team.add");

	pack_kv_slice(p, "text", (struct slice){ buf_str(text), text->len });
	pack_kv_str(p, "signer", signer);
	if (*from->source != '\0')
		pack_kv_str(p, "source", from->source);
	pack_kv_str(p, "ca_file", from->ca_file);
	if (from->local)
		pack_kv_bool(p, "local", true);
	if (losses)
		pack_kv_bool(p, "cascade", true);
	return link_end(a, result);
}

static void
print_taken(struct app *a, const struct value *result, bool update)
{
	int64_t version = value_int(value_get(result, "version"), 0),
	    keys = value_int(value_get(result, "keys"), 0);
	int64_t held = value_int(value_get(result, "held_version"), 0);

	if (a->form == FORM_PLAIN) {
		printf("%s\t%lld\t%s\n", app_member(a, result, "team"), (long long)version,
		    app_member(a, result, "signer"));
	} else if (a->form == FORM_TEXT && !a->quiet) {
		if (update && held == version)
			printf("Team %s is at version %lld already.\n", app_member(a, result,
			    "team"), (long long)version);
		else
			printf("%s version %lld of team %s%s.\n", held > 0 ? "Updated to" : "Added",
			    (long long)version, app_member(a, result, "team"),
			    keys > 0 ? app_format(a, ", with %lld key%s for you", (long long)keys,
			    keys == 1 ? "" : "s")
				     : "");
	}
}

static int
judge(struct app *a, const struct team_place *from, const struct value *found)
{
	const struct value *problems = value_get(found, "problems");
	const char *name = *from->source != '\0' ? from->source : "stdin";
	struct error err = ERROR_INIT;
	size_t n = value_size(problems);

	if (n == 0)
		return 0;
	config_print_problems(a, name, problems);
	error_set(&err, MP_E_INVALID_PARAMS, "%.100s has %zu problem%s; nothing was changed", name, n,
	    n == 1 ? "" : "s");
	return fail_err(a, &err);
}

/* Looks, asks, takes. The link is open. */
static int
take(struct app *a, const struct team_place *from, bool update)
{
	const char *wanted = args_value(&a->args, "signer");
	const struct value *result;
	struct buf text = BUF_INIT;
	const char *signer;
	bool known, losses;
	int r;

	if ((r = read_bundle(a, from, &text)) != 0)
		goto out;
	pack_kv_slice(link_begin(a, "team.check"), "text", (struct slice){ buf_str(&text), text.len });
	if ((r = link_end(a, &result)) != 0 || (r = judge(a, from, result)) != 0)
		goto out;
	known = value_int(value_get(result, "held_version"), 0) > 0 ||
	    value_bool(value_get(result, "ours"), false);
	losses = value_size(value_get(result, "losses")) > 0;
	signer = wanted != NULL && !update ? wanted : app_member(a, result, "signer");
	if (a->form == FORM_TEXT) {
		if (!known && !a->quiet)
			printf("Team %s, version %lld, signed by %s\n", app_member(a, result, "team"),
			    (long long)value_int(value_get(result, "version"), 0), app_member(a,
			    result, "signer"));
		config_print_effects(a, result);
	}
	if ((r = may_take(a, result, known)) == 0 &&
	    (r = send_bundle(a, &text, from, signer, losses, &result)) == 0) {
		if (a->form == FORM_JSON)
			out_json(a, result);
		else
			print_taken(a, result, update);
	}
out:
	buf_clear(&text);
	return r;
}

int
team_add(struct app *a)
{
	const char *source = args_word(&a->args, 1), *ca = args_value(&a->args, "ca-file");
	struct team_place from = { .local = args_has(&a->args, "local") };
	char path[PATH_MAX];
	int r;

	if (source == NULL)
		return fail_usage(a, "team add needs a FILE or an https:// URL (- reads stdin)");
	if ((r = no_more_words(a, 2)) != 0)
		return r;
	if (ca != NULL)
		from.ca_file = realpath(ca, path) != NULL ? app_format(a, "%s", path) : ca;
	if (strcmp(source, "-") == 0)
		from.source = "";
	else if (is_url(source) || realpath(source, path) == NULL)
		from.source = source;
	else
		from.source = app_format(a, "%s", path);
	if ((r = link_open(a)) != 0)
		return r;
	return take(a, &from, false);
}

int
team_list(struct app *a, const char *only, struct team_held **out, size_t *count)
{
	const struct value *result, *list;
	int r;

	if ((r = link_open(a)) != 0)
		return r;
	pack_kv_str(link_begin(a, "team.show"), "team", only);
	if ((r = link_end(a, &result)) != 0)
		return r;
	list = value_get(result, "bundles");
	*count = value_size(list);
	*out = xcalloc(*count + 1, sizeof **out);
	for (size_t i = 0; i < *count; i++) {
		const struct value *b = value_at(list, i);

		(*out)[i].team = app_member(a, b, "team");
		(*out)[i].from.source = app_member(a, b, "source");
		(*out)[i].from.ca_file = value_get(b, "ca_file") != NULL ? app_member(a, b, "ca_file") : NULL;
		(*out)[i].from.local = value_bool(value_get(b, "local"), false);
	}
	return 0;
}

static int
update_one(struct app *a, const struct team_held *h)
{
	struct error err = ERROR_INIT;

	if (*h->from.source != '\0')
		return take(a, &h->from, true);
	error_set(&err, MP_E_INVALID_STATE, "it is not known where the bundle of team %s came from", h->team);
	error_hint(&err, "add the new one: mpc team add FILE-or-URL");
	return fail_err(a, &err);
}

int
team_update(struct app *a)
{
	const char *team = args_word(&a->args, 1);
	struct team_held *list = NULL;
	size_t count = 0;
	int r, worst = 0;

	if ((r = no_more_words(a, 2)) != 0 || (r = team_list(a, team, &list, &count)) != 0)
		return r;
	if (count == 0)
		note(a, "no team's bundle is here; mpc team add FILE-or-URL");
	for (size_t i = 0; i < count; i++)
		if ((r = update_one(a, &list[i])) != 0 && worst == 0)
			worst = r;
	free(list);
	return worst;
}
