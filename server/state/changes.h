/* changes.h - one place where state changes: a transaction, a revision, and the news of it.
 *
 * A mutation is: changes_begin, writes through the state modules (each notes what it changed),
 * changes_commit. Commit is durable before it returns; only then the news goes out, in order, with one
 * new revision for the whole transaction. On failure everything rolls back and every module reloads
 * from the store, so memory never disagrees with the disk. News without a transaction (a provider's
 * status) goes through changes_tell. */
#ifndef SERVER_STATE_CHANGES_H
#define SERVER_STATE_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/err.h"
#include "server/store/store.h"

enum topic {
#define TOPIC(id, name) TOPIC_##id,
#include "protocol/events.def"
	TOPIC_COUNT
};
const char *topic_name(enum topic t);
bool topic_parse(const char *name, size_t n, enum topic *out);

enum change_op { CHANGE_SET, CHANGE_ADD, CHANGE_REMOVE, CHANGE_UPDATE };
const char *change_op_name(enum change_op op);

struct change {
	int64_t rev, prev_rev;
	enum topic topic;
	enum change_op op;
	const char *key;    /* provider name, ref, "provider/label", scope ("" = global) */
	const char *method; /* cause; NULL = none (a timer) */
	const char *client; /* name of the client that caused it; NULL = none */
	const char *reason; /* "expired", ...; NULL = none */
};

struct changes;

struct changes *changes_new(struct store *store); /* reads the last revision */
void changes_free(struct changes *c);
int64_t changes_rev(const struct changes *c);
/* The revision of the last stored change of what a configuration document says (some that it does not say may
 * count, too). */
int64_t changes_config_rev(const struct changes *c);
const char *changes_instance(const struct changes *c); /* new per daemon start, 16 hex digits */

int changes_begin(struct changes *c, struct error *err);
/* The revision the running transaction will have: for row.rev. */
int64_t changes_next_rev(const struct changes *c);
void changes_note(struct changes *c, enum topic topic, enum change_op op, const char *key);
/* method/client/reason: the cause, borrowed, may be NULL. */
int changes_commit(struct changes *c, const char *method, const char *client, const char *reason,
    struct error *err);
void changes_rollback(struct changes *c);
bool changes_open(const struct changes *c);

/* News that is not stored: takes a new revision of its own, tells at once. */
void changes_tell(struct changes *c, enum topic topic, enum change_op op, const char *key,
    const char *reason);

/* The store holds other rows now (a backup was restored): every module reloads, nothing that was true
 * before counts, and the instance is a new one, so that clients ask for everything again. The revision goes
 * on. Outside of a transaction. */
void changes_replaced(struct changes *c);
/* The store was opened anew after an error: every module reads its rows again. True when a change is there
 * whose commit was refused: nobody was told of it. */
bool changes_recovered(struct changes *c);
/* True while modules reload because of changes_replaced: what they remember of a row's revision means
 * nothing. */
bool changes_are_replaced(const struct changes *c);

/* Who counts changes: write is called inside every stored change (0 or MP_E_..., which refuses it), done
 * when it is durable. One at a time; NULL = nobody. */
void changes_count(struct changes *c, int (*write)(void *arg), void (*done)(void *arg), void *arg);

/* Subscribers hear every change after its commit; they must not begin a change inside the callback.
 * Modules register a reload for rollbacks. Both live as long as the changes object. */
void changes_subscribe(struct changes *c, void (*on_change)(void *arg, const struct change *ch),
    void *arg);
void changes_unsubscribe(struct changes *c, void *arg);
void changes_on_rollback(struct changes *c, void (*reload)(void *arg), void *arg);

#endif
