/* fuzz_bundle.c - a team's bundle from anybody: its envelope, and a content whose signature fits.
 *
 * The input is read as an envelope as it is, and laid over a genuine one: nothing is taken but what was
 * signed. Then it is signed, and read as a content. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/bundle_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret *seed;
static struct buf genuine;

/* assert() that release builds keep. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
finish(void)
{
	secret_free(seed);
	buf_clear(&genuine);
}

static void
start(void)
{
	must(secret_init() == 0 && (seed = team_seed_new()) != NULL);
	must(envelope_write(seed, SLICE("bundle: 1\nteam: acme\nversion: 1\n"), &genuine) == 0);
	atexit(finish);
}

static int
try(const char *text, size_t n)
{
	struct error err = ERROR_INIT;
	struct envelope e;
	int r = envelope_read(text, n, &e, &err);

	must(r == err.code && (r == 0) == (err.message[0] == '\0'));
	return r;
}

static void
lay_over(const uint8_t *data, size_t size)
{
	size_t n = size < genuine.len ? size : genuine.len;
	char *copy = malloc(genuine.len);
	int changed = 0;

	must(copy != NULL);
	memcpy(copy, genuine.data, genuine.len);
	for (size_t i = 0; i < n; i++) {
		copy[i] = (char)(copy[i] ^ data[i]);
		changed |= data[i];
	}
	must((try(copy, genuine.len) == 0) == (changed == 0));
	free(copy);
}

static void
read_content(const char *data, size_t size)
{
	struct problems ps = { .count = 0 };
	struct bundle_content content;
	int r = bundle_content_read((struct slice){ data, size }, 5, &content, &ps);

	must((r == 0) == (ps.count == 0));
	if (r == 0)
		must(name_valid(content.team) && content.version >= 1 &&
		    content.version <= TEAM_VERSION_MAX &&
		    content.root != NULL);
	for (size_t i = 0; i < ps.count; i++)
		must(ps.list[i].line == 0 || ps.list[i].line >= 5);
	problems_clear(&ps);
	bundle_content_clear(&content);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT;

	if (seed == NULL)
		start();
	try((const char *)data, size);
	lay_over(data, size);
	if (size <= ENVELOPE_CONTENT_MAX) {
		must(envelope_write(seed, (struct slice){ (const char *)data, size }, &text) == 0);
		must(try(text.data, text.len) == 0);
		buf_clear(&text);
	}
	read_content((const char *)data, size);
	return 0;
}
