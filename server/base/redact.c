/* redact.c - blanks keys in a text, in place and byte for byte (THREATS.md section 11).
 *
 * Two nets: the secrets that are open right now, wherever they stand, and whatever looks like a key. The
 * second may blank a harmless word now and then; it must not miss a key. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "protocol/base/str.h"
#include "server/base/log.h"

/* A placeholder such as "ollama" is no secret, and blanking it everywhere would make the log useless. */
#define SHORTEST_SECRET 8

static const struct secret **secrets;
static size_t secret_count, secret_cap;

void
log_secret_register(const struct secret *s)
{
	if (secret_count == secret_cap) {
		secret_cap = secret_cap != 0 ? secret_cap * 2 : 16;
		secrets = xrealloc(secrets, secret_cap * sizeof(struct secret *));
	}
	secrets[secret_count++] = s;
}

void
log_secret_unregister(const struct secret *s)
{
	for (size_t i = 0; i < secret_count; i++) {
		if (secrets[i] != s)
			continue;
		secrets[i] = secrets[--secret_count];
		break;
	}
	if (secret_count == 0) {
		free(secrets);
		secrets = NULL;
		secret_cap = 0;
	}
}

static void
blank_secret(char *text, size_t n, const struct secret *s)
{
	const char *bytes = secret_bytes(s);
	size_t len = secret_len(s);
	char *at = text, *end = text + n;

	if (len < SHORTEST_SECRET)
		return;
	while ((at = memmem(at, (size_t)(end - at), bytes, len)) != NULL) {
		memset(at, '*', len);
		at += len;
	}
}

static bool
is_key_char(char c)
{
	return isalnum((unsigned char)c) || strchr("-_.*+/=~", c) != NULL;
}

/* Length of the key-like run at text. */
static size_t
key_run(const char *text, size_t n, bool *digit)
{
	size_t i;

	for (i = 0; i < n && text[i] != '\0' && is_key_char(text[i]); i++)
		*digit = *digit || isdigit((unsigned char)text[i]);
	return i;
}

/* ---- keys that tell by their first letters ---- */

static const struct {
	const char *text;
	size_t at_least; /* characters after it, at the start of a word */
} prefixes[] = {
	{ "sk-", 4 }, /* also sk-ant-, sk-or-, sk-proj- */
	{ "AIza", 8 },
	{ "mpd_", 8 },
	{ "gsk_", 8 },
	{ "xai-", 8 },
	{ "pplx-", 8 },
	{ "hf_", 8 },
};

/* Inside a word ("task-queue") it takes a long run with a digit; "\nsk-..." of escaped text is a start. */
static bool
starts_word(const char *text, size_t at)
{
	return at == 0 || !isalnum((unsigned char)text[at - 1]) || (at > 1 && text[at - 2] == '\\');
}

static size_t
prefixed_key(const char *text, size_t n, size_t at)
{
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
		size_t len = strlen(prefixes[i].text), run;
		bool digit = false;

		if (n - at < len || memcmp(text + at, prefixes[i].text, len) != 0)
			continue;
		run = key_run(text + at + len, n - at - len, &digit);
		if (starts_word(text, at) ? run >= prefixes[i].at_least : digit && run >= 16)
			return len + run;
	}
	return 0;
}

/* ---- values that tell by the word before them ---- */

static const struct {
	const char *word;
	bool colon; /* "word: value" counts too, not only "word=value" */
} words[] = {
	{ "x-api-key", true },
	{ "x-goog-api-key", true },
	{ "api_key", true },
	{ "api-key", true },
	{ "apikey", true },
	{ "key", false },
	{ "token", false },
	{ "secret", false },
	{ "password", false },
};

static size_t
skip_quotes(const char *text, size_t n, size_t at, const char *also)
{
	while (at < n && text[at] != '\0' && (strchr("\"'\\", text[at]) || strchr(also, text[at])))
		at++;
	return at;
}

static size_t
value_end(const char *text, size_t n, size_t at)
{
	while (at < n && !isspace((unsigned char)text[at]) && strchr("\"'\\&,;)}]", text[at]) == NULL)
		at++;
	return at;
}

/* If the word ends at `at`: where its value starts, else 0. */
static size_t
value_after_word(const char *text, size_t n, size_t at)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t len = strlen(words[i].word), sign;

		if (at < len || strncasecmp(text + at - len, words[i].word, len) != 0)
			continue;
		sign = skip_quotes(text, n, at, " ");
		if (sign < n && (text[sign] == '=' || (words[i].colon && text[sign] == ':')))
			return skip_quotes(text, n, sign + 1, " ");
	}
	return 0;
}

/* "Bearer xyz", "Basic xyz": a plain short word after it is prose ("bearer token required"). */
static size_t
scheme_value(const char *text, size_t n, size_t at, size_t *start)
{
	static const char *const schemes[] = { "bearer ", "basic " };
	bool digit = false;
	size_t run;

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(schemes[i]);

		if (n - at < len || strncasecmp(text + at, schemes[i], len) != 0)
			continue;
		*start = at + len;
		run = key_run(text + *start, n - *start, &digit);
		for (size_t k = 0; k < run; k++)
			digit = digit || !islower((unsigned char)text[*start + k]);
		return digit || run >= 16 ? run : 0;
	}
	return 0;
}

static void
blank_patterns(char *text, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t start = at, len = prefixed_key(text, n, at);

		if (len == 0)
			len = scheme_value(text, n, at, &start);
		if (len == 0 && (start = value_after_word(text, n, at)) != 0)
			len = value_end(text, n, start) - start;
		if (len > 0) {
			memset(text + start, '*', len);
			at = start + len;
		} else {
			at++;
		}
	}
}

void
log_redact(char *text, size_t n)
{
	for (size_t i = 0; i < secret_count; i++)
		blank_secret(text, n, secrets[i]);
	blank_patterns(text, n);
}

void
log_redact_buf(struct buf *b)
{
	if (b->len > 0)
		log_redact(b->data, b->len);
}
