/* ndjson.h - one JSON value per line: LF or CRLF, blank lines skipped, a last line without its end
 * delivered by ndjson_end. Same contract as sse.h. */
#ifndef SERVER_UPSTREAM_NDJSON_H
#define SERVER_UPSTREAM_NDJSON_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

#define NDJSON_LINE_MAX ((size_t)1 << 20)

struct ndjson {
	struct buf line;
};

void ndjson_init(struct ndjson *n);
void ndjson_clear(struct ndjson *n);
int ndjson_feed(struct ndjson *n, const char *bytes, size_t len, size_t *used,
    bool (*on_line)(void *arg, struct slice line), void *arg);
int ndjson_end(struct ndjson *n, bool (*on_line)(void *arg, struct slice line), void *arg);

#endif
