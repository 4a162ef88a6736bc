#include "server/dialect/claude_cli.h"

#include <stdio.h>

#include "server/dialect/emit.h"
#include "server/dialect/refusal.h"

/* No update, no report home, no retries of its own: the daemon does these. */
static const char *const quiet[] = {
	"DISABLE_AUTOUPDATER=1",
	"DISABLE_TELEMETRY=1",
	"DISABLE_ERROR_REPORTING=1",
	"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
	"CLAUDE_CODE_MAX_RETRIES=1",
	NULL,
};

static void
program(struct wire_request *out)
{
	wire_request_init(out);
	out->method = "RUN";
	out->program = "claude";
	out->environment = quiet;
}

/* ---- the login ---- */

int
claude_cli_login_request(const struct provider *p, struct wire_request *out)
{
	(void)p;
	program(out);
	wire_request_argument(out, "auth");
	wire_request_argument(out, "status");
	return 0;
}

void
claude_cli_login_reply(struct slice text, struct failure *out)
{
	struct json j = JSON_INIT;
	bool in = false;

	*out = (struct failure)FAILURE_INIT;
	if (json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS) != 0 ||
	    !json_bool(&j, json_get(&j, 0, "loggedIn"), &in)) {
		out->class = FAILURE_PROTOCOL;
		snprintf(out->kind, sizeof out->kind, "login");
		snprintf(out->message, sizeof out->message,
		    "claude auth status gave no answer that can be read");
	} else if (!in) {
		out->class = FAILURE_AUTH;
		snprintf(out->kind, sizeof out->kind, "login");
		snprintf(out->message, sizeof out->message, "claude is not logged in");
	}
	json_clear(&j);
}

/* ---- the row ---- */

static int
encode(const struct chat_request *chat, const struct dialect_target *to, struct wire_request *out,
    const struct event_sink *sink, struct error *err)
{
	int r;

	program(out);
	out->stream = true;
	out->stays = true;
	r = claude_cli_encode(chat, to, out, sink, err);
	if (r == 0 && (out->body.failed || out->more.failed || out->file.failed))
		r = error_set(err, MP_E_TOO_LARGE, "the request is larger than %zu MiB",
		    out->body.max >> 20);
	if (r != 0)
		wire_request_clear(out);
	return r;
}

/* A program answers without a status; a recorded answer may have one. */
static void
refuse(const struct provider *p, const struct wire_head *head, struct slice body, int64_t now_ms,
    struct failure *out)
{
	(void)p;
	(void)now_ms;
	*out = (struct failure)FAILURE_INIT;
	out->class = refusal_status_class(head->status);
	out->http_status = head->status;
	failure_set_from_page(out, body);
}

const struct dialect dialect_claude_cli = {
	.name = "claude-cli",
	.carrier = CARRIER_CHILD,
	.framing = FRAMING_NDJSON,
	.auth_style = AUTH_STYLE_NONE,
	.state_size = sizeof(struct claude_cli_state),
	.encode = encode,
	.begin = claude_cli_begin,
	.frame = claude_cli_frame,
	.body = claude_cli_body,
	.end = claude_cli_end,
	.told = claude_cli_told,
	.clear = claude_cli_clear,
	.resume = claude_cli_resume,
	.remember = claude_cli_remember,
	.refuse = refuse,
	.login_request = claude_cli_login_request,
	.login_reply = claude_cli_login_reply,
	.terms = "it runs your own claude program with your own login, for you alone; the terms of your "
	    "Claude plan apply: ordinary use by one person. The prompt is never exactly yours "
	    "(claude adds to it), and Anthropic may count such use as extra credit or bill it",
};
