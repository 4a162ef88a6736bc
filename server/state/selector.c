#include "server/state/selector.h"

#include <string.h>

/* White space and what turns text around: a selector that looks like another one is refused. */
static bool
code_point_ok(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} refused[] = {
		{ 0x00, 0x20 },     /* C0 controls and the blank */
		{ 0x7f, 0xa0 },     /* DEL, C1 controls, no-break space */
		{ 0xad, 0xad },     /* soft hyphen */
		{ 0x61c, 0x61c },   /* Arabic letter mark */
		{ 0x1680, 0x1680 },
		{ 0x2000, 0x200f }, /* blanks, zero width, direction marks */
		{ 0x2028, 0x202f }, /* line ends, direction overrides */
		{ 0x205f, 0x206f },
		{ 0x3000, 0x3000 },
		{ 0xfeff, 0xfeff }, /* byte order mark */
	};

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (c >= refused[i].first && c <= refused[i].last)
			return false;
	return true;
}

/* Of text that is valid UTF-8. */
static bool
characters_ok(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + n;

	while (p < end) {
		unsigned extra = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3;
		uint32_t c = extra == 0 ? *p : *p & (0x3fu >> extra);

		for (p++; extra > 0; extra--)
			c = c << 6 | (*p++ & 0x3fu);
		if (!code_point_ok(c))
			return false;
	}
	return true;
}

static bool
category_ok(struct slice s)
{
	char name[65];

	if (s.len == 0 || s.len >= sizeof name || memchr(s.data, '\0', s.len) != NULL)
		return false;
	memcpy(name, s.data, s.len);
	name[s.len] = '\0';
	return name_valid(name);
}

/* Splits at the first `separator` when a provider stands before it. */
static bool
split(struct slice text, char separator, bool (*is_provider)(void *arg, struct slice name),
    void *arg, struct selector *out)
{
	const char *at = memchr(text.data, separator, text.len);
	struct slice left;

	if (at == NULL)
		return false;
	left = (struct slice){ text.data, (size_t)(at - text.data) };
	if (left.len == 0 || !is_provider(arg, left))
		return false;
	out->kind = SELECTOR_PAIR;
	out->left = left;
	out->right = (struct slice){ at + 1, text.len - left.len - 1 };
	return true;
}

int
selector_parse(const char *text, size_t n, bool (*is_provider)(void *arg, struct slice name),
    void *arg, struct selector *out, struct error *err)
{
	struct slice s = { text, n };
	struct selector found = { .kind = SELECTOR_EMPTY };

	if (n == 0) {
		*out = found;
		return 0;
	}
	if (n > SELECTOR_MAX_BYTES)
		return error_field(err, "ref", "a target has at most %d bytes, not %zu",
		    SELECTOR_MAX_BYTES, n);
	if (!utf8_valid(text, n) || !characters_ok(text, n))
		return error_field(err, "ref",
		    "a target holds no blanks, control characters or invalid UTF-8");
	if (*text == '@') {
		found.kind = SELECTOR_CATEGORY;
		found.left = (struct slice){ text + 1, n - 1 };
		if (!category_ok(found.left))
			return error_field(err, "ref", "\"%.*s\" is not the name of a chain", (int)n, text);
	} else if (split(s, ':', is_provider, arg, &found) || split(s, '/', is_provider, arg, &found)
	    || split(s, ',', is_provider, arg, &found)) {
		if (found.right.len == 0)
			return error_field(err, "ref", "no model after \"%.*s\"", (int)n, text);
	} else {
		found.kind = SELECTOR_WORD;
		found.left = s;
	}
	*out = found;
	return 0;
}
