/* fuzz_lists.c - what servers say of their models becomes a roster whose entries are safe to store and to
 * show. The first byte picks the reader. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/dialect.h"
#include "server/dialect/local_lists.h"
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct roster r = { NULL, 0, 0 };
	struct slice text;

	if (size == 0)
		return 0;
	text = (struct slice){ (const char *)data + 1, size - 1 };
	switch (data[0] % 5) {
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
	}
	roster_sort(&r);
	check(&r);
	roster_clear(&r);
	return 0;
}
