/* cmd.h - what commands use of each other. Functions return exit codes. */
#ifndef CLIENT_CMD_CMD_H
#define CLIENT_CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app;
struct pack;
struct entry;
struct json_writer;
struct value;

/* DUR of UX.md section 4; NULL leaves *ms alone. */
int read_duration(struct app *a, const char *text, int64_t *ms);
/* Switches and says so. scope "" = everywhere; ttl_ms 0 = no end of its own. The link is open. */
int switch_to(struct app *a, const char *ref, const char *scope, bool temporary, int64_t ttl_ms);
/* A switch everywhere does not reach who has a choice of their own: says so, for a list of Routes. */
void switch_note_keeping(struct app *a, const struct value *keeping);
/* A test session that had to step aside and stays open; NULL = none. */
void switch_note_deactivated(struct app *a, const struct value *session);
/* Asks for a provider's key on the terminal, stores and tries it. The link is open. */
int key_enter(struct app *a, const char *provider);
/* The parts of it that importing uses, too. key_send: 0 or an exit code. */
int key_send(struct app *a, const char *provider, const char *label, const struct entry *e,
    const struct value **result);
/* The descriptor that --stdin or --fd name; -1: the terminal. 0 or an exit code. */
/* What --weight says, if it is there, into the parameters of key.set. */
void key_pack_weight(struct app *a, struct pack *p);
int key_source(struct app *a, int *fd);
/* A question on a terminal before a key is replaced. 0: go on. The link is open. */
int key_ask_before(struct app *a, const char *provider, const char *label);
/* key set with --command, --env or --file: false when none of them is given, else *r is 0 or an exit code.
 * Opens the link. */
bool key_set_source(struct app *a, const char *provider, const char *label, int *r);
/* Reads a key from fd (-1: asks on the terminal) and checks it. e is zeroed; entry_clear wipes it, and has
 * been called when this gives an exit code. */
int key_read(struct app *a, int fd, const char *question, struct entry *e);
/* Its length, and the last four characters of one so long that they tell nothing; what stands before. */
void key_say_taken(struct app *a, const char *what, const struct entry *e);
/* Text and plain: what key.set says. */
void key_say_stored(struct app *a, const struct value *result);
/* A key on the command line is known to the shell's history and the process list: it is refused. */
int key_refuse_argument(struct app *a);
/* key import --from-env [NAME...] */
int key_import(struct app *a);
/* One note when nothing was set up yet and a key waits in the environment. The link is open. */
void key_offer_import(struct app *a);
/* Probes one target, with the key of that label (NULL = the usual one), and prints the line; the exit code
 * says how it went. The link is open. */
int check_one(struct app *a, const char *name, const char *label, bool deep);
/* The same for several at once (at most 60), in this order; w not NULL: the results become items of
 * its open array instead. The exit code of the first that failed. */
int check_many(struct app *a, const char *const *names, size_t n, const char *label, bool deep,
    struct json_writer *w);
/* "142 requests   1.2 M in   88 k out   $3.41" of usage.query's total. */
const char *usage_today(struct app *a, const struct value *total);
/* "$3.41 of $10.00 a day  34 %" of a budget. */
const char *budget_line(struct app *a, const struct value *budget);
/* mpc usage prune */
int usage_prune(struct app *a);
int64_t usage_midnight_ms(void); /* when today began here */
/* Whether a daemon listens; the link is then open. */
bool daemon_runs(struct app *a);

#endif
