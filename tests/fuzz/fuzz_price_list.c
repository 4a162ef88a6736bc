/* fuzz_price_list.c - whatever answers to a question for prices, and whatever lies in the cache: rows whose
 * amounts can be reckoned with and whose names can be shown, that settle, are kept and come back the same.
 * The first byte picks what it is taken for. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/model/roster.h"
#include "server/usage/price_snapshot.h"

#define DATE INT64_C(1795910400000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
check_price(int64_t pico, bool may_be_untold)
{
	must((may_be_untold && pico == PRICE_UNTOLD) || (pico >= 0 && pico <= PRICE_MAX_PICO));
}

static void
check_rows(const struct price_list *l, bool settled)
{
	must(l->count <= PRICE_LIST_MAX_ROWS || settled);
	for (size_t i = 0; i < l->count; i++) {
		const struct price_row *r = &l->rows[i], *before = i > 0 ? r - 1 : NULL;

		must(name_valid(r->provider) && roster_id_valid(slice_of(r->model)));
		check_price(r->tariff.input, false);
		check_price(r->tariff.output, false);
		check_price(r->tariff.cache_read, !settled);
		check_price(r->tariff.cache_write, !settled);
		must(r->from_ms >= 0 && r->above >= 0);
		must(before == NULL || strcmp(before->provider, r->provider) <= 0);
		must(before == NULL || memcmp(before, r, sizeof *r) != 0);
	}
}

/* What is kept of it comes back as it was. */
static void
keep(struct price_list *l)
{
	struct price_snapshot s = { xstrdup("openrouter"), xstrdup("here"), DATE, { .rows = NULL } };
	struct price_snapshot again;
	struct error err = ERROR_INIT;
	struct buf text = BUF_INIT;

	s.list = *l;
	if (price_snapshot_write(&s, &text, &err) == 0) {
		must(price_snapshot_read((struct slice){ buf_str(&text), text.len }, &again, &err) == 0);
		must(again.list.count == l->count);
		for (size_t i = 0; i < l->count; i++) {
			must(strcmp(again.list.rows[i].model, l->rows[i].model) == 0);
			must(memcmp(&again.list.rows[i].from_ms, &l->rows[i].from_ms,
			    sizeof *l->rows - offsetof(struct price_row, from_ms)) == 0);
		}
		price_snapshot_clear(&again);
	}
	*l = s.list;
	s.list = (struct price_list){ .rows = NULL };
	price_snapshot_clear(&s);
	buf_clear(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct price_reading how = { DATE, NULL };
	struct price_problems ps = { .count = 0 };
	struct price_snapshot s = { .source = NULL };
	struct error err = ERROR_INIT;
	struct price_book *book;
	struct slice text;
	bool is_openrouter;
	int r;

	if (size == 0)
		return 0;
	text = (struct slice){ (const char *)data + 1, size - 1 };
	if (data[0] % 2 == 0) {
		r = price_list_read(text, &how, &s.list, &is_openrouter, &ps);
		must((r == 0) == (ps.count == 0));
		for (size_t i = 0; i < ps.count; i++)
			must(ps.list[i].line >= 1 && ps.list[i].column >= 1);
	} else {
		r = price_snapshot_read(text, &s, &err);
		must(r == 0 || err.code == r);
	}
	check_rows(&s.list, false);
	must(r == 0 || s.list.count == 0);
	if (r == 0 && data[0] % 2 == 0)
		keep(&s.list);
	book = price_book_new();
	price_list_settle(&s.list, book, DATE);
	check_rows(&s.list, true);
	price_book_set(book, PRICE_REFRESHED, s.list.rows, s.list.count);
	price_book_free(book);
	price_snapshot_clear(&s);
	return 0;
}
