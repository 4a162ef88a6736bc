/* entry.h - a key's way in: the terminal without echo, stdin, a descriptor (THREATS.md
 * section 3.4). */
#ifndef CLIENT_ENTRY_H
#define CLIENT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/err.h"

#define ENTRY_MAX_BYTES 4096

/* The bytes of a key, in memory that is locked (where allowed), kept out of core dumps and wiped.
 */
struct entry {
	char *bytes;
	size_t len;
	size_t mapped;
	const char *what; /* for messages; NULL = "key" */
	const char *how;  /* without a terminal; NULL = how a key may come else */
};

int entry_init(struct entry *e, struct error *err);
void entry_clear(struct entry *e);

/* Asks on /dev/tty. The terminal's settings come back on every way out, signals included; a signal
 * that would have ended the program still does. */
int entry_read_terminal(struct entry *e, const char *prompt, struct error *err);
/* Reads to the end; one newline at the end is dropped. */
int entry_read_fd(struct entry *e, int fd, struct error *err);
/* The bytes a key may hold: 0x21..0x7e. err says what is wrong, never what it is. */
int entry_check(const struct entry *e, struct error *err);

/* Whether a word on the command line is probably a key. */
bool entry_looks_like_key(const char *word);

#endif
