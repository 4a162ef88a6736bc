/* provider_rows.c - the user's providers. Lists lie in their columns as JSON. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/json.h"
#include "protocol/base/str.h"
#include "server/store/db.h"
#include "server/store/rows.h"

#define MAX_TEXT 4096

enum {
	COL_ID,
	COL_NAME,
	COL_DISPLAY_NAME,
	COL_TYPE,
	COL_AUTH,
	COL_DIALECT,
	COL_BASE_URL,
	COL_KEY_ENV,
	COL_ENABLED,
	COL_ORIGIN,
	COL_FEATURES,
	COL_WEEKLY,
	COL_ROLLING,
	COL_WINDOW_HOURS,
	COL_LOGIN_COMMAND,
	COL_AUTO_DETECT,
	COL_HEALTH_CHECK,
	COL_CA_FILE,
	COL_PROXY,
	COL_ALIASES,
	COL_CHANGED,
	COL_REV,
	COL_PROGRAM,
	COL_KEY_SHARING,
};
#define COLUMNS \
	"id, name, display_name, type, auth, dialect, base_url, key_env, enabled, origin, features, " \
	"weekly, rolling, window_hours, login_command, auto_detect, health_check, ca_file, proxy, " \
	"aliases, changed, rev, program, key_sharing"

/* ---- lists ---- */

static void
write_features(struct buf *out, const struct provider *p)
{
	struct json_writer w;

	json_writer_init(&w, out, false);
	json_begin_array(&w);
	for (char **f = p->features; *f != NULL; f++)
		json_put_string(&w, *f);
	json_end_array(&w);
}

static void
write_aliases(struct buf *out, const struct provider *p)
{
	struct json_writer w;

	json_writer_init(&w, out, false);
	json_begin_array(&w);
	for (size_t i = 0; i < p->alias_count; i++) {
		json_begin_array(&w);
		json_put_string(&w, p->aliases[i].alias);
		json_put_string(&w, p->aliases[i].model);
		json_end_array(&w);
	}
	json_end_array(&w);
}

static bool
read_features(struct json *j, const char *text, struct provider *p)
{
	size_t n = 0;

	if (json_read(j, text, strlen(text), JSON_STRICT) != 0 || !json_is(j, 0, JSON_ARRAY))
		return false;
	free(p->features); /* the empty list of a new provider */
	p->features = xcalloc(json_size(j, 0) + 1u, sizeof *p->features);
	for (uint32_t at = json_first(j, 0); at != JSON_NONE; at = json_next(j, at))
		if ((p->features[n++] = json_strdup(j, at, MAX_TEXT)) == NULL)
			return false;
	return true;
}

static bool
read_aliases(struct json *j, const char *text, struct provider *p)
{
	if (json_read(j, text, strlen(text), JSON_STRICT) != 0 || !json_is(j, 0, JSON_ARRAY))
		return false;
	for (uint32_t at = json_first(j, 0); at != JSON_NONE; at = json_next(j, at)) {
		char *alias = json_strdup(j, json_item(j, at, 0), MAX_TEXT);
		char *model = json_strdup(j, json_item(j, at, 1), MAX_TEXT);
		bool good = alias != NULL && model != NULL && provider_alias_add(p, alias, model) == 0;

		free(alias);
		free(model);
		if (!good)
			return false;
	}
	return true;
}

/* ---- rows ---- */

static bool
parse_origin(const char *word, enum provider_origin *out)
{
	static const enum provider_origin all[] = { ORIGIN_CATALOGUE, ORIGIN_BUNDLE, ORIGIN_USER };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (strcmp(provider_origin_name(all[i]), word) != 0)
			continue;
		*out = all[i];
		return true;
	}
	return false;
}

static void
copy_texts(struct query *q, struct provider *p)
{
	free(p->id);
	p->id = xstrdup(query_col_str(q, COL_ID));
	p->name = xstrdup(query_col_str(q, COL_NAME));
	p->display_name = xstrdup(query_col_text(q, COL_DISPLAY_NAME));
	p->dialect = xstrdup(query_col_str(q, COL_DIALECT));
	p->base_url = xstrdup(query_col_text(q, COL_BASE_URL));
	p->key_env = xstrdup(query_col_text(q, COL_KEY_ENV));
	p->login_command = xstrdup(query_col_text(q, COL_LOGIN_COMMAND));
	p->health_check = xstrdup(query_col_text(q, COL_HEALTH_CHECK));
	p->ca_file = xstrdup(query_col_text(q, COL_CA_FILE));
	p->proxy = xstrdup(query_col_text(q, COL_PROXY));
	p->program = xstrdup(query_col_text(q, COL_PROGRAM));
}

