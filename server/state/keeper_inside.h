/* keeper_inside.h - what the files of the keeper share. */
#ifndef SERVER_STATE_KEEPER_INSIDE_H
#define SERVER_STATE_KEEPER_INSIDE_H

#include "server/state/keeper.h"

/* ASK_OPEN, ASK_ADD: by a command. */
enum ask_kind { ASK_UNLOCK, ASK_PASSWD, ASK_REKEY, ASK_OPEN, ASK_ADD };
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
	bool apart;   /* on the list of those that wait for a command, not in the line */
	bool settled; /* its end is known */
	char *text;   /* the command */
	struct key_command *command; /* its own run */
	struct secret *line;         /* what it wrote */
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
	struct keeper_ask *apart;
	struct command_runner runner;
	struct key_command *opening; /* the run that all of ASK_OPEN wait for */
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

/* NULL with err. Secrets are copied. */
struct keeper_ask *keeper_ask_new(struct keeper *k, const struct secret *old, const struct secret *fresh,
    const struct keeper_cause *cause, struct error *err);
void keeper_ask_free(struct keeper_ask *ask); /* it is on no list */
/* Behind all the others in the line. */
struct keeper_ask *keeper_ask_enqueue(struct keeper_ask *ask, keeper_done *done, void *arg);
/* The same after the command of its slot has written a line. NULL with err: ask is freed. */
struct keeper_ask *keeper_ask_command_first(struct keeper_ask *ask, keeper_done *done, void *arg,
    struct error *err);
/* The end of one that stands apart: as its err says. */
void keeper_apart_end(struct keeper_ask *ask);
/* Their commands end. */
void keeper_apart_overtake(struct keeper *k);
/* The next ask's turn has come: for the timer. */
void keeper_turn(void *arg);

#endif
