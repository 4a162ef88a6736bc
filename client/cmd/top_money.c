/* top_money.c - what today was, and the budgets, in the head of the dashboard. */
#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/cmd/top.h"

#define LABEL_WIDTH 8
#define BAR_COLUMNS 10

static void
begin(struct frame *f, const struct top *t)
{
	frame_clear(f);
	frame_init(f, t->width, t->a->utf8);
}

/* "▕███▍      ▏": how full it is, to an eighth of a column. */
static const char *
bar(struct app *a, int64_t permille)
{
	static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	int64_t eighths = (permille > 1000   ? 1000
			      : permille < 0 ? 0
					     : permille) *
			  BAR_COLUMNS * 8 / 1000;
	struct buf b = BUF_INIT;
	int64_t columns = eighths / 8;
	const char *out;

	buf_adds(&b, a->utf8 ? "▕" : "[");
	for (int64_t i = 0; i < columns; i++)
		buf_adds(&b, a->utf8 ? "█" : "#");
	if (a->utf8 && eighths % 8 > 0)
		columns++;
	buf_adds(&b, a->utf8 ? parts[eighths % 8] : "");
	for (; columns < BAR_COLUMNS; columns++)
		buf_addc(&b, ' ');
	buf_adds(&b, a->utf8 ? "▏" : "]");
	out = app_format(a, "%s", buf_str(&b));
	buf_clear(&b);
	return out;
}

void
top_read_today(struct top *t, const struct value *result)
{
	const struct value *total = value_get(result, "total");

	begin(&t->today, t);
	if (value_int(value_get(total, "requests"), 0) <= 0)
		return;
	frame_line(&t->today);
	frame_cell(&t->today, STYLE_BOLD, "today", LABEL_WIDTH, false);
	frame_add(&t->today, STYLE_PLAIN, usage_today(t->a, total));
}

/* As `mpc` does: every budget of everything, and others from four fifths on. */
void
top_read_budgets(struct top *t, const struct value *list)
{
	begin(&t->budgets, t);
	for (size_t i = 0; i < value_size(list); i++) {
		const struct value *b = value_at(list, i);
		int64_t used = value_int(value_get(b, "used_permille"), 0);
		enum style style = used >= 1000  ? STYLE_BAD
				   : used >= 800 ? STYLE_WARN
						 : STYLE_PLAIN;

		if (used < 800 && value_size(value_get(b, "for")) > 0)
			continue;
		frame_line(&t->budgets);
		frame_cell(&t->budgets, STYLE_BOLD, "budget", LABEL_WIDTH, false);
		frame_add(&t->budgets, style, bar(t->a, used));
		frame_add(&t->budgets, style,
		    app_format(
			t->a, " %s%s", budget_line(t->a, b), used >= 1000 ? ", used up" : ""));
	}
}
