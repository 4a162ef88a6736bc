#include "client/args.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

/* Copies a word of a row; cut to fit (rows are ours). */
static size_t
copy_word(char *out, size_t size, const char *s)
{
	size_t n = strcspn(s, " \t.\n");
	size_t fit = n < size ? n : size - 1;

	memcpy(out, s, fit);
	out[fit] = '\0';
	return n;
}

bool
option_row_next(const char **at, struct option_row *out)
{
	const char *s = *at;

	if (*s == '\0')
		return false;
	memset(out, 0, sizeof(*out));
	if (s[0] == '-' && s[1] != '-') {
		out->letter = s[1];
		s += 4; /* "-x, " */
	}
	s += 2;
	s += copy_word(out->name, sizeof(out->name), s);
	if (*s == ' ')
		s += 1 + copy_word(out->value, sizeof(out->value), s + 1);
	if (*s == '.')
		out->repeats = true;
	s += strcspn(s, "\t\n");
	if (*s == '\t')
		s++;
	out->help = s;
	out->help_len = strcspn(s, "\n");
	s += out->help_len;
	*at = *s == '\n' ? s + 1 : s;
	return true;
}

static bool
find_in(const char *rows, char letter, const char *name, size_t n, struct option_row *out)
{
	while (option_row_next(&rows, out))
		if (letter != 0 ? out->letter == letter
				: strlen(out->name) == n && memcmp(out->name, name, n) == 0)
			return true;
	return false;
}

static bool
find_row(const struct command *c, char letter, const char *name, size_t n, struct option_row *out)
{
	return (c != NULL && find_in(c->options, letter, name, n, out)) ||
	       find_in(command_global_options, letter, name, n, out);
}

static void
suggest_in(const char *rows, const char *name, struct error *err)
{
	struct option_row row;
	char text[sizeof("--") + ARGS_NAME_BYTES];

	while (option_row_next(&rows, &row))
		if (edit_distance(name, row.name, 2) <= 2) {
			snprintf(text, sizeof(text), "--%s", row.name);
			error_candidate(err, text);
		}
}

/* Only the option's name is repeated: what follows "=" may be a secret. */
static int
unknown_option(const struct command *c, const char *name, size_t n, bool is_long, struct error *err)
{
	char text[ARGS_NAME_BYTES];

	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	memcpy(text, name, n);
	text[n] = '\0';
	error_set(err, MP_E_INVALID_PARAMS, "unknown option %s%s", is_long ? "--" : "-", text);
	if (is_long && c != NULL)
		suggest_in(c->options, text, err);
	if (is_long)
		suggest_in(command_global_options, text, err);
	return MP_E_INVALID_PARAMS;
}

static void
keep(struct args *a, const char *name, const char *value)
{
	struct args_option *o;

	a->options = xrealloc(a->options, (a->option_count + 1) * sizeof(*a->options));
	o = &a->options[a->option_count++];
	snprintf(o->name, sizeof(o->name), "%s", name);
	o->value = value;
}

/* What is being walked. */
struct walk {
	int argc;
	char **argv;
	int at; /* the argument looked at */
	struct args *out;
	struct error *err;
};

static int
take_value(struct walk *w, const struct option_row *row, const char *rest)
{
	if (rest == NULL) {
		if (w->at + 1 >= w->argc) {
			error_set(w->err, MP_E_INVALID_PARAMS, "option --%s needs a value (%s)",
			    row->name, row->value);
			return MP_E_INVALID_PARAMS;
		}
		rest = w->argv[++w->at];
	}
	if (!row->repeats && args_value(w->out, row->name) != NULL) {
		error_set(w->err, MP_E_INVALID_PARAMS, "option --%s is given twice", row->name);
		return MP_E_INVALID_PARAMS;
	}
	keep(w->out, row->name, rest);
	return 0;
}

