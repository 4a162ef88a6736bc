/* test_prompt.c - prompts as a client sees them: over a socket, against a scripted provider. */
#include "tests/unit/call/house.h"

#include "protocol/limits.h"
#include "protocol/message.h"
#include "server/rpc/methods/prompts.h"
#include "server/rpc/server.h"
#include "server/rpc/conn.h"
#include "server/state/team.h"

/* ---- the daemon's side, and one client ---- */

struct desk {
	struct house *h;
	struct rpc_parts parts;
	struct paths paths;
	int fd;
	struct message_reader *reader;
	uint32_t msgid;
	/* the newest message */
	enum message_kind kind;
	uint32_t reply_to;
	bool is_error;
	char text[256 * 1024]; /* result, error or event as JSON */
	struct json json;
};

static void
desk_connect(struct desk *d)
{
	int pair[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	rpc_server_accept(d->parts.server, pair[0], getpid());
	d->fd = pair[1];
	d->reader = message_reader_new((size_t)64 << 20);
}

static void
desk_hang_up(struct desk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	message_reader_free(d->reader);
	d->fd = -1;
	d->reader = NULL;
}

static int
desk_open(void **state)
{
	struct desk *d = calloc(1, sizeof(*d));
	struct error err = ERROR_INIT;
	void *house = NULL;

	assert_int_equal(house_open(&house), 0);
	d->h = house;
	d->paths = (struct paths){ .socket = d->h->dir, .run_dir = d->h->dir,
		.data_dir = d->h->dir, .config_dir = d->h->dir, .state_dir = d->h->dir,
		.cache_dir = d->h->dir };
	d->parts = (struct rpc_parts){
		.loop = d->h->loop,
		.store = d->h->store,
		.vault = d->h->vault,
		.changes = d->h->changes,
		.providers = d->h->providers,
		.credentials = d->h->credentials,
		.models = d->h->models,
		.overrides = d->h->overrides,
		.sessions = d->h->sessions,
		.ledger = d->h->ledger,
		.routes = d->h->routes,
		.upstream = d->h->upstream,
		.calls = d->h->calls,
		.probes = d->h->probes,
		.prompts = prompts_new(d->h->loop),
		.paths = &d->paths,
	};
	assert_int_equal(team_new(d->h->store, d->h->vault, d->h->changes, &d->parts.team, &err), 0);
	assert_non_null(rpc_server_new(&d->parts, NULL));
	desk_connect(d);
	*state = d;
	return 0;
}

static int
desk_close(void **state)
{
	struct desk *d = *state;
	void *house = d->h;

	desk_hang_up(d);
	rpc_server_free(d->parts.server);
	prompts_free(d->parts.prompts);
	team_free(d->parts.team);
	json_clear(&d->json);
	assert_int_equal(house_close(&house), 0);
	free(d);
	return 0;
}

static void
say_as(struct desk *d, const char *method, const char *params, bool notification)
{
	struct json j = JSON_INIT;
	struct buf frame = BUF_INIT;
	struct pack p;
	size_t at = 0;

	assert_int_equal(json_read(&j, params, strlen(params), JSON_STRICT), 0);
	pack_init(&p, &frame);
	if (notification) {
		pack_array_begin(&p);
		pack_int(&p, 2);
		pack_str(&p, method);
		pack_array_begin(&p);
		pack_json(&p, &j, 0);
		pack_array_end(&p);
		pack_array_end(&p);
	} else {
		message_begin_request(&p, ++d->msgid, method);
		pack_json(&p, &j, 0);
		message_end_request(&p);
	}
	while (at < frame.len) {
		ssize_t n = send(d->fd, frame.data + at, frame.len - at, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		else
			loop_once(d->h->loop, 5);
	}
	json_clear(&j);
	buf_clear(&frame);
}

static void
say(struct desk *d, const char *method, const char *params)
{
	say_as(d, method, params, false);
}

/* Reads what is there; false when nothing whole is. */
static bool
desk_take(struct desk *d)
{
	struct message m;
	struct error err;
	struct buf text = BUF_INIT;
	struct json_writer w;
	bool known;
	size_t room;
	char *to;
	ssize_t n;
	int r;

	while ((r = message_reader_next(d->reader, &m, &known, &err)) == 0) {
		to = message_reader_room(d->reader, 65536, &room);
		n = recv(d->fd, to, room, MSG_DONTWAIT);
		if (n <= 0)
			return false;
		message_reader_fed(d->reader, (size_t)n);
	}
	assert_int_equal(r, 1);
	d->kind = m.kind;
	d->reply_to = m.msgid;
	d->is_error = m.kind == MESSAGE_REPLY && value_type(m.error) != VALUE_NIL;
	json_writer_init(&w, &text, false);
	value_to_json(m.kind == MESSAGE_NOTIFICATION ? value_at(m.params, 0)
	        : d->is_error                        ? m.error
	                                             : m.result,
	    &w);
	assert_true(text.len < sizeof(d->text));
	memcpy(d->text, buf_str(&text), text.len + 1);
	buf_clear(&text);
	message_release(d->reader, false);
	assert_int_equal(json_read(&d->json, d->text, strlen(d->text), JSON_STRICT), 0);
	return true;
}

/* The next message, whatever it is. */
static void
next(struct desk *d)
{
	int64_t end = clock_monotonic_ms() + 8000;

	while (!desk_take(d)) {
		if (clock_monotonic_ms() > end)
			fail_msg("nothing came any more; last: %s", d->text);
		loop_once(d->h->loop, 10);
	}
}

static int64_t
number(const struct desk *d, const char *key)
{
	int64_t v = -1;

	if (!json_int(&d->json, json_get(&d->json, 0, key), &v))
		fail_msg("no %s in %s", key, d->text);
	return v;
}

static bool
is(const struct desk *d, const char *key, const char *text)
{
	return json_equals(&d->json, json_get(&d->json, 0, key), text);
}

static bool
has(const struct desk *d, const char *key)
{
	return json_get(&d->json, 0, key) != JSON_NONE;
}

/* The reply to the newest request; events on the way fail the test. */
static void
reply(struct desk *d, bool is_error)
{
	next(d);
	assert_int_equal(d->kind, MESSAGE_REPLY);
	assert_int_equal(d->reply_to, d->msgid);
	if (d->is_error != is_error)
		print_error("%s\n", d->text);
	assert_int_equal(d->is_error, is_error);
}

static void
call(struct desk *d, const char *method, const char *params)
{
	say(d, method, params);
	reply(d, false);
}

/* What one stream said. */
struct told {
	int64_t stream, seq;
	bool over;
	char text[1 << 16];
	size_t text_len, text_total;
	char types[512]; /* the order, runs folded: "start delta done " */
	char last[64];
};

static void
told_event(struct desk *d, struct told *t)
{
	char type[32] = "";
	struct slice s;
	struct buf b = BUF_INIT;

	assert_int_equal(d->kind, MESSAGE_NOTIFICATION);
	assert_false(t->over); /* nothing after the terminal event */
	assert_int_equal(number(d, "stream"), t->stream);
	assert_int_equal(number(d, "seq"), t->seq++);
	assert_true(json_plain(&d->json, json_get(&d->json, 0, "type"), &s));
	snprintf(type, sizeof(type), "%.*s", (int)s.len, s.data);
	if (strcmp(type, t->last) != 0)
		snprintf(t->types + strlen(t->types), sizeof(t->types) - strlen(t->types), "%s ", type);
	snprintf(t->last, sizeof(t->last), "%s", type);
	t->over = strcmp(type, "done") == 0 || strcmp(type, "error") == 0;
	if (strcmp(type, "delta") == 0) {
		json_string(&d->json, json_get(&d->json, 0, "text"), &b);
		assert_true(utf8_valid(buf_str(&b), b.len));
		t->text_total += b.len;
		if (t->text_len + b.len < sizeof(t->text)) {
			memcpy(t->text + t->text_len, buf_str(&b), b.len);
			t->text_len += b.len;
		}
		buf_clear(&b);
	}
}

/* Starts a stream: the reply comes before any event. */
static void
start(struct desk *d, struct told *t, const char *params)
{
	memset(t, 0, sizeof(*t));
	call(d, "prompt.start", params);
	t->stream = number(d, "stream");
	assert_true(has(d, "ref"));
}

static void
listen_until(struct desk *d, struct told *t, const char *type)
{
	do {
		next(d);
		told_event(d, t);
	} while (strcmp(t->last, type) != 0 && !t->over);
	if (strcmp(t->last, type) != 0)
		print_error("%s\n", d->text);
	assert_string_equal(t->last, type);
}

/* Nothing more comes for this long. */
static void
silence(struct desk *d, int64_t ms)
{
	int64_t end = clock_monotonic_ms() + ms;

	while (clock_monotonic_ms() < end) {
		loop_once(d->h->loop, 5);
		if (desk_take(d))
			fail_msg("unexpected: %s", d->text);
	}
}

/* ---- streams ---- */

static void
test_prompt__the_reply_then_the_events_in_order(void **state)
{
	struct desk *d = *state;
	struct told t;

	d->h->vendor.behaviour = SAY_HELLO;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\",\"tag\":\"mine\"}");
	assert_true(is(d, "ref", "fake:small"));
	listen_until(d, &t, "start");
	assert_true(is(d, "tag", "mine"));
	assert_true(is(d, "ref", "fake:small") && is(d, "provider", "fake") && is(d, "model", "small"));
	assert_int_equal(number(d, "attempt"), 1);
	assert_true(has(d, "why"));
	listen_until(d, &t, "done");
	assert_string_equal(t.types, "start delta usage done ");
	assert_int_equal(t.text_len, 5);
	assert_memory_equal(t.text, "Hello", 5);
	assert_true(is(d, "stop", "end") && is(d, "ref", "fake:small") && is(d, "tag", "mine"));
	assert_non_null(strstr(d->text, "\"input_tokens\":12"));
	assert_non_null(strstr(d->text, "\"cost_microusd\":0")); /* the machine is the user's own */
	assert_true(number(d, "duration_ms") >= number(d, "first_token_ms"));
	silence(d, 30);
}

static void
test_prompt__a_tool_call_comes_whole(void **state)
{
	struct desk *d = *state;
	struct told t;

	d->h->vendor.behaviour = SAY_TOOL;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	listen_until(d, &t, "tool_call");
	assert_true(is(d, "id", "c1") && is(d, "name", "weather"));
	assert_true(is(d, "arguments", "{\"a\":1}"));
	listen_until(d, &t, "done");
	assert_true(is(d, "stop", "tool_call"));
	assert_string_equal(t.types, "start tool_call done ");

	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\",\"tool_deltas\":true}");
	listen_until(d, &t, "tool_delta");
	assert_true(is(d, "name", "weather") && is(d, "arguments_delta", ""));
	listen_until(d, &t, "done");
	assert_string_equal(t.types, "start tool_delta tool_call done ");
}

