#include "server/vault/keyring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "server/vault/seal.h"

#ifdef __linux__

#include <linux/keyctl.h>
#include <sys/syscall.h>

#define NAME_BYTES 40
#define PAYLOAD_BYTES (SEAL_KEY_BYTES + 8)

/* Two vaults of a person do not share a key. */
static void
name_of(const char *data_dir, char out[NAME_BYTES])
{
	unsigned char hash[crypto_generichash_BYTES_MIN];
	char hex[2 * sizeof hash + 1];

	crypto_generichash(hash, sizeof hash, (const unsigned char *)data_dir, strlen(data_dir), NULL, 0);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	snprintf(out, NAME_BYTES, "modelpd:%.24s", hex);
}

static long
search(const char *data_dir)
{
	char name[NAME_BYTES];

	name_of(data_dir, name);
	return syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0);
}

int
keyring_put(const char *data_dir, const struct secret *kek, int64_t opened_ms, int64_t ttl_ms,
    struct error *err)
{
	struct secret *payload = secret_new(NULL, PAYLOAD_BYTES);
	int64_t seconds = (ttl_ms + 999) / 1000;
	char name[NAME_BYTES];
	long id = -1;

	if (payload == NULL)
		return error_set(err, MP_E_INTERNAL, "no locked memory for the key");
	memcpy(secret_mutable(payload), secret_bytes(kek), SEAL_KEY_BYTES);
	memcpy(secret_mutable(payload) + SEAL_KEY_BYTES, &opened_ms, sizeof opened_ms);
	name_of(data_dir, name);
	id = syscall(SYS_add_key, "user", name, secret_bytes(payload), (size_t)PAYLOAD_BYTES,
	    KEY_SPEC_SESSION_KEYRING);
	/* one that would never end is worse than none */
	if (id >= 0 && syscall(SYS_keyctl, KEYCTL_SET_TIMEOUT, id, (unsigned)seconds) != 0) {
		syscall(SYS_keyctl, KEYCTL_INVALIDATE, id);
		id = -1;
	}
	secret_free(payload);
	if (id >= 0)
		return 0;
	return error_set(err, MP_E_INVALID_STATE, "the kernel's keyring takes no key: %s", strerror(errno));
}

int
keyring_get(const char *data_dir, struct secret **kek, int64_t *opened_ms, struct error *err)
{
	struct secret *payload = secret_new(NULL, PAYLOAD_BYTES), *key = NULL;
	long id = search(data_dir);
	int r = MP_E_INTERNAL;

	if (payload != NULL && (id < 0 || syscall(SYS_keyctl, KEYCTL_READ, id, secret_mutable(payload),
	                                      (size_t)PAYLOAD_BYTES) != PAYLOAD_BYTES))
		r = error_set(err, MP_E_NOT_FOUND, "the kernel's keyring does not hold the key (any more)");
	else if (payload == NULL || (key = secret_new(secret_bytes(payload), SEAL_KEY_BYTES)) == NULL)
		error_set(err, r, "no locked memory for the key");
	if (key != NULL) {
		memcpy(opened_ms, secret_bytes(payload) + SEAL_KEY_BYTES, sizeof *opened_ms);
		*kek = key;
		r = 0;
	}
	secret_free(payload);
	return r;
}

void
keyring_forget(const char *data_dir)
{
	long id = search(data_dir);

	if (id >= 0)
		syscall(SYS_keyctl, KEYCTL_INVALIDATE, id);
}

#else

int
keyring_put(const char *data_dir, const struct secret *kek, int64_t opened_ms, int64_t ttl_ms,
    struct error *err)
{
	(void)data_dir;
	(void)kek;
	(void)opened_ms;
	(void)ttl_ms;
	return error_set(err, MP_E_INVALID_STATE, "this system has no keyring in its kernel");
}

int
keyring_get(const char *data_dir, struct secret **kek, int64_t *opened_ms, struct error *err)
{
	(void)data_dir;
	(void)kek;
	(void)opened_ms;
	return error_set(err, MP_E_NOT_FOUND, "this system has no keyring in its kernel");
}

void
keyring_forget(const char *data_dir)
{
	(void)data_dir;
}

#endif
