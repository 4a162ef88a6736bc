/* claude_cli_past.c - what a program knows that has answered: the conversation, written down so that no two
 * different ones look alike. Every text has its length before it. */
#include <string.h>

#include "server/dialect/claude_cli.h"

static void
put_text(struct buf *out, char kind, const char *data, size_t n)
{
	(void)buf_addf(out, "%c%zu:", kind, n);
	(void)buf_add(out, data, n);
}

static void
put_word(struct buf *out, char kind, const char *word)
{
	if (word != NULL)
		put_text(out, kind, word, strlen(word));
}

/* An answer is its text, in however many pieces it comes back; reasoning goes back to nobody. */
static void
put_answer(const struct chat_message *m, struct buf *out)
{
	struct buf text;

	buf_init(&text, WIRE_PAST_MAX);
	for (size_t i = 0; i < m->part_count; i++)
		if (m->parts[i].type == PART_TEXT)
			(void)buf_add(&text, m->parts[i].text.data, m->parts[i].text.len);
	claude_cli_past_answer((struct slice){ text.data, text.len }, out);
	out->failed |= text.failed;
	buf_clear(&text);
}

static bool
is_plain_answer(const struct chat_message *m)
{
	for (size_t i = 0; i < m->part_count; i++)
		if (m->parts[i].type != PART_TEXT && m->parts[i].type != PART_REASONING)
			return false;
	return m->role == ROLE_ASSISTANT;
}

static void
put_message(const struct chat_message *m, struct buf *out)
{
	static const char roles[] = {
		[ROLE_SYSTEM] = 'S', [ROLE_USER] = 'U', [ROLE_ASSISTANT] = 'A', [ROLE_TOOL] = 'T',
	};

	(void)buf_addf(out, "%c%zu;", roles[m->role], m->part_count);
	for (size_t i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		(void)buf_addf(out, "p%d;", (int)p->type);
		put_word(out, 'm', p->media_type);
		put_word(out, 'u', p->url);
		put_word(out, 'n', p->name);
		put_text(out, 't', p->text.data, p->text.len);
		put_text(out, 'b', p->bytes.data, p->bytes.len);
	}
}

void
claude_cli_past_answer(struct slice text, struct buf *out)
{
	put_text(out, 'a', text.data, text.len);
}

void
claude_cli_past(const struct chat_request *chat, size_t end, struct buf *out)
{
	for (size_t i = 0; i < end; i++) {
		if (is_plain_answer(&chat->messages[i]))
			put_answer(&chat->messages[i], out);
		else
			put_message(&chat->messages[i], out);
	}
}

size_t
claude_cli_new_turn(const struct chat_request *chat)
{
	size_t i = chat->message_count;

	while (i > 0 && chat->messages[i - 1].role == ROLE_USER)
		i--;
	return i < chat->message_count && i > 0 && is_plain_answer(&chat->messages[i - 1]) ? i : 0;
}

void
claude_cli_resume(void *state, const struct wire_memory *known)
{
	struct claude_cli_state *s = state;

	s->spent_before = known->spent_microusd;
}

bool
claude_cli_remember(void *state, struct wire_memory *out)
{
	struct claude_cli_state *s = state;

	if (!s->may_go_on || s->past.len == 0)
		return false;
	claude_cli_past_answer((struct slice){ s->answer.data, s->answer.len }, &s->past);
	if (s->past.failed)
		return false;
	buf_clear(&out->past);
	out->past = s->past;
	s->past = (struct buf)BUF_INIT;
	out->spent_microusd = s->spent;
	return true;
}
