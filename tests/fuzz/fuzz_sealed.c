/* fuzz_sealed.c - arbitrary bytes as a sealed value: nothing opens but what was sealed.
 *
 * The input is tried as it is, and laid over a genuine value, so that lengths and versions that are almost
 * right are met. The key is new in every run. */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/vault/vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct seal_binding binding = { .table = "credential", .row_id = "row", .field = "secret",
	.origin = "https://api.example:443" };

static char dir[] = "/tmp/mpd-fuzz-XXXXXX";
static struct store *store;
static struct vault *vault;
static struct buf genuine;

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
finish(void)
{
	buf_clear(&genuine);
	vault_free(vault);
	store_close(store);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
start(void)
{
	struct secret *plain;
	struct error err;
	bool created;

	if (secret_init() != 0 || mkdtemp(dir) == NULL || store_open(dir, &store, &err) != 0 ||
	    vault_open(store, dir, &vault, &created, &err) != 0)
		abort();
	atexit(finish);
	plain = secret_new("sk-0123456789abcdef", 19);
	if (plain == NULL || vault_seal(vault, &binding, plain, &genuine) != 0)
		abort();
	secret_free(plain);
}

static void
try(const void *sealed, size_t n, int expected)
{
	struct secret *plain = NULL;
	int r = vault_open_sealed(vault, &binding, sealed, n, vault_generation(vault), &plain);

	if (r != expected || (plain != NULL) != (r == 0))
		abort();
	secret_free(plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n;
	int changed = 0;
	char *laid_over;

	if (vault == NULL)
		start();
	try(data, size, MP_E_TAMPERED);
	n = genuine.len < size ? genuine.len : size;
	laid_over = malloc(genuine.len);
	memcpy(laid_over, genuine.data, genuine.len);
	for (size_t i = 0; i < n; i++) {
		laid_over[i] = (char)(laid_over[i] ^ data[i]);
		changed |= data[i];
	}
	try(laid_over, genuine.len, changed != 0 ? MP_E_TAMPERED : 0);
	free(laid_over);
	return 0;
}
