/* event.h - what a provider's answer is made of, in the order it arrives.
 *
 * Produced by dialects, consumed by a call. Borrowed strings, valid during the callback. */
#ifndef SERVER_MODEL_EVENT_H
#define SERVER_MODEL_EVENT_H

#include "protocol/base/str.h"
#include "server/model/failure.h"
#include "server/model/limits.h"
#include "server/model/usage.h"

enum event_type {
	EVENT_START,     /* the provider began: id, model as it names it */
	EVENT_TEXT,      /* text: whole code points */
	EVENT_REASONING, /* text */
	EVENT_REASONING_END, /* a block of reasoning is over: signature, or redacted with its data there */
	EVENT_TOOL_CALL, /* a call begins: index, id, name */
	EVENT_TOOL_ARGS, /* text: a piece of the JSON text of call `index` */
	EVENT_TOOL_END,  /* call `index` is whole (its arguments may still be no JSON) */
	EVENT_USAGE,
	EVENT_LIMITS,    /* limits: what is left, told inside the answer */
	EVENT_FINISH,    /* the answer is whole: stop */
	EVENT_WARNING,   /* text: something was repaired or dropped; the user sees it */
	EVENT_ERROR,     /* failure: the answer is over */
};

enum stop_reason {
	STOP_END,
	STOP_LENGTH,
	STOP_TOOL_CALL,
	STOP_CONTENT_FILTER,
	STOP_CANCELLED,
	STOP_OTHER,
};

struct event {
	enum event_type type;
	struct slice text;
	struct slice id;    /* START: the provider's id; TOOL_CALL: call id (made up if it sent none) */
	struct slice name;  /* START: model; TOOL_CALL: tool */
	unsigned index;     /* TOOL_*: 0, 1, ... in order of appearance */
	bool refusal;       /* TEXT: the model declined */
	/* REASONING_END, TOOL_END: opaque, goes back only to whom signed it; empty = none */
	struct slice signature;
	bool redacted;      /* REASONING_END: the text is withheld, signature holds the provider's data */
	enum stop_reason stop;
	const struct usage *usage;
	const struct failure *failure;
	const struct limits *limits;
};

/* Where events go. */
struct event_sink {
	void (*event)(void *arg, const struct event *e);
	void *arg;
};

const char *stop_reason_name(enum stop_reason s); /* "end", "length", ... as in PROTOCOL.md */

#endif
