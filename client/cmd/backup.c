/* backup, restore: everything that is stored in one file, and back. A restore needs no daemon: it is the way
 * back when none can start. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/fail.h"
#include "client/link.h"
#include "client/out.h"
#include "client/spawn.h"
#include "client/term.h"
#include "protocol/base/json.h"
#include "protocol/client.h"

#define OFFLINE_BYTES 8192

/* The daemon lives in another folder: FILE as an absolute path. NULL: that was said. */
static const char *
absolute(struct app *a)
{
	const char *word = args_word(&a->args, 0);
	char here[PATH_MAX];

	if (word == NULL || *word == '\0') {
		fail_usage(a, "a FILE is missing");
		return NULL;
	}
	if (*word == '/' || getcwd(here, sizeof(here)) == NULL)
		return word;
	return app_format(a, "%s/%s", here, word);
}

/* ---- backup ---- */

/* A backup without its key is worth little: says what else has to be kept. */
static void
say_what_opens_it(struct app *a)
{
	struct error err = ERROR_INIT;
	const struct value *v, *slots;
	bool said = false;

	link_begin(a, "vault.status");
	if (link_try(a, &v, &err) != 0)
		return;
	slots = value_get(v, "slots");
	for (size_t i = 0; i < value_size(slots); i++) {
		const struct value *s = value_at(slots, i);
		const char *where = app_member(a, s, "where"), *type = app_member(a, s, "type");

		if (!said)
			printf("The keys in it are sealed; any one of these opens them:\n");
		said = true;
		if (*where != '\0')
			printf("  the key file %s (not in the backup: keep a copy elsewhere)\n",
			    where);
		else
			printf("  the %s of this vault\n", type);
	}
}

int
cmd_backup(struct app *a)
{
	const struct value *v;
	const char *path;
	struct pack *p;
	int r;

	if ((r = no_more_words(a, 1)) != 0)
		return r;
	if ((path = absolute(a)) == NULL)
		return EXIT_USAGE;
	if ((r = link_open(a)) != 0)
		return r;
	a->waiting = "copying and checking";
	p = link_begin(a, "store.backup");
	pack_kv_str(p, "path", path);
	if (args_has(&a->args, "force"))
		pack_kv_bool(p, "replace", true);
	link_long(a);
	if ((r = link_end(a, &v)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, v);
	} else if (a->form == FORM_PLAIN) {
		printf("%s\t%lld\n", app_member(a, v, "path"),
		    (long long)value_int(value_get(v, "bytes"), 0));
	} else if (!a->quiet) {
		printf("Saved everything to %s (%lld kB), and checked it.\n", app_member(a, v, "path"),
		    (long long)(value_int(value_get(v, "bytes"), 0) + 999) / 1000);
		say_what_opens_it(a);
	}
	return 0;
}

/* ---- restore ---- */

/* What a backup holds, as the daemon or its program says. Texts live until the end of the run. */
struct facts {
	int64_t created_ms, providers, keys;
	const char *program, *why, *kept; /* "" = nothing to say */
	bool locked;
};

static int
ask_daemon(struct app *a, const char *path, bool check, struct facts *f)
{
	const struct value *v;
	struct pack *p;
	int r;

	a->waiting = check ? "checking the backup" : "restoring";
	p = link_begin(a, "store.restore");
	pack_kv_str(p, "path", path);
	pack_kv_bool(p, "check", check);
	link_long(a);
	if ((r = link_end(a, &v)) != 0)
		return r;
	*f = (struct facts){value_int(value_get(v, "created_ms"), 0),
	    value_int(value_get(v, "providers"), 0), value_int(value_get(v, "keys"), 0),
	    app_member(a, v, "program"), app_member(a, v, "why"), app_member(a, v, "kept"),
	    value_bool(value_get(v, "locked"), false)};
	return 0;
}

/* The rest of the line that begins with this name; "" when there is none. */
static const char *
fact(struct app *a, struct buf *said, const char *name)
{
	const char *text = buf_str(said), *end;
	size_t n = strlen(name);

	for (; *text != '\0'; text = *end != '\0' ? end + 1 : end) {
		end = text + strcspn(text, "\n");
		if (strncmp(text, name, n) == 0 && text[n] == ' ')
			return app_escaped(a, (struct slice){text + n + 1, (size_t)(end - text) - n - 1});
	}
	return "";
}

/* 64 usage, 74 storage, 75 one runs, 78 configuration: what the program's exit code means here. */
static int
fail_offline(struct app *a, int code, struct buf *said)
{
	struct buf why = BUF_INIT, fix = BUF_INIT;
	struct error err = ERROR_INIT;
	int r;

	spawn_story(said, &why, &fix);
	error_set(&err, code == 74 ? MP_E_STORAGE : code == 75 ? MP_E_BUSY : MP_E_INVALID_STATE,
	    "the backup was not restored");
	error_hint(&err, "%s", fix.len > 0 ? buf_str(&fix) : "mpc doctor");
	r = fail_as(a, &err, why.len > 0 ? buf_str(&why) : app_format(a, "modelpd ended with %d", code),
	    error_code(err.code), EXIT_OTHER);
	buf_clear(&why);
	buf_clear(&fix);
	return r;
}

