/* openai_chat_messages.c - the history. The order matters: every tool call is followed directly by its
 * results, whatever order the canonical chat has them in. */
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/openai_chat.h"

struct history {
	struct json_writer *w;
	const struct chat_request *chat;
	const struct dialect_target *to;
	const struct event_sink *sink;
	struct error *err;
	bool reasoning_told;
};

static void
put_text(struct json_writer *w, const struct text *t)
{
	json_put_string_n(w, t->data != NULL ? t->data : "", t->len);
}

static void
begin_message(struct json_writer *w, const char *role)
{
	json_begin_object(w);
	json_kv_string(w, "role", role);
}

/* ---- parts ---- */

static void
put_text_part(struct json_writer *w, const struct text *t)
{
	json_begin_object(w);
	json_kv_string(w, "type", "text");
	json_key(w, "text");
	put_text(w, t);
	json_end_object(w);
}

/* The bytes go into the string as they are encoded: no copy in between. */
static void
put_data_url(struct json_writer *w, const char *media_type, const struct text *bytes)
{
	/* one growth instead of many; a failure shows in the body at the end */
	(void)buf_reserve(w->out, bytes->len / 3 * 4 + 256);
	json_begin_string(w);
	json_string_part(w, "data:", 5);
	json_string_part(w, media_type, strlen(media_type));
	json_string_part(w, ";base64,", 8);
	json_string_part_base64(w, bytes->data, bytes->len);
	json_end_string(w);
}

static int
put_image(struct history *h, const struct part *p)
{
	struct json_writer *w = h->w;

	if (p->url == NULL && (p->bytes.data == NULL || p->media_type == NULL))
		return error_field(h->err, "attachments", "an image has neither a URL nor bytes and type");
	json_begin_object(w);
	json_kv_string(w, "type", "image_url");
	json_key(w, "image_url");
	json_begin_object(w);
	json_key(w, "url");
	if (p->url != NULL)
		json_put_string(w, p->url);
	else
		put_data_url(w, p->media_type, &p->bytes);
	json_end_object(w);
	json_end_object(w);
	return 0;
}

/* Text is text for every model; only what is none travels as a file. */
static bool
is_text_document(const struct part *p)
{
	static const char *const types[] = { "application/json", "application/xml",
		"application/yaml", "application/x-yaml", "application/toml",
		"application/javascript", "application/x-sh", "image/svg+xml" };
	size_t i;

	if (p->media_type == NULL || !utf8_valid(p->bytes.data, p->bytes.len))
		return false;
	if (strncmp(p->media_type, "text/", 5) == 0)
		return true;
	for (i = 0; i < sizeof types / sizeof types[0]; i++) {
		if (strcmp(p->media_type, types[i]) == 0)
			return true;
	}
	return false;
}

static void
put_text_document(struct json_writer *w, const struct part *p)
{
	json_begin_object(w);
	json_kv_string(w, "type", "text");
	json_key(w, "text");
	json_begin_string(w);
	if (p->name != NULL) {
		json_string_part(w, "File ", 5);
		json_string_part(w, p->name, strlen(p->name));
		json_string_part(w, ":\n\n", 3);
	}
	json_string_part(w, p->bytes.data, p->bytes.len);
	json_end_string(w);
	json_end_object(w);
}

static int
put_document(struct history *h, const struct part *p)
{
	struct json_writer *w = h->w;

	if (p->bytes.data == NULL)
		return error_field(h->err, "attachments", "a document without bytes cannot be sent here");
	if (is_text_document(p)) {
		put_text_document(w, p);
		return 0;
	}
	json_begin_object(w);
	json_kv_string(w, "type", "file");
	json_key(w, "file");
	json_begin_object(w);
	json_kv_string(w, "filename", p->name != NULL ? p->name : "document.pdf");
	json_key(w, "file_data");
	put_data_url(w, p->media_type != NULL ? p->media_type : "application/octet-stream", &p->bytes);
	json_end_object(w);
	json_end_object(w);
	return 0;
}

static bool
is_content(const struct part *p)
{
	return p->type == PART_TEXT || p->type == PART_IMAGE || p->type == PART_DOCUMENT;
}

