/* team seal: a bundle of one's own rows, for others. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/team.h"
#include "client/fail.h"
#include "client/input.h"
#include "client/link.h"
#include "client/out.h"

#define MEMBERS_MAX_BYTES ((size_t)1 << 20)

/* Every value of a repeatable option, as a list. */
static void
pack_option(struct app *a, struct pack *p, const char *key, const char *option)
{
	const char *text;
	size_t at = 0;

	if (!args_has(&a->args, option))
		return;
	pack_str(p, key);
	pack_array_begin(p);
	while ((text = args_each(&a->args, option, &at)) != NULL)
		pack_str(p, text);
	pack_array_end(p);
}

static void
pack_wanted_keys(struct app *a, struct pack *p)
{
	const char *text;
	size_t at = 0;

	if (!args_has(&a->args, "key"))
		return;
	pack_str(p, "keys");
	pack_array_begin(p);
	while ((text = args_each(&a->args, "key", &at)) != NULL) {
		const char *slash = strchr(text, '/');

		pack_map_begin(p);
		pack_kv_slice(p, "provider", slash != NULL ? (struct slice){ text, (size_t)(slash - text) }
							   : slice_of(text));
		pack_kv_str(p, "label", slash != NULL ? slash + 1 : NULL);
		pack_map_end(p);
	}
	pack_array_end(p);
}

/* The ids that --for names: texts, or files of one per line behind an @. 0 or an exit code. */
static int
read_members(struct app *a, struct buf *lines)
{
	struct error err = ERROR_INIT;
	const char *text;
	size_t at = 0;
	int fd, r;

	while ((text = args_each(&a->args, "for", &at)) != NULL) {
		if (text[0] != '@') {
			buf_addf(lines, "%s\n", text);
			continue;
		}
		if ((fd = open(text + 1, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0) {
			error_set(&err, MP_E_INVALID_PARAMS, "cannot open %.160s: %s", text + 1,
			    strerror(errno));
			return fail_err(a, &err);
		}
		r = input_read(fd, text + 1, lines, &err);
		close(fd);
		if (r != 0)
			return fail_err(a, &err);
		buf_addc(lines, '\n');
	}
	return 0;
}

/* Lines that are empty or begin with # are passed over; of the others, the last word is the id. */
static void
pack_members(struct pack *p, const struct buf *lines)
{
	const char *at = buf_str(lines);

	if (lines->len == 0)
		return;
	pack_str(p, "members");
	pack_array_begin(p);
	while (*at != '\0') {
		struct slice line = { at, strcspn(at, "\n") }, word;

		at += line.len + (at[line.len] == '\n');
		while (line.len > 0 && strchr(" \t\r", line.data[line.len - 1]) != NULL)
			line.len--;
		word = line;
		for (size_t i = 0; i < line.len; i++)
			if (line.data[i] == ' ' || line.data[i] == '\t')
				word = (struct slice){ line.data + i + 1, line.len - i - 1 };
		if (line.len > 0 && line.data[0] != '#')
			pack_str_n(p, word.data, word.len);
	}
	pack_array_end(p);
}

/* In place of what was there, whole or not at all. */
static int
write_file(struct app *a, const char *path, struct slice text)
{
	const char *fresh = app_format(a, "%s.%ld.new", path, (long)getpid());
	struct error err = ERROR_INIT;
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	bool good = fd >= 0;

	while (good && text.len > 0) {
		ssize_t n = write(fd, text.data, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		good = n > 0;
		if (good) {
			text.data += n;
			text.len -= (size_t)n;
		}
	}
	good = good && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	if (good && rename(fresh, path) == 0)
		return 0;
	error_set(&err, MP_E_STORAGE, "cannot write %.160s: %s", path, strerror(errno));
	if (fd >= 0)
		unlink(fresh);
	return fail_err(a, &err);
}

static int
send_order(struct app *a, const char *team, const struct value **result)
{
	struct buf members;
	struct pack *p;
	int r;

	buf_init(&members, MEMBERS_MAX_BYTES);
	if ((r = read_members(a, &members)) == 0 && (r = link_open(a)) == 0) {
		p = link_begin(a, "team.seal");
		pack_kv_str(p, "team", team);
		pack_option(a, p, "sections", "section");
		pack_members(p, &members);
		pack_wanted_keys(a, p);
		r = link_end(a, result);
	}
	buf_clear(&members);
	return r;
}

int
team_seal(struct app *a)
{
	const char *path = args_word(&a->args, 1), *team = args_value(&a->args, "team");
	const struct value *result, *notes;
	int r;

	if (path == NULL)
		return fail_usage(a, "team seal needs a FILE to write (- is stdout)");
	if (team == NULL)
		return fail_usage(a, "team seal needs the team's name: --team NAME");
	if ((r = no_more_words(a, 2)) != 0 || (r = send_order(a, team, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (strcmp(path, "-") == 0) {
		struct slice text = value_slice(value_get(result, "text"));

		fwrite(text.data, 1, text.len, stdout);
		fflush(stdout);
	} else if ((r = write_file(a, path, value_slice(value_get(result, "text")))) != 0) {
		return r;
	}
	notes = value_get(result, "notes");
	for (size_t i = 0; i < value_size(notes); i++)
		note(a, "%s", app_text(a, value_at(notes, i)));
	if (strcmp(path, "-") == 0 || a->quiet || a->form != FORM_TEXT)
		return 0;
	printf("Sealed version %lld of team %s in %s.\n", (long long)value_int(value_get(result,
	    "version"), 0),
	    app_member(a, result, "team"), app_escaped(a, slice_of(path)));
	printf("  signed by %s\n", app_member(a, result, "signer"));
	return 0;
}
