/* chain_rows.c - fallback chains and their links. */
#include "server/store/db.h"
#include "server/store/rows.h"

int
store_chain_each(struct store *s, void (*each)(void *arg, const struct chain_row *row), void *arg)
{
	static const char sql[] = "SELECT name, fall_on, rev FROM chains ORDER BY name";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct chain_row row = {
			.name = query_col_str(&q, 0),
			.fall_on = query_col_str(&q, 1),
			.rev = query_col_int(&q, 2),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_chain_link_each(struct store *s, void (*each)(void *arg, const struct chain_link_row *row),
    void *arg)
{
	static const char sql[] =
	    "SELECT chain, position, provider_id, model FROM chain_links ORDER BY chain, position";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct chain_link_row row = {
			.chain = query_col_str(&q, 0),
			.position = query_col_int(&q, 1),
			.provider_id = query_col_str(&q, 2),
			.model = query_col_str(&q, 3),
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_chain_put(struct store *s, const struct chain_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO chains (name, fall_on, rev) VALUES (?1, ?2, ?3)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->name);
	query_text(&q, row->fall_on);
	query_int(&q, row->rev);
	return query_run(&q, NULL);
}

int
store_chain_link_put(struct store *s, const struct chain_link_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO chain_links (chain, position, provider_id, model) "
				  "VALUES (?1, ?2, ?3, ?4)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->chain);
	query_int(&q, row->position);
	query_text(&q, row->provider_id);
	query_text(&q, row->model);
	return query_run(&q, NULL);
}

int
store_chain_links_delete(struct store *s, const char *chain)
{
	static const char sql[] = "DELETE FROM chain_links WHERE chain = ?1";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, chain);
	return query_run(&q, NULL);
}

int
store_chain_delete(struct store *s, const char *name)
{
	static const char sql[] = "DELETE FROM chains WHERE name = ?1";
	int64_t changed = 0;
	struct query q;
	int r;

	if ((r = store_chain_links_delete(s, name)) != 0)
		return r;
	query_init(&q, s, sql);
	query_text(&q, name);
	r = query_run(&q, &changed);
	return r == 0 && changed == 0 ? MP_E_NOT_FOUND : r;
}
