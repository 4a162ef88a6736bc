/* doctor: one line per check, with what to do (UX.md section 12). It changes nothing and starts
 * nothing. */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/cmd/doctor.h"
#include "client/link.h"
#include "client/out.h"
#include "client/term.h"
#include "mpd_version.h"
#include "protocol/base/json.h"

/* A report may be sent to strangers: $HOME becomes ~. */
static const char *
shortened(struct doctor *d, const char *text)
{
	struct buf b = BUF_INIT;
	size_t n = d->home != NULL ? strlen(d->home) : 0;
	const char *at, *out;

	while (n > 1 && (at = strstr(text, d->home)) != NULL) {
		buf_add(&b, text, (size_t)(at - text));
		buf_addc(&b, '~');
		text = at + n;
	}
	buf_adds(&b, text);
	out = app_escaped(d->a, (struct slice){buf_str(&b), b.len});
	buf_clear(&b);
	return out;
}

void
doctor_report(
    struct doctor *d, enum level level, const char *name, const char *fix, const char *fmt, ...)
{
	static const char *const words[] = {"ok", "warn", "FAIL"};
	static const char *const colors[] = {"32", "33", "31"};
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	d->failed = d->failed || level == LEVEL_FAIL;
	if (d->a->form == FORM_JSON) {
		json_begin_object(&d->w);
		json_kv_string(&d->w, "check", name);
		json_kv_string(&d->w, "level", words[level]);
		json_kv_string(&d->w, "text", shortened(d, buf_str(&b)));
		json_kv_string(&d->w, "fix", *fix != '\0' ? shortened(d, fix) : NULL);
		json_end_object(&d->w);
	} else if (d->a->form == FORM_PLAIN) {
		printf("%s\t%s\t%s\t%s\n", words[level], name, shortened(d, buf_str(&b)),
		    shortened(d, fix));
	} else {
		printf("%s%-4s%s  %-9s %s\n", sgr_out(d->a, colors[level]), words[level],
		    sgr_out(d->a, "0"), name, shortened(d, buf_str(&b)));
		if (*fix != '\0')
			printf("%16s fix: %s\n", "", shortened(d, fix));
	}
	buf_clear(&b);
}

/* ---- files ---- */

static void
check_folder(struct doctor *d, const char *name, const char *path)
{
	struct error err = ERROR_INIT;
	int fd = private_dir_open(path, false, &err);

	if (fd >= 0) {
		doctor_report(d, LEVEL_OK, name, "", "%s is private", path);
		close(fd);
	} else if (access(path, F_OK) != 0) {
		doctor_report(d, LEVEL_OK, name, "", "%s does not exist yet", path);
	} else {
		doctor_report(d, LEVEL_FAIL, name, err.hint, "%s", err.message);
	}
}

static void
check_socket(struct doctor *d)
{
	struct error err = ERROR_INIT;
	int r = link_try_open(d->a, &err);

	check_folder(d, "folder", d->a->paths.run_dir);
	d->runs = r == 0;
	if (r == 0)
		doctor_report(
		    d, LEVEL_OK, "socket", "", "%s answers and is ours", d->a->paths.socket);
	else if (r == MP_E_NOT_FOUND)
		doctor_report(d, LEVEL_WARN, "socket", "mpc daemon start", "nothing listens on %s",
		    d->a->paths.socket);
	else
		doctor_report(d, LEVEL_FAIL, "socket", err.hint, "%s", err.message);
}

static void
check_lock(struct doctor *d)
{
	const char *path = app_format(d->a, "%s/lock", d->a->paths.run_dir);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool held;

	if (fd < 0) {
		doctor_report(d, d->runs ? LEVEL_WARN : LEVEL_OK, "lock",
		    d->runs ? "mpc daemon restart" : "", "%s does not exist", path);
		return;
	}
	held = flock(fd, LOCK_EX | LOCK_NB) != 0;
	close(fd);
	if (held == d->runs)
		doctor_report(d, LEVEL_OK, "lock", "", held ? "held by the daemon" : "free");
	else if (held)
		doctor_report(d, LEVEL_FAIL, "lock",
		    app_format(d->a, "stop the process named in %s/pid", d->a->paths.run_dir),
		    "a daemon holds %s but does not answer", path);
	else
		doctor_report(d, LEVEL_WARN, "lock", "mpc daemon restart",
		    "the daemon does not hold %s", path);
}

/* ---- what the daemon says ---- */

static void
check_core(struct doctor *d, int64_t pid)
{
	const char *path = app_format(d->a, "/proc/%lld/limits", (long long)pid);
	FILE *f = fopen(path, "re");
	char line[256], soft[32] = "";

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Max core file size %31s", soft) == 1)
			break;
	if (f != NULL)
		fclose(f);
	if (soft[0] == '\0')
		doctor_report(
		    d, LEVEL_OK, "cores", "", "limits of the daemon cannot be read from here");
	else if (strcmp(soft, "0") == 0)
		doctor_report(d, LEVEL_OK, "cores", "", "the daemon writes no core dumps");
	else
		doctor_report(d, LEVEL_FAIL, "cores", "mpc daemon restart",
		    "the daemon may write core dumps of up to %s bytes", soft);
}

