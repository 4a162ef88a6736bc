/* dialect.h - a wire language: a page of pure functions over memory.
 *
 * No socket, file, clock or global. The framing and the carrier are words in its row, so the same
 * code serves HTTP and a recorded answer in a test. dialects.def lists the rows. */
#ifndef SERVER_DIALECT_DIALECT_H
#define SERVER_DIALECT_DIALECT_H

#include "protocol/base/err.h"
#include "server/model/chat.h"
#include "server/model/event.h"
#include "server/model/failure.h"
#include "server/model/limits.h"
#include "server/model/listed.h"
#include "server/model/provider.h"
#include "server/model/target.h"
#include "server/model/wire.h"

/* What encode may know about where the chat goes. Borrowed. */
struct dialect_target {
	const struct provider *provider;
	const char *model; /* the upstream id */
};

/* How a list of models goes on when it does not end with its first page. */
struct list_pages {
	const char *more;      /* a member that is true when there is more; NULL = the cursor alone tells */
	const char *cursor;    /* a member: where the next page begins */
	const char *parameter; /* of the query, takes the cursor */
};

struct dialect {
	const char *name;
	enum carrier_kind carrier;
	enum framing framing;
	enum auth_style auth_style;
	size_t state_size;

	/* Chat in, wire bytes out. Warnings (something dropped or bent) go to sink as EVENT_WARNING.
	 * MP_E_INVALID_PARAMS (with err) when the chat cannot be said in this language. */
	int (*encode)(const struct chat_request *chat, const struct dialect_target *to,
	    struct wire_request *out, const struct event_sink *sink, struct error *err);

	/* One answer: state is state_size zeroed bytes owned by the caller. begin may be NULL;
	 * chat and to may be NULL (a recorded answer), else they are borrowed for this call only. */
	void (*begin)(void *state, const struct chat_request *chat,
	    const struct dialect_target *to);
	/* One frame, or a whole JSON reply, in; events out. After EVENT_FINISH or EVENT_ERROR nothing
	 * more is emitted (usage that comes later is still reported before EVENT_FINISH: a dialect holds
	 * FINISH back until the stream's own end marker, or until `end`). Always returns; bad input
	 * becomes EVENT_ERROR. */
	void (*frame)(void *state, const struct frame *f, const struct event_sink *sink);
	void (*body)(void *state, struct slice json, const struct event_sink *sink);
	/* The bytes are over. If no terminal event was emitted yet: EVENT_FINISH when the stream had all
	 * that matters (a finish reason), else EVENT_ERROR of class protocol. */
	void (*end)(void *state, const struct event_sink *sink);
	/* What the answer has told of its usage up to here, reported or not: of one that goes on, was
	 * cancelled or broke off. What was not told is unknown. NULL where usage comes with FINISH alone. */
	void (*told)(const void *state, struct usage *out);
	void (*clear)(void *state);
	/* A program that answers one turn after the other. resume, before the first frame: the one that was
	 * asked waited, and knew this. remember, after EVENT_FINISH: what it knows now that it may be asked
	 * again; false = it may not. NULL elsewhere. */
	void (*resume)(void *state, const struct wire_memory *known);
	bool (*remember)(void *state, struct wire_memory *out);

	/* Status >= 300, headers, body (may be empty, HTML, cut): the class and the story.
	 * now_ms: the caller's wall clock, for dates in headers. */
	void (*refuse)(const struct provider *p, const struct wire_head *head, struct slice body,
	    int64_t now_ms, struct failure *out);

	/* What the headers of any answer say is left. NULL where this language has none. */
	void (*limits)(const struct provider *p, const struct wire_head *head, int64_t now_ms,
	    struct limits *out);

	/* GET for the model list (also the health probe), and its reply's chat models. NULL where there is
	 * none. MP_E_INVALID_PARAMS when the reply is no such list. */
	int (*list_request)(const struct provider *p, struct wire_request *out);
	int (*list_reply)(struct slice json, void (*each)(void *arg, const struct listed_model *m),
	    void *arg);
	/* NULL where a list is one page; else see pages.h. */
	const struct list_pages *pages;
	/* One more request per model where the list leaves out what matters (Ollama's /api/show); NULL where
	 * it does not. The reply completes *m, whose slices are borrowed from json. */
	int (*show_request)(const struct provider *p, struct slice model, struct wire_request *out);
	int (*show_reply)(struct slice json, struct listed_model *m);

	/* Where the provider's own program holds the login: the question whether it is logged in (a
	 * request that is no stream), and its answer; class none = logged in. NULL elsewhere. */
	int (*login_request)(const struct provider *p, struct wire_request *out);
	void (*login_reply)(struct slice text, struct failure *out);
	/* What a user should know before he turns such a provider on; NULL = nothing. */
	const char *terms;
};

/* By name; NULL when this version has no such dialect. */
const struct dialect *dialect_find(const char *name);
/* All rows, NULL-terminated. */
const struct dialect *const *dialect_list(void);
/* Whether the word is a dialect of DESIGN.md section 1, existing here or not yet. */
bool dialect_name_known(const char *name);
/* Fills in what was not said of a new provider, by its dialect (openai-chat when NULL) and its
 * address: its type and auth type. MP_E_INVALID_PARAMS for an address that is no URL. */
int dialect_complete(struct provider *p, bool type_known, bool auth_known, struct error *err);

#endif