static void
test_prompt__reasoning_only_if_asked(void **state)
{
	struct desk *d = *state;
	struct told t;

	d->h->vendor.behaviour = SAY_REASON;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	listen_until(d, &t, "done");
	assert_string_equal(t.types, "start delta done ");
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\",\"reasoning\":true}");
	listen_until(d, &t, "reasoning");
	assert_true(is(d, "text", "hmm"));
	listen_until(d, &t, "done");
	assert_string_equal(t.types, "start reasoning delta done ");
}

static void
test_prompt__failures_are_terminal_events(void **state)
{
	struct desk *d = *state;
	struct told t;

	d->h->vendor.behaviour = REFUSE_KEY;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	listen_until(d, &t, "error");
	assert_string_equal(t.types, "start error ");
	assert_true(is(d, "code", "auth_rejected"));
	assert_non_null(strstr(d->text, "\"partial\":false"));
	assert_non_null(strstr(d->text, "\"http_status\":401"));
	assert_non_null(strstr(d->text, "mpc key set fake"));

	d->h->vendor.behaviour = REFUSE_RATE;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	listen_until(d, &t, "error");
	assert_int_equal(number(d, "retry_after_ms"), 7000);

	d->h->vendor.behaviour = ERROR_MIDWAY;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	listen_until(d, &t, "error");
	assert_string_equal(t.types, "start delta error ");
	assert_non_null(strstr(d->text, "\"partial\":true"));
	silence(d, 30);
}