static void
check_state(struct doctor *d, const struct value *info)
{
	int64_t backup = value_int(value_get(info, "last_backup_ms"), 0);
	int64_t backwards = value_int(value_get(info, "backwards_ms"), 0);

	if (backup == 0)
		doctor_report(d, LEVEL_OK, "backup", "", "none was made yet (mpc backup FILE)");
	else
		doctor_report(d, LEVEL_OK, "backup", "", "the last one was made %s",
		    out_since(d->a, backup, term_wall_ms()));
	if (backwards != 0)
		doctor_report(d, LEVEL_WARN, "state",
		    "mpc restore FILE for a newer one; mpc backup FILE accepts what there is",
		    "went backwards: an older copy of the database was found %s",
		    out_since(d->a, backwards, term_wall_ms()));
}

static void
check_databases(struct doctor *d, const struct value *info)
{
	static const char fix[] =
	    "make room on the disk, or look after it: it is tried again every second";
	const char *folder = app_member(d->a, value_get(info, "paths"), "data_dir");
	const struct value *usage = value_get(info, "usage");
	bool failing = value_bool(value_get(usage, "failing"), false);
	const struct value *damage = value_get(usage, "damage");
	long long waiting = value_int(value_get(usage, "waiting"), 0);
	long long lost = value_int(value_get(usage, "lost"), 0);

	if (value_bool(value_get(info, "read_only"), false))
		doctor_report(
		    d, LEVEL_FAIL, "database", fix, "it cannot be written since an error");
	else if (failing)
		doctor_report(d, LEVEL_OK, "database", "",
		    "state.db in %s was checked at start and takes writes", folder);
	else
		doctor_report(d, LEVEL_OK, "database", "",
		    "state.db and usage.db in %s were checked at start and take writes", folder);
	if (damage != NULL)
		doctor_report(d, LEVEL_FAIL, "usage",
		    "mpc restore FILE, or stop modelpd and move usage.db away: an empty one begins",
		    "%s: %lld records wait in memory, %lld are lost", app_text(d->a, damage),
		    waiting, lost);
	else if (failing)
		doctor_report(d, LEVEL_FAIL, "usage", fix,
		    "usage.db cannot be written: %lld records wait in memory, %lld are lost",
		    waiting, lost);
	else if (lost > 0)
		doctor_report(d, LEVEL_WARN, "usage", "",
		    "%lld records are lost: usage.db could not be written for too long; its sums "
		    "lack them",
		    lost);
}

static void
check_info(struct doctor *d)
{
	struct error err = ERROR_INIT;
	const struct value *v;
	const char *version;
	int64_t pid;

	link_begin(d->a, "sys.info");
	if (link_try(d->a, &v, &err) != 0) {
		doctor_report(d, LEVEL_FAIL, "daemon", "mpc daemon restart", "%s", err.message);
		d->runs = false;
		return;
	}
	version = app_member(d->a, v, "version");
	pid = value_int(value_get(v, "pid"), 0);
	doctor_report(d, strcmp(version, MPD_VERSION) == 0 ? LEVEL_OK : LEVEL_WARN, "versions",
	    strcmp(version, MPD_VERSION) == 0 ? "" : "mpc daemon restart", "daemon %s, client %s",
	    version, MPD_VERSION);
	check_databases(d, v);
	check_state(d, v);
	check_core(d, pid);
}

/* What opens the keys, in honest words. */
static void
check_slots(struct doctor *d, const struct value *slots)
{
	const char *all = "", *type;
	bool passphrase = false;
	int64_t key_file = 0;

	for (size_t i = 0; i < value_size(slots); i++) {
		const struct value *s = value_at(slots, i);

		type = app_member(d->a, s, "type");
		all = app_format(d->a, "%s%s%s", all, *all != '\0' ? ", " : "", type);
		passphrase = passphrase || strcmp(type, "passphrase") == 0;
		if (strcmp(type, "key-file") == 0)
			key_file = value_int(value_get(s, "id"), 0);
	}
	if (*all == '\0')
		doctor_report(d, LEVEL_WARN, "slots",
		    "put the key file back, then: mpc daemon restart", "nothing opens the keys");
	else if (key_file != 0 && passphrase)
		doctor_report(d, LEVEL_WARN, "slots",
		    app_format(d->a, "mpc vault remove %lld", (long long)key_file),
		    "%s: the key file opens the keys without the passphrase", all);
	else if (key_file != 0)
		doctor_report(d, LEVEL_OK, "slots", "",
		    "%s: protects a copied database, not a copied home directory (mpc passwd does)",
		    all);
	else
		doctor_report(d, LEVEL_OK, "slots", "", "%s", all);
}

