/* test_protocol_page.c - PROTOCOL.md says what the tables say: methods, flags, parameters, events,
 * errors. */
#include "tests/unit/protocol/support.h"

#include <stdio.h>

#include "protocol/params.h"

static char *page;

static int
load(void **state)
{
	FILE *f = fopen(MPD_SOURCE_DIR "/protocol/PROTOCOL.md", "rb");
	size_t n;

	(void)state;
	if (f == NULL || (page = calloc(1, 1 << 20)) == NULL)
		return -1;
	n = fread(page, 1, (1 << 20) - 1, f);
	fclose(f);
	return n > 0 ? 0 : -1;
}

static int
unload(void **state)
{
	(void)state;
	free(page);
	return 0;
}

/* From a heading to the next one of the same or a higher level. */
static char *
section(const char *heading, const char *next)
{
	char *from = strstr(page, heading);
	char *to;

	if (from == NULL)
		fail_msg("no section %s", heading);
	to = strstr(from, next);
	if (to == NULL)
		fail_msg("nothing after section %s", heading);
	return strndup(from, (size_t)(to - from));
}

/* The i-th cell (from 0) of a table row, without blanks and back quotes around it. */
static void
cell(const char *row, unsigned i, char *out, size_t size)
{
	const char *end;

	for (row++; i > 0; i--) {
		row = strchr(row, '|');
		assert_non_null(row);
		row++;
	}
	row += strspn(row, " `");
	end = row + strcspn(row, "|\n");
	while (end > row && (end[-1] == ' ' || end[-1] == '`'))
		end--;
	snprintf(out, size, "%.*s", (int)(end - row), row);
}

static void
check_row(const struct method *m, const char *row)
{
	static const struct {
		unsigned flag;
		char letter;
	} flags[] = {{RPC_MUTATES, 'M'}, {RPC_LONG, 'L'}, {RPC_SECRET, 'S'}, {RPC_NOTIFY, 'N'}};
	char text[2048];
	size_t i;

	cell(row, 1, text, sizeof text);
	if (strcmp(text, m->params[0] != '\0' ? m->params : "\xe2\x80\x93") != 0)
		fail_msg("%s: the page says parameters \"%s\"", m->name, text);
	cell(row, 2, text, sizeof text);
	if (text[0] == '\0')
		fail_msg("%s: the page says no result", m->name);
	cell(row, 3, text, sizeof text);
	for (i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		if (((m->flags & flags[i].flag) != 0) != (strchr(text, flags[i].letter) != NULL))
			fail_msg("%s: the page says flags \"%s\"", m->name, text);
	}
}

static void
test_protocol_page__methods_both_ways(void **state)
{
	char *text = section("## 5. Methods", "### 5.1");
	unsigned seen[METHOD_COUNT] = { 0 };
	const struct method *m;
	char *line, *rest = NULL;
	char name[128];
	size_t i;

	(void)state;
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (line[0] != '|')
			continue;
		cell(line, 0, name, sizeof name);
		if (strchr(name, '.') == NULL)
			continue;
		if ((m = method_find(name, strlen(name))) == NULL)
			fail_msg("PROTOCOL.md lists %s, methods.def does not", name);
		seen[m->id]++;
		check_row(m, line);
	}
	for (i = 0; i < METHOD_COUNT; i++) {
		if (seen[i] != 1)
			fail_msg("PROTOCOL.md lists %s %u times", method_table()[i].name, seen[i]);
	}
	free(text);
}

/* Whether the word occurs in text, not as a part of another word. */
static bool
has_word(const char *text, const char *word)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
	const char *at = text;
	size_t n = strlen(word);

	while ((at = strstr(at, word)) != NULL) {
		if ((at == text || strchr(letters, at[-1]) == NULL)
		    && (at[n] == '\0' || strchr(letters, at[n]) == NULL))
			return true;
		at++;
	}
	return false;
}

static void
expect_words(char *text, const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!has_word(text, words[i]))
			fail_msg("PROTOCOL.md does not mention %s", words[i]);
	}
	free(text);
}

static void
test_protocol_page__event_types(void **state)
{
	static const char *const types[] = {
#define PROMPT_EVENT(id, type, terminal) type,
#include "protocol/events.def"
	};

	(void)state;
	expect_words(section("### 4.1", "### 4.2"), types, sizeof types / sizeof types[0]);
}

static void
test_protocol_page__topics(void **state)
{
	static const char *const topics[] = {
#define TOPIC(id, name) name,
#include "protocol/events.def"
	};
	char *text = section("### 4.2", "## 5.");
	char *from = strstr(text, "Topics: `");
	char list[512];
	size_t i, n = 1;

	(void)state;
	assert_non_null(from);
	from += strlen("Topics: `");
	snprintf(list, sizeof list, "%.*s", (int)strcspn(from, "`"), from);
	for (i = 0; list[i] != '\0'; i++)
		n += list[i] == ' ';
	assert_int_equal(n, sizeof topics / sizeof topics[0]);
	free(text);
	expect_words(strdup(list), topics, n);
}

static void
test_protocol_page__error_codes(void **state)
{
	static const char *const codes[] = {
#define ERROR(id, code, num, retryable, exit_code) code,
#include "protocol/base/errors.def"
#undef ERROR
	};

	(void)state;
	expect_words(section("## 3. Errors", "## 4."), codes, sizeof codes / sizeof codes[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protocol_page__methods_both_ways),
		cmocka_unit_test(test_protocol_page__event_types),
		cmocka_unit_test(test_protocol_page__topics),
		cmocka_unit_test(test_protocol_page__error_codes),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
