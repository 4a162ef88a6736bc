/* fuzz_openrouter_keys.c - whatever answers to a question for keys: a hash that is safe in a path, and a key
 * that lies within the answer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/openrouter_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
check_hash(const char *hash)
{
	struct wire_request w;

	must(strlen(hash) < OPENROUTER_HASH_BYTES);
	for (const char *p = hash; *p != '\0'; p++)
		must(strchr("/?#%. \\", *p) == NULL && (unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f);
	if (*hash != '\0')
		must(openrouter_keys_delete(hash, &w) == 0);
	else
		must(openrouter_keys_delete(hash, &w) != 0);
	wire_request_clear(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice body = { (const char *)data, size }, key = { NULL, 0 };
	char hash[OPENROUTER_HASH_BYTES];
	size_t count;

	if (openrouter_keys_created(body, hash, &key) == 0) {
		must(*hash != '\0' && key.len > 0);
		must(key.data >= body.data && key.data + key.len <= body.data + body.len);
		check_hash(hash);
	}
	if (openrouter_keys_find(body, "modelpd test", hash, &count) == 0)
		check_hash(hash);
	return 0;
}