static void
test_prompt__no_credential_is_an_event_too(void **state)
{
	struct desk *d = *state;
	struct told t;

	house_add_provider(d->h, "keyless", AUTH_API_KEY, false);
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"keyless:small\"}");
	listen_until(d, &t, "error");
	assert_true(is(d, "code", "no_credential"));
	assert_true(has(d, "hint"));
}

static void
test_prompt__mistakes_are_refused_at_once(void **state)
{
	struct desk *d = *state;

	say(d, "prompt.start", "{\"text\":\"hi\",\"options\":{\"temperature\":9}}");
	reply(d, true);
	assert_true(is(d, "code", "invalid_params"));
	assert_non_null(strstr(d->text, "options.temperature"));
	say(d, "prompt.start", "{\"text\":\"hi\",\"ref\":\"nosuchthing:x\"}");
	reply(d, true);
	say(d, "prompt.start", "{}");
	reply(d, true);
	assert_true(is(d, "code", "invalid_params"));
	call(d, "prompt.list", "{}");
	assert_string_equal(d->text, "{\"streams\":[]}");
	silence(d, 20);
}

static void
test_prompt__cancel(void **state)
{
	struct desk *d = *state;
	struct told t;
	char params[64];
	int gone = d->h->vendor.gone;

	d->h->vendor.behaviour = HANG_MIDWAY;
	for (int notified = 0; notified < 2; notified++) {
		start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
		listen_until(d, &t, "delta");
		snprintf(params, sizeof(params), "{\"stream\":%lld}", (long long)t.stream);
		say_as(d, "prompt.cancel", params, notified);
		if (!notified) {
			reply(d, false);
			assert_string_equal(d->text, "{\"cancelled\":true}");
		}
		listen_until(d, &t, "done");
		assert_true(is(d, "stop", "cancelled"));
		call(d, "prompt.cancel", params);
		assert_string_equal(d->text, "{\"cancelled\":false}");
		turn_for(d->h, 50);
	}
	assert_int_equal(d->h->vendor.gone, gone + 2);
	silence(d, 20);
}

