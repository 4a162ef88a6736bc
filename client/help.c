#include "client/help.h"

#include <stdio.h>
#include <string.h>

#include "client/app.h"

/* Calls each line of text; the part behind a tab is given apart. */
static void
each_line(const char *text, void (*each)(const char *line, int n, const char *rest, int rest_n))
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n"), tab = strcspn(text, "\t\n");

		each(text, (int)tab, tab < n ? text + tab + 1 : "",
		    tab < n ? (int)(n - tab - 1) : 0);
		text += n + (text[n] == '\n');
	}
}

/* Examples may start with another program ("git diff | mpc p"): the row writes these in full. */
static void
print_example(const char *line, int n, const char *rest, int rest_n)
{
	int width = printf("  %s%.*s", memmem(line, (size_t)n, "| mpc ", 6) != NULL ? "" : "mpc ",
	    n, line);

	if (rest_n > 0)
		printf("%*s# %.*s", width < 38 ? 38 - width : 1, "", rest_n, rest);
	putchar('\n');
}

static void
print_options(const char *rows)
{
	struct option_row row;

	while (option_row_next(&rows, &row)) {
		char left[64];
		char letter[5] = "    ";

		if (row.letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", row.letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, row.name,
		    row.value[0] != '\0' ? " " : "", row.value);
		printf("  %-26s%.*s%s\n", left, (int)row.help_len, row.help,
		    row.repeats ? " (repeatable)" : "");
	}
}

static void
print_usage(const struct command *c)
{
	const char *text = c->usage;

	do {
		size_t n = strcspn(text, "\n");

		printf("  mpc %s%s%.*s\n", c->name, n > 0 ? " " : "", (int)n, text);
		text += n + (text[n] == '\n');
	} while (*text != '\0');
}

static int
print_command(const struct command *c)
{
	printf("mpc %s - %s\n\nUsage\n", c->name, c->purpose);
	print_usage(c);
	if (c->examples[0] != '\0') {
		puts("\nExamples");
		each_line(c->examples, print_example);
	}
	if (c->options[0] != '\0') {
		puts("\nOptions");
		print_options(c->options);
	}
	puts("\nOptions of every command");
	print_options(command_global_options);
	puts("\nExit codes: 0 done, 1 failure, 2 usage, 3 unknown name, 4 key, 5 no daemon,\n"
	     "6 provider down, 7 rate limit or quota, 8 timeout, 9 conflict,\n"
	     "10 not our daemon, 130 interrupted. More: man modelpc");
	return 0;
}

#define HELP_COLUMNS 78

static void
print_group(enum command_group g, const char *title)
{
	int column = printf("  %-10s", title);

	for (size_t i = 0; i < command_count(); i++) {
		const struct command *c = command_at(i);

		if (c->group != g)
			continue;
		if (column > 12 && column + 2 + (int)strlen(c->name) > HELP_COLUMNS) {
			printf(",\n");
			column = printf("%12s", "");
		}
		column += printf("%s%s", column > 12 ? ", " : "", c->name);
	}
	putchar('\n');
}

int
help_print(struct app *a, const struct command *c)
{
	(void)a;
	if (c != NULL)
		return print_command(c);
	puts("mpc - one live AI-provider configuration for every terminal and editor\n");
	puts("Usage: mpc [OPTIONS] COMMAND [WORDS...]\n");
	puts("  mpc                            What is active and why; the same as mpc status");
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *row = command_at(i);

		if (row->group == GROUP_DAILY && strcmp(row->name, "status") != 0)
			printf("  mpc %-26s %s\n",
			    strcmp(row->name, "prompt") == 0 ? "p, mpc prompt" : row->name,
			    row->purpose);
	}
	puts("");
	print_group(GROUP_LOOK, "look");
	print_group(GROUP_MODELS, "arrange");
	print_group(GROUP_SYSTEM, "system");
	puts("");
	puts("  mpc COMMAND --help             Examples and options of a command");
	puts("  mpc rpc sys.methods            The protocol");
	puts("  man modelpc                    The manual; COEXISTENCE: the other mpc");
	return 0;
}