static int
take_long(struct walk *w, const char *s)
{
	size_t n = strcspn(s, "=");
	struct option_row row;

	if (!find_row(w->out->command, 0, s, n, &row))
		return unknown_option(w->out->command, s, n, true, w->err);
	if (row.value[0] != '\0')
		return take_value(w, &row, s[n] == '=' ? s + n + 1 : NULL);
	if (s[n] == '=') {
		error_set(w->err, MP_E_INVALID_PARAMS, "option --%s takes no value", row.name);
		return MP_E_INVALID_PARAMS;
	}
	keep(w->out, row.name, NULL);
	return 0;
}

/* "-qv", "-mREF", "-m REF" */
static int
take_short(struct walk *w, const char *s)
{
	struct option_row row;

	for (; *s != '\0'; s++) {
		if (!find_row(w->out->command, *s, NULL, 0, &row))
			return unknown_option(w->out->command, s, 1, false, w->err);
		if (row.value[0] != '\0')
			return take_value(w, &row, s[1] != '\0' ? s + 1 : NULL);
		keep(w->out, row.name, NULL);
	}
	return 0;
}

static bool
is_option(const char *s)
{
	return s[0] == '-' && s[1] != '\0';
}

/* The first word that is no global option (nor its value) names the command; "model" before it
 * means nothing (`mpc model list`). Returns its place, or argc. */
static int
find_command(int argc, char **argv, bool *model)
{
	struct option_row row;

	*model = false;
	for (int i = 1; i < argc; i++) {
		const char *s = argv[i];

		if (strcmp(s, "--") == 0)
			return argc;
		if (!is_option(s)) {
			if (*model || strcmp(s, "model") != 0)
				return i;
			*model = true;
			continue;
		}
		if (s[1] == '-' && find_in(command_global_options, 0, s + 2, strlen(s + 2), &row) &&
		    row.value[0] != '\0')
			i++;
	}
	return argc;
}

static int
unknown_command(const char *name, struct error *err)
{
	error_set(err, MP_E_UNKNOWN_METHOD, "unknown command \"%.60s\"", name);
	error_hint(err, "mpc help");
	command_suggest(name, err);
	return MP_E_UNKNOWN_METHOD;
}

int
args_parse(int argc, char **argv, struct args *out, struct error *err)
{
	struct walk w = {argc, argv, 1, out, err};
	bool model, words_only = false;
	int command_at_arg = find_command(argc, argv, &model), r;

	memset(out, 0, sizeof(*out));
	out->words = xcalloc((size_t)argc + 1, sizeof(*out->words));
	if (command_at_arg < argc) {
		if ((out->command = command_find(argv[command_at_arg])) == NULL)
			return unknown_command(argv[command_at_arg], err);
	} else if (model) {
		out->command = command_find("list");
	}
	for (; w.at < argc; w.at++) {
		const char *s = argv[w.at];

		if (w.at == command_at_arg || (w.at < command_at_arg && strcmp(s, "model") == 0))
			continue;
		if (!words_only && strcmp(s, "--") == 0) {
			words_only = true;
			continue;
		}
		if (words_only || !is_option(s)) {
			out->words[out->word_count++] = s;
			continue;
		}
		r = s[1] == '-' ? take_long(&w, s + 2) : take_short(&w, s + 1);
		if (r != 0)
			return r;
	}
	return 0;
}

void
args_clear(struct args *a)
{
	free(a->words);
	free(a->options);
	memset(a, 0, sizeof(*a));
}

bool
args_has(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->option_count; i++)
		if (strcmp(a->options[i].name, name) == 0)
			return true;
	return false;
}

const char *
args_value(const struct args *a, const char *name)
{
	for (size_t i = a->option_count; i > 0; i--)
		if (strcmp(a->options[i - 1].name, name) == 0)
			return a->options[i - 1].value;
	return NULL;
}

const char *
args_each(const struct args *a, const char *name, size_t *at)
{
	while (*at < a->option_count) {
		const struct args_option *o = &a->options[(*at)++];

		if (strcmp(o->name, name) == 0)
			return o->value;
	}
	return NULL;
}

const char *
args_word(const struct args *a, size_t i)
{
	return i < a->word_count ? a->words[i] : NULL;
}
