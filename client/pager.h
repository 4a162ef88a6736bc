/* pager.h - what is longer than the screen goes through a pager, on a terminal only (UX.md section 5). */
#ifndef CLIENT_PAGER_H
#define CLIENT_PAGER_H

#include <stddef.h>
#include <stdio.h>

struct app;

/* For so many lines. NULL: none is wanted, write to stdout. */
FILE *pager_open(const struct app *a, size_t lines);
/* Waits until it was left. NULL is harmless. */
void pager_close(FILE *pager);

#endif
