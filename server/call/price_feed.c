#include "server/call/price_feed.h"

#include <stdlib.h>

#include "protocol/base/str.h"

struct price_feed {
	struct price_book *book;
	const struct own_prices *own;
	const struct team *team;
	struct providers *providers;
	struct changes *changes;
	uint64_t fed; /* generation */
};

bool
price_is_bundled(const struct team *team, const struct provider *p, const char *model)
{
	struct buf ref = BUF_INIT;
	bool is;

	if (!team_has_items(team, "prices"))
		return false;
	buf_addf(&ref, "%s:%s", p->name, model);
	is = team_item(team, "prices", buf_str(&ref)) != NULL;
	buf_clear(&ref);
	return is;
}

static void
feed(struct price_feed *f)
{
	size_t count = own_prices_count(f->own), own = 0, bundled = 0;
	struct price_row *rows = xcalloc(count + 1, sizeof *rows);

	/* the user's from the front, the bundles' from the back */
	for (size_t i = 0; i < count; i++) {
		const struct price_row *row = own_prices_at(f->own, i);
		const struct provider *p = providers_find_id(f->providers, row->provider);

		if (p != NULL && price_is_bundled(f->team, p, row->model))
			rows[count - ++bundled] = *row;
		else
			rows[own++] = *row;
	}
	price_book_set(f->book, PRICE_OWN, rows, own);
	price_book_set(f->book, PRICE_BUNDLE, rows + count - bundled, bundled);
	f->fed = own_prices_generation(f->own);
	free(rows);
}

static void
on_change(void *arg, const struct change *ch)
{
	struct price_feed *f = arg;

	/* a change of many models is told one by one, but is there as a whole with the first */
	if (ch->topic == TOPIC_TEAM || own_prices_generation(f->own) != f->fed)
		feed(f);
}

/* The prices lie elsewhere now. */
static void
reload(void *arg)
{
	feed(arg);
}

struct price_feed *
price_feed_new(struct price_book *book, const struct own_prices *own, const struct team *team,
    struct providers *providers, struct changes *changes)
{
	struct price_feed *f = xcalloc(1, sizeof *f);

	*f = (struct price_feed){ book, own, team, providers, changes, 0 };
	feed(f);
	changes_on_rollback(changes, reload, f);
	changes_subscribe(changes, on_change, f);
	return f;
}

void
price_feed_free(struct price_feed *f)
{
	if (f == NULL)
		return;
	changes_unsubscribe(f->changes, f);
	free(f);
}
