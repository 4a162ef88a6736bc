/* vault.h - what the commands around the stored keys use of each other. Functions return exit codes. */
#ifndef CLIENT_CMD_VAULT_H
#define CLIENT_CMD_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct app;
struct entry;
struct pack;
struct value;

/* What is known of the vault, beyond the reply that said it. */
struct vault_view {
	bool locked, passphrase, command;
	int64_t key_file; /* its slot, 0 = none */
	const char *why;
};
/* The link is open. */
int vault_look(struct app *a, struct vault_view *v);
/* What a reply says that people should know. */
void vault_notes(struct app *a, const struct value *result);
int vault_remove_slot(struct app *a, int64_t id, const struct value **result);

/* Asks on the terminal, or reads from fd. e is zeroed; entry_clear wipes it, and has been called when this
 * gives an exit code. */
int passphrase_ask(struct app *a, const char *question, struct entry *e);
int passphrase_read(struct app *a, int fd, struct entry *e);
void pack_passphrase(struct pack *p, const char *name, const char *bytes, size_t n);
/* A word on the command line may be a passphrase: it is refused, and not repeated. */
int passphrase_refuse_words(struct app *a);

#endif
