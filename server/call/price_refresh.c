#include "server/call/price_refresh.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/call/download.h"
#include "server/state/catalogue.h"

#define DAY_MS INT64_C(86400000)
#define OPENROUTER_ID "catalogue:openrouter"

/* A list on its way. In the worker it belongs to the job alone. */
struct incoming {
	struct price_refresh *owner; /* NULL = nobody wants it any more */
	struct buf text;
	struct price_snapshot snapshot;
	struct price_problems problems;
	bool fetched, force, is_openrouter, keeping;
	char *cache_dir;
	int r;
	struct error err;
};

struct price_refresh {
	struct price_refresh_parts parts;
	struct price_snapshot present; /* source NULL = none */
	char *problem;
	struct incoming *incoming; /* NULL = nothing is under way */
	struct download *download;
	void (*on_done)(void *arg, const struct price_news *news, const struct price_problems *problems,
	    const struct error *err);
	void *arg;
};

static void
incoming_free(struct incoming *in)
{
	buf_clear(&in->text);
	price_snapshot_clear(&in->snapshot);
	free(in->cache_dir);
	free(in);
}

/* ---- the rows that hold ---- */

static void
put_into_book(struct price_refresh *p, const struct price_snapshot *s)
{
	struct price_list rows = { .rows = NULL };

	for (size_t i = 0; i < s->list.count; i++)
		price_list_add(&rows, &s->list.rows[i]);
	price_list_settle(&rows, p->parts.book, s->date_ms);
	price_book_set(p->parts.book, PRICE_REFRESHED, rows.rows, rows.count);
	price_list_clear(&rows);
}

static const struct tariff *
price_now(const struct price_refresh *p, const struct price_row *row)
{
	const struct price_ask ask = { NULL, row->provider, row->model, -1, clock_wall_ms() };
	const struct price_row *found = price_book_find(p->parts.book, &ask, NULL);

	return found != NULL ? &found->tariff : NULL;
}

/* What the models of a list cost; input -1 = no price is known. */
static struct tariff *
prices_of(const struct price_refresh *p, const struct price_list *l)
{
	struct tariff *all = xcalloc(l->count + 1, sizeof *all);
	size_t n = 0;

	for (size_t i = 0; i < l->count; i = price_list_group(l, i)) {
		const struct tariff *t = price_now(p, &l->rows[i]);

		all[n++] = t != NULL ? *t : (struct tariff){ PRICE_UNTOLD, 0, 0, 0 };
	}
	return all;
}

static void
count_change(struct price_news *news, const struct tariff *before, const struct tariff *after)
{
	int64_t more = after->input + after->output - before->input - before->output;

	if (before->input == PRICE_UNTOLD) {
		news->added++;
		return;
	}
	if (after->input == before->input && after->output == before->output &&
	    after->cache_read == before->cache_read && after->cache_write == before->cache_write)
		return;
	if (more == 0)
		more = after->cache_read + after->cache_write - before->cache_read - before->cache_write;
	news->changed++;
	news->dearer += more > 0;
	news->cheaper += more < 0;
}

static void
take(struct price_refresh *p, struct price_snapshot *s, struct price_news *news)
{
	struct tariff *before = prices_of(p, &s->list), *after, *lost = prices_of(p, &p->present.list);
	size_t i;

	memset(news, 0, sizeof *news);
	put_into_book(p, s);
	after = prices_of(p, &s->list);
	news->models = price_list_models(&s->list);
	news->unpriced = s->list.unpriced;
	news->refused = s->list.refused;
	for (i = 0; i < news->models; i++)
		count_change(news, &before[i], &after[i]);
	free(after);
	after = prices_of(p, &p->present.list);
	for (i = 0; i < price_list_models(&p->present.list); i++)
		news->gone += lost[i].input != PRICE_UNTOLD && after[i].input == PRICE_UNTOLD;
	free(before);
	free(after);
	free(lost);
	price_snapshot_clear(&p->present);
	p->present = *s;
	memset(s, 0, sizeof *s);
	free(p->problem);
	p->problem = NULL;
}

/* ---- the end ---- */

static void
finish(struct price_refresh *p, struct incoming *in, const struct price_news *news, const struct error *err)
{
	void (*on_done)(void *arg, const struct price_news *, const struct price_problems *,
	    const struct error *) = p->on_done;

	p->incoming = NULL;
	p->on_done = NULL;
	if (on_done != NULL)
		on_done(p->arg, news, &in->problems, err);
	incoming_free(in);
}

static void
fail(struct price_refresh *p, struct incoming *in)
{
	if (in->err.hint[0] == '\0')
		error_hint(&in->err, "nothing was changed; again: mpc catalog refresh, or with a file");
	log_info("the price list stays as it is", LOG_TEXT("why", in->err.message));
	finish(p, in, NULL, &in->err);
}

/* ---- keeping it ---- */

