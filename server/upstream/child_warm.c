#include "server/upstream/child_warm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/str.h"
#include "server/base/log.h"
#include "server/upstream/child.h"

/* As long as a provider keeps the beginning of a prompt in its cache. */
#define WARM_MS 300000
/* With --test-timeouts: this many times as long as it waits for a first byte. */
#define TEST_PATIENCES 3

struct warm {
	struct warm_list *list;
	struct warm *next; /* came later */
	struct process *process;
	struct child_pipe in, out, err;
	size_t err_bytes;
	struct wire_request request; /* how it was started */
	char *chosen, *proxy, *owner;
	struct wire_memory memory;
	struct loop_timer *patience;
};

struct warm_list {
	struct upstream *up;
	struct warm *first; /* waits longest */
	size_t count;
};

struct warm_list *
warm_list_new(struct upstream *u)
{
	struct warm_list *l = xcalloc(1, sizeof *l);

	l->up = u;
	return l;
}

/* ---- the end ---- */

/* Off the list; its process is the caller's or nobody's. */
static void
warm_free(struct warm *w)
{
	struct warm **at = &w->list->first;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->list->count--;
	child_pipe_close(&w->in);
	child_pipe_close(&w->out);
	child_pipe_close(&w->err);
	loop_timer_free(w->patience);
	wire_request_clear(&w->request);
	wire_memory_clear(&w->memory);
	free(w->chosen);
	free(w->proxy);
	free(w->owner);
	free(w);
}

static void
warm_stop(struct warm *w, const char *why)
{
	log_debug("a waiting program is ended", LOG_TEXT("program", w->request.program),
	    LOG_TEXT("why", why));
	process_stop(w->process);
	warm_free(w);
}

void
warm_list_free(struct warm_list *l)
{
	if (l == NULL)
		return;
	warm_end(l, NULL, NULL);
	free(l);
}

void
warm_end(struct warm_list *l, bool (*ends)(void *arg, const char *owner), void *arg)
{
	for (struct warm *w = l->first, *next; w != NULL; w = next) {
		next = w->next;
		if (ends == NULL || ends(arg, w->owner))
			warm_stop(w, "it is not wanted any more");
	}
}

void
warm_make_room(struct warm_list *l)
{
	if (l->first != NULL)
		warm_stop(l->first, "its place is needed");
}

/* ---- while it waits ---- */

static void
warm_exited(void *arg, int status)
{
	struct warm *w = arg;

	(void)status;
	warm_free(w);
}

static void
warm_bored(void *arg)
{
	warm_stop(arg, "nobody came");
}

/* Nothing was asked: what it says now could only be taken for an answer to somebody else. */
static void
warm_speaks(void *arg, int fd, unsigned what)
{
	(void)fd;
	(void)what;
	warm_stop(arg, "it spoke unasked");
}

static void
warm_complains(void *arg, int fd, unsigned what)
{
	struct warm *w = arg;
	char block[4096];
	ssize_t n = read(fd, block, sizeof block);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		child_pipe_close(&w->err);
		return;
	}
	w->err_bytes += (size_t)n;
	if (w->err_bytes > CHILD_WORDS_BYTES)
		warm_stop(w, "it complains too much");
}

/* ---- coming ---- */

/* Asked everything, answered everything, and nothing more. */
static bool
can_wait(const struct child *c)
{
	return c->process != NULL && !c->exited && !c->failed && c->in.fd >= 0 && c->out.fd >= 0 &&
	    c->written == (c->warm ? c->request.more.len : c->request.body.len) &&
	    c->held.len == 0 && c->ndjson.line.len == 0 && !c->memory.past.failed;
}

static void
pipe_move(struct child_pipe *from, struct child_pipe *to)
{
	loop_io_free(from->io);
	*to = (struct child_pipe){ from->fd, NULL };
	*from = (struct child_pipe){ -1, NULL };
}

static void
move_text(char **from, char **to)
{
	*to = *from;
	*from = NULL;
}

static void
warm_watch(struct warm *w)
{
	struct loop *loop = w->list->up->loop;

	w->out.io = loop_io_new(loop, w->out.fd, LOOP_READ, warm_speaks, w);
	if (w->err.fd >= 0)
		w->err.io = loop_io_new(loop, w->err.fd, LOOP_READ, warm_complains, w);
	process_watch(w->process, warm_exited, w);
	process_set_idle(w->process, true);
	w->patience = loop_timer_new(loop, warm_bored, w);
	loop_timer_start(w->patience, w->list->up->patience_ms > 0
	    ? TEST_PATIENCES * w->list->up->patience_ms : WARM_MS);
}

void
warm_park(struct child *c)
{
	struct warm_list *l = c->base.up->warm;
	struct warm *w, **at = &l->first;

	/* who waits for a place gets this one */
	if (c->base.up->draining || !can_wait(c) || children_pressed(c->all))
		return;
	if (l->count >= WARM_MAX)
		warm_make_room(l);
	w = xcalloc(1, sizeof *w);
	w->list = l;
	w->process = c->process;
	c->process = NULL;
	pipe_move(&c->in, &w->in);
	pipe_move(&c->out, &w->out);
	pipe_move(&c->err, &w->err);
	w->request = c->request;
	wire_request_init(&c->request);
	buf_clear(&w->request.body);
	buf_clear(&w->request.past);
	buf_clear(&w->request.more);
	w->memory = c->memory;
	wire_memory_init(&c->memory);
	move_text(&c->chosen, &w->chosen);
	move_text(&c->proxy, &w->proxy);
	move_text(&c->owner, &w->owner);
	while (*at != NULL)
		at = &(*at)->next;
	*at = w;
	l->count++;
	warm_watch(w);
}

/* ---- going ---- */

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_start(const struct wire_request *a, const struct wire_request *b)
{
	if (a->argument_count != b->argument_count || a->environment != b->environment ||
	    !same_text(a->program, b->program) || !same_text(a->file_option, b->file_option))
		return false;
	for (size_t i = 0; i < a->argument_count; i++)
		if (strcmp(a->arguments[i], b->arguments[i]) != 0)
			return false;
	return true;
}

static bool
fits(const struct warm *w, const struct child *c)
{
	const struct buf *past = &c->request.past, *known = &w->memory.past;

	return past->len == known->len && memcmp(past->data, known->data, past->len) == 0 &&
	    same_text(w->owner, c->owner) && same_text(w->chosen, c->chosen) &&
	    same_text(w->proxy, c->proxy) && same_start(&w->request, &c->request);
}

bool
warm_take(struct warm_list *l, struct child *c)
{
	struct warm *w = l->first;

	if (c->request.past.len == 0 || c->request.past.failed)
		return false;
	while (w != NULL && !fits(w, c))
		w = w->next;
	if (w == NULL)
		return false;
	c->process = w->process;
	process_watch(c->process, child_exited, c);
	process_set_idle(c->process, false);
	wire_memory_clear(&c->memory);
	c->memory = w->memory;
	wire_memory_init(&w->memory);
	c->warm = true;
	pipe_move(&w->in, &c->in);
	pipe_move(&w->out, &c->out);
	pipe_move(&w->err, &c->err);
	warm_free(w);
	return true;
}
