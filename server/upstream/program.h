/* program.h - a program of the user's that is run for him: where it lies, and whether it may be trusted
 * (THREATS.md section 8): it belongs to root or to us, and nobody else can change it or its folder. */
#ifndef SERVER_UPSTREAM_PROGRAM_H
#define SERVER_UPSTREAM_PROGRAM_H

#include <stddef.h>

#include "server/model/failure.h"

/* The full path of the program: `chosen` when it is not NULL, else the first `name` in the places where
 * such programs are installed. NULL and *why (class config) when there is none that may be run; the caller
 * frees the path. */
char *program_find(const char *name, const char *chosen, struct failure *why);

/* A new private folder that only we can enter: PATH/work is empty, PATH/text holds `text` (unless it is
 * NULL). NULL and errno when no place takes it. The caller frees the path. */
char *room_new(const char *text, size_t n);
/* Removes it with all that a program left in it, and frees the path. NULL is harmless. */
void room_remove(char *path);

#endif
