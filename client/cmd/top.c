/* top: the live dashboard (UX.md section 10). Events wake it, a second passes, or a key is pressed.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/cmd/top.h"
#include "client/fail.h"
#include "client/interrupt.h"
#include "client/link.h"
#include "client/screen.h"
#include "client/term.h"
#include "client/width.h"
#include "protocol/base/scan.h"
#include "protocol/client.h"

#define TICK_MS 1000
#define SOON_MS 100 /* events that come together are one picture */

/* What the user asked for; one at a time. */
enum deed { DEED_NONE, DEED_SWITCH, DEED_TEST, DEED_CANCEL };

struct live {
	struct top top;
	struct app *a;
	struct screen *screen;
	int interrupt_fd;
	uint32_t ids[TOP_ASK_COUNT];
	bool waits[TOP_ASK_COUNT];
	uint32_t deed_id;
	enum deed deed;
	int64_t next_ms; /* monotonic: when to ask again */
	unsigned attempt;
	bool stop;
};

/* ---- the daemon ---- */

static int
ask_all(struct live *v, struct error *err)
{
	int r = 0;

	for (int i = 0; i < TOP_ASK_COUNT && r == 0; i++) {
		if (v->waits[i])
			continue; /* it has not answered the last time */
		top_ask(&v->top, (enum top_ask)i);
		r = link_send(v->a, &v->ids[i], err);
		v->waits[i] = r == 0;
	}
	v->next_ms = term_now_ms() + TICK_MS;
	return r;
}

static int
subscribe(struct live *v, struct error *err)
{
	uint32_t ignored;

	pack_kv_bool(link_begin(v->a, "state.subscribe"), "snapshot", false);
	return link_send(v->a, &ignored, err);
}

static void
gone(struct live *v)
{
	static const int backoff_ms[] = {500, 1500, 4000};

	link_close(v->a);
	memset(v->waits, 0, sizeof(v->waits));
	v->deed = DEED_NONE;
	v->top.away = true;
	v->next_ms = term_now_ms() + (v->attempt < 3 ? backoff_ms[v->attempt] : 7000);
	v->attempt++;
}

static void
come_back(struct live *v)
{
	struct error err = ERROR_INIT;

	if (link_try_open(v->a, &err) != 0 || subscribe(v, &err) != 0 || ask_all(v, &err) != 0) {
		gone(v);
		return;
	}
	v->top.away = false;
	v->attempt = 0;
}

/* What a deed led to, in words. */
static void
deed_done(struct live *v, const struct message *m)
{
	struct app *a = v->a;
	struct app_text *before = app_mark(a);
	struct error err = ERROR_INIT;
	const struct value *active = value_get(m->result, "active");

	if (value_type(m->error) != VALUE_NIL) {
		message_read_error(m->error, &err);
		top_say(&v->top, STYLE_BAD,
		    app_format(a, "%s%s%s", app_escaped(a, slice_of(err.message)),
			err.hint[0] != '\0' ? "  fix: " : "", app_escaped(a, slice_of(err.hint))));
	} else if (v->deed == DEED_SWITCH) {
		top_say(&v->top, STYLE_GOOD,
		    app_format(a, "Now using %s everywhere.", app_member(a, active, "ref")));
	} else if (v->deed == DEED_TEST) {
		top_say(&v->top, STYLE_GOOD,
		    app_format(a, "Testing %s. mpc test keep or mpc test stop.",
			app_member(a, m->result, "ref")));
	} else {
		top_say(&v->top, STYLE_GOOD,
		    value_bool(value_get(m->result, "cancelled"), false) ? "Cancelled."
									 : "It had ended already.");
	}
	v->deed = DEED_NONE;
	app_release(a, before);
}

static void
take(struct live *v, const struct message *m)
{
	if (m->kind == MESSAGE_NOTIFICATION && slice_eq(m->method, "state.event")) {
		top_event(&v->top, value_at(m->params, 0));
		if (v->next_ms > term_now_ms() + SOON_MS)
			v->next_ms = term_now_ms() + SOON_MS;
		return;
	}
	if (m->kind != MESSAGE_REPLY)
		return;
	for (int i = 0; i < TOP_ASK_COUNT; i++)
		if (v->waits[i] && v->ids[i] == m->msgid) {
			v->waits[i] = false;
			if (value_type(m->error) == VALUE_NIL && !v->top.paused)
				top_reply(&v->top, (enum top_ask)i, m->result);
			return;
		}
	if (v->deed != DEED_NONE && v->deed_id == m->msgid) {
		deed_done(v, m);
		v->next_ms = term_now_ms();
	}
}

static void
take_all(struct live *v)
{
	struct error err = ERROR_INIT;
	struct message m;
	int r;

	while ((r = link_next(v->a, &m, 0, &err)) > 0)
		take(v, &m);
	if (r < 0)
		gone(v);
}

