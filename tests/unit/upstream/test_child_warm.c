/* Programs that wait for another turn: who is asked, and how each of them ends. */
#include "tests/unit/upstream/script.h"

#include <signal.h>

#include "server/upstream/child_warm.h"

#define PATIENT 10000

/* Answers each line with its own number and the line. */
#define TALK "while read -r l; do echo \"$$ $l\"; done"

struct talk {
	struct customer c;
	const char *becomes; /* what it knows after its answer; NULL = the answer is not kept */
	const char *past;    /* what must be known; NULL = nothing */
	const char *word;    /* its argument */
	int64_t known_spent; /* -2 = a new program was asked */
	long pid;            /* who answered */
	unsigned kept;
};

static void
talk_head(void *arg, const struct wire_head *head)
{
	struct talk *t = arg;
	const struct wire_memory *known = transfer_known(t->c.transfer);

	customer_head(&t->c, head);
	t->known_spent = known != NULL ? known->spent_microusd : -2;
}

static void
talk_frame(void *arg, const struct frame *f)
{
	struct talk *t = arg;
	struct wire_memory known;

	customer_frame(&t->c, f);
	t->pid = strtol(buf_str(&t->c.text), NULL, 10);
	if (t->becomes == NULL)
		return;
	wire_memory_init(&known);
	buf_adds(&known.past, t->becomes);
	known.spent_microusd = 7;
	transfer_keep(t->c.transfer, &known);
	assert_int_equal(known.past.len, 0);
	wire_memory_clear(&known);
	t->kept++;
}

static void
talk_end(void *arg, const struct failure *failure)
{
	struct talk *t = arg;

	customer_end(&t->c, failure);
}

static void
talk_init(struct talk *t)
{
	memset(t, 0, sizeof *t);
	customer_init(&t->c, NULL);
	snprintf(t->c.to.owner, sizeof t->c.to.owner, "me");
	t->word = "word";
}

/* Another one who asks over the same carriers. */
static struct talk
talk_beside(const struct talk *t)
{
	struct talk beside = *t;

	beside.c.text = beside.c.headers = beside.c.body = (struct buf)BUF_INIT;
	return beside;
}

static void
talk_send(struct talk *t, const char *body, const char *more)
{
	static const struct transfer_callbacks callbacks = { talk_head, talk_frame, NULL, talk_end };
	struct wire_request req;

	customer_forget(&t->c);
	t->kept = 0;
	t->pid = 0;
	wire_request_init(&req);
	req.program = "run";
	req.stream = req.stays = true;
	buf_adds(&req.body, body);
	if (t->past != NULL) {
		buf_adds(&req.past, t->past);
		buf_adds(&req.more, more);
	}
	wire_request_argument(&req, t->word);
	t->c.to.program = script;
	t->c.transfer = transfer_start(t->c.up, CARRIER_CHILD, FRAMING_NDJSON, &t->c.to, &req,
	    &callbacks, t, &t->c.err);
	assert_non_null(t->c.transfer);
}

/* Asks, and waits for an answer or an end. Returns who answered. */
static long
talk(struct talk *t, const char *body, const char *more)
{
	int64_t until = clock_monotonic_ms() + PATIENT;

	talk_send(t, body, more);
	while (t->c.ends + t->kept == 0 && clock_monotonic_ms() < until)
		loop_once(t->c.loop, 10);
	/* what was kept is put away at the end of the tick */
	loop_once(t->c.loop, 0);
	return t->pid;
}

/* Until *n, which somebody counts up, is there. */
static void
wait_count(struct talk *t, const unsigned *n)
{
	int64_t until = clock_monotonic_ms() + PATIENT;

	while (*n == 0 && clock_monotonic_ms() < until)
		loop_once(t->c.loop, 10);
	assert_int_not_equal(*n, 0);
}

static void
wait_left(struct talk *t, unsigned n)
{
	int64_t until = clock_monotonic_ms() + PATIENT;

	while (left_over() != n && clock_monotonic_ms() < until)
		loop_once(t->c.loop, 10);
	assert_int_equal(left_over(), n);
}

static void
assert_said(const struct talk *t, const char *words)
{
	const char *blank = strchr(buf_str(&t->c.text), ' ');

	assert_non_null(blank);
	assert_string_equal(blank + 1, words);
}

/* ---- who is asked ---- */

