/* lock, unlock, vault: what opens the stored keys (UX.md sections 3 and 8). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/cmd/vault.h"
#include "client/entry.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"

#define TRIES 3
#define TRYING "trying the passphrase"

int
vault_look(struct app *a, struct vault_view *v)
{
	const struct value *result, *slots;
	int r;

	link_begin(a, "vault.status");
	if ((r = link_end(a, &result)) != 0)
		return r;
	memset(v, 0, sizeof(*v));
	v->locked = value_bool(value_get(result, "locked"), false);
	v->why = app_member(a, result, "why");
	slots = value_get(result, "slots");
	for (size_t i = 0; i < value_size(slots); i++) {
		const struct value *s = value_at(slots, i);

		if (value_equals(value_get(s, "type"), "passphrase"))
			v->passphrase = true;
		else if (value_equals(value_get(s, "type"), "command"))
			v->command = true;
		else if (value_equals(value_get(s, "type"), "key-file"))
			v->key_file = value_int(value_get(s, "id"), 0);
	}
	return 0;
}

void
vault_notes(struct app *a, const struct value *result)
{
	const struct value *notes = value_get(result, "notes");

	for (size_t i = 0; i < value_size(notes); i++)
		note(a, "%s", app_text(a, value_at(notes, i)));
}

/* ---- passphrases ---- */

static int
passphrase_init(struct entry *e, struct error *err)
{
	e->what = "passphrase";
	e->how = "pass it on stdin: --stdin";
	return entry_init(e, err);
}

int
passphrase_ask(struct app *a, const char *question, struct entry *e)
{
	struct error err = ERROR_INIT;
	int r = passphrase_init(e, &err);

	if (r == 0 && a->no_input)
		r = error_set(&err, MP_E_INVALID_PARAMS,
		    "with --no-input the passphrase must come by --stdin or --fd");
	if (r == 0)
		r = entry_read_terminal(e, question, &err);
	if (r == 0)
		return 0;
	entry_clear(e);
	return fail_err(a, &err);
}

int
passphrase_read(struct app *a, int fd, struct entry *e)
{
	struct error err = ERROR_INIT;
	int r = passphrase_init(e, &err);

	if (r == 0)
		r = entry_read_fd(e, fd, &err);
	if (r == 0)
		return 0;
	entry_clear(e);
	return fail_err(a, &err);
}

void
pack_passphrase(struct pack *p, const char *name, const char *bytes, size_t n)
{
	pack_str(p, name);
	pack_bin(p, bytes, n);
}

int
passphrase_refuse_words(struct app *a)
{
	struct error err = ERROR_INIT;

	if (a->args.word_count == 0)
		return 0;
	error_set(&err, MP_E_INVALID_PARAMS, "a passphrase is never taken from the command line");
	error_hint(&err, "mpc asks for it; --stdin and --fd N read it");
	return fail_as(a, &err,
	    "it is now in your shell's history and was visible to every user in the process list",
	    "usage", EXIT_USAGE);
}

/* ---- lock ---- */

int
cmd_lock(struct app *a)
{
	const struct value *result;
	struct pack *p;
	int64_t n;
	int r;

	if ((r = no_more_words(a, 0)) != 0 || (r = link_open(a)) != 0)
		return r;
	p = link_begin(a, "vault.lock");
	if (args_has(&a->args, "now"))
		pack_kv_bool(p, "now", true);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (a->form == FORM_TEXT && !a->quiet)
		printf(value_bool(value_get(result, "was_open"), false)
		        ? "Locked: no key is in memory any more.\n"
		        : "The keys were locked already.\n");
	if ((n = value_int(value_get(result, "streams"), 0)) > 0)
		note(a, "%lld stream%s until its end (mpc lock --now)", (long long)n,
		    n == 1 ? " runs on" : "s run on, each");
	if ((n = value_int(value_get(result, "cancelled"), 0)) > 0)
		note(a, "%lld stream%s ended", (long long)n, n == 1 ? " was" : "s were");
	return 0;
}

/* ---- unlock ---- */

static int
say_opened(struct app *a, const struct value *result)
{
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && !a->quiet)
		printf("The keys are open (%s).\n", app_member(a, result, "opened_by"));
	return 0;
}

