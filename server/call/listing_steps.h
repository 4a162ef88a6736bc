/* listing_steps.h - the inside of a listing: what it asks, one thing after the other, and what the answers
 * say. Private to listing.c and listing_steps.c. */
#ifndef SERVER_CALL_LISTING_STEPS_H
#define SERVER_CALL_LISTING_STEPS_H

#include "server/call/listing.h"
#include "server/dialect/pages.h"

/* In this order; those that do not apply are passed over. */
enum step {
	STEP_HEALTH,
	STEP_KEY,    /* a gateway with "credit-limits": is the key valid, what does it leave */
	STEP_NATIVE,     /* LM Studio */
	STEP_NATIVE_OLD, /* the same before 0.4 */
	STEP_LIST,   /* a page after the other */
	STEP_CREDITS, /* what the account has, where the key may ask */
	STEP_LOADED, /* Ollama: what is in memory */
	STEP_PROPS,  /* llama.cpp */
	STEP_SHOW,   /* one model after the other */
	STEP_NONE,
};

struct listing {
	const struct attempt_parts *parts;
	void (*on_end)(void *arg, const struct listing_end *e);
	void *arg;

	struct provider *provider;
	const struct dialect *dialect;
	char *label;
	bool health;
	enum step step;
	bool listed;   /* the list is there */
	unsigned pages; /* of it, so far */
	char cursor[PAGE_CURSOR_SIZE]; /* of the page that is asked for next; "" = there is none */
	char *warning; /* NULL = the list is whole */
	size_t show;   /* STEP_SHOW: this one is asked for */
	unsigned shows;

	struct transfer *transfer;
	struct loop_timer *patience;
	struct loop_deferred go_on;
	int64_t timeout_ms, started_ms, asked_ms, latency_ms;

	struct head_copy refusal;
	bool key_sent;
	bool reached; /* somebody answered, whatever he said */
	bool judged; /* this step's answer was read */
	bool failed; /* `failure` holds the verdict */
	bool dead;
	struct failure failure;
	struct roster models;
	bool key_told; /* STEP_KEY was answered */
	struct account account;
};

/* Whether this step has something to ask, and what. */
bool listing_step_request(struct listing *l, struct wire_request *out);
/* The list is not whole, and why; the first reason stays. */
void listing_warn(struct listing *l, const char *why);
/* The body of a good answer. 0, or an error when it is not what was asked for. */
int listing_step_read(struct listing *l, struct slice body);

#endif
