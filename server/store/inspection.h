/* inspection.h - a look at all pages of a large database beside the loop, after the start.
 *
 * The file alone is read, by a connection of its own that sees no log: as long as it looks, nothing moves
 * from the log into the file, and each commit is synced instead. */
#ifndef SERVER_STORE_INSPECTION_H
#define SERVER_STORE_INSPECTION_H

#include "server/base/loop.h"
#include "server/store/store.h"

/* A larger file is not looked at as a whole before it is used: 4 MiB take about 15 ms. */
#define INSPECTION_BYTES (INT64_C(4) << 20)

/* Begins; `found` is called by the loop if the file is damaged, with what to say: nothing is written to it
 * any more until another one lies there (store_replaced). Detaching or closing s ends it without a word.
 * When there is no thread to be had it looks at once. */
void store_inspect(struct store *s, struct loop *loop, void (*found)(void *arg, const struct error *err),
    void *arg);
/* Whether it goes on. */
bool store_inspecting(const struct store *s);
/* For the store itself. */
void inspection_end(struct store *s);

#endif