/* e NULL: with what needs no passphrase. waiting: what it takes, for people. 0 or MP_E_... */
static int
try_unlock(struct app *a, const struct entry *e, const char *waiting, struct error *err)
{
	struct pack *p = link_begin_secret(a, "vault.unlock");
	const struct value *result;
	int r;

	if (e != NULL)
		pack_passphrase(p, "passphrase", e->bytes, e->len);
	link_long(a);
	a->waiting = waiting;
	r = link_try(a, &result, err);
	a->waiting = NULL;
	return r == 0 ? say_opened(a, result) : r;
}

static int
unlock_by_terminal(struct app *a)
{
	struct error err = ERROR_INIT;
	struct entry e = {0};
	int r;

	for (int i = 0; i < TRIES; i++) {
		if ((r = passphrase_ask(a, "Passphrase: ", &e)) != 0)
			return r;
		r = try_unlock(a, &e, TRYING, &err);
		entry_clear(&e);
		if (r != MP_E_NOT_PERMITTED)
			return r == 0 ? 0 : link_fail(a, &err);
		if (i + 1 < TRIES)
			note(a, "%s; the next try waits %lld s", err.message,
			    (long long)(err.retry_after_ms + 999) / 1000);
	}
	return link_fail(a, &err);
}

int
cmd_unlock(struct app *a)
{
	struct error err = ERROR_INIT;
	struct entry e = {0};
	struct vault_view v;
	int fd, r;

	if ((r = passphrase_refuse_words(a)) != 0 || (r = key_source(a, &fd)) != 0 || (r = link_open(a)) != 0)
		return r;
	if (fd >= 0) {
		if ((r = passphrase_read(a, fd, &e)) != 0)
			return r;
		r = try_unlock(a, &e, TRYING, &err);
		entry_clear(&e);
		return r == 0 ? 0 : link_fail(a, &err);
	}
	if ((r = vault_look(a, &v)) != 0)
		return r;
	/* nobody is asked for what is not needed */
	if (try_unlock(a, NULL, v.command ? "asking the command" : NULL, &err) == 0)
		return 0;
	if (v.passphrase && v.command)
		note(a, "%s", err.message);
	return v.passphrase ? unlock_by_terminal(a) : link_fail(a, &err);
}

/* ---- vault ---- */

static int
print_slots(struct app *a, const struct value *result)
{
	static const struct column columns[] = {{"SLOT", COLUMN_NUMBER}, {"OPENS WITH", COLUMN_FIXED},
	    {"SINCE", COLUMN_FIXED}, {"WHERE", COLUMN_TEXT}};
	const struct value *list = value_get(result, "slots");
	struct table *t = table_new(a, columns, sizeof(columns) / sizeof(columns[0]));

	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *s = value_at(list, i);
		int64_t since = value_int(value_get(s, "created_ms"), 0);
		const char *where = app_member(a, s, "where");

		table_cell(t, app_format(a, "%lld", (long long)value_int(value_get(s, "id"), 0)), NULL, NULL);
		table_cell(t, app_member(a, s, "type"), NULL, NULL);
		table_cell(t, out_ago(a, since, term_wall_ms()), app_format(a, "%lld", (long long)since),
		    NULL);
		table_cell(t, *where != '\0' ? where : NULL, where, NULL);
	}
	table_print(t);
	return 0;
}

static int
vault_show(struct app *a)
{
	const struct value *result;
	int64_t left;
	int r;

	link_begin(a, "vault.status");
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (a->form == FORM_TEXT) {
		left = value_int(value_get(result, "locks_in_ms"), -1);
		if (value_bool(value_get(result, "locked"), false))
			printf("locked: %s\n", app_member(a, result, "why"));
		else
			printf("open (%s)%s%s\n", app_member(a, result, "opened_by"),
			    left >= 0 ? ", locks by itself in " : "", left >= 0 ? out_span(a, left) : "");
	}
	print_slots(a, result);
	if (a->form == FORM_TEXT)
		vault_notes(a, result);
	return 0;
}

