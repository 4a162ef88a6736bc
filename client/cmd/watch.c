/* watch: one line per change, for status bars and scripts (UX.md section 10). */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/app.h"
#include "client/event.h"
#include "client/link.h"
#include "client/out.h"
#include "client/route.h"
#include "client/template.h"
#include "client/term.h"

struct watch {
	struct app *a;
	const char *format; /* NULL: words or JSON */
	char *last;         /* the line printed last: the same again is no change */
	int64_t again_ms;   /* the line counts minutes: it is stale after so long; 0 = never */
};

/* What a format may name. */
struct names {
	const struct value *snapshot;
	char left[32];
};

/* Ten attempts in the first minute, then one every seven seconds. */
static int
backoff_ms(unsigned attempt)
{
	static const int first[] = {500, 1500, 4000};

	return attempt < sizeof(first) / sizeof(first[0]) ? first[attempt] : 7000;
}

static void
print_line(struct watch *w, const char *line)
{
	if (w->last != NULL && strcmp(w->last, line) == 0)
		return;
	free(w->last);
	w->last = xstrdup(line);
	printf("%s\n", line);
	fflush(stdout);
}

/* The test session that is activated; NULL = none. */
static const struct value *
activated(const struct value *snapshot)
{
	const struct value *list = value_get(snapshot, "sessions");

	for (size_t i = 0; i < value_size(list); i++)
		if (value_bool(value_get(value_at(list, i), "activated"), false))
			return value_at(list, i);
	return NULL;
}

static const struct value *
look(void *arg, struct slice name)
{
	const struct names *n = arg;
	char key[64];

	if (slice_eq(name, "active"))
		return value_get(n->snapshot, "route");
	if (slice_eq(name, "session"))
		return activated(n->snapshot);
	if (name.len >= sizeof(key))
		return NULL;
	memcpy(key, name.data, name.len);
	key[name.len] = '\0';
	return value_get(n->snapshot, key);
}

/* Whole minutes, so that a status bar need not be drawn every second. */
static const char *
words(void *arg, struct slice path)
{
	struct names *n = arg;
	const struct value *test = activated(n->snapshot);
	int64_t left = value_int(value_get(test, "left_ms"), 0);

	if (test == NULL || !slice_eq(path, "session.left"))
		return NULL;
	duration_format((left + 59999) / 60000 * 60000, n->left, sizeof(n->left));
	return n->left;
}

static void
print_formatted(struct watch *w, const struct value *snapshot)
{
	struct names n = {.snapshot = snapshot};
	const struct template_names names = {look, words, &n};
	const struct value *test = activated(snapshot);
	struct buf line = BUF_INIT;

	template_render(w->format, &names, &line);
	print_line(w, buf_str(&line));
	buf_clear(&line);
	w->again_ms = 0;
	if (test != NULL && strstr(w->format, "session.left") != NULL)
		w->again_ms = value_int(value_get(test, "left_ms"), 0) % 60000 + 50;
}

static const char *
clock_words(struct app *a)
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	return app_format(a, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* What happened, in words. */
static void
print_event(struct watch *w, const struct value *e)
{
	struct app_text *before = app_mark(w->a);

	printf("%s  %s\n", clock_words(w->a), event_words(w->a, e));
	fflush(stdout);
	app_release(w->a, before);
}

static void
write_topics(struct app *a, struct pack *p)
{
	if (a->args.word_count == 0)
		return;
	pack_str(p, "topics");
	pack_array_begin(p);
	for (size_t i = 0; i < a->args.word_count; i++)
		pack_str(p, args_word(&a->args, i));
	pack_array_end(p);
}

/* A format may name any topic, whatever wakes it. */
static int
print_snapshot(struct watch *w, struct error *err)
{
	struct app_text *before = app_mark(w->a);
	const struct value *result;
	int r;

	link_begin(w->a, "state.get");
	if ((r = link_try(w->a, &result, err)) == 0)
		print_formatted(w, value_get(result, "snapshot"));
	app_release(w->a, before);
	return r;
}

static int
subscribe(struct watch *w, struct error *err)
{
	const struct value *result;
	struct pack *p = link_begin(w->a, "state.subscribe");
	int r;

	write_topics(w->a, p);
	pack_kv_bool(p, "snapshot", w->format == NULL);
	if ((r = link_try(w->a, &result, err)) != 0)
		return r;
	if (w->a->form == FORM_JSON) {
		out_json_line(result);
		return 0;
	}
	if (w->format != NULL)
		return print_snapshot(w, err);
	print_line(w, app_format(w->a, "%s  %-10s %s", clock_words(w->a), "now",
			  route_name(w->a, value_get(value_get(result, "snapshot"), "route"))));
	return 0;
}

/* Every event until the link ends. Never 0. */
static int
follow(struct watch *w, struct error *err)
{
	struct message m;
	int r;

	while ((r = link_next(w->a, &m, w->again_ms > 0 ? (int)w->again_ms : -1, err)) >= 0) {
		if (r == 0) {
			if ((r = print_snapshot(w, err)) != 0)
				return r;
			continue;
		}
		if (m.kind != MESSAGE_NOTIFICATION || !slice_eq(m.method, "state.event"))
			continue;
		if (w->a->form == FORM_JSON)
			out_json_line(value_at(m.params, 0));
		else if (w->format == NULL)
			print_event(w, value_at(m.params, 0));
		else if ((r = print_snapshot(w, err)) != 0)
			return r;
	}
	return r;
}

static void
print_away(struct watch *w)
{
	if (w->a->form == FORM_JSON)
		print_line(
		    w, "{\"topic\":\"daemon\",\"op\":\"set\",\"value\":{\"state\":\"away\"}}");
	else
		print_line(w, w->format != NULL ? "-" : "-  the daemon is away");
	if (w->format == NULL) {
		free(w->last); /* the next time is news again */
		w->last = NULL;
	}
}

/* What no waiting heals. */
static bool
is_final(int code)
{
	return code == MP_E_INVALID_PARAMS || code == MP_E_VERSION_MISMATCH ||
	       code == MP_E_PROTOCOL || code == MP_E_NOT_PERMITTED;
}

static int
watch_loop(struct watch *w)
{
	unsigned attempt = 0;
	bool first = true;

	for (;;) {
		struct error err = ERROR_INIT;
		int64_t since = term_now_ms();
		int r = first && !w->a->no_spawn ? link_open(w->a) : link_try_open(w->a, &err);

		if (first && r > 0)
			return r; /* said already */
		first = false;
		if (r == 0 && (r = subscribe(w, &err)) == 0)
			r = follow(w, &err);
		if (is_final(r))
			return link_fail(w->a, &err);
		link_close(w->a);
		print_away(w);
		if (ferror(stdout))
			return EXIT_OTHER;
		if (term_now_ms() - since > 10000)
			attempt = 0;
		poll(NULL, 0, backoff_ms(attempt++));
	}
}

int
cmd_watch(struct app *a)
{
	struct watch w = {.a = a, .format = args_value(&a->args, "format")};
	struct error err = ERROR_INIT;
	int r;

	if (w.format != NULL && a->form == FORM_JSON)
		return fail_usage(a, "--format and --json exclude each other");
	if (w.format != NULL && template_check(w.format, &err) != 0)
		return fail_err(a, &err);
	r = watch_loop(&w);
	free(w.last);
	return r;
}
