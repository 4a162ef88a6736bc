/* out.h - results on stdout: JSON as it came, tables, and the words people read. */
#ifndef CLIENT_OUT_H
#define CLIENT_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/value.h"

struct app;

/* Exactly the value: indented on a terminal, else one line. */
void out_json(struct app *a, const struct value *v);
/* The same, always one line, and flushed: for streams. */
void out_json_line(const struct value *v);

/* ---- tables ---- */

struct column {
	const char *title;
	enum { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_FIXED } kind; /* FIXED is never cut */
};
struct table;
struct table *table_new(struct app *a, const struct column *columns, size_t count);
/* The next cell, left to right, row by row. `plain` is the full value for --plain; NULL = as shown;
 * a NULL text is "-" (in plain: empty). color is an SGR code or NULL. Texts are copied. */
void table_cell(struct table *t, const char *text, const char *plain, const char *color);
/* Prints and frees it. Tab-separated without a header in plain form; else through libsmartcols. */
void table_print(struct table *t);
/* How wide each column may be so that the sum fits `room`: the widest text column gives way first.
 * For tests too. widths are changed in place. */
void table_shrink(const struct column *columns, size_t *widths, size_t count, size_t room);

/* ---- words ---- */

/* "now", "28m ago", "3d ago"; "-" for 0 or unknown (negative). */
const char *out_ago(struct app *a, int64_t then_ms, int64_t now_ms);
/* The same in a sentence: "just now", "28m ago". */
const char *out_since(struct app *a, int64_t then_ms, int64_t now_ms);
/* A provider's message without the "cannot use NAME: " before it. */
const char *after_subject(const char *message);
/* "27 min left"; minutes that have begun count, so that a fresh "2h" says 2 h */
const char *out_left(struct app *a, int64_t until_ms, int64_t now_ms);
/* "27 min": the time that is left, minutes that have begun count */
const char *out_span(struct app *a, int64_t ms);
/* "until 10:42", with the day when it is not today */
const char *out_until(struct app *a, int64_t at_ms);
/* "expires in 3 d", "expired"; "" for at_ms 0. */
const char *out_expiry(struct app *a, int64_t at_ms, int64_t now_ms);
/* "412", "12 k", "1.2 M" */
const char *out_count(struct app *a, int64_t n);
/* "412ms", "1.2s"; "-" below 0 */
const char *out_latency(struct app *a, int64_t ms);
/* "$0.0031", "$3.41" */
const char *out_money(struct app *a, int64_t microusd);
/* "everywhere", "in this terminal", "in this project", "in scope X" for a scope's name ("" =
 * global). */
const char *out_scope(struct app *a, struct slice scope);

#endif
