#include "server/dialect/anthropic_turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"

/* ---- growing ---- */

static struct turn *
last_turn(const struct turns *t)
{
	return t->count > 0 ? &t->of[t->count - 1] : NULL;
}

static void
turn_clear(struct turn *turn)
{
	for (size_t i = 0; i < turn->count; i++)
		free(turn->blocks[i].call_id);
	free(turn->blocks);
}

static struct turn *
turn_add(struct turns *t, bool assistant)
{
	struct turn *turn;

	if (t->of == NULL || t->count == t->cap) {
		t->cap = t->cap > 0 ? t->cap * 2 : 16;
		t->of = xrealloc(t->of, t->cap * sizeof *t->of);
	}
	turn = &t->of[t->count++];
	memset(turn, 0, sizeof *turn);
	turn->assistant = assistant;
	return turn;
}

static struct block *
block_add(struct turn *turn, enum block_kind kind, const struct part *p)
{
	struct block *b;

	if (turn->count == turn->cap) {
		turn->cap = turn->cap > 0 ? turn->cap * 2 : 4;
		turn->blocks = xrealloc(turn->blocks, turn->cap * sizeof *turn->blocks);
	}
	b = &turn->blocks[turn->count++];
	*b = (struct block){ .kind = kind, .part = p };
	return b;
}

/* Reasoning that nothing follows is refused; it was cut off anyway. */
static void
close_assistant(struct turns *t)
{
	struct turn *turn = last_turn(t);
	size_t before;

	if (turn == NULL || !turn->assistant)
		return;
	before = turn->count;
	while (turn->count > 0 && turn->blocks[turn->count - 1].part->type == PART_REASONING)
		turn->count--;
	if (turn->count < before)
		emit_warning(t->sink, "reasoning that nothing follows was left out");
	if (turn->count > 0)
		return;
	turn_clear(turn);
	t->count--;
}

/* The turn where the next block of that side belongs: neighbours of one side are one turn. */
static struct turn *
turn_of(struct turns *t, bool assistant)
{
	struct turn *turn;

	if (!assistant)
		close_assistant(t);
	turn = last_turn(t);
	if (turn != NULL && turn->assistant == assistant)
		return turn;
	if (turn == NULL && assistant) {
		block_add(turn_add(t, false), BLOCK_CONTINUE, NULL);
		emit_warning(t->sink, "\"(continue)\" was put before the history: the user must begin");
	}
	return turn_add(t, assistant);
}

/* ---- ids of calls ---- */

/* False when it is taken; takes it otherwise. */
static bool
take_id(struct turns *t, const char *id)
{
	uint64_t sum = 0xcbf29ce484222325u;
	size_t at;

	for (; *id != '\0'; id++)
		sum = (sum ^ (unsigned char)*id) * 0x100000001b3u;
	sum += sum == 0;
	for (at = sum & (t->used_size - 1); t->used[at] != 0; at = (at + 1) & (t->used_size - 1)) {
		if (t->used[at] == sum)
			return false;
	}
	t->used[at] = sum;
	return true;
}

/* Some servers number the calls of every answer from 0, but an id may be used once in a history. */
static char *
call_id(struct turns *t, const char *given)
{
	char *id = anthropic_fit_id(given), *next;
	size_t n = strlen(id);
	unsigned again = 2;

	while (!take_id(t, id)) {
		next = xcalloc(1, n + 16);
		snprintf(next, n + 16, "%.*s_%u", (int)n, id, again++);
		free(id);
		id = next;
	}
	return id;
}

static void
make_room_for_ids(struct turns *t, const struct chat_request *chat)
{
	size_t calls = 0;

	for (size_t i = 0; i < chat->message_count; i++)
		for (size_t k = 0; k < chat->messages[i].part_count; k++)
			calls += chat->messages[i].parts[k].type == PART_TOOL_CALL;
	/* half empty at least, and never full */
	t->used_size = 16;
	while (t->used_size < 2 * calls + 2)
		t->used_size *= 2;
	t->used = xcalloc(t->used_size, sizeof *t->used);
}

/* ---- parts ---- */

static bool
is_blank(const struct text *text)
{
	for (size_t i = 0; i < text->len; i++)
		if (strchr(" \t\r\n\f\v", text->data[i]) == NULL || text->data[i] == '\0')
			return false;
	return true;
}

/* Whether reasoning may go back, which is only to whom signed it. */
static bool
is_own_reasoning(struct turns *t, const struct part *p)
{
	if (p->signature.len > 0 && p->signed_by != NULL && strcmp(p->signed_by, t->signed_by) == 0)
		return true;
	if (!t->reasoning_told)
		emit_warning(t->sink, "reasoning of earlier turns was left out: it is not this model's own");
	t->reasoning_told = true;
	return false;
}