static void
test_child_warm__the_next_turn_goes_to_the_same_program(void **state)
{
	struct talk t;
	unsigned fds;
	long first;

	(void)state;
	write_script(TALK);
	talk_init(&t);
	t.becomes = "one";
	loop_once(t.c.loop, 0);
	fds = open_fds();
	first = talk(&t, "all of it\n", NULL);
	assert_said(&t, "all of it|");
	assert_int_equal(t.known_spent, -2);
	assert_int_equal(left_over(), 1);
	for (int i = 0; i < 3; i++) {
		t.past = i == 0 ? "one" : "two";
		t.becomes = "two";
		assert_int_equal(talk(&t, "all again\n", "only this\n"), first);
		assert_said(&t, "only this|");
		assert_int_equal(t.c.heads, 1);
		assert_int_equal(t.known_spent, 7);
	}
	upstream_end_waiting(t.c.up, NULL, NULL);
	wait_left(&t, 0);
	customer_idle(&t.c, 50);
	assert_int_equal(open_fds(), fds);
	customer_clear(&t.c);
}

static void
test_child_warm__who_knows_something_else_is_not_asked(void **state)
{
	struct talk t;
	long first;

	(void)state;
	write_script(TALK);
	talk_init(&t);
	t.becomes = "known";
	first = talk(&t, "a\n", NULL);
	t.becomes = NULL;
	for (int i = 0; i < 6; i++) {
		t.past = i == 0 ? "Known" : i == 1 ? "know" : i == 2 ? NULL : "known";
		t.word = i == 3 ? "other" : "word";
		snprintf(t.c.to.owner, sizeof t.c.to.owner, "%s", i == 4 ? "you" : "me");
		t.c.to.proxy = i == 5 ? "http://127.0.0.1:9" : NULL;
		talk_send(&t, "b\n", "c\n");
		wait_count(&t, &t.c.frames);
		assert_int_not_equal(t.pid, first);
		assert_said(&t, "b|");
		transfer_cancel(t.c.transfer);
		wait_left(&t, 1);
	}
	t.c.to.proxy = NULL;
	t.becomes = "known too";
	assert_int_equal(talk(&t, "b\n", "c\n"), first);
	customer_clear(&t.c);
	assert_int_equal(left_over(), 0);
}

/* Two requests for the same turn: the second one gets a program of its own. */
static void
test_child_warm__one_program_answers_one_request(void **state)
{
	struct talk t, u;

	(void)state;
	write_script(TALK);
	talk_init(&t);
	t.becomes = "x";
	talk(&t, "a\n", NULL);
	t.past = "x";
	u = talk_beside(&t);
	talk_send(&t, "b\n", "c\n");
	talk_send(&u, "b\n", "c\n");
	wait_count(&t, &t.kept);
	wait_count(&t, &u.kept);
	assert_int_not_equal(t.pid, u.pid);
	assert_int_equal(t.known_spent, 7);
	assert_int_equal(u.known_spent, -2);
	customer_forget(&u.c);
	customer_clear(&t.c);
}

/* ---- places ---- */

static void
test_child_warm__three_wait_and_the_oldest_makes_room(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct talk t;
	long pid[4];

	(void)state;
	write_script(TALK);
	talk_init(&t);
	for (int i = 0; i < 4; i++) {
		t.becomes = names[i];
		pid[i] = talk(&t, "x\n", NULL);
	}
	wait_left(&t, WARM_MAX);
	for (int i = 1; i < 4; i++) {
		t.past = t.becomes = names[i];
		assert_int_equal(talk(&t, "x\n", "y\n"), pid[i]);
	}
	t.past = t.becomes = "a";
	assert_int_not_equal(talk(&t, "x\n", "y\n"), pid[0]);
	customer_clear(&t.c);
}

static void
test_child_warm__who_needs_the_place_gets_it(void **state)
{
	struct talk t, busy[4];

	(void)state;
	write_script(TALK);
	talk_init(&t);
	for (int i = 0; i < WARM_MAX; i++) {
		t.becomes = i == 0 ? "a" : i == 1 ? "b" : "c";
		talk(&t, "x\n", NULL);
	}
	assert_int_equal(left_over(), WARM_MAX);
	t.becomes = NULL;
	/* four at once: one free place, and those that wait go for the rest */
	for (int i = 0; i < 4; i++) {
		busy[i] = talk_beside(&t);
		talk_send(&busy[i], "y\n", NULL);
	}
	for (int i = 0; i < 4; i++) {
		wait_count(&t, &busy[i].c.frames);
		assert_true(left_over() <= CHILDREN_MAX);
	}
	for (int i = 0; i < 4; i++) {
		transfer_cancel(busy[i].c.transfer);
		customer_forget(&busy[i].c);
	}
	wait_left(&t, 0);
	customer_clear(&t.c);
}