static void
keep_run(void *arg)
{
	struct incoming *in = arg;
	struct buf text = BUF_INIT;

	if ((in->r = price_snapshot_write(&in->snapshot, &text, &in->err)) == 0)
		in->r = price_snapshot_save(in->cache_dir, &text, &in->err);
	buf_clear(&text);
}

static void
keep_done(void *arg)
{
	struct incoming *in = arg;
	struct price_refresh *p = in->owner;
	struct price_news news;

	if (p == NULL) {
		incoming_free(in);
		return;
	}
	if (in->r != 0) {
		fail(p, in);
		return;
	}
	take(p, &in->snapshot, &news);
	log_info("the price list was refreshed", LOG_TEXT("source", p->present.source),
	    LOG_INT("models", (int64_t)news.models), LOG_INT("changed", (int64_t)news.changed),
	    LOG_INT("refused", (int64_t)news.refused));
	changes_tell(p->parts.changes, TOPIC_MODELS, CHANGE_UPDATE, NULL, "prices");
	finish(p, in, &news, NULL);
}

/* ---- reading it ---- */

static bool
is_catalogue_provider(const char *name)
{
	for (size_t i = 0; i < catalogue_provider_count(); i++)
		if (strcmp(catalogue_name_at(i), name) == 0)
			return true;
	return false;
}

static void
read_run(void *arg)
{
	struct incoming *in = arg;
	const struct slice text = { buf_str(&in->text), in->text.len };
	const struct price_reading how = { in->snapshot.date_ms - in->snapshot.date_ms % DAY_MS,
		is_catalogue_provider };
	const char *what = in->snapshot.from;

	if (in->fetched) {
		in->is_openrouter = true;
		in->r = price_list_read_openrouter(text, &how, &in->snapshot.list, &in->problems);
	} else {
		in->r = price_list_read(text, &how, &in->snapshot.list, &in->is_openrouter, &in->problems);
	}
	if (in->r == 0)
		return;
	error_set(&in->err, in->fetched && in->r != MP_E_TOO_LARGE ? MP_E_UPSTREAM : in->r,
	    "%.160s is no price list: %s", what,
	    in->problems.count > 0 ? in->problems.list[0].message : "it cannot be read");
	error_hint(&in->err, in->fetched ? "is base_url of openrouter the right one? nothing was changed"
	                                 : "nothing was changed: mend it and try again");
}

/* What can be read may still not be believed. */
static int
judge(const struct price_refresh *p, struct incoming *in)
{
	size_t models = price_list_models(&in->snapshot.list), now = price_list_models(&p->present.list);

	if (models == 0) {
		error_set(&in->err, in->fetched ? MP_E_UPSTREAM : MP_E_INVALID_PARAMS,
		    "%.160s has no price at all (%zu models without one, %zu that cannot be true)",
		    in->snapshot.from, in->snapshot.list.unpriced, in->snapshot.list.refused);
		error_hint(&in->err, "nothing was changed");
	} else if (!in->force && models * 2 < now) {
		error_set(&in->err, MP_E_CONFLICT, "%.160s has prices of %zu models, the present list of %zu",
		    in->snapshot.from, models, now);
		error_hint(&in->err, "nothing was changed; if that is right: mpc catalog refresh --force");
	}
	return in->err.code;
}

static void
read_done(void *arg)
{
	struct incoming *in = arg;
	struct price_refresh *p = in->owner;

	if (p == NULL) {
		incoming_free(in);
		return;
	}
	buf_clear(&in->text);
	if (in->r != 0 || judge(p, in) != 0) {
		fail(p, in);
		return;
	}
	in->snapshot.source = xstrdup(in->is_openrouter ? "openrouter" : "file");
	if (in->is_openrouter)
		price_list_keep_days(&in->snapshot.list, &p->present.list);
	in->keeping = true;
	if (worker_add(p->parts.worker, keep_run, keep_done, in) == 0)
		return;
	in->keeping = false;
	error_set(&in->err, MP_E_BUSY, "the daemon is busy with other work");
	fail(p, in);
}

static int
begin_reading(struct price_refresh *p, struct incoming *in)
{
	in->snapshot.date_ms = clock_wall_ms();
	if (worker_add(p->parts.worker, read_run, read_done, in) == 0)
		return 0;
	error_set(&in->err, MP_E_BUSY, "the daemon is busy with other work");
	error_hint(&in->err, "nothing was changed; try again in a moment");
	return MP_E_BUSY;
}

/* ---- fetching it ---- */

static void
fetched(void *arg, struct slice body, const struct error *err)
{
	struct price_refresh *p = arg;
	struct incoming *in = p->incoming;

	p->download = NULL;
	if (err != NULL) {
		in->err = *err;
		fail(p, in);
		return;
	}
	buf_init(&in->text, PRICE_LIST_MAX_BYTES);
	buf_add(&in->text, body.data, body.len);
	if (begin_reading(p, in) != 0)
		fail(p, in);
}

