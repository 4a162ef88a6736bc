/* fuzz_lists.c - what servers say of their models becomes a roster whose entries are safe to store and to
 * show, the next page a request of bounded size, and what they say of a key limits that can be true. The
 * first byte picks the reader. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/account.h"
#include "server/dialect/dialect.h"
#include "server/dialect/local_lists.h"
#include "server/dialect/pages.h"
#include "server/model/roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
keep(void *arg, const struct listed_model *m)
{
	roster_add(arg, m);
}

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
check_text(const char *s, size_t max)
{
	size_t n = strlen(s);

	must(n > 0 && n <= max && utf8_valid(s, n));
	for (size_t i = 0; i < n; i++)
		must((unsigned char)s[i] >= 0x20 && s[i] != 0x7f);
}

static void
check(const struct roster *r)
{
	must(r->count <= ROSTER_MAX);
	for (size_t i = 0; i < r->count; i++) {
		const struct roster_model *m = &r->models[i];

		check_text(m->id, ROSTER_ID_BYTES);
		must(strchr(m->id, ' ') == NULL);
		if (m->title != NULL)
			check_text(m->title, ROSTER_TITLE_BYTES);
		must(m->context_tokens >= 0 && m->output_tokens >= 0);
		must(m->loaded >= -1 && m->loaded <= 1);
		must(i == 0 || strcmp(r->models[i - 1].id, m->id) < 0);
		must(roster_find(r, m->id) == m);
	}
}

static void
read_page(const char *dialect, struct slice text, struct roster *r)
{
	const struct dialect *d = dialect_find(dialect);
	char cursor[PAGE_CURSOR_SIZE] = "";
	struct wire_request wire;

	d->list_reply(text, keep, r);
	if (list_next_page(d, text, cursor) != 1) {
		must(cursor[0] == '\0');
		return;
	}
	must(cursor[0] != '\0' && strlen(cursor) < sizeof cursor);
	wire_request_init(&wire);
	if (list_page_request(d, NULL, cursor, &wire) == 0)
		must(strpbrk(wire.path, " #\r\n\t") == NULL);
	wire_request_clear(&wire);
}

static void
read_account(struct slice text)
{
	const int64_t now = 1795330000000, month = (int64_t)31 * 24 * 3600 * 1000;
	struct account a = { .key_expires_ms = 0 };

	account_key_reply(text, now, &a);
	account_credits_reply(text, now, &a);
	must(a.key_expires_ms >= 0 && a.limits.count <= LIMITS_MAX);
	for (size_t i = 0; i < a.limits.count; i++) {
		const struct limit *l = &a.limits.of[i];

		must(l->limit >= -1 && l->remaining >= -1 && !l->rejected);
		must(l->resets_ms == 0 || (l->resets_ms > now && l->resets_ms <= now + month));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct roster r = { NULL, 0, 0 };
	struct slice text;

	if (size == 0)
		return 0;
	text = (struct slice){ (const char *)data + 1, size - 1 };
	switch (data[0] % 8) {
	case 0:
		lmstudio_list_reply(text, keep, &r);
		break;
	case 1:
		lmstudio_old_list_reply(text, keep, &r);
		break;
	case 2:
		ollama_loaded_reply(text, keep, &r);
		break;
	case 3:
		llamacpp_props_reply(text, keep, &r);
		break;
	case 4:
		dialect_find("openai-chat")->list_reply(text, keep, &r);
		break;
	case 5:
		read_page("anthropic-messages", text, &r);
		break;
	case 6:
		read_page("gemini", text, &r);
		break;
	case 7:
		read_account(text);
		break;
	}
	roster_sort(&r);
	check(&r);
	roster_clear(&r);
	return 0;
}
