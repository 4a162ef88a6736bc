#include "server/model/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "protocol/base/err.h"

#define BODY_MAX_BYTES ((size_t)64 << 20)

struct slice
wire_header(const struct wire_head *h, const char *name)
{
	for (size_t i = 0; i < h->header_count; i++)
		if (slice_eq(h->headers[i].name, name))
			return h->headers[i].value;
	return (struct slice){ NULL, 0 };
}

void
wire_request_init(struct wire_request *r)
{
	memset(r, 0, sizeof *r);
	buf_init(&r->body, BODY_MAX_BYTES);
	buf_init(&r->file, BODY_MAX_BYTES);
	buf_init(&r->past, WIRE_PAST_MAX);
	buf_init(&r->more, BODY_MAX_BYTES);
}

void
wire_request_clear(struct wire_request *r)
{
	buf_clear(&r->body);
	buf_clear(&r->file);
	buf_clear(&r->past);
	buf_clear(&r->more);
	for (size_t i = 0; i < r->argument_count; i++)
		free(r->arguments[i]);
	free(r->arguments);
	wire_request_init(r);
}

void
wire_request_argument(struct wire_request *r, const char *text)
{
	r->arguments = xrealloc(r->arguments, (r->argument_count + 1) * sizeof *r->arguments);
	r->arguments[r->argument_count++] = xstrdup(text);
}

/* RFC 9110 tchar for the name; visible ASCII, blanks and tabs for the value. CR and LF would be sent as they
 * are by the HTTP library. */
static bool
header_valid(const char *name, const char *value)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	if (*name == '\0')
		return false;
	for (const char *p = name; *p != '\0'; p++) {
		bool alnum = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
		    || (*p >= '0' && *p <= '9');

		if (!alnum && strchr(marks, *p) == NULL)
			return false;
	}
	for (const char *p = value; *p != '\0'; p++)
		if ((*p < 0x20 || *p > 0x7e) && *p != '\t')
			return false;
	return true;
}

int
wire_request_header(struct wire_request *r, const char *name, const char *value)
{
	size_t i;

	if (!header_valid(name, value))
		return MP_E_INVALID_PARAMS;
	if (strlen(name) >= sizeof r->headers[0].name
	    || strlen(value) >= sizeof r->headers[0].value)
		return MP_E_TOO_LARGE;
	for (i = 0; i < r->header_count; i++)
		if (strcasecmp(r->headers[i].name, name) == 0)
			break;
	if (i == WIRE_HEADERS_MAX)
		return MP_E_TOO_MANY;
	snprintf(r->headers[i].name, sizeof r->headers[i].name, "%s", name);
	snprintf(r->headers[i].value, sizeof r->headers[i].value, "%s", value);
	if (i == r->header_count)
		r->header_count++;
	return 0;
}

void
wire_memory_init(struct wire_memory *m)
{
	buf_init(&m->past, WIRE_PAST_MAX);
	m->spent_microusd = -1;
}

void
wire_memory_clear(struct wire_memory *m)
{
	buf_clear(&m->past);
	m->spent_microusd = -1;
}
