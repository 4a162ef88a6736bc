/* writer.h - writes a document as YAML that reads well in a difference: one thing a line, always in the same
 * form. What it writes, reader.h reads back as the same tree. */
#ifndef SERVER_DOCUMENT_WRITER_H
#define SERVER_DOCUMENT_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/buf.h"

struct writer {
	struct buf *out;
	bool comments;
	unsigned depth;
};

void writer_init(struct writer *w, struct buf *out, bool comments);

/* "# text" on a line of its own; nothing where comments are not wanted. */
void write_comment(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An empty line, where comments are wanted. */
void write_blank(struct writer *w);

/* "key:", and what follows until write_end is its map or its list. */
void write_begin(struct writer *w, const char *key);
void write_end(struct writer *w);
/* "key: {}" and "key: []" */
void write_empty_map(struct writer *w, const char *key);
void write_empty_list(struct writer *w, const char *key);

/* One member of a map. A NULL text is null. raw: a number, a duration: as it is. */
void write_text(struct writer *w, const char *key, const char *text);
/* The same behind a #: "#key: text". */
void write_commented(struct writer *w, const char *key, const char *text);
void write_raw(struct writer *w, const char *key, const char *text);
void write_int(struct writer *w, const char *key, int64_t v);
void write_bool(struct writer *w, const char *key, bool v);
/* One item of a list. */
void write_item(struct writer *w, const char *text);

#endif
