/* openai_responses_input.c - the history as one flat list: messages, reasoning, calls and their
 * outputs, in the order in which they happened. Every call is followed by its output. */
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/history.h"
#include "server/dialect/openai_responses.h"

struct input {
	struct json_writer *w;
	const struct chat_request *chat;
	const struct dialect_target *to;
	const struct event_sink *sink;
	struct error *err;
	bool reasoning_told;
};

static void
add(struct json_writer *w, const char *s)
{
	json_string_part(w, s, strlen(s));
}

static void
kv_text(struct json_writer *w, const char *key, const struct text *t)
{
	json_key(w, key);
	json_put_string_n(w, t->data != NULL ? t->data : "", t->len);
}

static void
begin_item(struct json_writer *w, const char *type)
{
	json_begin_object(w);
	json_kv_string(w, "type", type);
}

static void
begin_message(struct json_writer *w, const char *role)
{
	begin_item(w, "message");
	json_kv_string(w, "role", role);
	json_key(w, "content");
}

/* ---- the system prompt ---- */

static void
join_texts(struct json_writer *w, const struct chat_message *m, bool *any)
{
	size_t i;

	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type != PART_TEXT || p->text.len == 0)
			continue;
		if (*any)
			add(w, "\n\n");
		json_string_part(w, p->text.data, p->text.len);
		*any = true;
	}
}

/* Returns how many messages that took. */
static size_t
put_instructions(struct json_writer *w, const struct chat_request *c)
{
	bool any = false;
	size_t n = 0;

	while (n < c->message_count && c->messages[n].role == ROLE_SYSTEM) {
		if (n == 0) {
			json_key(w, "instructions");
			json_begin_string(w);
		}
		join_texts(w, &c->messages[n++], &any);
	}
	if (n > 0)
		json_end_string(w);
	return n;
}

static void
put_system(struct json_writer *w, const struct chat_message *m)
{
	bool any = false;

	begin_message(w, "system");
	json_begin_string(w);
	join_texts(w, m, &any);
	json_end_string(w);
	json_end_object(w);
}

/* ---- what the user said ---- */

static void
put_input_text(struct json_writer *w, const struct text *t)
{
	begin_item(w, "input_text");
	kv_text(w, "text", t);
	json_end_object(w);
}

/* The bytes go into the string as they are encoded: no copy in between. */
static void
put_data_url(struct json_writer *w, const char *media_type, const struct text *bytes)
{
	/* one growth instead of many; a failure shows in the body at the end */
	(void)buf_reserve(w->out, bytes->len / 3 * 4 + 256);
	json_begin_string(w);
	add(w, "data:");
	add(w, media_type);
	add(w, ";base64,");
	json_string_part_base64(w, bytes->data, bytes->len);
	json_end_string(w);
}

static int
put_image(struct input *in, const struct part *p)
{
	if (p->url == NULL && (p->bytes.data == NULL || p->media_type == NULL))
		return error_field(in->err, "attachments",
		    "an image has neither a URL nor bytes and type");
	begin_item(in->w, "input_image");
	json_key(in->w, "image_url");
	if (p->url != NULL)
		json_put_string(in->w, p->url);
	else
		put_data_url(in->w, p->media_type, &p->bytes);
	json_kv_string(in->w, "detail", "auto");
	json_end_object(in->w);
	return 0;
}

static void
put_text_document(struct json_writer *w, const struct part *p)
{
	begin_item(w, "input_text");
	json_key(w, "text");
	json_begin_string(w);
	if (p->name != NULL) {
		add(w, "File ");
		add(w, p->name);
		add(w, ":\n\n");
	}
	json_string_part(w, p->bytes.data, p->bytes.len);
	json_end_string(w);
	json_end_object(w);
}

static int
put_document(struct input *in, const struct part *p)
{
	struct json_writer *w = in->w;

	if (p->bytes.data == NULL && p->url == NULL)
		return error_field(
		    in->err, "attachments", "a document has neither a URL nor bytes");
	if (document_is_text(p)) {
		put_text_document(w, p);
		return 0;
	}
	begin_item(w, "input_file");
	if (p->url != NULL) {
		json_kv_string(w, "file_url", p->url);
	} else {
		json_kv_string(w, "filename", p->name != NULL ? p->name : "document.pdf");
		json_key(w, "file_data");
		put_data_url(w, p->media_type != NULL ? p->media_type : "application/octet-stream",
		    &p->bytes);
	}
	json_end_object(w);
	return 0;
}

/* What tools gave besides text counts as the user's. */
static int
put_user(struct input *in, const struct chat_message *m)
{
	size_t texts = message_parts(m, PART_TEXT), i;
	size_t files = message_parts(m, PART_IMAGE) + message_parts(m, PART_DOCUMENT);
	int r = 0;

	/* a message that held only tool results was said already */
	if (texts + files == 0 && (m->part_count > 0 || m->role == ROLE_TOOL))
		return 0;
	begin_message(in->w, "user");
	json_begin_array(in->w);
	for (i = 0; i < m->part_count && r == 0; i++) {
		const struct part *p = &m->parts[i];

		if (p->type == PART_TEXT)
			put_input_text(in->w, &p->text);
		else if (p->type == PART_IMAGE)
			r = put_image(in, p);
		else if (p->type == PART_DOCUMENT)
			r = put_document(in, p);
	}
	if (r != 0)
		return r;
	json_end_array(in->w);
	json_end_object(in->w);
	return 0;
}

/* ---- what the assistant said ---- */

