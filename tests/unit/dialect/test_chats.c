/* One property over all dialects: any chat is said or refused with a reason, nothing of it is lost in
 * silence, and what a server answers to it is heard as it was meant, wherever its bytes are cut. */
#include "tests/unit/dialect/answers.h"

#include "protocol/base/json.h"

#define CHATS 3000
#define CUTS 4

/* A chat on its way to one dialect. */
struct said {
	const struct dialect *dialect;
	const struct chat_request *chat;
	struct provider *provider;
	struct dialect_target to;
	struct wire_request wire;
	struct heard heard; /* warnings */
	struct error err;
	bool sent;
};

static void
say_it(struct said *s, const struct dialect *d, const struct chat_request *c, const char *model)
{
	struct event_sink sink = { hear, &s->heard };

	memset(s, 0, sizeof *s);
	s->dialect = d;
	s->chat = c;
	s->provider = provider_new();
	free(s->provider->name);
	s->provider->name = xstrdup("p");
	s->provider->base_url = xstrdup("https://provider.example/v1");
	s->to = (struct dialect_target){ s->provider, model };
	wire_request_init(&s->wire);
	s->sent = d->encode(c, &s->to, &s->wire, &sink, &s->err) == 0;
}

static void
said_clear(struct said *s)
{
	heard_clear(&s->heard);
	wire_request_clear(&s->wire);
	provider_free(s->provider);
}

/* ---- what is sent ---- */

static void
check_line(const struct said *s, const char *line, size_t n)
{
	struct json j = JSON_INIT;
	json_error_t problem;
	json_t *other = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);

	if (other == NULL || json_read(&j, line, n, JSON_STRICT) != 0)
		fail_msg("%s: no JSON: %.*s", s->dialect->name, (int)n, line);
	json_clear(&j);
	json_decref(other);
}

static void
check_json(const struct said *s)
{
	const char *at = s->wire.body.data, *end = at + s->wire.body.len, *lf;

	assert_true(s->wire.body.len > 0);
	for (; at < end; at = lf + 1) {
		lf = s->dialect->carrier == CARRIER_HTTP ? NULL : memchr(at, '\n', (size_t)(end - at));
		if (lf == NULL)
			lf = end;
		check_line(s, at, (size_t)(lf - at));
	}
}

static bool
stands_in(const struct buf *b, const char *needle)
{
	return b->len > 0 && memmem(b->data, b->len, needle, strlen(needle)) != NULL;
}

/* For people who look for a mistake. */
static void
print_chat(const struct chat_request *c)
{
	static const char *const roles[] = { "system", "user", "assistant", "tool" };
	static const char *const types[] = { "text", "image", "document", "call", "result", "reasoning" };

	for (size_t i = 0; i < c->message_count; i++)
		for (size_t k = 0; k < c->messages[i].part_count; k++) {
			const struct part *p = &c->messages[i].parts[k];

			print_message("%s %s id %s text %s arguments %s bytes %s\n",
			    roles[c->messages[i].role], types[p->type],
			    p->call_id != NULL ? p->call_id : "-", p->text.len > 0 ? p->text.data : "",
			    p->arguments.len > 0 ? p->arguments.data : "",
			    p->bytes.len > 0 ? p->bytes.data : "");
		}
}

static void
must_be_told(const struct said *s, const char *what)
{
	if (!stands_in(&s->wire.body, what) && !stands_in(&s->wire.file, what) &&
	    s->heard.warning_count == 0) {
		print_chat(s->chat);
		fail_msg("%s: %s is lost in silence: %s", s->dialect->name, what, buf_str(&s->wire.body));
	}
}

/* The mark of a text; an empty one when it has none. */
static void
find_mark(const struct text *t, char *mark, size_t size)
{
	const char *end = t->len > 0 ? memchr(t->data, ';', t->len) : NULL, *from = end;

	while (from != NULL && from > t->data && *from != 'm')
		from--;
	snprintf(mark, size, "%.*s", end != NULL ? (int)(end + 1 - from) : 0, end != NULL ? from : "");
}

