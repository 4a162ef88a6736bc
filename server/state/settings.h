/* settings.h - what a person may set about the daemon: rows of settings.def with a value each.
 *
 * Only values that differ from their default are stored. A change is told on topic settings, its key is the
 * setting's name: who keeps a timer by a setting subscribes to that. */
#ifndef SERVER_STATE_SETTINGS_H
#define SERVER_STATE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/err.h"
#include "server/state/changes.h"
#include "server/store/store.h"

/* Tests put rows of every type here. */
#ifndef SETTINGS_DEF
#define SETTINGS_DEF "server/state/settings.def"
#endif

enum setting {
#define SETTING_DURATION(name, default_ms, min_ms, max_ms, never, help) SETTING_##name,
#define SETTING_INT(name, default_value, min, max, help) SETTING_##name,
#define SETTING_BOOL(name, default_value, help) SETTING_##name,
#define SETTING_ENUM(name, default_word, words, help) SETTING_##name,
#define SETTING_TEXT(name, default_text, max_bytes, help) SETTING_##name,
#include SETTINGS_DEF
	SETTING_COUNT
};

enum setting_type {
	SETTING_IS_DURATION,
	SETTING_IS_INT,
	SETTING_IS_BOOL,
	SETTING_IS_ENUM,
	SETTING_IS_TEXT,
};

struct setting_def {
	const char *name;
	const char *text_default; /* enum and text; else NULL */
	const char *words;        /* enum; else NULL */
	const char *help;
	int64_t number_default; /* duration (ms), int, bool */
	int64_t min, max;       /* of numbers; text: max is its bytes */
	enum setting_type type;
	bool never;             /* a duration that may also be 0 */
};

/* The rows, in the order of settings.def. */
const struct setting_def *setting_def(enum setting which);
const char *setting_type_name(enum setting_type t); /* "duration", "int", "bool", "enum", "text" */
bool setting_find(const char *name, enum setting *out);
/* Adds up to four near names to err as candidates. */
void setting_suggest(const char *name, struct error *err);

struct settings;

/* A stored value that no longer fits its row (the range became narrower, the file was edited) is logged
 * and counts as unset; rows of settings this version does not know are kept. 0 or MP_E_STORAGE. */
int settings_new(struct store *store, struct changes *changes, struct settings **out,
    struct error *err);
void settings_free(struct settings *s);

/* The value in force. The type must be the row's (asserted). ms: 0 = never. Text is borrowed until the
 * setting changes. */
int64_t settings_ms(const struct settings *s, enum setting which);
int64_t settings_int(const struct settings *s, enum setting which);
bool settings_bool(const struct settings *s, enum setting which);
const char *settings_text(const struct settings *s, enum setting which); /* enum and text */
bool settings_is_default(const struct settings *s, enum setting which);

/* Appends the value as people write it: "30m", "never", "42", "true", "word". */
void settings_format(const struct settings *s, enum setting which, struct buf *out);
void setting_format_default(enum setting which, struct buf *out);
/* What may be set, for people: "1m to 1d, or never", "true or false", "a, b or c". */
void setting_format_range(enum setting which, struct buf *out);

/* Whether `text` could be set; else MP_E_INVALID_PARAMS with field "value" says what can. */
int setting_check(enum setting which, const char *text, struct error *err);

/* ---- inside changes_begin/commit ---- */

/* Sets it to what `text` says, as settings_format writes it and as a person may write it ("90" minutes,
 * "on"). A value that is in force already changes nothing and is not told. MP_E_INVALID_PARAMS or
 * MP_E_STORAGE. */
int settings_set(struct settings *s, enum setting which, const char *text, struct error *err);
/* Back to the default. */
int settings_reset(struct settings *s, enum setting which, struct error *err);

#endif
