#include "server/state/settings.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/store/rows.h"

#define NEVER "never"

static const struct setting_def defs[] = {
#define SETTING_DURATION(name, default_ms, min_ms, max_ms, never, help) \
	{ #name, NULL, NULL, help, default_ms, min_ms, max_ms, SETTING_IS_DURATION, never },
#define SETTING_INT(name, default_value, min, max, help) \
	{ #name, NULL, NULL, help, default_value, min, max, SETTING_IS_INT, false },
#define SETTING_BOOL(name, default_value, help) \
	{ #name, NULL, NULL, help, default_value, 0, 1, SETTING_IS_BOOL, false },
#define SETTING_ENUM(name, default_word, words, help) \
	{ #name, default_word, words, help, 0, 0, 0, SETTING_IS_ENUM, false },
#define SETTING_TEXT(name, default_text, max_bytes, help) \
	{ #name, default_text, NULL, help, 0, 0, max_bytes, SETTING_IS_TEXT, false },
#include SETTINGS_DEF
};

/* One value; which member counts follows from the row's type. */
struct setting_value {
	int64_t number;
	char *text; /* NULL for numbers */
};

struct settings {
	struct store *store;
	struct changes *changes;
	struct setting_value values[SETTING_COUNT];
};

const struct setting_def *
setting_def(enum setting which)
{
	assert(which < SETTING_COUNT);
	return &defs[which];
}

const char *
setting_type_name(enum setting_type t)
{
	static const char *const names[] = {
		[SETTING_IS_DURATION] = "duration",
		[SETTING_IS_INT] = "int",
		[SETTING_IS_BOOL] = "bool",
		[SETTING_IS_ENUM] = "enum",
		[SETTING_IS_TEXT] = "text",
	};

	return names[t];
}

bool
setting_find(const char *name, enum setting *out)
{
	for (int i = 0; i < SETTING_COUNT; i++) {
		if (strcmp(defs[i].name, name) == 0) {
			*out = (enum setting)i;
			return true;
		}
	}
	return false;
}

static const char *
name_at(const void *arg, size_t i)
{
	(void)arg;
	return defs[i].name;
}

void
setting_suggest(const char *name, struct error *err)
{
	error_suggest(err, name, name_at, NULL, SETTING_COUNT);
}

/* ---- words ---- */

static void
format(const struct setting_def *d, int64_t number, const char *text, struct buf *out)
{
	char span[64];

	switch (d->type) {
	case SETTING_IS_DURATION:
		duration_text(number, span, sizeof span);
		buf_adds(out, number == 0 ? NEVER : span);
		break;
	case SETTING_IS_INT:
		buf_addf(out, "%" PRId64, number);
		break;
	case SETTING_IS_BOOL:
		buf_adds(out, number != 0 ? "true" : "false");
		break;
	case SETTING_IS_ENUM:
	case SETTING_IS_TEXT:
		buf_adds(out, text);
		break;
	}
}

void
setting_format_default(enum setting which, struct buf *out)
{
	format(&defs[which], defs[which].number_default, defs[which].text_default, out);
}

void
settings_format(const struct settings *s, enum setting which, struct buf *out)
{
	format(&defs[which], s->values[which].number, s->values[which].text, out);
}

/* "a b c" as "a, b or c" */
static void
format_words(const char *words, struct buf *out)
{
	while (*words != '\0') {
		size_t n = strcspn(words, " ");
		const char *next = words + n + strspn(words + n, " ");

		buf_add(out, words, n);
		if (*next != '\0')
			buf_adds(out, next[strcspn(next, " ")] != '\0' ? ", " : " or ");
		words = next;
	}
}

void
setting_format_range(enum setting which, struct buf *out)
{
	const struct setting_def *d = &defs[which];

	switch (d->type) {
	case SETTING_IS_DURATION:
	case SETTING_IS_INT:
		format(d, d->min, NULL, out);
		buf_adds(out, " to ");
		format(d, d->max, NULL, out);
		if (d->never)
			buf_adds(out, ", or " NEVER);
		break;
	case SETTING_IS_BOOL:
		buf_adds(out, "true or false");
		break;
	case SETTING_IS_ENUM:
		format_words(d->words, out);
		break;
	case SETTING_IS_TEXT:
		buf_addf(out, "one line of at most %" PRId64 " bytes", d->max);
		break;
	}
}

static bool
parse_int(const char *text, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 10);
	return end != text && *end == '\0' && errno == 0 && *text != ' ' && *text != '\t';
}

static bool
parse_bool(const char *text, int64_t *out)
{
	static const char *const words[2][4] = {
		{ "false", "no", "off", "0" },
		{ "true", "yes", "on", "1" },
	};

	for (size_t truth = 0; truth < 2; truth++) {
		for (size_t i = 0; i < 4; i++) {
			if (strcmp(text, words[truth][i]) == 0) {
				*out = (int64_t)truth;
				return true;
			}
		}
	}
	return false;
}

static bool
one_line(const char *text, int64_t max_bytes)
{
	size_t n = strlen(text);

	if (n > (size_t)max_bytes || !utf8_valid(text, n))
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

static bool
in_range(const struct setting_def *d, int64_t number)
{
	return (number >= d->min && number <= d->max) || (d->never && number == 0);
}

static bool
parse(const struct setting_def *d, const char *text, int64_t *number)
{
	*number = 0;
	switch (d->type) {
	case SETTING_IS_DURATION:
		if (d->never && (strcmp(text, NEVER) == 0 || strcmp(text, "0") == 0))
			return true;
		return duration_parse(text, number) == 0 && in_range(d, *number);
	case SETTING_IS_INT:
		return parse_int(text, number) && in_range(d, *number);
	case SETTING_IS_BOOL:
		return parse_bool(text, number);
	case SETTING_IS_ENUM:
		return word_listed(d->words, slice_of(text));
	case SETTING_IS_TEXT:
		return one_line(text, d->max);
	}
	return false;
}

int
setting_check(enum setting which, const char *text, struct error *err)
{
	struct buf range = BUF_INIT;
	int64_t number;

	if (parse(&defs[which], text, &number))
		return 0;
	setting_format_range(which, &range);
	error_field(err, "value", "%s cannot be \"%.80s\": it is %s", defs[which].name, text,
	    buf_str(&range));
	if (defs[which].type == SETTING_IS_DURATION)
		error_hint(err, "a time is written 90s, 30m, 2h or 1d; a bare number is minutes");
	buf_clear(&range);
	return MP_E_INVALID_PARAMS;
}

/* ---- life ---- */

static void
set_value(struct settings *s, enum setting which, int64_t number, const char *text)
{
	struct setting_value *v = &s->values[which];
	char *copy = defs[which].text_default != NULL ? xstrdup(text) : NULL;

	free(v->text);
	v->text = copy;
	v->number = number;
}

static void
load_row(void *arg, const struct setting_row *row)
{
	struct settings *s = arg;
	enum setting which;
	int64_t number;

	if (!setting_find(row->name, &which))
		return; /* a newer version's */
	if (parse(&defs[which], row->value, &number))
		set_value(s, which, number, row->value);
	else
		log_warn("a stored setting is not valid; its default is used", LOG_TEXT("name", row->name),
		    LOG_TEXT("value", row->value));
}

static int
load(struct settings *s)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		set_value(s, (enum setting)i, defs[i].number_default, defs[i].text_default);
	return store_setting_each(s->store, load_row, s);
}

static void
reload(void *arg)
{
	struct settings *s = arg;

	if (load(s) != 0)
		log_error("settings cannot be read back", LOG_TEXT("file", store_path(s->store)));
}

int
settings_new(struct store *store, struct changes *changes, struct settings **out, struct error *err)
{
	struct settings *s = xcalloc(1, sizeof *s);
	int r;

	s->store = store;
	s->changes = changes;
	if ((r = load(s)) != 0) {
		settings_free(s);
		return error_set(err, r, "the settings cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, s);
	*out = s;
	return 0;
}

void
settings_free(struct settings *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < SETTING_COUNT; i++)
		free(s->values[i].text);
	free(s);
}

/* ---- looking ---- */

int64_t
settings_ms(const struct settings *s, enum setting which)
{
	assert(defs[which].type == SETTING_IS_DURATION);
	return s->values[which].number;
}

int64_t
settings_int(const struct settings *s, enum setting which)
{
	assert(defs[which].type == SETTING_IS_INT);
	return s->values[which].number;
}

bool
settings_bool(const struct settings *s, enum setting which)
{
	assert(defs[which].type == SETTING_IS_BOOL);
	return s->values[which].number != 0;
}

const char *
settings_text(const struct settings *s, enum setting which)
{
	assert(defs[which].text_default != NULL);
	return s->values[which].text;
}

static bool
same(const struct setting_value *v, int64_t number, const char *text)
{
	return v->text != NULL ? strcmp(v->text, text) == 0 : v->number == number;
}

bool
settings_is_default(const struct settings *s, enum setting which)
{
	return same(&s->values[which], defs[which].number_default, defs[which].text_default);
}

/* ---- changing ---- */

/* Stores what is in force now, or that nothing differs from the default. */
static int
put(struct settings *s, enum setting which, struct error *err)
{
	struct buf text = BUF_INIT;
	struct setting_row row = { .name = defs[which].name, .rev = changes_next_rev(s->changes) };
	int r;

	if (settings_is_default(s, which)) {
		r = store_setting_delete(s->store, row.name);
		if (r == MP_E_NOT_FOUND)
			r = 0;
	} else {
		settings_format(s, which, &text);
		row.value = buf_str(&text);
		r = store_setting_put(s->store, &row);
	}
	buf_clear(&text);
	if (r != 0)
		return error_set(err, r, "the setting cannot be stored: %s", store_path(s->store));
	changes_note(s->changes, TOPIC_SETTINGS, CHANGE_SET, row.name);
	return 0;
}

int
settings_set(struct settings *s, enum setting which, const char *text, struct error *err)
{
	int64_t number;
	int r;

	if ((r = setting_check(which, text, err)) != 0)
		return r;
	parse(&defs[which], text, &number);
	if (same(&s->values[which], number, text))
		return 0;
	set_value(s, which, number, text);
	return put(s, which, err);
}

int
settings_reset(struct settings *s, enum setting which, struct error *err)
{
	if (settings_is_default(s, which))
		return 0;
	set_value(s, which, defs[which].number_default, defs[which].text_default);
	return put(s, which, err);
}