static void
check_vault(struct doctor *d)
{
	struct error err = ERROR_INIT;
	const struct value *v;

	link_begin(d->a, "vault.status");
	if (link_try(d->a, &v, &err) != 0) {
		doctor_report(d, LEVEL_FAIL, "vault", err.hint, "%s", err.message);
		return;
	}
	if (value_bool(value_get(v, "locked"), false))
		doctor_report(
		    d, LEVEL_WARN, "vault", "mpc unlock", "locked: %s", app_member(d->a, v, "why"));
	else if (!value_bool(value_get(v, "memory_locked"), true))
		doctor_report(d, LEVEL_WARN, "vault",
		    "raise the memlock limit (ulimit -l 8192, LimitMEMLOCK=8M)",
		    "open, but keys in memory may be swapped out");
	else
		doctor_report(d, LEVEL_OK, "vault", "", "open, keys are in locked memory");
	check_slots(d, value_get(v, "slots"));
}

static void
check_keys(struct doctor *d)
{
	struct error err = ERROR_INIT;
	const struct value *v, *list;
	size_t bad = 0;

	link_begin(d->a, "key.status");
	if (link_try(d->a, &v, &err) != 0) {
		doctor_report(d, LEVEL_FAIL, "keys", err.hint, "%s", err.message);
		return;
	}
	list = value_get(v, "keys");
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *k = value_at(list, i);
		const char *code = app_member(d->a, k, "code"),
			   *provider = app_member(d->a, k, "provider");

		if (*code == '\0')
			continue;
		bad++;
		doctor_report(d, LEVEL_WARN, "keys", app_format(d->a, "mpc key set %s", provider),
		    "%s: %s", provider, code);
	}
	if (bad == 0)
		doctor_report(d, LEVEL_OK, "keys", "", "%zu stored, none known to be refused",
		    value_size(list));
}

/* Keys that were minted for a test and could not be deleted at their provider yet. */
static void
check_minted(struct doctor *d)
{
	struct error err = ERROR_INIT;
	const struct value *v, *list;

	link_begin(d->a, "session.list");
	if (link_try(d->a, &v, &err) != 0)
		return; /* an older daemon knows none */
	list = value_get(v, "minted");
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *k = value_at(list, i);
		const char *code = app_member(d->a, k, "code"),
			   *provider = app_member(d->a, k, "provider");

		doctor_report(d, LEVEL_WARN, "minted keys",
		    app_format(d->a, "mpc key set %s --label management --no-check", provider),
		    "%s: \"%s\" is not deleted there yet%s%s", provider,
		    app_member(d->a, k, "name"), *code != '\0' ? ", " : "", code);
	}
}

static void
check_prices(struct doctor *d)
{
	struct error err = ERROR_INIT;
	const struct value *v;

	link_begin(d->a, "catalog.info");
	if (link_try(d->a, &v, &err) != 0)
		return; /* an older daemon has only the built-in list */
	if (value_get(v, "problem") != NULL)
		doctor_report(d, LEVEL_WARN, "prices", "mpc catalog refresh",
		    "the list that was kept is not used: %s", app_member(d->a, v, "problem"));
	else
		doctor_report(d, LEVEL_OK, "prices", "", "the list \"%s\" is from %s",
		    app_member(d->a, v, "source"),
		    out_since(d->a, value_int(value_get(v, "date_ms"), 0), term_wall_ms()));
}

static void
check_clock(struct doctor *d)
{
	struct error err = ERROR_INIT;
	int64_t now = term_wall_ms(), other = now;
	const struct value *v;

	if (d->runs) {
		link_begin(d->a, "sys.ping");
		if (link_try(d->a, &v, &err) == 0)
			other = value_int(value_get(v, "now_ms"), now);
	}
	/* 2025: older than any release of this program */
	if (now < 1735689600000)
		doctor_report(d, LEVEL_FAIL, "clock",
		    "set the clock; certificates and expiry depend on it",
		    "the clock says it is %lld seconds after 1970", (long long)(now / 1000));
	else if (llabs(other - now) > 60000)
		doctor_report(d, LEVEL_WARN, "clock", "mpc daemon restart",
		    "daemon and client are %lld s apart", (long long)(llabs(other - now) / 1000));
	else
		doctor_report(d, LEVEL_OK, "clock", "", "plausible");
}

int
cmd_doctor(struct app *a)
{
	struct doctor d = {.a = a, .home = getenv("HOME")};
	int r;

	if ((r = no_more_words(a, 0)) != 0)
		return r;
	json_writer_init(&d.w, &d.json, a->out_tty);
	json_begin_object(&d.w);
	json_key(&d.w, "checks");
	json_begin_array(&d.w);
	check_socket(&d);
	check_lock(&d);
	check_folder(&d, "data", a->paths.data_dir);
	if (d.runs)
		check_info(&d);
	if (d.runs) {
		check_vault(&d);
		check_keys(&d);
		check_minted(&d);
		check_prices(&d);
	}
	check_clock(&d);
	doctor_look_around(&d);
	json_end_array(&d.w);
	json_kv_bool(&d.w, "ok", !d.failed);
	json_end_object(&d.w);
	if (a->form == FORM_JSON)
		printf("%s\n", buf_str(&d.json));
	buf_clear(&d.json);
	return d.failed ? EXIT_OTHER : 0;
}
