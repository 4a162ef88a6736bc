/* http_answer.c - what comes back: the head decides how the body is read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/upstream/http_exchange.h"

void
answer_init(struct answer *a, enum framing framing, bool stream_asked)
{
	a->framing = framing;
	a->stream_asked = stream_asked;
	a->mode = ANSWER_HEAD;
	buf_init(&a->head, ANSWER_HEAD_BYTES);
	buf_init(&a->body, ANSWER_BODY_BYTES);
	sse_init(&a->sse);
	ndjson_init(&a->ndjson);
}

void
answer_clear(struct answer *a)
{
	buf_clear(&a->head);
	buf_clear(&a->body);
	buf_clear(&a->held);
	sse_clear(&a->sse);
	ndjson_clear(&a->ndjson);
}

/* ---- the head ---- */

static const char *
header_name(const struct answer *a, size_t i)
{
	return a->head.data + a->header_at[i];
}

static const char *
header_value(const struct answer *a, size_t i)
{
	const char *name = header_name(a, i);

	return name + strlen(name) + 1;
}

static const char *
header_find(const struct answer *a, const char *name)
{
	size_t i;

	for (i = 0; i < a->header_count; i++) {
		if (strcmp(header_name(a, i), name) == 0)
			return header_value(a, i);
	}
	return NULL;
}

/* "text/event-stream; charset=utf-8" against "text/event-stream". */
static bool
type_is(const char *value, const char *type)
{
	struct slice s = { value, strcspn(value, "; \t") };

	return slice_eq_nocase(s, type);
}

static bool
is_sse(const char *type)
{
	return type_is(type, "text/event-stream");
}

static bool
is_ndjson(const char *type)
{
	return type_is(type, "application/x-ndjson") || type_is(type, "application/ndjson") ||
	    type_is(type, "application/jsonl") || type_is(type, "application/x-jsonlines") ||
	    type_is(type, "application/stream+json");
}

static bool
is_page(const char *type)
{
	return type_is(type, "text/html") || type_is(type, "application/xhtml+xml");
}

/* Whether the bytes are something else than they seem: we asked for no coding at all. */
static bool
is_encoded(const struct answer *a)
{
	const char *content = header_find(a, "content-encoding");
	const char *transfer = header_find(a, "transfer-encoding");

	if (content != NULL && *content != '\0' && !type_is(content, "identity"))
		return true;
	return transfer != NULL && *transfer != '\0' && !slice_eq_nocase(slice_of(transfer), "chunked") &&
	    !slice_eq_nocase(slice_of(transfer), "identity");
}

/* Two lengths that differ: somebody on the way reads the answer in another way than we do. */
static bool
lengths_differ(const struct answer *a)
{
	const char *first = NULL;
	size_t i;

	for (i = 0; i < a->header_count; i++) {
		if (strcmp(header_name(a, i), "content-length") != 0)
			continue;
		if (first != NULL && strcmp(first, header_value(a, i)) != 0)
			return true;
		first = header_value(a, i);
	}
	return false;
}

static void
choose_success_mode(struct exchange *x)
{
	struct answer *a = &x->answer;
	const char *type = header_find(a, "content-type");
	char what[128];

	if (is_encoded(a)) {
		exchange_fail(x, FAILURE_PROTOCOL, "encoding",
		    "sent a compressed answer that nobody asked for");
		return;
	}
	if (type == NULL || *type == '\0') {
		a->mode = a->stream_asked && a->status == 200 ? ANSWER_FRAMES : ANSWER_BODY;
		return;
	}
	if (is_page(type)) {
		exchange_fail(x, FAILURE_PROTOCOL, "content_type",
		    "answered with a web page instead of a model's answer: is the base URL right?");
		return;
	}
	if (!is_sse(type) && !is_ndjson(type)) {
		a->mode = ANSWER_BODY;
		return;
	}
	if (is_sse(type) != (a->framing == FRAMING_SSE)) {
		snprintf(what, sizeof what, "answered with %.60s, which this dialect does not use", type);
		exchange_fail(x, FAILURE_PROTOCOL, "content_type", what);
		return;
	}
	a->mode = ANSWER_FRAMES;
}