int
vault_remove_slot(struct app *a, int64_t id, const struct value **result)
{
	pack_kv_int(link_begin(a, "vault.remove_slot"), "id", id);
	return link_end(a, result);
}

static int
vault_remove(struct app *a)
{
	const char *text = args_word(&a->args, 1);
	const struct value *result;
	char *end;
	long id;
	int r;

	if (text == NULL)
		return fail_usage(a, "vault remove needs the number of a slot");
	id = strtol(text, &end, 10);
	if (*end != '\0' || id < 1)
		return fail_usage(a, "vault remove needs the number of a slot");
	if (!app_confirm(a, "Remove slot %ld, so that it opens the keys no more?", id))
		return EXIT_USAGE;
	if ((r = vault_remove_slot(a, id, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else if (a->form == FORM_TEXT && !a->quiet)
		printf("Removed slot %ld.\n", id);
	return 0;
}

static int
vault_add(struct app *a)
{
	const char *type = args_word(&a->args, 1), *command = args_word(&a->args, 2);
	const struct value *result;
	struct pack *p;
	int r;

	if (type == NULL)
		return fail_usage(a,
		    "vault add needs a kind: key-file, systemd-credential, keyring or command");
	if ((strcmp(type, "command") == 0) != (command != NULL))
		return fail_usage(a,
		    "vault add command needs the command, as one word; other kinds take none");
	p = link_begin(a, "vault.add_slot");
	pack_kv_str(p, "type", type);
	if (command != NULL) {
		pack_kv_str(p, "command", command);
		link_long(a);
		a->waiting = "asking the command";
	}
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
	} else if (a->form == FORM_TEXT && !a->quiet) {
		printf("Another slot opens the keys: %s.\n", app_escaped(a, slice_of(type)));
		vault_notes(a, result);
	}
	return 0;
}

/* e NULL: no passphrase is set. */
static int
rekey(struct app *a, const struct entry *e)
{
	struct pack *p = link_begin_secret(a, "vault.rekey");
	const struct value *result;
	int64_t n;
	int r;

	if (e != NULL)
		pack_passphrase(p, "passphrase", e->bytes, e->len);
	link_long(a);
	a->waiting = "sealing everything anew";
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	if (a->form == FORM_TEXT && !a->quiet)
		printf("Everything is sealed under another master key (generation %lld).\n",
		    (long long)value_int(value_get(result, "generation"), 0));
	note(a, "backups from before hold the old key, which is gone; make a new one: mpc backup FILE");
	if ((n = value_int(value_get(result, "unreadable"), 0)) > 0)
		note(a, "%lld stored key%s not open before, and still %s not", (long long)n,
		    n == 1 ? " did" : "s did", n == 1 ? "does" : "do");
	return 0;
}

static int
vault_rekey(struct app *a)
{
	struct vault_view v;
	struct entry e = {0};
	int fd, r;

	if ((r = key_source(a, &fd)) != 0 || (r = vault_look(a, &v)) != 0)
		return r;
	if (!v.passphrase)
		return rekey(a, NULL);
	r = fd >= 0 ? passphrase_read(a, fd, &e) : passphrase_ask(a, "Passphrase: ", &e);
	if (r == 0)
		r = rekey(a, &e);
	entry_clear(&e);
	return r;
}

int
cmd_vault(struct app *a)
{
	const char *sub = args_word(&a->args, 0);
	int r;

	if (sub == NULL || strcmp(sub, "status") == 0)
		return (r = no_more_words(a, 1)) != 0 || (r = link_open(a)) != 0 ? r : vault_show(a);
	if (strcmp(sub, "remove") == 0)
		return (r = no_more_words(a, 2)) != 0 || (r = link_open(a)) != 0 ? r : vault_remove(a);
	if (strcmp(sub, "add") == 0)
		return (r = no_more_words(a, 3)) != 0 || (r = link_open(a)) != 0 ? r : vault_add(a);
	if (strcmp(sub, "rekey") == 0)
		return (r = no_more_words(a, 1)) != 0 || (r = link_open(a)) != 0 ? r : vault_rekey(a);
	return fail_usage(a, "vault knows status, add, remove and rekey");
}