/* Its place is wanted already: it does not wait at all. */
static void
test_child_warm__nobody_waits_while_others_queue(void **state)
{
	struct talk t[5];

	(void)state;
	write_script("read -r l; echo \"$$ $l\"; sleep 0.3; " TALK);
	talk_init(&t[0]);
	t[0].becomes = "a";
	for (int i = 1; i < 5; i++)
		t[i] = talk_beside(&t[0]);
	for (int i = 0; i < 5; i++)
		talk_send(&t[i], "x\n", NULL);
	for (int i = 0; i < 5; i++)
		wait_count(&t[0], &t[i].kept);
	wait_left(&t[0], WARM_MAX);
	for (int i = 1; i < 5; i++)
		customer_forget(&t[i].c);
	customer_clear(&t[0].c);
}

/* ---- ends ---- */

static void
test_child_warm__nobody_comes(void **state)
{
	struct talk t;

	(void)state;
	write_script(TALK);
	talk_init(&t);
	upstream_limit_patience(t.c.up, 100);
	t.becomes = "a";
	talk(&t, "x\n", NULL);
	customer_idle(&t.c, 100);
	assert_int_equal(left_over(), 1);
	wait_left(&t, 0);
	customer_clear(&t.c);
}

static bool
ends_you(void *arg, const char *owner)
{
	(*(unsigned *)arg)++;
	return strcmp(owner, "you") == 0;
}

static void
test_child_warm__those_of_one_owner_end(void **state)
{
	unsigned asked = 0;
	struct talk t;
	long mine;

	(void)state;
	write_script(TALK);
	talk_init(&t);
	t.becomes = "a";
	mine = talk(&t, "x\n", NULL);
	snprintf(t.c.to.owner, sizeof t.c.to.owner, "you");
	talk(&t, "x\n", NULL);
	assert_int_equal(left_over(), 2);
	upstream_end_waiting(t.c.up, ends_you, &asked);
	assert_int_equal(asked, 2);
	wait_left(&t, 1);
	snprintf(t.c.to.owner, sizeof t.c.to.owner, "me");
	t.past = "a";
	assert_int_equal(talk(&t, "x\n", "y\n"), mine);
	upstream_reload(t.c.up);
	wait_left(&t, 0);
	/* after this none waits */
	upstream_drain(t.c.up);
	t.past = NULL;
	talk(&t, "x\n", NULL);
	assert_int_equal(t.kept, 1);
	wait_left(&t, 0);
	customer_clear(&t.c);
}

/* The second line of an answer that was whole belongs to nobody. */
static void
test_child_warm__one_that_says_more_is_not_asked_again(void **state)
{
	static const char *const scripts[] = {
		"while read -r l; do echo \"$$ $l\"; echo more; done",       /* at once */
		"while read -r l; do printf '%s\\nmo' \"$$ $l\"; done",        /* half a line */
		"while read -r l; do echo \"$$ $l\"; sleep 0.1; echo more; done", /* while it waits */
		"while read -r l; do echo \"$$ $l\"; exec >&-; done",         /* its output is closed */
		"while read -r l; do echo \"$$ $l\"; sleep 0.1; exec yes; done",
		"while read -r l; do echo \"$$ $l\"; exec yes complaint >&2; done",
		"read -r l; echo \"$$ $l\"",                                  /* it ends */
	};
	struct talk t;

	(void)state;
	talk_init(&t);
	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
		write_script(scripts[i]);
		t.past = NULL;
		t.becomes = "a";
		talk(&t, "x\n", NULL);
		wait_left(&t, 0);
		t.past = "a";
		talk(&t, "x\n", "y\n");
		assert_said(&t, "x|");
		assert_int_equal(t.known_spent, -2);
		wait_left(&t, 0);
	}
	customer_clear(&t.c);
}

/* It was asked, and was gone before it said a word: somebody new is asked everything, once. */
static void
test_child_warm__one_that_went_unheard_is_replaced(void **state)
{
	static const char *const ways[] = { "exit 3", "exec >&-; sleep 60", "kill -9 $$",
		"exec <&-; exit 0" };
	char body[256];
	struct talk t;
	long first;

	(void)state;
	talk_init(&t);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		snprintf(body, sizeof body, "read -r l; echo \"$$ $l\"; read -r l; %s", ways[i]);
		write_script(body);
		t.past = NULL;
		t.becomes = "a";
		first = talk(&t, "x\n", NULL);
		t.past = "a";
		assert_int_not_equal(talk(&t, "everything\n", "y\n"), first);
		assert_said(&t, "everything|");
		assert_int_equal(t.c.ends, 0);
		upstream_end_waiting(t.c.up, NULL, NULL);
		wait_left(&t, 0);
	}
	customer_clear(&t.c);
}