static void
refuse_redirect(struct exchange *x)
{
	const char *to = header_find(&x->answer, "location");
	char what[320];

	snprintf(what, sizeof what, "redirects to %.*s; redirects are not followed",
	    to != NULL ? (int)strcspn(to, "?#") > 200 ? 200 : (int)strcspn(to, "?#") : 9,
	    to != NULL ? to : "elsewhere");
	exchange_fail(x, FAILURE_CONFIG, "redirect", what);
}

static void
choose_mode(struct exchange *x)
{
	struct answer *a = &x->answer;

	if (lengths_differ(a)) {
		exchange_fail(x, FAILURE_PROTOCOL, "http", "sent two different lengths for one answer");
	} else if (a->status < 200) {
		exchange_fail(x, FAILURE_PROTOCOL, "http", "switches to another protocol");
	} else if (a->status < 300) {
		choose_success_mode(x);
	} else if (a->status < 400) {
		refuse_redirect(x);
	} else {
		a->mode = is_encoded(a) ? ANSWER_SKIP : ANSWER_REFUSAL;
	}
}

static void
call_on_head(struct exchange *x)
{
	struct header headers[ANSWER_HEADERS_MAX];
	struct answer *a = &x->answer;
	struct wire_head head = { a->status, headers, a->header_count };
	size_t i;

	for (i = 0; i < a->header_count; i++) {
		headers[i].name = slice_of(header_name(a, i));
		headers[i].value = slice_of(header_value(a, i));
	}
	if (x->base.cb.on_head != NULL)
		x->base.cb.on_head(x->base.arg, &head);
}

/* "HTTP/1.1 200 OK": a head begins; an interim one before it is forgotten. */
static void
head_begin(struct answer *a, struct slice line)
{
	size_t i = 0;
	int digits;

	buf_reset(&a->head, ANSWER_HEAD_BYTES);
	a->header_count = 0;
	a->status = 0;
	while (i < line.len && line.data[i] != ' ')
		i++;
	while (i < line.len && line.data[i] == ' ')
		i++;
	for (digits = 0; digits < 3 && i < line.len; digits++, i++) {
		if (line.data[i] < '0' || line.data[i] > '9')
			break;
		a->status = a->status * 10 + (line.data[i] - '0');
	}
}

static struct slice
trimmed(const char *p, size_t n)
{
	while (n > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		n--;
	}
	while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
		n--;
	return (struct slice){ p, n };
}

