/* key_source.h - where a key is read from that is not stored here: what a command prints, a variable that the
 * daemon was started with, a file. Words only, and the one read of a file; server/call/key_reader.h
 * runs the commands.
 *
 * A source is no secret: it is shown, and stored as "KIND TEXT" beside a seal over the same words. */
#ifndef SERVER_STATE_KEY_SOURCE_H
#define SERVER_STATE_KEY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/err.h"
#include "protocol/base/secret.h"
#include "protocol/base/str.h"

#define KEY_SOURCE_MAX_BYTES 1024
#define KEY_SOURCE_MAX_WORDS 32

enum key_source_kind { KEY_STORED, KEY_COMMAND, KEY_ENV, KEY_FILE };

/* "stored", "command", "env", "file". */
const char *key_source_name(enum key_source_kind kind);
/* Splits "KIND TEXT"; the text is borrowed from row. "" is KEY_STORED with the text "". False for anything
 * else. */
bool key_source_parse(const char *row, enum key_source_kind *kind, const char **text);

/* Whether the text can be a source of that kind: 0, or MP_E_INVALID_PARAMS of the field "source". */
int key_source_check(enum key_source_kind kind, const char *text, struct error *err);

/* The words of a command, split at blanks as a shell splits them, with quotes and backslashes, and nothing
 * else of a shell: what it would do with | or $ is refused, not taken for a word. */
struct key_words {
	char **of; /* owned */
	size_t count;
	size_t rest; /* where in the command the first word has ended */
};
int key_words_split(const char *command, struct key_words *out, struct error *err);
void key_words_clear(struct key_words *w);
/* The command with another program in place of its first word; NULL when that path cannot be quoted. */
char *key_words_replace(const struct key_words *w, const char *command, const char *program);

/* The key in an output: its first line. False when that cannot be a key. */
bool key_source_value(struct slice output, struct slice *key);

/* Reads a file that only we can read or change. 0 and a new secret, or MP_E_NO_CREDENTIAL with the reason as
 * the end of a sentence ("and ..."). */
int key_source_read_file(const char *path, struct secret **out, struct error *err);

#endif
