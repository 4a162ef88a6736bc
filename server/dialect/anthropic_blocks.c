/* anthropic_blocks.c - turns, written. Declared in anthropic_turns.h. */
#include <stdlib.h>
#include <string.h>

#include "server/dialect/anthropic_turns.h"
#include "server/dialect/emit.h"
#include "server/dialect/history.h"

struct page {
	struct json_writer *w;
	bool inline_documents;
	const struct event_sink *sink;
	struct error *err;
};

static void
begin_block(struct json_writer *w, const char *type)
{
	json_begin_object(w);
	json_kv_string(w, "type", type);
}

static void
put_text_n(struct json_writer *w, const char *text, size_t n)
{
	begin_block(w, "text");
	json_key(w, "text");
	json_put_string_n(w, text, n);
	json_end_object(w);
}

/* ---- attachments ---- */

static void
put_base64_source(struct json_writer *w, const char *media_type, const struct text *bytes)
{
	/* one growth instead of many; a failure shows in the body at the end */
	(void)buf_reserve(w->out, bytes->len / 3 * 4 + 256);
	begin_block(w, "base64");
	json_kv_string(w, "media_type", media_type);
	json_key(w, "data");
	json_begin_string(w);
	json_string_part_base64(w, bytes->data, bytes->len);
	json_end_string(w);
	json_end_object(w);
}

static void
put_url_source(struct json_writer *w, const char *url)
{
	begin_block(w, "url");
	json_kv_string(w, "url", url);
	json_end_object(w);
}

static const char *
image_type(const char *given)
{
	static const char *const types[][2] = { { "image/jpeg", "image/jpeg" },
		{ "image/jpg", "image/jpeg" }, { "image/png", "image/png" }, { "image/gif", "image/gif" },
		{ "image/webp", "image/webp" } };

	for (size_t i = 0; given != NULL && i < sizeof types / sizeof types[0]; i++)
		if (strcmp(given, types[i][0]) == 0)
			return types[i][1];
	return NULL;
}

static int
put_image(struct page *page, const struct part *p)
{
	const char *type = image_type(p->media_type);

	if (p->url == NULL && p->bytes.len == 0)
		return error_field(page->err, "attachments", "an image has neither a URL nor bytes");
	if (p->url == NULL && type == NULL)
		return error_field(page->err, "attachments",
		    "an image of type %s cannot be sent here: use JPEG, PNG, GIF or WebP",
		    p->media_type != NULL ? p->media_type : "unknown");
	begin_block(page->w, "image");
	json_key(page->w, "source");
	if (p->url != NULL)
		put_url_source(page->w, p->url);
	else
		put_base64_source(page->w, type, &p->bytes);
	json_end_object(page->w);
	return 0;
}

static bool
is_text_document(const struct part *p)
{
	static const char *const types[] = { "application/json", "application/xml", "application/yaml",
		"application/x-yaml", "application/toml", "application/javascript", "application/x-sh",
		"image/svg+xml" };

	if (p->media_type == NULL || !utf8_valid(p->bytes.data, p->bytes.len))
		return false;
	if (strncmp(p->media_type, "text/", 5) == 0)
		return true;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(p->media_type, types[i]) == 0)
			return true;
	return false;
}

