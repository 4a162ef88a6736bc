/* child_pipes.c - standard input, output and error of a program. */
#include <errno.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/upstream/child.h"

#define BLOCK_BYTES ((size_t)64 << 10)
#define LAST_BLOCKS 16 /* of what it said before its end */

void
child_pipe_close(struct child_pipe *p)
{
	loop_io_free(p->io);
	p->io = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void
child_pipes_close(struct child *c)
{
	child_pipe_close(&c->in);
	child_pipe_close(&c->out);
	child_pipe_close(&c->err);
}

/* ---- the answer ---- */

static bool
on_line(void *arg, struct slice line)
{
	return transfer_frame(arg, (struct slice){ NULL, 0 }, line);
}

static void
send_head(struct child *c)
{
	const struct wire_head head = { .status = 200 };

	if (c->head_sent)
		return;
	c->head_sent = true;
	c->base.known = c->warm ? &c->memory : NULL;
	if (c->base.cb.on_head != NULL)
		c->base.cb.on_head(c->base.arg, &head);
}

static bool
feed(struct child *c, const char *bytes, size_t n, size_t *used)
{
	if (ndjson_feed(&c->ndjson, bytes, n, used, on_line, &c->base) == 0)
		return true;
	child_fail(c, FAILURE_PROTOCOL, "too_large", "%s wrote a line over 1 MiB",
	    c->request.program);
	return false;
}

static void
take_output(struct child *c, const char *bytes, size_t n)
{
	size_t used = n;

	c->last_byte_ms = clock_monotonic_ms();
	c->out_bytes += n;
	if (c->out_bytes > c->output_limit) {
		bool large = c->output_limit >> 20 > 0;

		child_fail(c, FAILURE_PROTOCOL, "too_large", "%s wrote more than %u %s", c->request.program,
		    (unsigned)(c->output_limit >> (large ? 20 : 10)), large ? "MiB" : "KiB");
		return;
	}
	if (!c->request.stream) {
		(void)buf_add(&c->body, bytes, n); /* the cap above is lower */
		return;
	}
	send_head(c);
	if (c->base.over || !feed(c, bytes, n, &used))
		return;
	/* less than a block; also of one whose owner has let go: it tells whether all was said */
	(void)buf_add(&c->held, bytes + used, n - used);
}

static void
out_ready(void *arg, int fd, unsigned what)
{
	struct child *c = arg;
	char block[BLOCK_BYTES];
	ssize_t n;

	(void)what;
	if (c->base.over || c->base.paused || c->failed)
		return;
	n = read(fd, block, sizeof block);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		child_pipe_close(&c->out);
	else
		take_output(c, block, (size_t)n);
	if (c->request.aside)
		secret_wipe(block, sizeof block);
	child_advance(c);
}

bool
child_pipes_drain(struct child *c)
{
	size_t used;

	while (c->held.len > 0) {
		if (c->base.over || c->base.paused || c->failed)
			return false;
		if (!feed(c, c->held.data, c->held.len, &used))
			return false;
		buf_drain(&c->held, used);
	}
	return !c->base.over && !c->base.paused;
}

void
child_pipes_finish(struct child *c)
{
	struct slice body = { c->body.data, c->body.len };

	send_head(c);
	if (c->base.over)
		return;
	if (!c->request.stream) {
		if (c->base.cb.on_body != NULL)
			c->base.cb.on_body(c->base.arg, body);
	} else if (ndjson_end(&c->ndjson, on_line, &c->base) != 0) {
		child_fail(c, FAILURE_PROTOCOL, "too_large", "%s wrote a line over 1 MiB",
		    c->request.program);
	}
}

/* ---- its complaints: only the last are kept ---- */

static bool
take_words(struct child *c, int fd)
{
	char block[4096];
	ssize_t n = read(fd, block, sizeof block);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		child_pipe_close(&c->err);
		return false;
	}
	c->err_bytes += (size_t)n;
	if (c->words.len + (size_t)n > CHILD_WORDS_BYTES)
		buf_drain(&c->words, c->words.len + (size_t)n - CHILD_WORDS_BYTES);
	(void)buf_add(&c->words, block, (size_t)n);
	if (c->err_bytes <= CHILD_OUTPUT_BYTES)
		return true;
	child_fail(c, FAILURE_PROTOCOL, "too_large", "%s complained more than 32 MiB",
	    c->request.program);
	return false;
}

static void
err_ready(void *arg, int fd, unsigned what)
{
	struct child *c = arg;

	(void)what;
	if (c->base.over)
		return;
	(void)take_words(c, fd);
	if (c->failed)
		child_advance(c);
}

void
child_pipes_last_words(struct child *c)
{
	for (int i = 0; i < LAST_BLOCKS && c->err.fd >= 0; i++)
		if (!take_words(c, c->err.fd))
			return;
}

/* ---- what it is asked ---- */

static void
in_ready(void *arg, int fd, unsigned what)
{
	struct child *c = arg;
	const struct buf *body = c->warm ? &c->request.more : &c->request.body;
	ssize_t n = 0;

	(void)what;
	if (c->base.over)
		return;
	if (c->written < body->len) {
		n = write(fd, body->data + c->written, body->len - c->written);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
	}
	if (n > 0) {
		c->written += (size_t)n;
		c->waiting_ms = clock_monotonic_ms();
	}
	/* whoever closes his input early says why on his output */
	if (n < 0 || (c->written == body->len && !c->request.stays))
		child_pipe_close(&c->in);
	else if (c->written == body->len)
		loop_io_set(c->in.io, 0);
}

/* ---- all three ---- */

void
child_pipes_read(struct child *c, bool on)
{
	if (c->out.io != NULL)
		loop_io_set(c->out.io, on ? LOOP_READ : 0);
}

void
child_pipes_open(struct child *c)
{
	struct loop *loop = c->base.up->loop;

	c->in.io = loop_io_new(loop, c->in.fd, LOOP_WRITE, in_ready, c);
	c->out.io = loop_io_new(loop, c->out.fd, 0, out_ready, c);
	if (c->err.fd >= 0)
		c->err.io = loop_io_new(loop, c->err.fd, LOOP_READ, err_ready, c);
	child_pipes_read(c, !c->base.paused);
}
