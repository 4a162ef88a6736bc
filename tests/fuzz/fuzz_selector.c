/* fuzz_selector.c - what a person typed for a target, and the origin of a URL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/model/provider.h"
#include "server/state/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() that release builds keep. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* Names shorter than six bytes are providers. */
static bool
is_provider(void *arg, struct slice name)
{
	(void)arg;
	return name.len > 0 && name.len < 6;
}

static bool
inside(struct slice part, const char *text, size_t n)
{
	return part.len == 0 || (part.data >= text && part.data + part.len <= text + n);
}

static void
selector(const char *text, size_t n)
{
	struct error err = ERROR_INIT;
	struct selector s;
	int r = selector_parse(text, n, is_provider, NULL, &s, &err);

	if (r != 0) {
		must(r == MP_E_INVALID_PARAMS && err.message[0] != '\0');
		must(utf8_valid(err.message, strlen(err.message)));
		return;
	}
	must(inside(s.left, text, n) && inside(s.right, text, n));
	must((s.kind == SELECTOR_EMPTY) == (n == 0));
	must((s.kind == SELECTOR_PAIR) == (s.right.len > 0));
	if (s.kind == SELECTOR_PAIR)
		must(s.left.len + 1 + s.right.len == n);
	must(n == 0 || memchr(text, '\0', n) == NULL);
}

/* An origin is its own origin: nothing in it can be read in another way. */
static void
url(const char *text)
{
	char *origin = NULL, *again = NULL;
	bool loopback, still;

	if (url_origin(text, &origin, &loopback) != 0) {
		must(origin == NULL);
		return;
	}
	must(url_origin(origin, &again, &still) == 0);
	must(strcmp(origin, again) == 0 && loopback == still);
	must(strpbrk(origin, "@\\%?# ") == NULL);
	free(origin);
	free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	selector((const char *)data, size);
	url(text);
	free(text);
	return 0;
}