static int
run_offline(struct app *a, const char *path, bool check, struct facts *f)
{
	char *program = spawn_program();
	const char *argv[7] = {program, "--restore", path};
	struct buf said;
	size_t n = 3;
	int code;

	if (program == NULL)
		return fail_as(a,
		    &(struct error){.code = MP_E_NOT_FOUND, .message = "the backup was not restored"},
		    "its program modelpd is neither beside this one nor at " MPD_DAEMON_PATH, "no_daemon",
		    EXIT_NO_DAEMON);
	if (check)
		argv[n++] = "--check";
	if (args_value(&a->args, "socket") != NULL) {
		argv[n++] = "--socket";
		argv[n++] = a->paths.socket;
	}
	buf_init(&said, OFFLINE_BYTES);
	code = spawn_run(a, argv, check ? "checking the backup" : "restoring", &said);
	free(program);
	if (code == 0)
		*f = (struct facts){strtoll(fact(a, &said, "created_ms"), NULL, 10),
		    strtoll(fact(a, &said, "providers"), NULL, 10), strtoll(fact(a, &said, "keys"), NULL, 10),
		    fact(a, &said, "program"), fact(a, &said, "why"), fact(a, &said, "kept"),
		    strcmp(fact(a, &said, "locked"), "true") == 0};
	else
		code = fail_offline(a, code, &said);
	buf_clear(&said);
	return code;
}

static int
ask(struct app *a, bool runs, const char *path, bool check, struct facts *f)
{
	return runs ? ask_daemon(a, path, check, f) : run_offline(a, path, check, f);
}

static void
print_facts(struct app *a, const char *path, const struct facts *f)
{
	time_t at = (time_t)(f->created_ms / 1000);
	char when[32] = "?";
	struct tm tm;

	if (localtime_r(&at, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	printf("%s is whole: made %s (%s) by modelpd %s; %lld provider%s of yours, %lld key%s.\n", path, when,
	    out_since(a, f->created_ms, term_wall_ms()), f->program, (long long)f->providers,
	    f->providers == 1 ? "" : "s", (long long)f->keys, f->keys == 1 ? "" : "s");
	if (f->locked && f->keys > 0)
		printf("Its keys do not open here yet: %s\n", f->why);
	else if (f->keys > 0)
		printf("Its keys open with what is here.\n");
}

static void
print_json(const struct facts *f, bool restored)
{
	struct buf out = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, false);
	json_begin_object(&w);
	json_kv_bool(&w, "restored", restored);
	json_kv_int(&w, "created_ms", f->created_ms);
	json_kv_string(&w, "program", f->program);
	json_kv_int(&w, "providers", f->providers);
	json_kv_int(&w, "keys", f->keys);
	json_kv_bool(&w, "locked", f->locked);
	if (f->locked)
		json_kv_string(&w, "why", f->why);
	if (*f->kept != '\0')
		json_kv_string(&w, "kept", f->kept);
	json_end_object(&w);
	puts(buf_str(&out));
	buf_clear(&out);
}

static void
print_done(struct app *a, const struct facts *f, bool runs)
{
	if (a->form == FORM_JSON)
		print_json(f, true);
	else if (a->form == FORM_PLAIN)
		printf("%s\n", f->kept);
	if (a->form != FORM_TEXT || a->quiet)
		return;
	printf("Restored%s.\n", runs ? "; every client was told" : "");
	if (*f->kept != '\0')
		printf("What was there before lies in %s\n", f->kept);
	if (f->locked && f->keys > 0)
		note(a, "keys stay closed until then: %s", f->why);
}

int
cmd_restore(struct app *a)
{
	struct error err = ERROR_INIT;
	struct facts f = {.program = "", .why = "", .kept = ""};
	const char *path;
	bool runs;
	int r;

	if ((r = no_more_words(a, 1)) != 0)
		return r;
	if ((path = absolute(a)) == NULL)
		return EXIT_USAGE;
	r = link_try_open(a, &err);
	if (r != 0 && r != MP_E_NOT_FOUND)
		return link_fail(a, &err);
	runs = r == 0;
	if (!runs && spawn_is_foreign(a))
		return fail_usage(a, "root does not restore in another user's home; run mpc as that user");
	if ((r = ask(a, runs, path, true, &f)) != 0)
		return r;
	if (a->form == FORM_TEXT && !a->quiet)
		print_facts(a, path, &f);
	if (args_has(&a->args, "check")) {
		if (a->form == FORM_JSON)
			print_json(&f, false);
		return 0;
	}
	if (!app_confirm(a, "Replace everything that is stored now by it? (that is kept aside)"))
		return EXIT_USAGE;
	if ((r = ask(a, runs, path, false, &f)) == 0)
		print_done(a, &f, runs);
	return r;
}