static void
add_assistant_part(struct turns *t, const struct part *p)
{
	switch (p->type) {
	case PART_TEXT:
		if (!is_blank(&p->text))
			block_add(turn_of(t, true), BLOCK_PART, p);
		return;
	case PART_TOOL_CALL:
		block_add(turn_of(t, true), BLOCK_PART, p)->call_id =
		    call_id(t, p->call_id != NULL ? p->call_id : "");
		return;
	case PART_REASONING:
		if (is_own_reasoning(t, p))
			block_add(turn_of(t, true), BLOCK_PART, p);
		return;
	case PART_IMAGE:
	case PART_DOCUMENT:
		emit_warning(t->sink, "an attachment of an earlier answer was left out");
		return;
	case PART_TOOL_RESULT:
		return; /* chat_check lets none through */
	}
}

/* The call of the last assistant turn that waits for this result. */
static struct block *
call_of(struct turns *t, const struct part *result)
{
	struct turn *turn = last_turn(t);

	if (turn != NULL && !turn->assistant)
		turn = t->count > 1 ? turn - 1 : NULL;
	for (size_t i = 0; turn != NULL && i < turn->count; i++) {
		struct block *b = &turn->blocks[i];

		if (b->call_id != NULL && b->result == NULL && b->part->call_id != NULL &&
		    result->call_id != NULL && strcmp(b->part->call_id, result->call_id) == 0)
			return b;
	}
	return NULL;
}

static void
add_result(struct turns *t, const struct part *p)
{
	struct block *call = call_of(t, p);

	if (call == NULL) {
		emit_warning(t->sink, "a tool result without its call was left out");
		return;
	}
	call->result = p;
	(void)turn_of(t, false);
}

static void
add_user_part(struct turns *t, const struct part *p)
{
	switch (p->type) {
	case PART_TEXT:
		if (!is_blank(&p->text))
			block_add(turn_of(t, false), BLOCK_PART, p);
		return;
	case PART_IMAGE:
		block_add(turn_of(t, false), BLOCK_PART, p);
		return;
	case PART_DOCUMENT:
		if (p->url != NULL || p->bytes.len > 0)
			block_add(turn_of(t, false), BLOCK_PART, p);
		else
			emit_warning(t->sink, "an empty document was left out");
		return;
	case PART_TOOL_RESULT:
		add_result(t, p);
		return;
	case PART_TOOL_CALL:
	case PART_REASONING:
		return; /* chat_check lets none through */
	}
}

static void
add_instruction(struct turns *t, const struct part *p)
{
	if (p->type != PART_TEXT || is_blank(&p->text))
		return;
	block_add(turn_of(t, false), BLOCK_INSTRUCTION, p);
	emit_warning(t->sink, "a system message inside the history was sent as the user's");
}

/* ---- the whole ---- */

/* A history whose last word is an empty one of the user still asks. */
static void
finish(struct turns *t, bool ends_with_assistant)
{
	struct turn *last;

	close_assistant(t);
	last = last_turn(t);
	if (last != NULL && last->assistant && turn_calls(last) > 0) {
		turn_add(t, false);
	} else if (last == NULL || (last->assistant && !ends_with_assistant)) {
		block_add(turn_add(t, false), BLOCK_EMPTY, NULL);
		emit_warning(t->sink, "an empty message was sent as \"(empty)\"");
	}
}

void
turns_build(struct turns *t, const struct chat_request *chat, const char *signed_by,
    const struct event_sink *sink)
{
	const struct chat_message *m = NULL;

	memset(t, 0, sizeof *t);
	t->signed_by = signed_by;
	t->sink = sink;
	make_room_for_ids(t, chat);
	while (t->begin < chat->message_count && chat->messages[t->begin].role == ROLE_SYSTEM)
		t->begin++;
	for (size_t i = t->begin; i < chat->message_count; i++) {
		m = &chat->messages[i];
		for (size_t k = 0; k < m->part_count; k++) {
			if (m->role == ROLE_ASSISTANT)
				add_assistant_part(t, &m->parts[k]);
			else if (m->role == ROLE_SYSTEM)
				add_instruction(t, &m->parts[k]);
			else
				add_user_part(t, &m->parts[k]);
		}
	}
	finish(t, m != NULL && m->role == ROLE_ASSISTANT);
}

void
turns_clear(struct turns *t)
{
	for (size_t i = 0; i < t->count; i++)
		turn_clear(&t->of[i]);
	free(t->of);
	free(t->used);
	memset(t, 0, sizeof *t);
}

size_t
turn_calls(const struct turn *turn)
{
	size_t n = 0;

	for (size_t i = 0; turn->assistant && i < turn->count; i++)
		n += turn->blocks[i].call_id != NULL;
	return n;
}

bool
turns_end_with_assistant(const struct turns *t)
{
	return t->count > 0 && t->of[t->count - 1].assistant;
}

bool
turns_lack_reasoning(const struct turns *t)
{
	const struct turn *before = t->count > 1 ? &t->of[t->count - 2] : NULL;

	return before != NULL && turn_calls(before) > 0 &&
	    before->blocks[0].part->type != PART_REASONING;
}
