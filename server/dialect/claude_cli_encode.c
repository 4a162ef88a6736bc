/* claude_cli_encode.c - the arguments, the system prompt's file and the one line of input. */
#include <math.h>
#include <string.h>

#include "server/dialect/claude_cli.h"
#include "server/dialect/emit.h"
#include "server/dialect/history.h"

/* Without one the program would act as the coding agent it is. */
#define PLAIN_SYSTEM "You are a helpful assistant. Answer the user directly."

static const char *const speakers[] = {
	[ROLE_SYSTEM] = "System",
	[ROLE_USER] = "User",
	[ROLE_ASSISTANT] = "Assistant",
	[ROLE_TOOL] = "Tool",
};

/* The prompt in blocks: text, until an image comes between. */
struct prompt {
	struct json_writer w;
	struct buf text;
	struct error *err;
};

/* ---- what is left out of the history ---- */

/* Its signature means nothing in a document, and without one it would be taken for an answer. */
static void
warn_about_reasoning(const struct chat_request *chat, const struct event_sink *sink)
{
	for (size_t i = 0; i < chat->message_count; i++) {
		if (message_parts(&chat->messages[i], PART_REASONING) == 0)
			continue;
		emit_warning(sink, "reasoning of earlier turns was left out: claude-cli takes none");
		return;
	}
}

/* ---- what cannot be said ---- */

static int
check_tools(const struct chat_request *chat, struct error *err)
{
	enum tool_choice choice = chat->options.tool_choice;
	bool any = chat->tool_count > 0 || choice == TOOL_CHOICE_REQUIRED ||
	    choice == TOOL_CHOICE_ONE;

	for (size_t i = 0; i < chat->message_count && !any; i++)
		any = message_parts(&chat->messages[i], PART_TOOL_CALL) > 0 ||
		    message_parts(&chat->messages[i], PART_TOOL_RESULT) > 0;
	if (!any)
		return 0;
	error_field(err, "tools", "claude-cli cannot run a caller's tools");
	error_hint(err, "leave them out, or choose another provider: mpc providers");
	return MP_E_INVALID_PARAMS;
}

static int
check_options(const struct chat_options *o, struct error *err)
{
	if (o->stop != NULL && o->stop[0] != NULL)
		return error_field(err, "stop", "claude-cli has no stop sequences");
	if (o->format == FORMAT_JSON || o->format == FORMAT_JSON_SCHEMA)
		return error_field(err, "response_format",
		    "claude-cli cannot hold its answer to a form; ask for it in the prompt");
	if (o->extra.data != NULL && o->extra.len > 0 && strcmp(o->extra.data, "{}") != 0)
		return error_field(err, "extra", "claude-cli takes no further members");
	return 0;
}

static int
check_model(const char *model, struct error *err)
{
	size_t n = strlen(model);

	/* it becomes an argument, and must not be taken for an option */
	if (n > 0 && n <= 200 && model[0] != '-' && utf8_valid(model, n) &&
	    strpbrk(model, " \t\r\n") == NULL)
		return 0;
	return error_field(err, "model", "\"%.80s\" is no model that claude could take", model);
}

static int
check(const struct chat_request *chat, const struct dialect_target *to, struct error *err)
{
	int r;

	if ((r = check_tools(chat, err)) != 0 || (r = check_options(&chat->options, err)) != 0 ||
	    (r = check_model(to->model, err)) != 0)
		return r;
	if (chat->message_count == 0 ||
	    chat->messages[chat->message_count - 1].role == ROLE_ASSISTANT)
		return error_field(err, "messages",
		    "claude-cli cannot continue an answer: the last message must be the user's");
	return 0;
}

/* ---- what is left out ---- */

static void
name_left_out(struct buf *names, bool given, const char *name)
{
	if (given)
		(void)buf_addf(names, "%s%s", names->len > 0 ? ", " : "", name);
}

static void
warn_left_out(const struct chat_options *o, const struct event_sink *sink)
{
	struct buf names = BUF_INIT;

	name_left_out(&names, !isnan(o->temperature), "temperature");
	name_left_out(&names, !isnan(o->top_p), "top_p");
	name_left_out(&names, o->top_k >= 0, "top_k");
	name_left_out(&names, !isnan(o->presence_penalty), "presence_penalty");
	name_left_out(&names, !isnan(o->frequency_penalty), "frequency_penalty");
	name_left_out(&names, o->seed != INT64_MIN, "seed");
	name_left_out(&names, o->max_tokens >= 0, "max_tokens");
	if (names.len > 0)
		emit_warning(sink, "%s left out: claude-cli does not take %s", buf_str(&names),
		    strchr(buf_str(&names), ',') != NULL ? "them" : "it");
	buf_clear(&names);
}

/* ---- the arguments ---- */

static void
put_effort(const char *effort, struct wire_request *out, const struct event_sink *sink)
{
	if (effort == NULL)
		return;
	if (strcmp(effort, "off") == 0 || strcmp(effort, "none") == 0) {
		emit_warning(sink, "reasoning stays as it is: claude-cli cannot turn it off");
		return;
	}
	wire_request_argument(out, "--effort");
	wire_request_argument(out, strcmp(effort, "minimal") == 0 ? "low" : effort);
}

/* No tools, nothing of the user's settings, nothing kept. */
static void
put_arguments(const struct chat_request *chat, const char *model, struct wire_request *out,
    const struct event_sink *sink)
{
	static const char *const fixed[] = { "-p", "--output-format", "stream-json", "--verbose",
		"--include-partial-messages", "--input-format", "stream-json", "--tools", "",
		"--no-session-persistence", "--setting-sources", "", "--strict-mcp-config",
		"--disable-slash-commands", "--model" };

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		wire_request_argument(out, fixed[i]);
	wire_request_argument(out, model);
	put_effort(chat->options.reasoning_effort, out, sink);
	out->file_option = "--system-prompt-file";
}