static void
head_line(struct answer *a, struct slice line)
{
	const char *colon = memchr(line.data, ':', line.len);
	size_t at = a->head.len, i, name_len;
	struct slice value;

	/* folded lines are long forbidden; headers beyond the table are nobody's */
	if (colon == NULL || colon == line.data || line.data[0] == ' ' || line.data[0] == '\t' ||
	    a->header_count == ANSWER_HEADERS_MAX || memchr(line.data, '\0', line.len) != NULL)
		return;
	name_len = (size_t)(colon - line.data);
	value = trimmed(colon + 1, line.len - name_len - 1);
	if (buf_reserve(&a->head, name_len + value.len + 2) != 0)
		return;
	for (i = 0; i < name_len; i++) {
		char c = line.data[i];

		(void)buf_addc(&a->head, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
	}
	(void)buf_addc(&a->head, '\0');
	(void)buf_add(&a->head, value.data, value.len);
	(void)buf_addc(&a->head, '\0');
	a->header_at[a->header_count++] = at;
}

static void
note_bytes(struct exchange *x)
{
	x->got_bytes = true;
	x->last_byte_ms = clock_monotonic_ms();
}

size_t
answer_on_header(char *text, size_t size, size_t count, void *arg)
{
	struct exchange *x = arg;
	struct answer *a = &x->answer;
	size_t n = size * count;
	struct slice line = { text, n };

	if (x->base.over || x->failed)
		return 0;
	note_bytes(x);
	a->head_bytes += n;
	if (a->head_bytes > ANSWER_HEAD_BYTES) {
		exchange_fail(x, FAILURE_PROTOCOL, "too_large", "sent headers without end");
		return 0;
	}
	if (a->mode != ANSWER_HEAD)
		return n; /* trailers */
	while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
		line.len--;
	if (slice_starts(line, "HTTP/")) {
		head_begin(a, line);
	} else if (line.len > 0) {
		head_line(a, line);
	} else if (a->status >= 200 || a->status == 101) {
		call_on_head(x);
		if (!x->base.over)
			choose_mode(x);
	}
	return x->base.over || x->failed ? 0 : n;
}

/* ---- the body ---- */

static bool
on_event(void *arg, struct slice event, struct slice data)
{
	return transfer_frame(arg, event, data);
}

static bool
on_line(void *arg, struct slice line)
{
	return transfer_frame(arg, (struct slice){ NULL, 0 }, line);
}

static int
feed(struct exchange *x, const char *bytes, size_t n, size_t *used)
{
	struct answer *a = &x->answer;
	int r;

	if (a->framing == FRAMING_SSE)
		r = sse_feed(&a->sse, bytes, n, used, on_event, &x->base);
	else
		r = ndjson_feed(&a->ndjson, bytes, n, used, on_line, &x->base);
	if (r != 0)
		exchange_fail(x, FAILURE_PROTOCOL, "too_large", "sent a line or event over 1 MiB");
	return r;
}

static bool
take_frames(struct exchange *x, const char *bytes, size_t n)
{
	struct answer *a = &x->answer;
	size_t used;

	if (a->body_bytes > ANSWER_STREAM_BYTES) {
		exchange_fail(x, FAILURE_PROTOCOL, "too_large", "sent more than 64 MiB");
		return false;
	}
	if (feed(x, bytes, n, &used) != 0 || x->base.over)
		return false;
	if (used < n && buf_add(&a->held, bytes + used, n - used) != 0) {
		exchange_fail(x, FAILURE_PROTOCOL, "too_large", "sent more than fits here");
		return false;
	}
	return true;
}

static bool
take_body(struct exchange *x, const char *bytes, size_t n)
{
	if (buf_add(&x->answer.body, bytes, n) == 0)
		return true;
	exchange_fail(x, FAILURE_PROTOCOL, "too_large", "sent a body over 16 MiB");
	return false;
}

static bool
take_refusal(struct answer *a, const char *bytes, size_t n)
{
	size_t room = ANSWER_ERROR_BYTES - a->body.len;

	(void)buf_add(&a->body, bytes, n < room ? n : room);
	a->enough = n >= room;
	return !a->enough;
}

size_t
answer_on_write(char *bytes, size_t size, size_t count, void *arg)
{
	struct exchange *x = arg;
	struct answer *a = &x->answer;
	size_t n = size * count;
	bool ok = false;

	if (x->base.over || x->failed)
		return 0;
	note_bytes(x);
	if (a->mode == ANSWER_FRAMES && (x->base.paused || a->held.len > 0)) {
		x->library_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	a->body_bytes += n;
	switch (a->mode) {
	case ANSWER_HEAD:
		exchange_fail(x, FAILURE_PROTOCOL, "http", "sent a body without a head");
		break;
	case ANSWER_FRAMES:
		ok = take_frames(x, bytes, n);
		break;
	case ANSWER_BODY:
		ok = take_body(x, bytes, n);
		break;
	case ANSWER_REFUSAL:
		ok = take_refusal(a, bytes, n);
		break;
	case ANSWER_SKIP:
		a->enough = a->body_bytes >= ANSWER_ERROR_BYTES;
		ok = !a->enough;
		break;
	}
	return ok ? n : 0;
}

bool
answer_drain(struct exchange *x)
{
	struct answer *a = &x->answer;
	size_t used;

	while (a->held.len > 0) {
		if (x->base.over || x->base.paused)
			return false;
		if (feed(x, a->held.data, a->held.len, &used) != 0)
			return false;
		buf_drain(&a->held, used);
	}
	return true;
}

void
answer_finish(struct exchange *x)
{
	struct answer *a = &x->answer;
	struct slice body = { a->body.data, a->body.len };
	int r = 0;

	if (a->mode == ANSWER_FRAMES) {
		if (a->framing == FRAMING_SSE)
			r = sse_end(&a->sse, on_event, &x->base);
		else
			r = ndjson_end(&a->ndjson, on_line, &x->base);
		if (r != 0)
			exchange_fail(x, FAILURE_PROTOCOL, "too_large",
			    "sent a line or event over 1 MiB");
	} else if (x->base.cb.on_body != NULL) {
		x->base.cb.on_body(x->base.arg, body);
	}
}
