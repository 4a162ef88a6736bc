#include "server/dialect/foreign.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/dialect/emit.h"
#include "server/dialect/refusal.h"
#include "server/model/chat.h"

#define KEEP_BYTES ((size_t)64 << 10)
/* No answer has a billion tokens; such a number is a fault, and a fault must not become money. */
#define TOKENS_MAX 1000000000
#define FNV_PRIME 0x100000001b3u

bool
foreign_read(struct foreign *f, struct slice text, const struct event_sink *sink)
{
	if (json_read(&f->json, text.data, text.len, JSON_LAST_KEY_WINS) == 0)
		return true;
	buf_reset(&f->repaired, KEEP_BYTES);
	if (!utf8_repair(&f->repaired, text.data, text.len) ||
	    json_read(&f->json, f->repaired.data, f->repaired.len, JSON_LAST_KEY_WINS) != 0)
		return false;
	if (!f->told)
		emit_warning(sink, "the provider sent broken UTF-8; it was replaced by U+FFFD");
	f->told = true;
	return true;
}

void
foreign_clear(struct foreign *f)
{
	json_clear(&f->json);
	buf_clear(&f->repaired);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

struct slice
foreign_trim(struct slice s)
{
	while (s.len > 0 && is_space(*s.data)) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && is_space(s.data[s.len - 1]))
		s.len--;
	return s;
}

void
foreign_unreadable(const struct foreign *f, struct slice text, struct failure *out)
{
	char excerpt[200];

	failure_set_text(excerpt, sizeof excerpt, text);
	snprintf(out->message, sizeof out->message, "a piece of the answer is no JSON (%s): %s",
	    f->json.problem != NULL ? f->json.problem : "not an object", excerpt);
	out->class = FAILURE_PROTOCOL;
	snprintf(out->kind, sizeof out->kind, "json");
}

char *
foreign_word(const struct json *j, uint32_t at, size_t max_bytes)
{
	char *word = json_strdup(j, at, max_bytes);

	if (word != NULL && *word == '\0') {
		free(word);
		word = NULL;
	}
	return word;
}

int64_t
foreign_count(const struct json *j, uint32_t at)
{
	int64_t v;

	return json_int(j, at, &v) && v >= 0 && v <= TOKENS_MAX ? v : -1;
}

void
foreign_check_usage(struct usage *u)
{
	int64_t read = u->cache_read_tokens > 0 ? u->cache_read_tokens : 0;

	if (u->input_tokens >= 0 && read > u->input_tokens) {
		u->cache_read_tokens = -1;
		read = 0;
	}
	if (u->input_tokens >= 0 && u->cache_write_tokens >= 0 &&
	    u->cache_write_tokens + read > u->input_tokens)
		u->cache_write_tokens = -1;
	if (u->output_tokens >= 0 && u->reasoning_tokens > u->output_tokens)
		u->reasoning_tokens = -1;
}

void
call_id_make(uint64_t seed, unsigned n, char out[static CALL_ID_SIZE])
{
	uint64_t v = seed ^ (uint64_t)(n + 1) * 0x9e3779b97f4a7c15u;

	v ^= v >> 30;
	v *= 0xbf58476d1ce4e5b9u;
	v ^= v >> 27;
	v *= 0x94d049bb133111ebu;
	v ^= v >> 31;
	snprintf(out, CALL_ID_SIZE, "call_%016llx", (unsigned long long)v);
}

uint64_t
call_id_seed(const struct chat_request *chat)
{
	return chat != NULL ? chat->message_count * FNV_PRIME ^ chat_text_bytes(chat) : 0;
}

uint64_t
call_id_mix(uint64_t seed, struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		seed = (seed ^ (unsigned char)text.data[i]) * FNV_PRIME;
	return seed;
}

uint64_t
foreign_start(const struct json *j, uint32_t id, uint32_t model, uint64_t seed,
    const struct event_sink *sink)
{
	char *id_text = json_strdup(j, id, 256), *model_text = json_strdup(j, model, 256);

	seed = call_id_mix(seed, slice_of(id_text));
	emit_start(sink, slice_of(id_text), slice_of(model_text));
	free(id_text);
	free(model_text);
	return seed;
}