/* Neighbouring texts are one message. Returns how many parts that took. */
static size_t
put_texts(struct json_writer *w, const struct chat_message *m, size_t from)
{
	size_t i;

	begin_message(w, "assistant");
	json_begin_array(w);
	for (i = from; i < m->part_count && m->parts[i].type == PART_TEXT; i++) {
		begin_item(w, "output_text");
		kv_text(w, "text", &m->parts[i].text);
		json_key(w, "annotations");
		json_begin_array(w);
		json_end_array(w);
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
	return i - from;
}

/* Only what this model encrypted itself; it cannot be made to believe others. */
static void
put_reasoning(struct input *in, const struct part *p)
{
	struct json_writer *w = in->w;

	if (p->signature.len == 0 || !part_is_of(p, in->to)) {
		if (!in->reasoning_told)
			emit_warning(in->sink,
			    "reasoning that this model did not sign was left out of the history");
		in->reasoning_told = true;
		return;
	}
	begin_item(w, "reasoning");
	json_key(w, "summary");
	json_begin_array(w);
	if (p->text.len > 0) {
		begin_item(w, "summary_text");
		kv_text(w, "text", &p->text);
		json_end_object(w);
	}
	json_end_array(w);
	kv_text(w, "encrypted_content", &p->signature);
	json_end_object(w);
}

static void
put_call(struct json_writer *w, const struct part *p)
{
	begin_item(w, "function_call");
	json_kv_string(w, "call_id", p->call_id != NULL ? p->call_id : "");
	json_kv_string(w, "name", p->name != NULL ? p->name : "");
	if (p->arguments.len > 0)
		kv_text(w, "arguments", &p->arguments);
	else
		json_kv_string(w, "arguments", "{}");
	json_end_object(w);
}

static void
put_output(struct json_writer *w, const char *call_id, struct slice text, bool is_error)
{
	begin_item(w, "function_call_output");
	json_kv_string(w, "call_id", call_id);
	json_key(w, "output");
	json_begin_string(w);
	/* the dialect has no mark for it */
	if (is_error)
		add(w, "Error: ");
	if (text.len > 0)
		json_string_part(w, text.data, text.len);
	json_end_string(w);
	json_end_object(w);
}

/* A call nobody answered gets an output that says so: the provider would refuse the whole chat. */
static void
put_outputs(struct input *in, size_t at)
{
	const struct chat_message *m = &in->chat->messages[at];
	size_t to = history_next_answer(in->chat, at + 1), i;

	for (i = 0; i < m->part_count; i++) {
		const struct part *call = &m->parts[i], *result;

		if (call->type != PART_TOOL_CALL || call->call_id == NULL)
			continue;
		result = history_result(in->chat, at + 1, to, call->call_id);
		if (result != NULL) {
			put_output(in->w, call->call_id,
			    (struct slice){ result->text.data, result->text.len },
			    result->is_error);
			continue;
		}
		emit_warning(in->sink,
		    "the call of %.64s has no result; \"no result\" was sent for it",
		    call->name != NULL ? call->name : "a tool");
		put_output(in->w, call->call_id, SLICE("no result"), true);
	}
}

static void
put_assistant(struct input *in, size_t at)
{
	const struct chat_message *m = &in->chat->messages[at];
	size_t i = 0;

	while (i < m->part_count) {
		const struct part *p = &m->parts[i];

		if (p->type == PART_TEXT) {
			i += put_texts(in->w, m, i);
			continue;
		}
		if (p->type == PART_REASONING)
			put_reasoning(in, p);
		else if (p->type == PART_TOOL_CALL)
			put_call(in->w, p);
		i++;
	}
	put_outputs(in, at);
}

/* Results whose call stands elsewhere than just before them, or was answered already. */
static void
warn_about_orphans(struct input *in, size_t at)
{
	const struct chat_message *m = &in->chat->messages[at];
	size_t asked = at, next = history_next_answer(in->chat, at), i;

	while (asked > 0 && in->chat->messages[asked].role != ROLE_ASSISTANT)
		asked--;
	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i], *call;

		if (p->type != PART_TOOL_RESULT)
			continue;
		call = history_call(in->chat, at, p->call_id);
		if (call == NULL || call < in->chat->messages[asked].parts ||
		    call >= in->chat->messages[asked].parts + in->chat->messages[asked].part_count)
			emit_warning(in->sink, "a tool result without its call was left out");
		else if (history_result(in->chat, asked + 1, next, p->call_id) != p)
			emit_warning(in->sink, "a second result of one tool call was left out");
	}
}

static int
put_message(struct input *in, size_t at)
{
	const struct chat_message *m = &in->chat->messages[at];

	switch (m->role) {
	case ROLE_SYSTEM:
		put_system(in->w, m);
		return 0;
	case ROLE_ASSISTANT:
		put_assistant(in, at);
		return 0;
	case ROLE_USER:
	case ROLE_TOOL:
		warn_about_orphans(in, at);
		return put_user(in, m);
	}
	return 0;
}

int
openai_responses_input(struct json_writer *w, const struct chat_request *chat,
    const struct dialect_target *to, const struct event_sink *sink, struct error *err)
{
	struct input in = { w, chat, to, sink, err, false };
	size_t i = put_instructions(w, chat);
	int r;

	json_key(w, "input");
	json_begin_array(w);
	for (; i < chat->message_count; i++) {
		if ((r = put_message(&in, i)) != 0)
			return r;
	}
	json_end_array(w);
	return 0;
}
