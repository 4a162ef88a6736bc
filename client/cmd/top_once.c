/* top_once.c - one picture of the dashboard, for a file or a glance. */
#include <stdio.h>

#include "client/app.h"
#include "client/cmd/top.h"
#include "client/link.h"
#include "client/term.h"

#define COLUMNS 80 /* where there is no terminal */

struct once {
	struct top *top;
	struct error err;
};

static void
on_once(void *arg, size_t i, const struct value *result, const struct error *err)
{
	struct once *o = arg;

	if (err != NULL)
		o->err = *err;
	else
		top_reply(o->top, (enum top_ask)i, result);
}

int
top_once(struct app *a)
{
	struct top t;
	struct once o = {.top = &t, .err = ERROR_INIT};
	uint32_t ids[TOP_ASK_COUNT];
	struct frame f;
	int r = link_open(a);

	if (r != 0)
		return r;
	top_init(&t, a, a->out_tty ? term_width() : COLUMNS, 0);
	for (int i = 0; i < TOP_ASK_COUNT && r == 0; i++) {
		top_ask(&t, (enum top_ask)i);
		r = link_send(a, &ids[i], &o.err);
	}
	if (r == 0)
		r = link_gather(a, ids, TOP_ASK_COUNT, on_once, &o, &o.err);
	if (r == 0 && o.err.code == 0) {
		top_compose_once(&t, &f);
		frame_print(&f, stdout, a->out_color);
		frame_clear(&f);
	} else {
		r = link_fail(a, &o.err);
	}
	top_clear(&t);
	return r;
}
