/* ollama_messages.c - the history. Content is always one string: texts are joined by a line end,
 * images stand beside it. */
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/history.h"
#include "server/dialect/ollama.h"

struct history {
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
put_document(struct json_writer *w, const struct part *p)
{
	if (p->name != NULL) {
		add(w, "File ");
		add(w, p->name);
		add(w, ":\n\n");
	}
	json_string_part(w, p->bytes.data, p->bytes.len);
}

/* "content": texts and text documents. */
static void
put_content(struct json_writer *w, const struct chat_message *m)
{
	bool any = false;
	size_t i;

	json_key(w, "content");
	json_begin_string(w);
	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if ((p->type != PART_TEXT || p->text.len == 0) && p->type != PART_DOCUMENT)
			continue;
		if (any)
			add(w, "\n");
		any = true;
		if (p->type == PART_DOCUMENT)
			put_document(w, p);
		else
			json_string_part(w, p->text.data, p->text.len);
	}
	json_end_string(w);
}

/* Images and files that cannot travel, before anything is written. */
static int
check_files(struct history *h, const struct chat_message *m)
{
	size_t i;

	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type == PART_IMAGE && p->bytes.data == NULL)
			return error_field(h->err, "attachments",
			    "Ollama takes no image URLs: attach the image itself");
		if (p->type == PART_DOCUMENT && !document_is_text(p))
			return error_field(h->err, "attachments",
			    "Ollama takes images and text, no %s",
			    p->media_type != NULL ? p->media_type : "files of another kind");
	}
	return 0;
}

static void
put_images(struct json_writer *w, const struct chat_message *m)
{
	size_t i;

	if (message_parts(m, PART_IMAGE) == 0)
		return;
	json_key(w, "images");
	json_begin_array(w);
	for (i = 0; i < m->part_count; i++) {
		const struct text *bytes = &m->parts[i].bytes;

		if (m->parts[i].type != PART_IMAGE)
			continue;
		/* one growth instead of many; a failure shows in the body at the end */
		(void)buf_reserve(w->out, bytes->len / 3 * 4 + 256);
		json_begin_string(w);
		json_string_part_base64(w, bytes->data, bytes->len);
		json_end_string(w);
	}
	json_end_array(w);
}

/* ---- what the assistant said ---- */

/* Reasoning goes back to the model it came from, which needs it while it calls tools. */
static void
put_thinking(struct history *h, const struct chat_message *m)
{
	bool open = false;
	size_t i;

	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type != PART_REASONING || p->text.len == 0)
			continue;
		if (!part_is_of(p, h->to)) {
			if (!h->reasoning_told)
				emit_warning(h->sink,
				    "reasoning of another model was left out of the history");
			h->reasoning_told = true;
			continue;
		}
		if (!open) {
			json_key(h->w, "thinking");
			json_begin_string(h->w);
		} else {
			add(h->w, "\n");
		}
		open = true;
		json_string_part(h->w, p->text.data, p->text.len);
	}
	if (open)
		json_end_string(h->w);
}

static void
put_calls(struct history *h, const struct chat_message *m)
{
	int64_t index = 0;
	size_t i;

	if (message_parts(m, PART_TOOL_CALL) == 0)
		return;
	json_key(h->w, "tool_calls");
	json_begin_array(h->w);
	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type != PART_TOOL_CALL)
			continue;
		json_begin_object(h->w);
		json_kv_string(h->w, "id", p->call_id);
		json_key(h->w, "function");
		json_begin_object(h->w);
		json_kv_int(h->w, "index", index++);
		json_kv_string(h->w, "name", p->name != NULL ? p->name : "");
		put_object_arguments(h->w, "arguments", p, h->sink);
		json_end_object(h->w);
		json_end_object(h->w);
	}
	json_end_array(h->w);
}

/* ---- what tools said ---- */

static void
put_result(struct history *h, const struct part *p, size_t at)
{
	const struct part *call = history_call(h->chat, at, p->call_id);
	const char *name = p->name;

	if (name == NULL && call != NULL)
		name = call->name;
	json_begin_object(h->w);
	json_kv_string(h->w, "role", "tool");
	json_kv_string(h->w, "tool_name", name);
	json_kv_string(h->w, "tool_call_id", p->call_id);
	json_key(h->w, "content");
	json_begin_string(h->w);
	/* the dialect has no mark for it */
	if (p->is_error)
		add(h->w, "Error: ");
	json_string_part(h->w, p->text.data != NULL ? p->text.data : "", p->text.len);
	json_end_string(h->w);
	json_end_object(h->w);
}

/* ---- messages ---- */

/* Results come first: they answer the message before. */
static bool
put_results(struct history *h, size_t at)
{
	const struct chat_message *m = &h->chat->messages[at];
	size_t i;

	for (i = 0; i < m->part_count; i++) {
		if (m->parts[i].type == PART_TOOL_RESULT)
			put_result(h, &m->parts[i], at);
	}
	/* whether anything is left to say */
	return m->part_count == 0 || message_parts(m, PART_TOOL_RESULT) < m->part_count;
}

static int
put_message(struct history *h, size_t at)
{
	static const char *const roles[] = {
		[ROLE_SYSTEM] = "system",
		[ROLE_USER] = "user",
		[ROLE_ASSISTANT] = "assistant",
		[ROLE_TOOL] = "user", /* what a tool gave besides text */
	};
	const struct chat_message *m = &h->chat->messages[at];
	int r = check_files(h, m);

	if (r != 0)
		return r;
	if (!put_results(h, at))
		return 0;
	json_begin_object(h->w);
	json_kv_string(h->w, "role", roles[m->role]);
	put_content(h->w, m);
	put_images(h->w, m);
	if (m->role == ROLE_ASSISTANT) {
		put_thinking(h, m);
		put_calls(h, m);
	}
	json_end_object(h->w);
	return 0;
}

int
ollama_messages(struct json_writer *w, const struct chat_request *chat,
    const struct dialect_target *to, const struct event_sink *sink, struct error *err)
{
	struct history h = { w, chat, to, sink, err, false };
	size_t i;
	int r;

	json_begin_array(w);
	for (i = 0; i < chat->message_count; i++) {
		if ((r = put_message(&h, i)) != 0)
			return r;
	}
	json_end_array(w);
	return 0;
}
