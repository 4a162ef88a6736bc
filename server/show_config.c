#include "server/show_config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/client.h"
#include "protocol/sockpath.h"
#include "server/state/settings.h"
#include "server/store/store.h"

#define ANSWER_WAIT_MS 10000

static void
add_line(struct buf *out, const char *name, const char *value)
{
	buf_adds(out, name);
	if (*value != '\0')
		buf_addc(out, ' ');
	buf_adds(out, value);
	buf_addc(out, '\n');
}

static void
add_start_options(const struct daemon_options *o, const struct paths *paths, struct buf *out)
{
	const char *level = o->log_level != NULL ? o->log_level : getenv("MODELPD_LOG");

	add_line(out, "socket", paths->socket);
	add_line(out, "data_dir", paths->data_dir);
	add_line(out, "config_dir", paths->config_dir);
	add_line(out, "state_dir", paths->state_dir);
	add_line(out, "cache_dir", paths->cache_dir);
	add_line(out, "log_level", level != NULL && *level != '\0' ? level : "info");
}

/* ---- a daemon runs ---- */

static void
add_told(const struct value *list, struct buf *out)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *s = value_at(list, i), *v = value_get(s, "value");

		buf_reset(&text, 256);
		if (value_type(v) == VALUE_INT)
			buf_addf(&text, "%lld", (long long)value_int(v, 0));
		else if (value_type(v) == VALUE_BOOL)
			buf_adds(&text, value_bool(v, false) ? "true" : "false");
		else
			text_escape(&text, value_slice(v).data, value_size(v), false);
		buf_add(out, value_slice(value_get(s, "name")).data, value_size(value_get(s, "name")));
		buf_addf(out, "%s%s\n", text.len > 0 ? " " : "", buf_str(&text));
	}
	buf_clear(&text);
}

static int
ask(int fd, struct buf *out, struct error *err)
{
	struct client *c = client_new(fd);
	const struct value *result;
	int r;

	/* an older daemon than this program does not know the method, and says so */
	r = client_call(c, "sys.hello", "{\"protocol\":1,\"client\":{\"name\":\"modelpd\"}}", ANSWER_WAIT_MS,
	    &result, err);
	if (r == 0 && (r = client_call(c, "settings.get", NULL, ANSWER_WAIT_MS, &result, err)) == 0)
		add_told(value_get(result, "settings"), out);
	else
		error_hint(err, "mpc daemon restart");
	client_close(c);
	return r;
}

/* ---- none runs ---- */

static int
read_settings(struct store *store, struct buf *out, struct error *err)
{
	struct changes *changes = changes_new(store);
	struct settings *settings = NULL;
	struct buf text = BUF_INIT;
	int r;

	if (changes == NULL)
		return error_set(err, MP_E_STORAGE, "the state in %s cannot be read", store_path(store));
	if ((r = settings_new(store, changes, &settings, err)) == 0) {
		for (int i = 0; i < SETTING_COUNT; i++) {
			buf_reset(&text, 256);
			settings_format(settings, (enum setting)i, &text);
			add_line(out, setting_def((enum setting)i)->name, buf_str(&text));
		}
	}
	buf_clear(&text);
	settings_free(settings);
	changes_free(changes);
	return r;
}

static void
add_defaults(struct buf *out)
{
	struct buf text = BUF_INIT;

	for (int i = 0; i < SETTING_COUNT; i++) {
		buf_reset(&text, 256);
		setting_format_default((enum setting)i, &text);
		add_line(out, setting_def((enum setting)i)->name, buf_str(&text));
	}
	buf_clear(&text);
}

static int
look(const struct paths *paths, struct buf *out, struct error *err)
{
	struct buf file = BUF_INIT;
	struct store *store;
	bool exists;
	int r;

	buf_addf(&file, "%s/state.db", paths->data_dir);
	exists = access(buf_str(&file), F_OK) == 0;
	buf_clear(&file);
	if (!exists) {
		add_defaults(out);
		return 0;
	}
	if ((r = store_open(paths->data_dir, &store, err)) != 0)
		return r;
	r = read_settings(store, out, err);
	store_close(store);
	return r;
}

int
show_config(const struct daemon_options *o, FILE *out, struct error *err)
{
	struct paths paths;
	struct buf text = BUF_INIT;
	int fd, r;

	if ((r = paths_find(o->socket, &paths, err)) != 0)
		return r;
	add_start_options(o, &paths, &text);
	if ((fd = daemon_connect(&paths, err)) >= 0)
		r = ask(fd, &text, err);
	else if (fd == MP_E_NOT_FOUND)
		r = look(&paths, &text, err);
	else
		r = fd;
	if (r == 0 && (fputs(buf_str(&text), out) == EOF || fflush(out) != 0))
		r = error_set(err, MP_E_STORAGE, "the output cannot be written");
	buf_clear(&text);
	paths_clear(&paths);
	return r;
}
