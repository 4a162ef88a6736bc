/* table.c - tables by libsmartcols, which is loaded when one is printed: `mpc status` never pays
 * for it. */
#include "client/out.h"

#include <dlfcn.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/pager.h"
#include "client/term.h"
#include "client/width.h"

#define COLUMN_GAP "  "
#ifdef __APPLE__
#define SMARTCOLS_LIBRARY "libsmartcols.1.dylib"
#else
#define SMARTCOLS_LIBRARY "libsmartcols.so.1"
#endif

struct cell {
	char *text, *plain;
	const char *color;
	size_t column;
};

struct table {
	struct app *app;
	const struct column *columns;
	size_t column_count;
	struct cell *cells;
	size_t count, rows;
	size_t next_column; /* of the next cell */
};

/* The functions of the library that are used. */
struct smartcols {
	void *handle;
	__typeof__(scols_new_table) *new_table;
	__typeof__(scols_unref_table) *unref_table;
	__typeof__(scols_table_new_column) *new_column;
	__typeof__(scols_table_new_line) *new_line;
	__typeof__(scols_line_set_data) *set_data;
	__typeof__(scols_line_get_cell) *get_cell;
	__typeof__(scols_cell_set_color) *set_color;
	__typeof__(scols_table_enable_colors) *enable_colors;
	__typeof__(scols_table_enable_noencoding) *enable_noencoding;
	__typeof__(scols_table_set_termforce) *set_termforce;
	__typeof__(scols_table_set_termwidth) *set_termwidth;
	__typeof__(scols_table_set_column_separator) *set_separator;
	__typeof__(scols_table_set_stream) *set_stream;
	__typeof__(scols_print_table) *print;
};

static bool
smartcols_load(struct smartcols *s)
{
	struct {
		const char *name;
		void *slot;
	} symbols[] = {
	    {"scols_new_table", &s->new_table},
	    {"scols_unref_table", &s->unref_table},
	    {"scols_table_new_column", &s->new_column},
	    {"scols_table_new_line", &s->new_line},
	    {"scols_line_set_data", &s->set_data},
	    {"scols_line_get_cell", &s->get_cell},
	    {"scols_cell_set_color", &s->set_color},
	    {"scols_table_enable_colors", &s->enable_colors},
	    {"scols_table_enable_noencoding", &s->enable_noencoding},
	    {"scols_table_set_termforce", &s->set_termforce},
	    {"scols_table_set_column_separator", &s->set_separator},
	    {"scols_table_set_termwidth", &s->set_termwidth},
	    {"scols_table_set_stream", &s->set_stream},
	    {"scols_print_table", &s->print},
	};

	if ((s->handle = dlopen(SMARTCOLS_LIBRARY, RTLD_LAZY | RTLD_LOCAL)) == NULL)
		return false;
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *f = dlsym(s->handle, symbols[i].name);

		if (f == NULL)
			return false;
		memcpy(
		    symbols[i].slot, &f, sizeof(f)); /* ISO C has no cast from data to function */
	}
	return true;
}

struct table *
table_new(struct app *a, const struct column *columns, size_t count)
{
	struct table *t = xcalloc(1, sizeof(*t));

	t->app = a;
	t->columns = columns;
	t->column_count = count;
	return t;
}

void
table_cell(struct table *t, const char *text, const char *plain, const char *color)
{
	struct cell *c;

	t->cells = xrealloc(t->cells, (t->count + 1) * sizeof(*t->cells));
	c = &t->cells[t->count++];
	c->plain = xstrdup(plain != NULL ? plain : text != NULL ? text : "");
	c->text = xstrdup(text != NULL ? text : "-");
	c->color = color;
	c->column = t->next_column++;
	if (c->column == 0)
		t->rows++;
	if (t->next_column == t->column_count)
		t->next_column = 0;
}

static void
table_free(struct table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->cells[i].text);
		free(t->cells[i].plain);
	}
	free(t->cells);
	free(t);
}

static void
print_plain(const struct table *t)
{
	for (size_t i = 0; i < t->count; i++)
		printf("%s%c", t->cells[i].plain,
		    t->cells[i].column + 1 == t->column_count ? '\n' : '\t');
}

void
table_shrink(const struct column *columns, size_t *widths, size_t count, size_t room)
{
	for (;;) {
		size_t sum = 0, widest = count;

		for (size_t i = 0; i < count; i++) {
			sum += widths[i] + (i > 0 ? sizeof(COLUMN_GAP) - 1 : 0);
			if (columns[i].kind == COLUMN_TEXT && widths[i] > 8 &&
			    (widest == count || widths[i] > widths[widest]))
				widest = i;
		}
		if (sum <= room || widest == count)
			return;
		widths[widest]--;
	}
}

/* Only a terminal has an edge. */
static void
fit_terminal(struct table *t)
{
	size_t *widths = xcalloc(t->column_count, sizeof(*widths));

	for (size_t i = 0; i < t->column_count; i++)
		widths[i] = strlen(t->columns[i].title);
	for (size_t i = 0; i < t->count; i++) {
		size_t w = width_of(t->cells[i].text), *most = &widths[t->cells[i].column];

		if (w > *most)
			*most = w;
	}
	table_shrink(t->columns, widths, t->column_count, term_width());
	for (size_t i = 0; i < t->count; i++) {
		char *whole = t->cells[i].text;

		t->cells[i].text = width_cut(whole, widths[t->cells[i].column], t->app->utf8);
		free(whole);
	}
	free(widths);
}

static void
print_smart(struct table *t, const struct smartcols *s)
{
	struct libscols_table *tb = s->new_table();
	struct libscols_line *line = NULL;
	FILE *pager;

	s->enable_colors(tb, t->app->out_color);
	s->enable_noencoding(tb, 1); /* escaped already */
	s->set_separator(tb, COLUMN_GAP);
	s->set_termforce(tb, t->app->out_tty ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
	/* our own cut has made it fit; a width of the library's own would wrap long words */
	s->set_termwidth(tb, 10000);
	for (size_t i = 0; i < t->column_count; i++)
		s->new_column(tb, t->columns[i].title, 0,
		    t->columns[i].kind == COLUMN_NUMBER ? SCOLS_FL_RIGHT : 0);
	for (size_t i = 0; i < t->count; i++) {
		size_t column = t->cells[i].column;

		if (column == 0)
			line = s->new_line(tb, NULL);
		s->set_data(line, column, t->cells[i].text);
		if (t->cells[i].color != NULL)
			s->set_color(s->get_cell(line, column),
			    app_format(t->app, "\033[%sm", t->cells[i].color));
	}
	if ((pager = pager_open(t->app, t->rows + 1)) != NULL)
		s->set_stream(tb, pager);
	s->print(tb);
	s->unref_table(tb);
	pager_close(pager);
}

void
table_print(struct table *t)
{
	struct smartcols s = {0};

	if (t->app->form == FORM_PLAIN) {
		print_plain(t);
	} else if (smartcols_load(&s)) {
		width_use_locale(t->app);
		if (t->app->out_tty)
			fit_terminal(t);
		print_smart(t, &s);
	} else {
		note(t->app, "libsmartcols is missing, so this is the --plain form");
		print_plain(t);
	}
	if (s.handle != NULL)
		dlclose(s.handle);
	table_free(t);
}
