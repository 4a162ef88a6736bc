/* gemini_contents.c - the history, user and model in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/gemini_history.h"
#include "server/dialect/history.h"

/* ---- contents ---- */

static void
end_turn(struct gemini_history *h)
{
	if (h->turn == TURN_NONE)
		return;
	json_end_array(h->w);
	json_end_object(h->w);
}

void
gemini_put_text(struct gemini_history *h, const char *text, size_t n)
{
	json_begin_object(h->w);
	json_key(h->w, "text");
	json_put_string_n(h->w, text != NULL ? text : "", n);
	json_end_object(h->w);
}

void
gemini_turn_begin(struct gemini_history *h, enum gemini_turn turn)
{
	if (h->turn == turn)
		return;
	if (h->turn == TURN_NONE && turn == TURN_MODEL) {
		emit_warning(h->sink, "the chat began with an answer; \"(continue)\" was put before it");
		gemini_turn_begin(h, TURN_USER);
		gemini_put_text(h, "(continue)", 10);
	}
	end_turn(h);
	h->turn = turn;
	h->call_said = false;
	json_begin_object(h->w);
	json_kv_string(h->w, "role", turn == TURN_USER ? "user" : "model");
	json_key(h->w, "parts");
	json_begin_array(h->w);
}

/* ---- what the user says ---- */

static void
put_inline(struct gemini_history *h, const char *media_type, const struct text *bytes)
{
	gemini_turn_begin(h, TURN_USER);
	/* one growth instead of many; a failure shows in the body at the end */
	(void)buf_reserve(h->w->out, bytes->len / 3 * 4 + 256);
	json_begin_object(h->w);
	json_key(h->w, "inlineData");
	json_begin_object(h->w);
	json_kv_string(h->w, "mimeType", media_type);
	json_key(h->w, "data");
	json_begin_string(h->w);
	json_string_part_base64(h->w, bytes->data, bytes->len);
	json_end_string(h->w);
	json_end_object(h->w);
	json_end_object(h->w);
}

static int
put_image(struct gemini_history *h, const struct part *p)
{
	if (p->url != NULL)
		return error_field(h->err, "attachments",
		    "an image cannot be given by its URL here: attach the image itself");
	if (p->bytes.data == NULL || p->media_type == NULL)
		return error_field(h->err, "attachments", "an image has no bytes or no type");
	put_inline(h, p->media_type, &p->bytes);
	return 0;
}

static void
put_text_document(struct gemini_history *h, const struct part *p)
{
	gemini_turn_begin(h, TURN_USER);
	json_begin_object(h->w);
	json_key(h->w, "text");
	json_begin_string(h->w);
	if (p->name != NULL) {
		json_string_part(h->w, "File ", 5);
		json_string_part(h->w, p->name, strlen(p->name));
		json_string_part(h->w, ":\n\n", 3);
	}
	json_string_part(h->w, p->bytes.data, p->bytes.len);
	json_end_string(h->w);
	json_end_object(h->w);
}

static int
put_document(struct gemini_history *h, const struct part *p)
{
	static const char *const read[] = { "application/pdf", "image/", "audio/", "video/" };
	const char *type = p->media_type;

	if (p->bytes.data == NULL)
		return error_field(h->err, "attachments", "a document without bytes cannot be sent here");
	if (type == NULL || media_type_is_text(type)) {
		if (utf8_valid(p->bytes.data, p->bytes.len)) {
			put_text_document(h, p);
			return 0;
		}
		return error_field(h->err, "attachments", "a text document is not in UTF-8");
	}
	for (size_t i = 0; i < sizeof read / sizeof read[0]; i++) {
		if (strncmp(type, read[i], strlen(read[i])) == 0) {
			put_inline(h, type, &p->bytes);
			return 0;
		}
	}
	return error_field(h->err, "attachments",
	    "Gemini reads text, PDF, images, audio and video, but not %s", type);
}

static int
put_user(struct gemini_history *h, const struct chat_message *m)
{
	int r = 0;

	for (size_t i = 0; i < m->part_count && r == 0; i++) {
		const struct part *p = &m->parts[i];

		if (p->type == PART_TEXT && p->text.len > 0) {
			gemini_turn_begin(h, TURN_USER);
			gemini_put_text(h, p->text.data, p->text.len);
		} else if (p->type == PART_IMAGE) {
			r = put_image(h, p);
		} else if (p->type == PART_DOCUMENT) {
			r = put_document(h, p);
		}
	}
	return r;
}

/* The chat must end with the user. */
static int
check_end(struct gemini_history *h)
{
	const struct chat_request *c = h->chat;
	size_t n = c->message_count;

	if (h->turn == TURN_USER)
		return 0;
	while (n > 0 && c->messages[n - 1].role == ROLE_SYSTEM)
		n--;
	if (n > 0 && c->messages[n - 1].role == ROLE_ASSISTANT && h->turn == TURN_MODEL)
		return error_field(h->err, "messages",
		    "the chat ends with an answer, which Gemini does not continue");
	gemini_turn_begin(h, TURN_USER);
	gemini_put_text(h, "(empty)", 7);
	return 0;
}

static int
put_contents(struct gemini_history *h)
{
	const struct chat_request *c = h->chat;
	size_t end;
	int r = 0;

	for (size_t i = 0; i < c->message_count && r == 0; i++) {
		switch (c->messages[i].role) {
		case ROLE_SYSTEM:
			break;
		case ROLE_ASSISTANT:
			end = gemini_step_end(c, i);
			gemini_step_put(h, i, end);
			i = end - 1;
			break;
		case ROLE_USER:
		case ROLE_TOOL:
			if ((r = gemini_results_check(h, i)) == 0)
				r = put_user(h, &c->messages[i]);
			break;
		}
	}
	return r != 0 ? r : check_end(h);
}

/* ---- the system's words ---- */

/* There is one place for them; what was said in the middle of a chat moves to its front. */
static void
put_system(struct gemini_history *h)
{
	const struct chat_request *c = h->chat;
	bool open = false, late = false, talk = false;

	for (size_t i = 0; i < c->message_count; i++) {
		const struct chat_message *m = &c->messages[i];

		talk |= m->role != ROLE_SYSTEM;
		for (size_t k = 0; m->role == ROLE_SYSTEM && k < m->part_count; k++) {
			if (m->parts[k].type != PART_TEXT || m->parts[k].text.len == 0)
				continue;
			if (!open) {
				json_key(h->w, "systemInstruction");
				json_begin_object(h->w);
				json_key(h->w, "parts");
				json_begin_array(h->w);
			}
			open = true;
			late |= talk;
			gemini_put_text(h, m->parts[k].text.data, m->parts[k].text.len);
		}
	}
	if (open) {
		json_end_array(h->w);
		json_end_object(h->w);
	}
	if (late)
		emit_warning(h->sink, "a later system message was moved to the front of the chat");
}

int
gemini_contents(struct json_writer *w, const struct chat_request *chat,
    const struct dialect_target *to, const struct event_sink *sink, struct error *err)
{
	struct gemini_history h = { .w = w, .chat = chat, .sink = sink, .err = err };
	int r;

	h.to = to;
	h.needs_signature = gemini_thinking_of(to->model) == GEMINI_THINKING_LEVEL;
	put_system(&h);
	json_key(w, "contents");
	json_begin_array(w);
	if ((r = put_contents(&h)) != 0)
		return r;
	end_turn(&h);
	json_end_array(w);
	return 0;
}