static size_t
count_content(const struct chat_message *m, const struct part **first)
{
	size_t i, n = 0;

	*first = NULL;
	for (i = 0; i < m->part_count; i++) {
		if (!is_content(&m->parts[i]))
			continue;
		if (n++ == 0)
			*first = &m->parts[i];
	}
	return n;
}

static int
put_parts(struct history *h, const struct chat_message *m)
{
	size_t i;
	int r = 0;

	json_begin_array(h->w);
	for (i = 0; i < m->part_count && r == 0; i++) {
		const struct part *p = &m->parts[i];

		if (p->type == PART_TEXT)
			put_text_part(h->w, &p->text);
		else if (p->type == PART_IMAGE)
			r = put_image(h, p);
		else if (p->type == PART_DOCUMENT)
			r = put_document(h, p);
	}
	if (r == 0)
		json_end_array(h->w);
	return r;
}

/* ---- messages ---- */

/* Many servers take a string only: the texts of a system prompt are joined by a blank line. */
static void
put_system(struct history *h, const struct chat_message *m)
{
	bool any = false;
	size_t i;

	begin_message(h->w, "system");
	json_key(h->w, "content");
	json_begin_string(h->w);
	for (i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type != PART_TEXT || p->text.len == 0)
			continue;
		if (any)
			json_string_part(h->w, "\n\n", 2);
		json_string_part(h->w, p->text.data, p->text.len);
		any = true;
	}
	json_end_string(h->w);
	json_end_object(h->w);
}

static int
put_user(struct history *h, const struct chat_message *m)
{
	const struct part *first;
	size_t n = count_content(m, &first);
	int r = 0;

	/* a message that held only tool results was said already */
	if (n == 0 && (m->part_count > 0 || m->role == ROLE_TOOL))
		return 0;
	begin_message(h->w, "user");
	json_key(h->w, "content");
	if (n == 0)
		json_put_string(h->w, "");
	else if (n == 1 && first->type == PART_TEXT)
		put_text(h->w, &first->text);
	else
		r = put_parts(h, m);
	if (r == 0)
		json_end_object(h->w);
	return r;
}

static void
put_call(struct json_writer *w, const struct part *p)
{
	json_begin_object(w);
	json_kv_string(w, "id", p->call_id != NULL ? p->call_id : "");
	json_kv_string(w, "type", "function");
	json_key(w, "function");
	json_begin_object(w);
	json_kv_string(w, "name", p->name != NULL ? p->name : "");
	json_key(w, "arguments");
	if (p->arguments.len > 0)
		put_text(w, &p->arguments);
	else
		json_put_string(w, "{}");
	json_end_object(w);
	json_end_object(w);
}

static size_t
count_type(const struct chat_message *m, enum part_type type)
{
	size_t i, n = 0;

	for (i = 0; i < m->part_count; i++)
		n += m->parts[i].type == type;
	return n;
}

static void
put_assistant_text(struct history *h, const struct chat_message *m, size_t calls)
{
	size_t texts = count_type(m, PART_TEXT), i;

	json_key(h->w, "content");
	if (texts == 0 && calls > 0) {
		json_put_null(h->w);
		return;
	}
	if (texts > 1)
		json_begin_array(h->w);
	for (i = 0; i < m->part_count; i++) {
		if (m->parts[i].type != PART_TEXT)
			continue;
		if (texts > 1)
			put_text_part(h->w, &m->parts[i].text);
		else
			put_text(h->w, &m->parts[i].text);
	}
	if (texts > 1)
		json_end_array(h->w);
	else if (texts == 0)
		json_put_string(h->w, "");
}

static void
warn_about_assistant(struct history *h, const struct chat_message *m, bool reasoning_sent)
{
	if (!reasoning_sent && !h->reasoning_told) {
		h->reasoning_told = true;
		emit_warning(h->sink, "reasoning of earlier turns was left out: it cannot be sent back");
	}
	if (count_type(m, PART_IMAGE) + count_type(m, PART_DOCUMENT) > 0)
		emit_warning(h->sink, "an attachment of an earlier answer was left out");
}

