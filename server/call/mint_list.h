/* mint_list.h - what mint.c, mint_ask.c and unmint.c share. Private to this folder. */
#ifndef SERVER_CALL_MINT_LIST_H
#define SERVER_CALL_MINT_LIST_H

#include "server/call/mint.h"
#include "server/dialect/openrouter_keys.h"

/* ---- one question to the API of keys, with the management key ---- */

struct management_watch {
	void (*on_body)(void *arg, struct slice body); /* of any status */
	void (*on_end)(void *arg, const struct failure *failure);
};

/* Part of the asker's struct; all zero is idle. */
struct management {
	struct transfer *transfer; /* NULL when it has ended */
	struct head_copy head;
	struct failure refusal; /* what an error status said */
	const struct provider *provider; /* the asker's */
	const struct management_watch *watch;
	void *arg;
};

/* Takes the content of wire. The provider outlives the question. 0, or an error with what to do. */
int management_ask(struct management *m, struct mints *ms, const struct provider *p,
    struct wire_request *wire, int64_t timeout_ms, const struct management_watch *watch, void *arg,
    struct error *err);
void management_stop(struct management *m);
void management_clear(struct management *m);
/* Reads the body of an error status. */
void management_refused(struct management *m, struct slice body);
/* Status of the answer; 0 = there was none. */
int management_status(const struct management *m);
/* Why there is no good answer: "<subject> NAME: ...". failure: how the transfer ended. */
void management_story(const struct management *m, const struct provider *p,
    const struct failure *failure, const char *subject, struct error *err);

/* ---- the set ---- */

struct deletion {
	struct management m;
	int64_t id; /* 0 = nothing runs */
	struct provider *provider;
	size_t offset;    /* of the page that is looked at for the hash */
	bool listing;     /* else deleting */
	char hash[OPENROUTER_HASH_BYTES];
	size_t on_page;
	bool read;        /* the page could be read */
};

struct mints {
	struct attempt_parts parts;
	struct sessions *sessions;
	struct minted *minted;
	struct changes *changes;
	struct mint *making;
	int64_t *held; /* ids that are being made or not settled yet */
	size_t held_count;
	struct deletion deletion;
	int64_t cursor;   /* keys up to this id had their try in this pass */
	bool failed;      /* one of this pass did */
	unsigned passes;  /* that failed, running */
	int64_t retry_ms; /* the first pause */
	struct loop_timer *timer;
	struct loop_deferred step;
};

/* Ends all that are being made, without a word. */
void mints_stop_making(struct mints *ms);
void mints_hold(struct mints *ms, int64_t id);
bool mints_held(const struct mints *ms, int64_t id);
/* A new pass over what is to be deleted, soon. */
void unmint_begin(struct mints *ms);
void unmint_stop(struct mints *ms);
void unmint_on_timer(void *arg);

#endif