/* ---- deeds ---- */

static void
send_deed(struct live *v, enum deed deed)
{
	struct error err = ERROR_INIT;

	if (link_send(v->a, &v->deed_id, &err) != 0) {
		gone(v);
		return;
	}
	v->deed = deed;
	top_say(&v->top, STYLE_DIM, deed == DEED_TEST ? "trying it ..." : "...");
}

static bool
free_hands(struct live *v)
{
	if (v->top.away)
		top_say(&v->top, STYLE_BAD, "the daemon is away");
	else if (v->deed != DEED_NONE)
		top_say(&v->top, STYLE_WARN, "one thing at a time");
	return !v->top.away && v->deed == DEED_NONE;
}

static void
do_switch(struct live *v, const char *ref)
{
	pack_kv_str(link_begin(v->a, "route.set"), "ref", ref);
	send_deed(v, DEED_SWITCH);
}

/* "PROVIDER MODEL [DUR]" */
static void
do_test(struct live *v, char *words)
{
	char *rest = NULL, *provider = strtok_r(words, " ", &rest),
	     *model = strtok_r(NULL, " ", &rest), *duration = strtok_r(NULL, " ", &rest);
	int64_t ms = 0;
	struct pack *p;

	if (provider == NULL || model == NULL || strtok_r(NULL, " ", &rest) != NULL) {
		top_say(&v->top, STYLE_BAD,
		    "it takes a provider, a model and perhaps minutes: openrouter gpt-4 30");
		return;
	}
	if (duration != NULL && duration_parse(duration, &ms) != 0) {
		top_say(&v->top, STYLE_BAD, "no time: write 30, 90s, 30m or 2h");
		return;
	}
	p = link_begin_secret(v->a, "session.start");
	pack_kv_str(p, "provider", provider);
	pack_kv_str(p, "model", model);
	if (duration != NULL)
		pack_kv_int(p, "duration_ms", ms);
	send_deed(v, DEED_TEST);
}

static void
do_cancel(struct live *v)
{
	pack_kv_int(link_begin(v->a, "prompt.cancel"), "stream", v->top.chosen);
	send_deed(v, DEED_CANCEL);
}

static void
entered(struct live *v)
{
	struct top *t = &v->top;
	char *typed = t->input;
	enum top_mode mode = t->mode;

	t->mode = TOP_LOOK;
	if (mode == TOP_FILTER) {
		free(t->filter);
		t->filter = *typed != '\0' ? xstrdup(typed) : NULL;
		v->next_ms = term_now_ms();
	} else if (*typed != '\0' && free_hands(v)) {
		if (mode == TOP_SWITCH)
			do_switch(v, typed);
		else
			do_test(v, typed);
	}
}

/* ---- keys ---- */

static void
ask_user(struct live *v, enum top_mode mode)
{
	struct top *t = &v->top;

	t->mode = mode;
	snprintf(t->input, sizeof(t->input), "%s",
	    mode == TOP_FILTER && t->filter != NULL ? t->filter : "");
	t->input_length = strlen(t->input);
}

static void
choose(struct top *t, int step)
{
	size_t at = 0;

	if (t->stream_count == 0)
		return;
	while (at < t->stream_count && t->stream_ids[at] != t->chosen)
		at++;
	if (at == t->stream_count)
		at = step > 0 ? 0 : t->stream_count - 1;
	else if (step > 0 && at + 1 < t->stream_count)
		at++;
	else if (step < 0 && at > 0)
		at--;
	t->chosen = t->stream_ids[at];
}

static void
key_while_looking(struct live *v, int key)
{
	struct top *t = &v->top;

	free(t->message);
	t->message = NULL;
	switch (key) {
	case 'q':
		v->stop = true;
		break;
	case 's':
		ask_user(v, TOP_SWITCH);
		break;
	case 't':
		ask_user(v, TOP_TEST);
		break;
	case '/':
		ask_user(v, TOP_FILTER);
		break;
	case 'p':
		t->paused = !t->paused;
		break;
	case 'k':
		if (t->chosen == 0 && t->stream_count == 1)
			choose(t, 1);
		if (t->chosen != 0)
			t->mode = TOP_CANCEL;
		else
			top_say(t, STYLE_DIM,
			    t->stream_count == 0 ? "nothing is in flight"
						 : "which one? the arrow keys choose it");
		break;
	case KEY_IS_UP:
	case KEY_IS_DOWN:
		choose(t, key == KEY_IS_DOWN ? 1 : -1);
		break;
	case KEY_IS_ESCAPE:
		free(t->filter);
		t->filter = NULL;
		t->chosen = 0;
		break;
	default:
		break;
	}
	v->next_ms = term_now_ms();
}