static void
put_assistant(struct history *h, const struct chat_message *m)
{
	size_t calls = count_type(m, PART_TOOL_CALL), i;

	begin_message(h->w, "assistant");
	put_assistant_text(h, m, calls);
	warn_about_assistant(h, m, openai_details_put(h->w, m, h->to));
	if (calls > 0) {
		json_key(h->w, "tool_calls");
		json_begin_array(h->w);
		for (i = 0; i < m->part_count; i++) {
			if (m->parts[i].type == PART_TOOL_CALL)
				put_call(h->w, &m->parts[i]);
		}
		json_end_array(h->w);
	}
	json_end_object(h->w);
}

/* ---- tool results ---- */

static void
put_result(struct history *h, const char *call_id, const struct text *text, bool is_error)
{
	begin_message(h->w, "tool");
	json_kv_string(h->w, "tool_call_id", call_id);
	json_key(h->w, "content");
	json_begin_string(h->w);
	/* the dialect has no mark for it */
	if (is_error)
		json_string_part(h->w, "Error: ", 7);
	if (text != NULL && text->len > 0)
		json_string_part(h->w, text->data, text->len);
	json_end_string(h->w);
	json_end_object(h->w);
}

static bool
calls_have(const struct chat_message *m, const char *id)
{
	size_t i;

	for (i = 0; id != NULL && i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		if (p->type == PART_TOOL_CALL && p->call_id != NULL && strcmp(p->call_id, id) == 0)
			return true;
	}
	return false;
}

static const struct part *
find_result(const struct chat_request *c, size_t from, size_t to, const char *id)
{
	size_t i, k;

	for (i = from; i < to; i++) {
		for (k = 0; k < c->messages[i].part_count; k++) {
			const struct part *p = &c->messages[i].parts[k];

			if (p->type == PART_TOOL_RESULT && p->call_id != NULL &&
			    strcmp(p->call_id, id) == 0)
				return p;
		}
	}
	return NULL;
}

/* The results between this assistant message and the next, in their own order; a call nobody answered
 * gets a result that says so, because the provider would refuse the whole chat. */
static void
put_results(struct history *h, const struct chat_message *assistant, size_t from, size_t to)
{
	const struct chat_request *c = h->chat;
	size_t i, k;

	for (i = from; i < to; i++) {
		for (k = 0; k < c->messages[i].part_count; k++) {
			const struct part *p = &c->messages[i].parts[k];

			if (p->type != PART_TOOL_RESULT)
				continue;
			if (!calls_have(assistant, p->call_id))
				emit_warning(h->sink, "a tool result without its call was left out");
			else if (find_result(c, from, to, p->call_id) == p)
				put_result(h, p->call_id, &p->text, p->is_error);
			else
				emit_warning(h->sink,
				    "a second result of one tool call was left out");
		}
	}
	for (k = 0; k < assistant->part_count; k++) {
		const struct part *p = &assistant->parts[k];

		if (p->type != PART_TOOL_CALL || p->call_id == NULL ||
		    find_result(c, from, to, p->call_id) != NULL)
			continue;
		emit_warning(h->sink, "the call of %.64s has no result; \"no result\" was sent for it",
		    p->name != NULL ? p->name : "a tool");
		put_result(h, p->call_id, &(struct text){ (char[]){ "no result" }, 9 }, true);
	}
}

static size_t
next_assistant(const struct chat_request *c, size_t from)
{
	while (from < c->message_count && c->messages[from].role != ROLE_ASSISTANT)
		from++;
	return from;
}

static int
put_message(struct history *h, size_t i)
{
	const struct chat_message *m = &h->chat->messages[i];

	switch (m->role) {
	case ROLE_SYSTEM:
		put_system(h, m);
		return 0;
	case ROLE_ASSISTANT:
		put_assistant(h, m);
		put_results(h, m, i + 1, next_assistant(h->chat, i + 1));
		return 0;
	case ROLE_USER:
	case ROLE_TOOL: /* what a tool gave besides text: a tool message cannot hold it */
		return put_user(h, m);
	}
	return 0;
}

int
openai_chat_messages(struct json_writer *w, const struct chat_request *chat,
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