static void
put_inline_document(struct json_writer *w, const struct part *p)
{
	begin_block(w, "text");
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

static void
put_text_source(struct json_writer *w, const struct text *text)
{
	begin_block(w, "text");
	json_kv_string(w, "media_type", "text/plain");
	json_key(w, "data");
	json_put_string_n(w, text->data, text->len);
	json_end_object(w);
}

static int
put_document(struct page *page, const struct part *p)
{
	struct json_writer *w = page->w;
	bool text = p->url == NULL && is_text_document(p);

	if (text && page->inline_documents) {
		put_inline_document(w, p);
		return 0;
	}
	if (!text && p->url == NULL &&
	    (p->media_type == NULL || strcmp(p->media_type, "application/pdf") != 0))
		return error_field(page->err, "attachments",
		    "a document of type %s cannot be sent here: use PDF or text",
		    p->media_type != NULL ? p->media_type : "unknown");
	begin_block(w, "document");
	json_key(w, "source");
	if (p->url != NULL)
		put_url_source(w, p->url);
	else if (text)
		put_text_source(w, &p->bytes);
	else
		put_base64_source(w, "application/pdf", &p->bytes);
	if (p->name != NULL && *p->name != '\0')
		json_kv_string(w, "title", p->name);
	json_end_object(w);
	return 0;
}

/* ---- calls, results, reasoning ---- */

static void
put_call(struct page *page, const struct block *b)
{
	struct json_writer *w = page->w;
	char *name = anthropic_fit_name(b->part->name != NULL ? b->part->name : "tool");

	begin_block(w, "tool_use");
	json_kv_string(w, "id", b->call_id);
	json_kv_string(w, "name", name);
	put_object_arguments(w, "input", b->part, page->sink);
	json_end_object(w);
	free(name);
}

/* A call that nobody answered gets a result that says so: the provider would refuse the whole chat. */
static void
put_result(struct page *page, const struct block *call)
{
	struct json_writer *w = page->w;
	const struct part *result = call->result;

	begin_block(w, "tool_result");
	json_kv_string(w, "tool_use_id", call->call_id);
	if (result == NULL) {
		json_kv_string(w, "content", "no result");
		emit_warning(page->sink, "the call of %.64s has no result; \"no result\" was sent for it",
		    call->part->name != NULL ? call->part->name : "a tool");
	} else if (result->text.len > 0) {
		json_key(w, "content");
		json_put_string_n(w, result->text.data, result->text.len);
	}
	if (result == NULL || result->is_error)
		json_kv_bool(w, "is_error", true);
	json_end_object(w);
}

static void
put_reasoning(struct json_writer *w, const struct part *p)
{
	begin_block(w, p->redacted ? "redacted_thinking" : "thinking");
	if (!p->redacted) {
		json_key(w, "thinking");
		json_put_string_n(w, p->text.data != NULL ? p->text.data : "", p->text.len);
	}
	json_key(w, p->redacted ? "data" : "signature");
	json_put_string_n(w, p->signature.data, p->signature.len);
	json_end_object(w);
}

/* ---- turns ---- */

static int
put_part(struct page *page, const struct block *b)
{
	const struct part *p = b->part;

	switch (p->type) {
	case PART_TEXT:
		put_text_n(page->w, p->text.data, p->text.len);
		return 0;
	case PART_IMAGE:
		return put_image(page, p);
	case PART_DOCUMENT:
		return put_document(page, p);
	case PART_TOOL_CALL:
		put_call(page, b);
		return 0;
	case PART_REASONING:
		put_reasoning(page->w, p);
		return 0;
	case PART_TOOL_RESULT:
		return 0; /* said with its call */
	}
	return 0;
}

static void
put_instruction(struct json_writer *w, const struct part *p)
{
	static const char open[] = "<system>\n", close[] = "\n</system>";

	begin_block(w, "text");
	json_key(w, "text");
	json_begin_string(w);
	json_string_part(w, open, sizeof open - 1);
	json_string_part(w, p->text.data, p->text.len);
	json_string_part(w, close, sizeof close - 1);
	json_end_string(w);
	json_end_object(w);
}

/* The last text of the assistant is continued, and must not end in blanks. */
static void
put_beginning(struct json_writer *w, const struct part *p)
{
	size_t n = p->text.len;

	while (n > 0 && strchr(" \t\r\n\f\v", p->text.data[n - 1]) != NULL && p->text.data[n - 1] != '\0')
		n--;
	put_text_n(w, p->text.data, n);
}

static int
put_block(struct page *page, const struct block *b, bool final)
{
	switch (b->kind) {
	case BLOCK_PART:
		if (!final || b->part->type != PART_TEXT)
			return put_part(page, b);
		put_beginning(page->w, b->part);
		return 0;
	case BLOCK_INSTRUCTION:
		put_instruction(page->w, b->part);
		return 0;
	case BLOCK_EMPTY:
		put_text_n(page->w, "(empty)", 7);
		return 0;
	case BLOCK_CONTINUE:
		put_text_n(page->w, "(continue)", 10);
		return 0;
	}
	return 0;
}

static int
put_turn(struct page *page, const struct turns *t, size_t at)
{
	const struct turn *turn = &t->of[at];
	bool final = turn->assistant && at + 1 == t->count;
	int r;

	json_begin_object(page->w);
	json_kv_string(page->w, "role", turn->assistant ? "assistant" : "user");
	json_key(page->w, "content");
	json_begin_array(page->w);
	for (size_t i = 0; !turn->assistant && at > 0 && i < turn[-1].count; i++) {
		if (turn[-1].blocks[i].call_id != NULL)
			put_result(page, &turn[-1].blocks[i]);
	}
	for (size_t i = 0; i < turn->count; i++) {
		if ((r = put_block(page, &turn->blocks[i], final && i + 1 == turn->count)) != 0)
			return r;
	}
	json_end_array(page->w);
	json_end_object(page->w);
	return 0;
}

int
turns_put(const struct turns *t, struct json_writer *w, bool inline_documents,
    const struct event_sink *sink, struct error *err)
{
	struct page page = { w, inline_documents, sink, err };
	int r;

	json_begin_array(w);
	for (size_t i = 0; i < t->count; i++) {
		if ((r = put_turn(&page, t, i)) != 0)
			return r;
	}
	json_end_array(w);
	return 0;
}
