#include "server/upstream/child.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "protocol/base/str.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/upstream/program.h"

#define FIRST_BYTE_MS 120000
/* The first line is its own; the model's first word may take as long as over HTTP. */
#define SILENCE_MS 120000
#define TOTAL_MS 1800000
#define FAREWELL_MS 1000
#define WAITING_MAX 16
#define WORDS_SHOWN 200

void
child_fail(struct child *c, enum failure_class class, const char *kind, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	if (c->failed)
		return;
	c->failed = true;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	failure_say(&c->failure, class, kind, "%s", what);
}

/* ---- the end ---- */

/* The last line that is not blank, for people: without keys. */
static void
last_line(struct child *c, char *out, size_t size)
{
	struct buf *b = &c->words;
	size_t end = b->len, from;

	while (end > 0 && strchr(" \t\r\n", b->data[end - 1]) != NULL)
		end--;
	for (from = end; from > 0 && b->data[from - 1] != '\n'; from--)
		;
	if (end - from > WORDS_SHOWN)
		end = from + WORDS_SHOWN;
	snprintf(out, size, "%.*s", (int)(end - from), end > from ? b->data + from : "");
	log_redact(out, strlen(out));
}

/* What its end says when nothing else went wrong before. A program that ended well leaves it to the
 * dialect whether the answer was whole. */
static void
judge_exit(struct child *c)
{
	char line[WORDS_SHOWN + 1];
	const char *name = c->request.program;

	child_pipes_last_words(c);
	last_line(c, line, sizeof line);
	if (WIFSIGNALED(c->status))
		child_fail(c, FAILURE_PROTOCOL, "killed", "%s was ended by signal %d%s%s", name,
		    WTERMSIG(c->status), line[0] != '\0' ? ": " : "", line);
	else if (WEXITSTATUS(c->status) != 0)
		child_fail(c, FAILURE_PROTOCOL, "exit", "%s ended with code %d%s%s", name,
		    WEXITSTATUS(c->status), line[0] != '\0' ? ": " : "", line);
	else if (line[0] != '\0')
		snprintf(c->failure.message, sizeof c->failure.message, "%s", line);
}

static void child_begin(void *arg);

/* One that waited was gone before it took its turn: a new one is asked everything. */
static bool
child_begin_anew(struct child *c)
{
	if (!c->warm || c->out_bytes > 0 || c->out.fd >= 0 || c->failed)
		return false;
	if (c->process != NULL)
		process_stop(c->process);
	c->process = NULL;
	child_pipes_close(c);
	loop_timer_stop(c->farewell);
	buf_reset(&c->words, 0);
	buf_clear(&c->request.past);
	c->warm = c->started = c->exited = false;
	c->written = 0;
	c->err_bytes = 0;
	loop_defer(c->base.up->loop, &c->step, child_begin, c);
	return true;
}

void
child_advance(struct child *c)
{
	if (c->base.over || child_begin_anew(c))
		return;
	if (!c->failed) {
		if (!child_pipes_drain(c))
			goto end;
		child_pipes_read(c, true);
		if (!c->started || !c->exited || c->out.fd >= 0)
			return;
		if (!c->tail_sent) {
			c->tail_sent = true;
			child_pipes_finish(c);
			if (c->base.over || c->base.paused)
				return;
		}
		judge_exit(c);
	}
end:
	if (c->base.over || c->base.paused)
		return;
	if (c->failed || c->exited)
		transfer_end(&c->base, &c->failure);
}

void
child_exited(void *arg, int status)
{
	struct child *c = arg;

	c->process = NULL;
	c->exited = true;
	c->status = status;
	child_pipe_close(&c->in);
	if (c->out.fd >= 0)
		loop_timer_start(c->farewell, FAREWELL_MS);
	child_advance(c);
}

/* Its output stays open though it is gone: what came is all. */
static void
farewell(void *arg)
{
	struct child *c = arg;

	if (c->base.over || c->base.paused)
		return;
	child_pipe_close(&c->out);
	child_advance(c);
}

static void
child_resume(void *arg)
{
	struct child *c = arg;

	if (c->base.over || c->base.paused)
		return;
	if (c->exited && c->out.fd >= 0)
		loop_timer_start(c->farewell, FAREWELL_MS);
	child_advance(c);
}

static void
child_pause(struct transfer *t, bool paused)
{
	struct child *c = (struct child *)t;

	if (paused) {
		child_pipes_read(c, false);
		return;
	}
	c->last_byte_ms = clock_monotonic_ms();
	/* one that has not begun yet is begun by the same step */
	if (c->started)
		loop_defer(t->up->loop, &c->step, child_resume, c);
}

static void
child_keep(struct transfer *t, struct wire_memory *known)
{
	struct child *c = (struct child *)t;

	wire_memory_clear(&c->memory);
	c->memory = *known;
	wire_memory_init(known);
	c->kept = true;
}

static void
child_release(struct transfer *t)
{
	struct child *c = (struct child *)t;

	if (c->kept)
		warm_park(c);
	loop_defer_cancel(t->up->loop, &c->step);
	children_unwait(c->all, &c->waiter);
	if (c->process != NULL)
		process_stop(c->process);
	child_pipes_close(c);
	loop_timer_free(c->watchdog);
	loop_timer_free(c->farewell);
	ndjson_clear(&c->ndjson);
	buf_clear(&c->held);
	if (c->request.aside)
		secret_wipe(c->body.data, c->body.len);
	buf_clear(&c->body);
	buf_clear(&c->words);
	wire_request_clear(&c->request);
	wire_memory_clear(&c->memory);
	free(c->chosen);
	free(c->proxy);
	free(c->owner);
	free(c);
}

