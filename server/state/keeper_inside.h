/* keeper_inside.h - what the files of the keeper share. */
#ifndef SERVER_STATE_KEEPER_INSIDE_H
#define SERVER_STATE_KEEPER_INSIDE_H

#include "server/state/keeper.h"

enum ask_kind { ASK_UNLOCK, ASK_PASSWD, ASK_REKEY };
/* STEP_AT_ONCE: no key is derived for it. */
enum step { STEP_OLD, STEP_FRESH, STEP_AT_ONCE };

struct keeper_ask {
	struct keeper *keeper;
	enum ask_kind kind;
	struct secret *old, *fresh;
	char *method, *client;
	keeper_done *done;
	void *arg;
	enum step step;
	bool running;   /* the worker has it */
	bool cancelled; /* nobody waits for it any more */
	bool overtaken; /* locked meanwhile */
	struct secret *master; /* proven by the old passphrase */
	struct keeper_ask *next;
	/* the worker's while it runs */
	struct derivation derivation;
	struct secret *key;
	struct error err;
};

struct keeper {
	struct keeper_parts p;
	struct keeper_ask *first, **last; /* the first is the one that runs, or waits for its time */
	size_t count;
	unsigned failures;
	int64_t not_before_ms; /* monotonic */
	struct loop_timer *turn;  /* the next ask's */
	struct loop_timer *lease; /* the automatic lock's */
	size_t unreadable; /* of the last rekey */
	void (*locked)(void *arg);
	void *locked_arg;
};

/* The vault was opened: the lease counts, and everybody is told. */
void keeper_opened(struct keeper *k);
/* What a slot wrapped before does not stay behind in the write-ahead log. */
void keeper_scrub(struct keeper *k);
/* Everything under another master key: now, with the passphrase's new key (derivation and key of the ask). */
void keeper_rekey_now(struct keeper_ask *ask);
/* The keys are being locked: what is under way ends with that. */
void keeper_overtake(struct keeper *k);
/* The next ask's turn has come: for the timer. */
void keeper_turn(void *arg);

#endif