static void
test_prompt__F61_a_lost_connection_ends_its_streams(void **state)
{
	struct desk *d = *state;
	struct told t;
	int64_t from;

	d->h->vendor.behaviour = HANG_MIDWAY;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	listen_until(d, &t, "delta");
	desk_hang_up(d);
	from = clock_monotonic_ms();
	while (d->h->vendor.gone == 0 && clock_monotonic_ms() - from < 1000)
		loop_once(d->h->loop, 5);
	assert_int_equal(d->h->vendor.gone, 1);
	assert_int_equal(calls_count(d->h->calls), 0);
}

static void
test_prompt__a_detached_stream_outlives_its_connection(void **state)
{
	struct desk *d = *state;
	struct told t;
	char params[64];

	d->h->vendor.behaviour = HANG_MIDWAY;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\",\"detach\":true}");
	listen_until(d, &t, "delta");
	desk_hang_up(d);
	turn_for(d->h, 100);
	assert_int_equal(calls_count(d->h->calls), 1);
	desk_connect(d);
	call(d, "prompt.list", "{}");
	assert_non_null(strstr(d->text, "\"detached\":true"));
	assert_non_null(strstr(d->text, "\"mine\":false"));
	snprintf(params, sizeof(params), "{\"stream\":%lld}", (long long)t.stream);
	call(d, "prompt.cancel", params);
	turn_for(d->h, 50);
	assert_int_equal(calls_count(d->h->calls), 0);
}