static const struct carrier_ops child_ops = { child_pause, child_keep, child_release };

/* ---- the clock ---- */

static void
time_out(struct child *c, const char *kind, const char *what, int64_t limit_ms)
{
	char span[32];

	duration_format(limit_ms, span, sizeof span);
	child_fail(c, FAILURE_TIMEOUT, kind, "%s %s %s", c->request.program, what, span);
	transfer_end(&c->base, &c->failure);
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void
watch(void *arg)
{
	struct child *c = arg;
	int64_t now = clock_monotonic_ms(), left, total_left;

	if (c->base.over)
		return;
	total_left = c->started_ms + c->total_limit - now;
	if (total_left <= 0) {
		time_out(c, "total", "did not finish within", c->total_limit);
		return;
	}
	if (c->base.paused) {
		left = c->silence_limit;
	} else if (c->out_bytes == 0) {
		left = c->waiting_ms + c->first_byte_limit - now;
		if (left <= 0 && c->started) {
			time_out(c, "first_byte", "wrote nothing within", c->first_byte_limit);
			return;
		}
		if (left <= 0) {
			child_fail(c, FAILURE_OVERLOADED, "busy",
			    "%d of %s run already: none ended in time", CHILDREN_MAX,
			    c->request.program);
			transfer_end(&c->base, &c->failure);
			return;
		}
	} else {
		left = c->last_byte_ms + c->silence_limit - now;
		if (left <= 0) {
			time_out(c, "silence", "wrote nothing more for", c->silence_limit);
			return;
		}
	}
	loop_timer_start(c->watchdog, smaller(left, smaller(total_left, c->silence_limit)));
}

/* ---- the beginning ---- */

static void
child_ask(struct child *c)
{
	c->started = true;
	c->waiting_ms = c->last_byte_ms = clock_monotonic_ms();
	child_pipes_open(c);
}

static void
child_launch(struct child *c)
{
	struct process_pipes fds;
	char *path = program_find(c->request.program, c->chosen, &c->failure);

	c->failed = path == NULL;
	if (path != NULL) {
		c->process = process_start(c->all, path, &c->request, c->proxy, &fds, child_exited,
		    c, &c->failure);
		c->failed = c->process == NULL;
	}
	free(path);
	c->started = true;
	if (c->failed) {
		transfer_end(&c->base, &c->failure);
		return;
	}
	/* it lies in the private folder now */
	buf_clear(&c->request.file);
	c->in.fd = fds.in;
	c->out.fd = fds.out;
	c->err.fd = fds.err;
	child_ask(c);
}

static void
child_begin(void *arg)
{
	struct child *c = arg;

	if (c->base.over)
		return;
	if (!c->request.aside && warm_take(c->base.up->warm, c)) {
		child_ask(c);
	} else if (c->request.aside || !children_full(c->all)) {
		child_launch(c);
	} else if (children_waiting(c->all) < WAITING_MAX) {
		children_wait(c->all, &c->waiter);
		if (children_pressed(c->all))
			warm_make_room(c->base.up->warm);
	} else {
		child_fail(c, FAILURE_OVERLOADED, "busy", "%d of %s run already and %d wait",
		    CHILDREN_MAX, c->request.program, WAITING_MAX);
		transfer_end(&c->base, &c->failure);
	}
}

static void
set_limits(struct child *c, const struct endpoint *to)
{
	c->first_byte_limit = to->first_byte_ms > 0 ? to->first_byte_ms : FIRST_BYTE_MS;
	c->silence_limit = to->silence_ms > 0 ? to->silence_ms : SILENCE_MS;
	c->total_limit = to->total_ms > 0 ? to->total_ms : TOTAL_MS;
	c->started_ms = c->waiting_ms = c->last_byte_ms = clock_monotonic_ms();
}

struct transfer *
child_start(struct upstream *u, enum framing framing, const struct endpoint *to,
    struct wire_request *req, const struct transfer_callbacks *cb, void *arg, struct error *err)
{
	struct child *c;

	if (framing != FRAMING_NDJSON || req->program == NULL) {
		error_set(err, MP_E_INTERNAL, "a program's answer comes in lines");
		return NULL;
	}
	if (u->children == NULL) {
		u->children = children_new(u->loop);
		u->warm = warm_list_new(u);
	}
	c = xcalloc(1, sizeof *c);
	c->all = u->children;
	c->waiter = (struct children_waiter){ .cb = child_begin, .arg = c };
	c->failure = (struct failure)FAILURE_INIT;
	c->in.fd = c->out.fd = c->err.fd = -1;
	c->chosen = xstrdup(to->program);
	c->proxy = xstrdup(to->proxy);
	c->owner = xstrdup(to->owner);
	c->request = *req;
	wire_request_init(req);
	wire_memory_init(&c->memory);
	ndjson_init(&c->ndjson);
	c->output_limit = to->output_bytes > 0 ? to->output_bytes : CHILD_OUTPUT_BYTES;
	buf_init(&c->body, (size_t)c->output_limit + 1);
	set_limits(c, to);
	c->watchdog = loop_timer_new(u->loop, watch, c);
	c->farewell = loop_timer_new(u->loop, farewell, c);
	transfer_init(&c->base, &child_ops, u, cb, arg);
	loop_defer(u->loop, &c->step, child_begin, c);
	watch(c);
	return &c->base;
}