/* A file's bytes are there in base64, or as they are. */
static void
must_have_file(const struct said *s, const struct part *p)
{
	struct buf coded = BUF_INIT;
	char mark[32];

	find_mark(&p->bytes, mark, sizeof mark);
	base64_encode(&coded, p->bytes.data, p->bytes.len);
	if (!stands_in(&s->wire.body, buf_str(&coded)))
		must_be_told(s, mark);
	buf_clear(&coded);
}

static void
check_parts(const struct said *s)
{
	char mark[32];

	for (size_t i = 0; i < s->chat->message_count; i++)
		for (size_t k = 0; k < s->chat->messages[i].part_count; k++) {
			const struct part *p = &s->chat->messages[i].parts[k];

			if (p->type == PART_IMAGE || p->type == PART_DOCUMENT) {
				must_have_file(s, p);
				continue;
			}
			find_mark(p->type == PART_TOOL_CALL ? &p->arguments : &p->text, mark, sizeof mark);
			if (mark[0] != '\0')
				must_be_told(s, mark);
		}
}

static void
option_told(const struct said *s, bool given, const char *value, const char *name)
{
	if (given && !stands_in(&s->wire.body, value) && !stands_in(&s->heard.warnings, name))
		fail_msg("%s: %s is lost in silence: %s (%s)", s->dialect->name, name,
		    buf_str(&s->wire.body), buf_str(&s->heard.warnings));
}

static void
check_options(const struct said *s)
{
	const struct chat_options *o = &s->chat->options;
	char max[24];

	/* one of them counts reasoning, too: the caller's number grows by its budget */
	if (strcmp(s->dialect->name, "anthropic-messages") == 0)
		snprintf(max, sizeof max, "\"max_tokens\":");
	else
		snprintf(max, sizeof max, ":%lld", (long long)o->max_tokens);
	option_told(s, o->temperature > 0, "0.6875", "temperature");
	option_told(s, o->top_p > 0, "0.8125", "top_p");
	option_told(s, o->top_k > 0, ":37", "top_k");
	option_told(s, o->seed > 0, ":4242", "seed");
	option_told(s, o->presence_penalty > 0, "0.3125", "penalt");
	option_told(s, o->frequency_penalty > 0, "0.1875", "penalt");
	option_told(s, o->max_tokens > 0, max, "max_tokens");
	option_told(s, o->stop != NULL, "halt!", "stop");
}

static void
check_refusal(const struct said *s)
{
	if (s->err.code != MP_E_INVALID_PARAMS || s->err.field[0] == '\0' || strlen(s->err.message) < 12)
		fail_msg("%s: refused without a reason: %d %s %s", s->dialect->name, s->err.code,
		    s->err.field, s->err.message);
}

/* ---- what is answered ---- */

/* How the request calls its tools: the server knows no other names. */
static void
find_names(const json_t *j, struct answer *a, json_t **keep)
{
	const json_t *value, *name;
	const char *key;
	size_t i;

	if (j != NULL && json_typeof(j) == JANSSON_ARRAY) {
		json_array_foreach(j, i, value)
			find_names(value, a, keep);
		return;
	}
	name = json_object_get(j, "name");
	if (name != NULL && json_typeof(name) == JANSSON_STRING && a->call_count < ANSWER_CALLS) {
		json_array_append(*keep, (json_t *)(uintptr_t)name);
		a->calls[a->call_count++].name = json_string_value(name);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)j, key, value)
		find_names(value, a, keep);
}

static void
some_text(struct buf *out)
{
	for (unsigned n = dice(12); n > 0; n--)
		buf_adds(out, PICK("Hello ", "\xc3\xa9t\xc3\xa9", "\xf0\x9f\x98\x80", "\n", "\"q\\\"",
		    "m1; ", "<b>",
		    "data: [DONE]", "\xe2\x80\xa8", "\t", "{}"));
}