static int
fetch(struct price_refresh *p, struct incoming *in, struct error *err)
{
	const struct provider *pr = providers_find_id(p->parts.providers, OPENROUTER_ID);
	struct download_order order = { .max_bytes = PRICE_LIST_MAX_BYTES };
	struct buf url = BUF_INIT;
	size_t n;

	if (pr == NULL || pr->base_url == NULL)
		return error_set(err, MP_E_NOT_FOUND, "there is no provider openrouter to ask");
	if (!pr->enabled) {
		error_set(err, MP_E_INVALID_STATE, "%s is disabled: it is not asked", pr->name);
		error_hint(err, "mpc provider enable %s, or mpc catalog refresh FILE", pr->name);
		return err->code;
	}
	n = strlen(pr->base_url);
	while (n > 0 && pr->base_url[n - 1] == '/')
		n--;
	buf_addf(&url, "%.*s/models", (int)n, pr->base_url);
	in->snapshot.from = buf_steal(&url, NULL);
	order.url = in->snapshot.from;
	order.ca_file = pr->ca_file;
	order.proxy = pr->proxy;
	order.local = pr->type == PROVIDER_LOCAL;
	p->download = download_start(p->parts.upstream, &order, fetched, p, err);
	return p->download != NULL ? 0 : err->code;
}

/* ---- the face ---- */

int
price_refresh_start(struct price_refresh *p, const struct price_order *order,
    void (*on_done)(void *arg, const struct price_news *news, const struct price_problems *problems,
    const struct error *err), void *arg, struct error *err)
{
	struct incoming *in;
	int r;

	if (p->incoming != NULL)
		return error_set(err, MP_E_BUSY, "the price list is being refreshed already");
	in = xcalloc(1, sizeof *in);
	in->owner = p;
	in->force = order->force;
	in->fetched = order->text.data == NULL;
	in->cache_dir = xstrdup(p->parts.cache_dir);
	if (in->fetched) {
		r = fetch(p, in, err);
	} else {
		in->snapshot.from = xstrdup(order->from != NULL ? order->from : "the text");
		buf_init(&in->text, PRICE_LIST_MAX_BYTES);
		if ((r = buf_add(&in->text, order->text.data, order->text.len)) != 0) {
			error_set(err, r, "a price list has at most %zu MiB", PRICE_LIST_MAX_BYTES >> 20);
			error_hint(err, "is it the right file?");
		} else if ((r = begin_reading(p, in)) != 0) {
			*err = in->err;
		}
	}
	if (r != 0) {
		incoming_free(in);
		return r;
	}
	p->incoming = in;
	p->on_done = on_done;
	p->arg = arg;
	return 0;
}

void
price_refresh_cancel(struct price_refresh *p)
{
	struct incoming *in = p->incoming;

	p->on_done = NULL;
	if (in == NULL || in->keeping)
		return;
	p->incoming = NULL;
	if (p->download != NULL) {
		download_cancel(p->download);
		p->download = NULL;
		incoming_free(in);
	} else {
		in->owner = NULL; /* the worker has it */
	}
}

static size_t
built_in_models(const struct price_book *book)
{
	const struct price_row *r, *last = NULL;
	size_t models = 0;

	for (size_t i = 0; (r = price_book_at(book, PRICE_BUILT_IN, i)) != NULL; i++, last = r)
		models += last == NULL || strcmp(last->model, r->model) != 0 ||
		    strcmp(last->provider, r->provider) != 0;
	return models;
}

void
price_refresh_info(const struct price_refresh *p, struct price_list_info *out)
{
	bool is_there = p->present.source != NULL;

	*out = (struct price_list_info){
		.source = is_there ? p->present.source : price_layer_name(PRICE_BUILT_IN),
		.from = p->present.from,
		.date_ms = is_there ? p->present.date_ms : PRICES_AS_OF_MS,
		.models = price_list_models(&p->present.list),
		.problem = p->problem,
	};
	if (!is_there)
		out->models = built_in_models(p->parts.book);
}

struct price_refresh *
price_refresh_new(const struct price_refresh_parts *parts)
{
	struct price_refresh *p = xcalloc(1, sizeof *p);
	struct error err = ERROR_INIT;
	int r;

	p->parts = *parts;
	r = price_snapshot_load(parts->cache_dir, &p->present, &err);
	if (r == 0) {
		put_into_book(p, &p->present);
	} else if (r != MP_E_NOT_FOUND) {
		p->problem = xstrdup(err.message);
		log_warn("the price list that was kept is not used: the built-in prices hold",
		    LOG_TEXT("file", PRICE_SNAPSHOT_NAME), LOG_TEXT("why", err.message));
	}
	return p;
}

void
price_refresh_free(struct price_refresh *p)
{
	if (p == NULL)
		return;
	price_refresh_cancel(p);
	if (p->incoming != NULL)
		p->incoming->owner = NULL;
	price_snapshot_clear(&p->present);
	free(p->problem);
	free(p);
}
