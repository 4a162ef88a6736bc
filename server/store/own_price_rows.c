/* own_price_rows.c - prices the user has set. */
#include "server/store/own_price_rows.h"

#include "server/store/db.h"

#define COLUMNS \
	"provider_id, model, valid_from_ms, above_tokens, input, cache_read, cache_write, output"

int
store_own_price_each(struct store *s, void (*each)(void *arg, const struct price_row *row), void *arg)
{
	static const char sql[] = "SELECT " COLUMNS " FROM own_prices "
				  "ORDER BY provider_id, model, valid_from_ms, above_tokens";
	struct query q;
	int r;

	query_init(&q, s, sql);
	while ((r = query_next(&q)) == 1) {
		struct price_row row = {
			.provider = query_col_str(&q, 0),
			.model = query_col_str(&q, 1),
			.from_ms = query_col_int(&q, 2),
			.above = query_col_int(&q, 3),
			.tariff = { query_col_int(&q, 4), query_col_int(&q, 5), query_col_int(&q, 6),
			    query_col_int(&q, 7) },
		};

		each(arg, &row);
	}
	query_end(&q);
	return r;
}

int
store_own_price_put(struct store *s, const struct price_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO own_prices (" COLUMNS ") "
				  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, row->provider);
	query_text(&q, row->model);
	query_int(&q, row->from_ms);
	query_int(&q, row->above);
	query_int(&q, row->tariff.input);
	query_int(&q, row->tariff.cache_read);
	query_int(&q, row->tariff.cache_write);
	query_int(&q, row->tariff.output);
	return query_run(&q, NULL);
}

int
store_own_prices_delete(struct store *s, const char *provider, const char *model)
{
	static const char sql[] = "DELETE FROM own_prices WHERE provider_id = ?1 AND model = ?2";
	struct query q;

	query_init(&q, s, sql);
	query_text(&q, provider);
	query_text(&q, model);
	return query_run(&q, NULL);
}