static void
make_answer(const struct said *s, struct answer *a, json_t **names)
{
	json_t *body = s->dialect->carrier == CARRIER_HTTP
	    ? json_loadb(s->wire.body.data, s->wire.body.len, JSON_ALLOW_NUL, NULL) : NULL;

	memset(a, 0, sizeof *a);
	*names = json_array();
	some_text(&a->text);
	if (dice(2) == 0)
		some_text(&a->reasoning);
	a->cut = dice(4) == 0;
	if (body != NULL && s->chat->tool_count > 0 && !a->cut && dice(2) == 0)
		find_names(json_object_get(body, "tools"), a, names);
	for (unsigned i = 0; i < a->call_count; i++) {
		snprintf(a->calls[i].id, sizeof a->calls[i].id, "call_%u", i);
		a->calls[i].arguments = PICK("{}", "{\"a\":1}", "{\"a\":\"\xc3\xa9 \\\"\",\"b\":[1,2,{}]}",
		    "{\"n\":12345678901234567890}");
	}
	a->input = (int)dice(5000);
	a->output = (int)dice(5000);
	json_decref(body);
}

static void
hear_answer(const struct said *s, const struct buf *bytes, struct heard *h)
{
	struct reading r;
	size_t from = 0;

	memset(h, 0, sizeof *h);
	r.dialect = s->dialect;
	r.state = calloc(1, s->dialect->state_size);
	r.sink = (struct event_sink){ hear, h };
	if (s->dialect->begin != NULL)
		s->dialect->begin(r.state, s->chat, &s->to);
	sse_init(&r.sse);
	ndjson_init(&r.ndjson);
	for (unsigned i = 0; i < CUTS; i++) {
		size_t end = from + dice((unsigned)(bytes->len - from) + 1);

		reading_feed(&r, bytes->data + from, end - from);
		from = end;
	}
	reading_feed(&r, bytes->data + from, bytes->len - from);
	reading_finish(&r);
}

static void
same_text(const struct said *s, const char *what, const struct buf *heard, const struct buf *meant)
{
	if (heard->len != meant->len || (meant->len > 0 && memcmp(heard->data, meant->data, meant->len) != 0))
		fail_msg("%s: %s \"%s\" instead of \"%s\"", s->dialect->name, what, buf_str(heard),
		    buf_str(meant));
}

/* The caller's own name for what the server calls by the name it was told. */
static const char *
own_name(const struct said *s, unsigned i)
{
	return s->chat->tools[i].name;
}

static unsigned calls_heard, texts_heard, thoughts_heard;

static void
check_calls(const struct said *s, const struct answer *a, const struct heard *h)
{
	assert_int_equal(h->call_count, a->call_count);
	for (unsigned i = 0; i < a->call_count; i++) {
		json_t *heard = json_loads(buf_str(&h->calls[i].arguments), 0, NULL);
		json_t *meant = json_loads(a->calls[i].arguments, 0, NULL);

		assert_true(h->calls[i].ended);
		assert_string_equal(buf_str(&h->calls[i].name), own_name(s, i));
		if (s->dialect->framing == FRAMING_SSE)
			assert_string_equal(buf_str(&h->calls[i].id), a->calls[i].id);
		/* a number too large for one of the two readers is compared as text */
		if (heard == NULL || meant == NULL)
			assert_string_equal(buf_str(&h->calls[i].arguments), a->calls[i].arguments);
		else
			assert_true(json_equal(heard, meant));
		json_decref(heard);
		json_decref(meant);
	}
}

static void
check_answer(const struct said *s, const struct answer *a, const struct heard *h)
{
	if (h->finishes != 1 || h->errors != 0 || h->after_end || h->bad_utf8)
		fail_msg("%s: no whole answer: %s", s->dialect->name, h->failure.message);
	same_text(s, "text", &h->text, &a->text);
	same_text(s, "reasoning", &h->reasoning, &a->reasoning);
	check_calls(s, a, h);
	assert_int_equal(h->stop, a->call_count > 0 ? STOP_TOOL_CALL : a->cut ? STOP_LENGTH : STOP_END);
	assert_int_equal(h->usage.input_tokens, a->input);
	assert_int_equal(h->usage.output_tokens, a->output);
	calls_heard += a->call_count;
	texts_heard += a->text.len > 0;
	thoughts_heard += a->reasoning.len > 0;
}