/* False when a column holds what we never write: the file was edited or is damaged. */
static bool
read_row(struct query *q, struct json *j, struct provider *p)
{
	copy_texts(q, p);
	p->enabled = query_col_bool(q, COL_ENABLED);
	p->auto_detect = query_col_bool(q, COL_AUTO_DETECT);
	p->rate_limits.weekly = query_col_int(q, COL_WEEKLY);
	p->rate_limits.rolling = query_col_int(q, COL_ROLLING);
	p->rate_limits.window_hours = (int32_t)query_col_int(q, COL_WINDOW_HOURS);
	p->rev = query_col_int(q, COL_REV);
	return provider_type_parse(query_col_str(q, COL_TYPE), &p->type) &&
	    auth_type_parse(query_col_str(q, COL_AUTH), &p->auth) &&
	    key_sharing_parse(query_col_str(q, COL_KEY_SHARING), &p->key_sharing) &&
	    parse_origin(query_col_str(q, COL_ORIGIN), &p->origin) &&
	    read_features(j, query_col_str(q, COL_FEATURES), p) &&
	    read_aliases(j, query_col_str(q, COL_ALIASES), p);
}

int
store_provider_each(struct store *s, void (*each)(void *arg, const struct provider_row *row),
    void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM providers ORDER BY name, id";
	struct json j = JSON_INIT;
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct provider *p = provider_new();
		struct provider_row row = { p, query_col_str(&q, COL_CHANGED) };
		bool good = read_row(&q, &j, p);

		if (good)
			each(arg, &row);
		provider_free(p);
		if (!good) {
			r = MP_E_STORAGE;
			break;
		}
	}
	query_end(&q);
	json_clear(&j);
	return r;
}

static void
bind_row(struct query *q, const struct provider_row *row, const char *features, const char *aliases)
{
	const struct provider *p = row->provider;

	query_text(q, p->id);
	query_text(q, p->name);
	query_text(q, p->display_name);
	query_text(q, provider_type_name(p->type));
	query_text(q, auth_type_name(p->auth));
	query_text(q, p->dialect);
	query_text(q, p->base_url);
	query_text(q, p->key_env);
	query_int(q, p->enabled);
	query_text(q, provider_origin_name(p->origin));
	query_text(q, features);
	query_int(q, p->rate_limits.weekly);
	query_int(q, p->rate_limits.rolling);
	query_int(q, p->rate_limits.window_hours);
	query_text(q, p->login_command);
	query_int(q, p->auto_detect);
	query_text(q, p->health_check);
	query_text(q, p->ca_file);
	query_text(q, p->proxy);
	query_text(q, aliases);
	query_text(q, row->changed != NULL ? row->changed : "");
	query_int(q, p->rev);
	query_text(q, p->program);
	query_text(q, key_sharing_name(p->key_sharing));
}

int
store_provider_put(struct store *s, const struct provider_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO providers (" COLUMNS ") VALUES (?1, ?2, ?3, "
				  "?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
				  "?18, ?19, ?20, ?21, ?22, ?23, ?24)";
	struct buf features = BUF_INIT, aliases = BUF_INIT;
	struct query q;
	int r = MP_E_INTERNAL;

	write_features(&features, row->provider);
	write_aliases(&aliases, row->provider);
	if (!features.failed && !aliases.failed) {
		query_init(&q, s, sql);
		bind_row(&q, row, buf_str(&features), buf_str(&aliases));
		r = query_run(&q, NULL);
	}
	buf_clear(&features);
	buf_clear(&aliases);
	return r;
}

int
store_provider_delete(struct store *s, const char *id)
{
	static const char sql[] = "DELETE FROM providers WHERE id = ?1";
	int64_t changed = 0;
	struct query q;
	int r;

	query_init(&q, s, sql);
	query_text(&q, id);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}