static void
test_child_warm__F99_dies_in_the_second_turn(void **state)
{
	struct talk t;

	(void)state;
	write_script("read -r l; echo \"$$ $l\"; read -r l; echo half; echo so sad >&2; exit 5");
	talk_init(&t);
	t.becomes = "a";
	talk(&t, "x\n", NULL);
	t.past = "a";
	t.becomes = NULL;
	talk(&t, "x\n", "y\n");
	assert_string_equal(buf_str(&t.c.text), "half|");
	assert_failure(&t.c, FAILURE_PROTOCOL, "exit");
	assert_string_equal(t.c.failure.message, "run ended with code 5: so sad");
	customer_clear(&t.c);
	assert_int_equal(left_over(), 0);
}

static void
test_child_warm__F100_silent_in_the_second_turn(void **state)
{
	struct talk t;

	(void)state;
	write_script("read -r l; echo \"$$ $l\"; exec sleep 60");
	talk_init(&t);
	t.c.to.first_byte_ms = 300;
	t.becomes = "a";
	talk(&t, "x\n", NULL);
	t.past = "a";
	talk(&t, "x\n", "y\n");
	assert_failure(&t.c, FAILURE_TIMEOUT, "first_byte");
	wait_left(&t, 0);
	customer_clear(&t.c);
}

static void
test_child_warm__a_cancelled_turn_ends_the_program(void **state)
{
	struct talk t;

	(void)state;
	write_script("read -r l; echo \"$$ $l\"; read -r l; echo half; exec sleep 60");
	talk_init(&t);
	t.becomes = "a";
	talk(&t, "x\n", NULL);
	t.past = "a";
	t.becomes = NULL;
	talk_send(&t, "x\n", "y\n");
	wait_count(&t, &t.c.frames);
	assert_string_equal(buf_str(&t.c.text), "half|");
	transfer_cancel(t.c.transfer);
	wait_left(&t, 0);
	/* one that was kept, with the whole of it going away */
	write_script("trap '' TERM; " TALK);
	t.past = NULL;
	t.becomes = "a";
	talk(&t, "x\n", NULL);
	assert_int_equal(left_over(), 1);
	customer_clear(&t.c);
	assert_int_equal(left_over(), 0);
}

static bool
is_gone(const char *file)
{
	char path[128];
	long pid = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, file);
	if ((f = fopen(path, "r")) == NULL)
		return false;
	if (fscanf(f, "%ld", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid > 0 && kill((pid_t)pid, 0) != 0;
}

/* A helper that left its group and its parent: it is ended though the program waits. */
static void
test_child_warm__F100_strangers_do_not_wait_with_it(void **state)
{
	int64_t until;
	struct talk t;
	char body[512];
	long first;

	(void)state;
	snprintf(body, sizeof body,
	    "(setsid sh -c 'echo $$ > %s/helper; exec sleep 60' < /dev/null > /dev/null 2>&1 &)\n"
	    "while [ ! -s %s/helper ]; do sleep 0.01; done\n" TALK, folder, folder);
	write_script(body);
	talk_init(&t);
	t.becomes = "a";
	first = talk(&t, "x\n", NULL);
	until = clock_monotonic_ms() + 6000;
	while (!is_gone("helper") && clock_monotonic_ms() < until)
		loop_once(t.c.loop, 10);
	assert_true(is_gone("helper"));
	t.past = "a";
	assert_int_equal(talk(&t, "x\n", "y\n"), first);
	customer_clear(&t.c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_child_warm__the_next_turn_goes_to_the_same_program),
		T(test_child_warm__who_knows_something_else_is_not_asked),
		T(test_child_warm__one_program_answers_one_request),
		T(test_child_warm__three_wait_and_the_oldest_makes_room),
		T(test_child_warm__who_needs_the_place_gets_it),
		T(test_child_warm__nobody_waits_while_others_queue),
		T(test_child_warm__nobody_comes),
		T(test_child_warm__those_of_one_owner_end),
		T(test_child_warm__one_that_says_more_is_not_asked_again),
		T(test_child_warm__one_that_went_unheard_is_replaced),
		T(test_child_warm__F99_dies_in_the_second_turn),
		T(test_child_warm__F100_silent_in_the_second_turn),
		T(test_child_warm__a_cancelled_turn_ends_the_program),
		T(test_child_warm__F100_strangers_do_not_wait_with_it),
	};

	signal(SIGPIPE, SIG_IGN);
	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