/* The last character, which may be several bytes. */
static void
rub_out(struct top *t)
{
	while (t->input_length > 0 && ((unsigned char)t->input[t->input_length - 1] & 0xc0) == 0x80)
		t->input_length--;
	if (t->input_length > 0)
		t->input_length--;
	t->input[t->input_length] = '\0';
}

static void
type_character(struct top *t, int c)
{
	if (c < 32 || c >= KEY_IS_ENTER || t->input_length + 4 > TOP_INPUT_MAX)
		return;
	t->input_length += utf8_encode((uint32_t)c, t->input + t->input_length);
	t->input[t->input_length] = '\0';
}

static void
key_while_asking(struct live *v, int key)
{
	if (v->top.mode == TOP_CANCEL) {
		v->top.mode = TOP_LOOK;
		if (key == 'y' && free_hands(v))
			do_cancel(v);
		return;
	}
	switch (key) {
	case KEY_IS_ENTER:
		entered(v);
		break;
	case KEY_IS_ESCAPE:
		v->top.mode = TOP_LOOK;
		break;
	case KEY_IS_BACKSPACE:
		rub_out(&v->top);
		break;
	case 21: /* Ctrl-U */
		v->top.input_length = 0;
		v->top.input[0] = '\0';
		break;
	default:
		type_character(&v->top, key);
	}
}

static void
take_keys(struct live *v)
{
	int key;

	while (!v->stop && (key = screen_key(v->screen)) != KEY_IS_NONE) {
		if (key == KEY_IS_RESIZE)
			v->next_ms = term_now_ms();
		else if (v->top.mode == TOP_LOOK)
			key_while_looking(v, key);
		else
			key_while_asking(v, key);
	}
}

/* ---- the loop ---- */

static void
draw(struct live *v)
{
	struct frame f;
	int line, column;

	screen_size(v->screen, &v->top.width, &v->top.height);
	if (v->top.message != NULL && v->deed == DEED_NONE &&
	    term_now_ms() > v->top.message_until_ms) {
		free(v->top.message);
		v->top.message = NULL;
	}
	top_compose(&v->top, &f, &line, &column);
	screen_draw(v->screen, &f, line, column);
	frame_clear(&f);
}

static void
wait_for_news(struct live *v)
{
	struct pollfd fds[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
	    {.fd = v->interrupt_fd, .events = POLLIN},
	    {.fd = v->top.away ? -1 : client_fd(v->a->client), .events = POLLIN}};
	int64_t left = v->next_ms - term_now_ms();
	int n = poll(fds, 3, left > 0 ? (int)left : 0);

	if (n < 0 && errno != EINTR) {
		v->stop = true;
		return;
	}
	if (n > 0 && fds[1].revents != 0)
		v->stop = true;
	/* the terminal is gone */
	if (n > 0 && (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		v->stop = true;
}

static void
run(struct live *v)
{
	struct error err = ERROR_INIT;

	while (!v->stop) {
		draw(v);
		wait_for_news(v);
		take_keys(v);
		if (!v->top.away)
			take_all(v);
		if (term_now_ms() < v->next_ms)
			continue;
		screen_size(v->screen, &v->top.width, &v->top.height);
		if (v->top.away)
			come_back(v);
		else if (ask_all(v, &err) != 0)
			gone(v);
	}
}

static int
live(struct app *a)
{
	struct live v = {.a = a, .interrupt_fd = -1};
	struct error err = ERROR_INIT;
	int signal_number = 0, r;

	if ((r = link_open(a)) != 0)
		return r;
	if ((v.screen = screen_open(a->out_color, &err)) == NULL)
		return fail_err(a, &err);
	v.interrupt_fd = interrupt_catch();
	top_init(&v.top, a, 0, 0);
	screen_size(v.screen, &v.top.width, &v.top.height);
	if (subscribe(&v, &err) != 0 || ask_all(&v, &err) != 0)
		gone(&v);
	run(&v);
	if (v.interrupt_fd >= 0) {
		signal_number = interrupt_take();
		interrupt_release();
	}
	screen_close(v.screen);
	top_clear(&v.top);
	return signal_number != 0 ? 128 + signal_number : 0;
}

int
cmd_top(struct app *a)
{
	struct error err = ERROR_INIT;
	int r;

	if ((r = no_more_words(a, 0)) != 0)
		return r;
	if (a->form != FORM_TEXT || (!args_has(&a->args, "once") && (!a->in_tty || !a->out_tty))) {
		error_set(&err, MP_E_INVALID_PARAMS,
		    a->form != FORM_TEXT ? "top is for people: it has no --json or --plain form"
					 : "top needs a terminal");
		error_hint(&err, "mpc watch --json, or mpc top --once for one picture");
		return fail_err(a, &err);
	}
	width_use_locale(a);
	return args_has(&a->args, "once") ? top_once(a) : live(a);
}
