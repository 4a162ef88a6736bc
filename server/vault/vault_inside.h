/* vault_inside.h - the vault's own memory, for the files of this folder alone. */
#ifndef SERVER_VAULT_VAULT_INSIDE_H
#define SERVER_VAULT_VAULT_INSIDE_H

#include "server/vault/vault.h"

/* A master key and its subkeys, hidden while nobody uses them. */
struct vault_keys {
	struct secret *master, *row, *token, *fingerprint, *metadata;
	int64_t generation;
};

struct vault {
	struct store *store;
	char *data_dir, *key_path;
	struct vault_keys *keys; /* NULL while locked */
	struct vault_keys *next; /* those of a rekey that is not committed yet */
	struct secret *next_keyring; /* what its keyring slot is wrapped with */
	bool next_key_file;          /* its key file lies beside the one in force */
	const char *opened_by;   /* static, "" while locked */
	int64_t opened_ms, used_ms;    /* clock_boot_ms */
	int64_t idle_ms, absolute_ms;  /* the lease; 0 = for ever */
	char why[600];                 /* "" = not locked */
};

/* NULL when memory is out. Copies master. */
struct vault_keys *vault_keys_new(const struct secret *master, int64_t generation);
void vault_keys_free(struct vault_keys *k); /* wipes */

int vault_keys_seal(const struct vault_keys *k, const struct seal_binding *b, const struct secret *plain,
    struct buf *out);
int vault_keys_open(const struct vault_keys *k, const struct seal_binding *b, const void *sealed, size_t n,
    struct secret **out);
void vault_keys_fingerprint(const struct vault_keys *k, const struct secret *s, char out[9]);
/* Tokens from before a rekey are known by the key they were hashed with: it is stored since. */
void vault_token_key_load(struct vault *v);

/* Takes keys (not NULL): the vault is open. */
void vault_take_keys(struct vault *v, struct vault_keys *keys, const char *opened_by);

/* The static name of a kind we know; NULL = none. */
const char *slot_kind(const char *type);
/* A kind that opens without a person. */
bool slot_is_unattended(const char *type);

/* A slot wrapped anew, or a new one (id 0). */
int vault_write_slot(struct vault *v, const struct slot_spec *spec, const struct secret *master, int64_t id,
    int64_t generation);
/* 32 random bytes. */
struct secret *vault_random_key(void);

/* The first slot, with a master key of its own; kek is on the disk. */
int vault_enrol_first(struct vault *v, const struct secret *kek, struct error *err);
/* The salt of the slot of that kind; its strength may be none. MP_E_NOT_FOUND. */
int vault_salt(struct vault *v, const char *type, struct derivation *out, struct error *err);
/* The key of the line that a command wrote, under that salt. MP_E_NOT_PERMITTED when it is too short. */
int vault_command_key(const struct derivation *d, const struct secret *line, struct secret **kek,
    struct error *err);
/* How many slots there are. */
int vault_count_slots(struct vault *v, int *count, struct error *err);

#endif