static void
test_prompt__seventeenth_stream_is_too_many(void **state)
{
	struct desk *d = *state;
	struct told t;

	d->h->vendor.behaviour = HANG_AT_ONCE;
	for (int i = 0; i < LIMIT_STREAMS; i++) {
		say(d, "prompt.start", "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
		do
			next(d);
		while (d->kind != MESSAGE_REPLY);
		assert_false(d->is_error);
	}
	say(d, "prompt.start", "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	do
		next(d);
	while (d->kind != MESSAGE_REPLY);
	assert_true(d->is_error);
	assert_true(is(d, "code", "too_many"));
	memset(&t, 0, sizeof(t));
	assert_int_equal(calls_count(d->h->calls), LIMIT_STREAMS);
}

static void
test_prompt__F57_a_slow_reader_pauses_its_source(void **state)
{
	struct desk *d = *state;
	struct told t;
	size_t queued, most = 0;

	d->h->vendor.behaviour = SAY_MUCH;
	d->h->vendor.pieces = 6000;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	/* Until it is full, and then a while longer: it must stay as it is. */
	for (int i = 0, full = 0; i < 2000 && full < 40; i++) {
		turn_for(d->h, 5);
		assert_non_null(d->parts.server->conns);
		queued = conn_out_bytes(d->parts.server->conns);
		most = queued > most ? queued : most;
		full += conn_is_full(d->parts.server->conns);
	}
	assert_true(most >= LIMIT_OUT_SOFT / 2); /* some of it fits into the socket */
	assert_true(most <= LIMIT_OUT_SOFT * 2);
	assert_int_equal(calls_count(d->h->calls), 1);
	listen_until(d, &t, "done");
	assert_int_equal(t.text_total, 6000 * 1024);
}

static void
test_prompt__daemon_stop_ends_the_stream(void **state)
{
	struct desk *d = *state;
	struct told t;

	d->h->vendor.behaviour = HANG_MIDWAY;
	start(d, &t, "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	listen_until(d, &t, "delta");
	calls_abort(d->h->calls);
	listen_until(d, &t, "error");
	assert_true(is(d, "code", "shutting_down"));
	say(d, "prompt.start", "{\"text\":\"hi\"}");
	reply(d, true);
	assert_true(is(d, "code", "shutting_down"));
}

static void
test_prompt__request_key_starts_one_stream(void **state)
{
	struct desk *d = *state;
	struct told t;
	const char *params = "{\"text\":\"hi\",\"ref\":\"fake:small\",\"request_key\":\"k1\"}";
	int64_t stream;

	d->h->vendor.behaviour = SAY_HELLO;
	start(d, &t, params);
	stream = t.stream;
	listen_until(d, &t, "done");
	call(d, "prompt.start", params);
	assert_int_equal(number(d, "stream"), stream);
	silence(d, 50);
	assert_int_equal(d->h->vendor.requests, 1);
	say(d, "prompt.start", "{\"text\":\"ho\",\"ref\":\"fake:small\",\"request_key\":\"k1\"}");
	reply(d, true);
	assert_true(is(d, "code", "conflict"));
}

static void
test_prompt__keeps_the_route_it_started_with(void **state)
{
	struct desk *d = *state;
	struct told t, later;

	d->h->vendor.behaviour = HANG_MIDWAY;
	call(d, "route.set", "{\"ref\":\"fake:small\"}");
	start(d, &t, "{\"text\":\"hi\"}");
	assert_true(is(d, "ref", "fake:small"));
	listen_until(d, &t, "delta");
	call(d, "route.set", "{\"ref\":\"echo:echo\"}");
	start(d, &later, "{\"text\":\"hi\"}");
	assert_true(is(d, "ref", "echo:echo"));
	listen_until(d, &later, "done");
	call(d, "prompt.list", "{}");
	assert_non_null(strstr(d->text, "\"ref\":\"fake:small\""));
	assert_non_null(strstr(d->text, "\"state\":\"streaming\""));
}

/* ---- prompt.run ---- */

static void
test_run__the_whole_answer(void **state)
{
	struct desk *d = *state;

	d->h->vendor.behaviour = SAY_HELLO;
	call(d, "prompt.run", "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	assert_true(is(d, "text", "Hello") && is(d, "stop", "end") && is(d, "ref", "fake:small"));
	assert_non_null(strstr(d->text, "\"output_tokens\":3"));
	d->h->vendor.behaviour = SAY_TOOL;
	call(d, "prompt.run", "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	assert_non_null(strstr(d->text, "\"tool_calls\":[{\"id\":\"c1\",\"name\":\"weather\","
	                                "\"arguments\":\"{\\\"a\\\":1}\"}]"));
	silence(d, 20);
}

static void
test_run__failures(void **state)
{
	struct desk *d = *state;

	d->h->vendor.behaviour = REFUSE_HTML;
	say(d, "prompt.run", "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	reply(d, true);
	assert_true(is(d, "code", "provider_unavailable"));
	d->h->vendor.behaviour = SAY_MUCH;
	d->h->vendor.pieces = 4000;
	say(d, "prompt.run", "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	reply(d, true);
	assert_true(is(d, "code", "too_large"));
	assert_int_equal(calls_count(d->h->calls), 0);
	say(d, "prompt.run", "{\"text\":\"hi\",\"ref\":\"fake:small\",\"timeout_ms\":200}");
	reply(d, true);
}

static void
test_run__cancelled_or_abandoned(void **state)
{
	struct desk *d = *state;
	char params[64];
	uint32_t run;

	d->h->vendor.behaviour = HANG_MIDWAY;
	say(d, "prompt.run", "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	run = d->msgid;
	turn_for(d->h, 50);
	snprintf(params, sizeof(params), "{\"msgid\":%u}", run);
	say(d, "sys.cancel", params);
	for (int i = 0; i < 2; i++) {
		next(d);
		assert_int_equal(d->kind, MESSAGE_REPLY);
		if (d->reply_to == run)
			assert_true(is(d, "code", "cancelled"));
		else
			assert_string_equal(d->text, "{\"cancelled\":true}");
	}
	assert_int_equal(calls_count(d->h->calls), 0);
	say(d, "prompt.run", "{\"text\":\"hi\",\"ref\":\"fake:small\"}");
	turn_for(d->h, 50);
	assert_int_equal(calls_count(d->h->calls), 1);
	desk_hang_up(d);
	turn_for(d->h, 100);
	assert_int_equal(calls_count(d->h->calls), 0);
	assert_int_equal(d->h->vendor.gone, 2);
}

/* ---- provider.check, provider.detect ---- */

static void
test_check__tells_what_it_found(void **state)
{
	struct desk *d = *state;

	call(d, "provider.check", "{\"name\":\"fake\"}");
	assert_non_null(strstr(d->text, "\"ok\":true"));
	assert_int_equal(number(d, "models"), 2);
	assert_true(number(d, "latency_ms") >= 0);
	d->h->vendor.behaviour = SAY_HELLO;
	call(d, "provider.check", "{\"name\":\"fake:small\",\"deep\":true}");
	assert_true(is(d, "ref", "fake:small"));
	assert_true(number(d, "first_token_ms") >= 0);
	d->h->vendor.behaviour = REFUSE_KEY;
	call(d, "provider.check", "{\"name\":\"fake\"}");
	assert_non_null(strstr(d->text, "\"ok\":false"));
	assert_true(is(d, "code", "auth_rejected"));
	assert_true(has(d, "message") && has(d, "hint"));
	say(d, "provider.check", "{\"name\":\"nosuchthing\"}");
	reply(d, true);
	assert_true(is(d, "code", "not_found"));
}

static void
test_check__detect(void **state)
{
	struct desk *d = *state;

	house_add_provider(d->h, "ours", AUTH_NONE, true);
	call(d, "provider.detect", "{}");
	assert_non_null(strstr(d->text, "\"name\":\"ours\""));
	assert_non_null(strstr(d->text, "\"models\":[\"small\",\"large\"]"));
}

static void
test_check__abandoned(void **state)
{
	struct desk *d = *state;

	d->h->vendor.hang_list = 1;
	house_add_provider(d->h, "ours", AUTH_NONE, true);
	say(d, "provider.check", "{\"name\":\"fake\"}");
	say(d, "provider.detect", "{}");
	turn_for(d->h, 50);
	desk_hang_up(d);
	turn_for(d->h, 100);
	assert_true(d->h->vendor.gone >= 2);
}

#define DESK_TEST(f) cmocka_unit_test_setup_teardown(f, desk_open, desk_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DESK_TEST(test_prompt__the_reply_then_the_events_in_order),
		DESK_TEST(test_prompt__a_tool_call_comes_whole),
		DESK_TEST(test_prompt__reasoning_only_if_asked),
		DESK_TEST(test_prompt__failures_are_terminal_events),
		DESK_TEST(test_prompt__no_credential_is_an_event_too),
		DESK_TEST(test_prompt__mistakes_are_refused_at_once),
		DESK_TEST(test_prompt__cancel),
		DESK_TEST(test_prompt__F61_a_lost_connection_ends_its_streams),
		DESK_TEST(test_prompt__a_detached_stream_outlives_its_connection),
		DESK_TEST(test_prompt__seventeenth_stream_is_too_many),
		DESK_TEST(test_prompt__F57_a_slow_reader_pauses_its_source),
		DESK_TEST(test_prompt__daemon_stop_ends_the_stream),
		DESK_TEST(test_prompt__request_key_starts_one_stream),
		DESK_TEST(test_prompt__keeps_the_route_it_started_with),
		DESK_TEST(test_run__the_whole_answer),
		DESK_TEST(test_run__failures),
		DESK_TEST(test_run__cancelled_or_abandoned),
		DESK_TEST(test_check__tells_what_it_found),
		DESK_TEST(test_check__detect),
		DESK_TEST(test_check__abandoned),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