static void
answer_it(const struct said *s)
{
	struct buf bytes = BUF_INIT;
	struct answer a;
	struct heard h;
	json_t *names;

	for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
		if (strcmp(writers[i].dialect, s->dialect->name) != 0)
			continue;
		make_answer(s, &a, &names);
		writers[i].write(&a, &bytes);
		hear_answer(s, &bytes, &h);
		check_answer(s, &a, &h);
		heard_clear(&h);
		buf_clear(&a.text);
		buf_clear(&a.reasoning);
		json_decref(names);
		buf_clear(&bytes);
	}
}

/* The built-in echo answers itself: what it sends comes back. */
static void
echo_it(const struct said *s)
{
	const struct chat_message *last = NULL;
	struct heard h;
	char mark[32];

	hear_answer(s, &s->wire.body, &h);
	assert_int_equal(h.finishes, 1);
	for (size_t i = 0; i < s->chat->message_count; i++)
		if (s->chat->messages[i].role == ROLE_USER)
			last = &s->chat->messages[i];
	for (size_t k = 0; last != NULL && k < last->part_count && h.stop == STOP_END; k++) {
		if (last->parts[k].type != PART_TEXT)
			continue;
		find_mark(&last->parts[k].text, mark, sizeof mark);
		assert_true(mark[0] == '\0' || stands_in(&h.text, mark));
	}
	heard_clear(&h);
}

/* ---- the property ---- */

static const char *
model_of(const char *dialect, unsigned round)
{
	static const char *const anthropic[] = { "claude-opus-5", "claude-haiku-4-5", "qwen3" };
	static const char *const openai[] = { "gpt-6.2-sol", "qwen3", "o4" };
	static const char *const gemini[] = { "gemini-3.8-flash", "gemini-2.5-pro", "gemma" };

	return strcmp(dialect, "anthropic-messages") == 0 ? anthropic[round % 3]
	    : strcmp(dialect, "gemini") == 0 ? gemini[round % 3] : openai[round % 3];
}

static bool
run_one(const struct dialect *d, const struct chat_request *c, unsigned round)
{
	bool echo = strcmp(d->name, "echo") == 0, sent;
	struct said s;

	say_it(&s, d, c, model_of(d->name, round));
	sent = s.sent;
	if (!sent) {
		check_refusal(&s);
	} else {
		check_json(&s);
		if (!echo) {
			check_parts(&s);
			check_options(&s);
			answer_it(&s);
		} else {
			echo_it(&s);
		}
	}
	said_clear(&s);
	return sent;
}

static void
test_chats__said_or_refused_and_answered(void **state)
{
	unsigned checked = 0, sent[16] = { 0 };
	uint64_t seed = dice_seed();

	(void)state;
	for (unsigned round = 0; round < CHATS; round++) {
		struct error err = ERROR_INIT;
		struct chat_request *c;

		dice_start(seed, round);
		c = some_chat();
		if (chat_check(c, &err) == 0) {
			checked++;
			for (size_t i = 0; dialect_list()[i] != NULL; i++)
				sent[i] += run_one(dialect_list()[i], c, round);
		}
		chat_request_free(c);
	}
	/* the generator is no use when nearly all is refused, or nothing is answered */
	assert_true(checked > CHATS / 8);
	assert_true(calls_heard > CHATS / 10 && texts_heard > CHATS / 2 && thoughts_heard > CHATS / 2);
	for (size_t i = 0; dialect_list()[i] != NULL; i++)
		if (sent[i] < checked / 20)
			fail_msg("%s: %u of %u", dialect_list()[i]->name, sent[i], checked);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chats__said_or_refused_and_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
