/* gemini_history.h - the chat on its way into "contents".
 *
 * gemini_contents.c has the turns and what the user says, gemini_steps.c what the model said and the
 * results of its calls. */
#ifndef SERVER_DIALECT_GEMINI_HISTORY_H
#define SERVER_DIALECT_GEMINI_HISTORY_H

#include "server/dialect/gemini.h"

enum gemini_turn { TURN_NONE, TURN_USER, TURN_MODEL };

struct gemini_history {
	struct json_writer *w;
	const struct chat_request *chat;
	const struct event_sink *sink;
	struct error *err;
	const struct dialect_target *to;
	bool needs_signature; /* Gemini 3 and later */
	enum gemini_turn turn; /* the content that is open */
	bool call_said;       /* this step has a call already */
	bool reasoning_told;
};

/* Makes `turn` the content that is open. Neighbours of one role are one content; one that would be empty is
 * never begun. */
void gemini_turn_begin(struct gemini_history *h, enum gemini_turn turn);
void gemini_put_text(struct gemini_history *h, const char *text, size_t n);

/* Where the model's turn that begins with message `from` ends: answers with nothing but instructions
 * between them are one. */
size_t gemini_step_end(const struct chat_request *c, size_t from);
/* The model's turn, and a result for each of its calls. */
void gemini_step_put(struct gemini_history *h, size_t from, size_t to);
/* Every result belongs to a call before it, and to no other result's. */
int gemini_results_check(struct gemini_history *h, size_t at);

#endif
