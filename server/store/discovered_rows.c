/* discovered_rows.c - lists of models as the providers gave them. */
#include "server/store/db.h"
#include "server/store/rows.h"

#define COLUMNS "provider_id, model, title, context_tokens, output_tokens, abilities, loaded"

int
store_discovered_list_each(struct store *s,
    void (*each)(void *arg, const struct discovered_list_row *row), void *arg)
{
	static const char sql[] = "SELECT provider_id, base_url, fetched_ms FROM discovered_lists "
				  "ORDER BY provider_id";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct discovered_list_row row = {
			.provider_id = query_col_str(&q, 0),
			.base_url = query_col_str(&q, 1),
			.fetched_ms = query_col_int(&q, 2),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_discovered_model_each(struct store *s,
    void (*each)(void *arg, const struct discovered_model_row *row), void *arg)
{
	static const char sql[] = "SELECT " COLUMNS
				  " FROM discovered_models ORDER BY provider_id, model";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct discovered_model_row row = {
			.provider_id = query_col_str(&q, 0),
			.model = query_col_str(&q, 1),
			.title = query_col_text(&q, 2),
			.context_tokens = query_col_int(&q, 3),
			.output_tokens = query_col_int(&q, 4),
			.abilities = (unsigned)query_col_int(&q, 5),
			.loaded = (int)query_col_int(&q, 6),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_discovered_list_put(struct store *s, const struct discovered_list_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO discovered_lists "
				  "(provider_id, base_url, fetched_ms) VALUES (?1, ?2, ?3)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->provider_id);
	query_text(&q, row->base_url);
	query_int(&q, row->fetched_ms);
	return query_run(&q, NULL);
}

int
store_discovered_model_put(struct store *s, const struct discovered_model_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO discovered_models (" COLUMNS
				  ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->provider_id);
	query_text(&q, row->model);
	query_text(&q, row->title);
	query_int(&q, row->context_tokens);
	query_int(&q, row->output_tokens);
	query_int(&q, row->abilities);
	query_int(&q, row->loaded);
	return query_run(&q, NULL);
}

/* One that is not there is no failure: a cache was to be without it, and it is. */
int
store_discovered_model_delete(struct store *s, const char *provider_id, const char *model)
{
	static const char sql[] =
	    "DELETE FROM discovered_models WHERE provider_id = ?1 AND model = ?2";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, provider_id);
	query_text(&q, model);
	return query_run(&q, NULL);
}

int
store_discovered_delete(struct store *s, const char *provider_id)
{
	static const char models[] = "DELETE FROM discovered_models WHERE provider_id = ?1";
	static const char list[] = "DELETE FROM discovered_lists WHERE provider_id = ?1";
	struct query q;
	int r;

	query_init(&q, s, models);
	query_text(&q, provider_id);
	if ((r = query_run(&q, NULL)) != 0)
		return r;
	query_init(&q, s, list);
	query_text(&q, provider_id);
	return query_run(&q, NULL);
}