/* ---- the system prompt ---- */

static void
add_text(struct buf *to, const struct text *t)
{
	(void)buf_adds(to, to->len > 0 ? "\n\n" : "");
	(void)buf_add(to, t->data, t->len);
}

/* The system messages at the beginning; how many these are. */
static size_t
put_system(const struct chat_request *chat, struct buf *file)
{
	size_t i;

	for (i = 0; i < chat->message_count && chat->messages[i].role == ROLE_SYSTEM; i++) {
		const struct chat_message *m = &chat->messages[i];

		for (size_t k = 0; k < m->part_count; k++)
			if (m->parts[k].type == PART_TEXT)
				add_text(file, &m->parts[k].text);
	}
	if (file->len == 0)
		(void)buf_adds(file, PLAIN_SYSTEM);
	return i;
}

/* ---- the prompt ---- */

static void
end_text(struct prompt *p)
{
	if (p->text.len == 0)
		return;
	json_begin_object(&p->w);
	json_kv_string(&p->w, "type", "text");
	json_key(&p->w, "text");
	json_put_string_n(&p->w, p->text.data, p->text.len);
	json_end_object(&p->w);
	buf_reset(&p->text, 0);
}

static int
put_image(struct prompt *p, const struct part *part)
{
	if (part->bytes.data == NULL || part->media_type == NULL)
		return error_field(p->err, "messages",
		    "claude-cli takes images as bytes, not as addresses");
	end_text(p);
	json_begin_object(&p->w);
	json_kv_string(&p->w, "type", "image");
	json_key(&p->w, "source");
	json_begin_object(&p->w);
	json_kv_string(&p->w, "type", "base64");
	json_kv_string(&p->w, "media_type", part->media_type);
	json_key(&p->w, "data");
	json_begin_string(&p->w);
	json_string_part_base64(&p->w, part->bytes.data, part->bytes.len);
	json_end_string(&p->w);
	json_end_object(&p->w);
	json_end_object(&p->w);
	return 0;
}

static int
put_document(struct prompt *p, const struct part *part)
{
	const struct text *t = part->bytes.data != NULL ? &part->bytes : &part->text;

	if (!document_is_text(part))
		return error_field(p->err, "messages",
		    "claude-cli takes text and images, not %s",
		    part->media_type != NULL ? part->media_type : "such a document");
	if (part->name != NULL)
		(void)buf_addf(&p->text, "%s%s:", p->text.len > 0 ? "\n\n" : "", part->name);
	add_text(&p->text, t);
	return 0;
}

static int
put_part(struct prompt *p, const struct part *part)
{
	switch (part->type) {
	case PART_TEXT:
		add_text(&p->text, &part->text);
		return 0;
	case PART_IMAGE:
		return put_image(p, part);
	case PART_DOCUMENT:
		return put_document(p, part);
	case PART_TOOL_CALL:
	case PART_TOOL_RESULT: /* refused before */
	case PART_REASONING:   /* goes back to nobody in a document */
		break;
	}
	return 0;
}

static int
put_messages(struct prompt *p, const struct chat_request *chat, size_t from, bool document)
{
	int r;

	if (document)
		(void)buf_adds(&p->text, "This is a conversation, oldest message first. "
		    "Answer its last message.");
	for (size_t i = from; i < chat->message_count; i++) {
		const struct chat_message *m = &chat->messages[i];

		if (document)
			(void)buf_addf(&p->text, "%s[%s]", p->text.len > 0 ? "\n\n" : "",
			    speakers[m->role]);
		for (size_t k = 0; k < m->part_count; k++)
			if ((r = put_part(p, &m->parts[k])) != 0)
				return r;
	}
	end_text(p);
	return 0;
}

/* The line of input: the messages from there on, several of them as a document or as one message. */
static int
put_prompt(const struct chat_request *chat, size_t from, bool document, struct buf *body,
    struct error *err)
{
	struct prompt p = { .err = err };
	int r;

	buf_init(&p.text, body->max);
	json_writer_init(&p.w, body, false);
	json_begin_object(&p.w);
	json_kv_string(&p.w, "type", "user");
	json_key(&p.w, "message");
	json_begin_object(&p.w);
	json_kv_string(&p.w, "role", "user");
	json_key(&p.w, "content");
	json_begin_array(&p.w);
	if ((r = put_messages(&p, chat, from, document)) == 0) {
		json_end_array(&p.w);
		json_end_object(&p.w);
		json_end_object(&p.w);
		/* the program reads lines */
		(void)buf_addc(body, '\n');
	}
	if (p.text.failed)
		body->failed = true;
	buf_clear(&p.text);
	return r;
}

int
claude_cli_encode(const struct chat_request *chat, const struct dialect_target *to,
    struct wire_request *out, const struct event_sink *sink, struct error *err)
{
	size_t from, turn;
	int r;

	if ((r = check(chat, to, err)) != 0)
		return r;
	put_arguments(chat, to->model, out, sink);
	from = put_system(chat, &out->file);
	if (from == chat->message_count)
		return error_field(err, "messages", "there is nothing to answer but a system prompt");
	if ((r = put_prompt(chat, from, chat->message_count - from > 1, &out->body, err)) != 0)
		return r;
	if ((turn = claude_cli_new_turn(chat)) > from) {
		claude_cli_past(chat, turn, &out->past);
		if ((r = put_prompt(chat, turn, false, &out->more, err)) != 0)
			return r;
	}
	warn_about_reasoning(chat, sink);
	warn_left_out(&chat->options, sink);
	return 0;
}
