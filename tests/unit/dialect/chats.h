/* chats.h - chats nobody would write: one generator for every dialect. What it makes is the same for the same
 * seed. Texts, arguments, results and files carry marks ("m7;"): a reader can tell what is missing. */
#ifndef TESTS_UNIT_DIALECT_CHATS_H
#define TESTS_UNIT_DIALECT_CHATS_H

#include "tests/unit/dialect/listener.h"

#include <unistd.h>

#include "protocol/base/err.h"
#include "server/model/chat.h"

static uint64_t dice_state;

/* The test's own seed, or what MPD_TEST_SEED says; told, so that it can be repeated. */
static inline uint64_t
dice_seed(void)
{
	const char *text = getenv("MPD_TEST_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)getpid() * 2654435761u;

	print_message("MPD_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline void
dice_start(uint64_t seed, uint64_t round)
{
	dice_state = (seed * 0xbf58476d1ce4e5b9u) ^ ((round + 1) * 0x9e3779b97f4a7c15u);
	dice_state ^= dice_state >> 29;
	if (dice_state == 0)
		dice_state = 1;
}

static inline unsigned
dice(unsigned sides)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (unsigned)(dice_state >> 11) % sides;
}

static inline const char *
dice_pick(const char *const *words, unsigned n)
{
	return words[dice(n)];
}
#define PICK(...)                                                                                  \
	dice_pick((const char *const[]){ __VA_ARGS__ },                                            \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* ---- marks ---- */

static unsigned marks_made;

static inline void
set_marked(struct text *t, const char *fmt)
{
	char all[128];
	const char *at = strchr(fmt, '@');

	if (at == NULL) {
		text_set(t, fmt, strlen(fmt));
		return;
	}
	snprintf(all, sizeof all, "%.*sm%u;%s", (int)(at - fmt), fmt, ++marks_made, at + 1);
	text_set(t, all, strlen(all));
}

/* ---- parts ---- */

/* An id of the calls so far; NULL while there is none. */
static inline const char *
asked_id(const struct chat_request *c)
{
	const char *found = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < c->message_count; i++)
		for (size_t k = 0; k < c->messages[i].part_count; k++) {
			const struct part *p = &c->messages[i].parts[k];

			if (p->type == PART_TOOL_CALL && dice(++n) == 0)
				found = p->call_id;
		}
	return found;
}

static inline void
add_some_result(struct chat_message *m, const char *id)
{
	struct part *p = chat_add_part(m, PART_TOOL_RESULT);

	p->call_id = xstrdup(id);
	set_marked(&p->text, PICK("", "@", "{\"a\":\"@\"}", "[\"@\"]", "{\"cut @"));
	p->is_error = dice(4) == 0;
}

static inline void
add_some_file(struct chat_message *m)
{
	struct part *p = chat_add_part(m, dice(2) == 0 ? PART_IMAGE : PART_DOCUMENT);

	p->media_type = xstrdup(p->type == PART_IMAGE ? PICK("image/png", "image/webp", "image/x-new")
	                                              : PICK("application/pdf", "text/plain", "text/csv"));
	set_marked(&p->bytes, PICK("@", "@", "\xff\xfe@"));
	if (dice(2) == 0)
		p->name = xstrdup("notes");
}

static inline void
sign_somehow(struct part *p)
{
	text_set(&p->signature, "c2ln", 4);
	p->signed_by = xstrdup(PICK("p:claude-opus-5", "p:qwen3", "q:claude-opus-5", "p:gemini-3.8-flash",
	    "p:gpt-6.2-sol"));
}

/* A third of the chats knows no tools. */
static bool without_tools;

static inline void
add_some_answer(struct chat_message *m)
{
	struct part *p;

	if (without_tools || dice(3) == 0) {
		p = chat_add_part(m, PART_REASONING);
		if (dice(2) == 0)
			sign_somehow(p);
		p->redacted = p->signed_by != NULL && dice(3) == 0;
		if (!p->redacted)
			set_marked(&p->text, PICK("", "hm @"));
		return;
	}
	p = chat_add_part(m, PART_TOOL_CALL);
	p->call_id = xstrdup(PICK("toolu_1", "call:1", "call_0", "a/b", "x", "toolu_1_2"));
	p->name = xstrdup(PICK("one", "two.dots", "3rd"));
	set_marked(&p->arguments, PICK("", "{}", "{\"a\":\"@\",\"b\":[1,1e3]}", "[\"@\"]", "{\"cut @", "7"));
	if (dice(3) == 0)
		sign_somehow(p);
}

static inline void
add_some_part(struct chat_request *c, struct chat_message *m)
{
	const char *asked = asked_id(c);

	if (m->role == ROLE_SYSTEM || (m->role != ROLE_TOOL && dice(3) == 0)) {
		chat_add_text(m, "", 0);
		set_marked(&m->parts[m->part_count - 1].text,
		    PICK("", " ", "@", "\n\t", "two @\nlines  ", "\xc3\xa9 @", "\"@\\", "{\"k\":\"@\"}"));
	} else if (asked != NULL && m->role != ROLE_ASSISTANT && (m->role == ROLE_TOOL || dice(2) == 0)) {
		add_some_result(m, asked);
	} else if (m->role != ROLE_ASSISTANT) {
		add_some_file(m);
	} else {
		add_some_answer(m);
	}
}

/* ---- the whole ---- */

static inline void
add_some_options(struct chat_options *o)
{
	o->tool_choice = (enum tool_choice)dice(TOOL_CHOICE_ONE);
	o->parallel_tool_calls = (int)dice(3) - 1;
	if (dice(2) == 0)
		o->reasoning_effort = xstrdup(PICK("off", "minimal", "low", "high", "max"));
	if (dice(3) == 0)
		o->max_tokens = 1 + dice(200000);
	if (dice(3) == 0)
		o->temperature = 0.6875;
	if (dice(3) == 0)
		o->top_p = 0.8125;
	if (dice(3) == 0)
		o->top_k = 37;
	if (dice(3) == 0)
		o->seed = 4242;
	if (dice(3) == 0)
		o->presence_penalty = 0.3125;
	if (dice(3) == 0)
		o->frequency_penalty = 0.1875;
	if (dice(4) == 0) {
		o->stop = xcalloc(2, sizeof *o->stop);
		o->stop[0] = xstrdup("halt!");
	}
}

/* Half of them have options. Not all pass chat_check. */
static inline struct chat_request *
some_chat(void)
{
	struct chat_request *c = chat_request_new();
	unsigned messages = 1 + dice(10);

	marks_made = 0;
	without_tools = dice(3) == 0;
	while (messages-- > 0) {
		struct chat_message *m = chat_add_message(c, ROLE_USER);
		unsigned parts = 1 + dice(4);

		m->role = (enum role)dice(4);
		if (m->role == ROLE_TOOL && asked_id(c) == NULL)
			m->role = ROLE_ASSISTANT;
		while (parts-- > 0)
			add_some_part(c, m);
	}
	if (!without_tools && dice(2) == 0)
		chat_add_tool(c, "one");
	if (!without_tools && dice(3) == 0)
		set_marked(&chat_add_tool(c, "two.dots")->parameters, PICK("{}", "{\"type\":\"object\"}"));
	if (dice(2) == 0)
		add_some_options(&c->options);
	c->want_reasoning = dice(2) == 0;
	return c;
}

#endif
