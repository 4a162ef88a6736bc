/* gemini_steps.c - what the model said: every step of calls is followed at once by all its results in the
 * calls' order, whatever order the canonical chat has them in. */
#include <stdint.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/gemini_history.h"
#include "server/dialect/history.h"

/* What Google documents for calls of another model: it skips the check of signatures. */
#define PLACEHOLDER "skip_thought_signature_validator"

/* ---- what the model said ---- */

static void
put_signature(struct gemini_history *h, const struct text *signature)
{
	json_key(h->w, "thoughtSignature");
	json_put_string_n(h->w, signature->data, signature->len);
}

/* A part goes back as it came: thoughts with their mark, a signature without a text as an empty one. */
static void
put_reasoning(struct gemini_history *h, const struct part *p)
{
	if (!part_is_of(p, h->to) || p->signature.len == 0 || p->redacted) {
		if (h->reasoning_told || (p->text.len == 0 && p->signature.len == 0))
			return;
		h->reasoning_told = true;
		emit_warning(h->sink,
		    "reasoning of earlier turns was left out: this model did not sign it");
		return;
	}
	gemini_turn_begin(h, TURN_MODEL);
	json_begin_object(h->w);
	json_key(h->w, "text");
	json_put_string_n(h->w, p->text.data != NULL ? p->text.data : "", p->text.len);
	if (p->text.len > 0)
		json_kv_bool(h->w, "thought", true);
	put_signature(h, &p->signature);
	json_end_object(h->w);
}

static void
put_name_and_id(struct gemini_history *h, const struct part *call, bool ids)
{
	char name[GEMINI_NAME_MAX + 1];

	gemini_name(call->name != NULL ? call->name : "", name);
	json_kv_string(h->w, "name", name);
	if (ids)
		json_kv_string(h->w, "id", call->call_id);
}

static void
put_call(struct gemini_history *h, const struct part *p, bool ids)
{
	gemini_turn_begin(h, TURN_MODEL);
	json_begin_object(h->w);
	json_key(h->w, "functionCall");
	json_begin_object(h->w);
	put_name_and_id(h, p, ids);
	put_object_arguments(h->w, "args", p, h->sink);
	json_end_object(h->w);
	if (part_is_of(p, h->to) && p->signature.len > 0)
		put_signature(h, &p->signature);
	else if ((h->needs_signature || h->chat->signatures_refused) && !h->call_said)
		json_kv_string(h->w, "thoughtSignature", PLACEHOLDER);
	h->call_said = true;
	json_end_object(h->w);
}

static void
put_model(struct gemini_history *h, const struct chat_message *m, bool ids)
{
	for (size_t i = 0; i < m->part_count; i++) {
		const struct part *p = &m->parts[i];

		switch (p->type) {
		case PART_TEXT:
			if (p->text.len == 0)
				break;
			gemini_turn_begin(h, TURN_MODEL);
			gemini_put_text(h, p->text.data, p->text.len);
			break;
		case PART_REASONING:
			put_reasoning(h, p);
			break;
		case PART_TOOL_CALL:
			put_call(h, p, ids);
			break;
		case PART_IMAGE:
		case PART_DOCUMENT:
			emit_warning(h->sink, "an attachment of an earlier answer was left out");
			break;
		case PART_TOOL_RESULT:
			break;
		}
	}
}

/* ---- results ---- */

static bool
has_id(const struct part *p, enum part_type type, const char *id)
{
	return p->type == type && p->call_id != NULL && strcmp(p->call_id, id) == 0;
}

static const struct part *
find_in(const struct chat_message *m, enum part_type type, const char *id)
{
	for (size_t k = 0; id != NULL && k < m->part_count; k++) {
		if (has_id(&m->parts[k], type, id))
			return &m->parts[k];
	}
	return NULL;
}

/* The first result with that id after the step, until the id is used again. */
static const struct part *
find_result(const struct chat_request *c, size_t after, const char *id)
{
	const struct part *p;

	for (size_t i = after; i < c->message_count; i++) {
		if (find_in(&c->messages[i], PART_TOOL_CALL, id) != NULL)
			return NULL;
		if ((p = find_in(&c->messages[i], PART_TOOL_RESULT, id)) != NULL)
			return p;
	}
	return NULL;
}

/* The answer of a tool is an object: its own if it is one. */
static void
put_response(struct gemini_history *h, const struct text *text, bool is_error)
{
	const char *data = text->data != NULL ? text->data : "";
	struct json j = JSON_INIT;
	bool object = text->len > 0 &&
	    json_read(&j, data, text->len, JSON_LAST_KEY_WINS) == 0 && json_is(&j, 0, JSON_OBJECT);
	struct slice raw = object ? json_raw(&j, 0) : (struct slice){ NULL, 0 };

	json_key(h->w, "response");
	if (object && !is_error) {
		json_put_raw(h->w, raw.data, raw.len);
	} else {
		json_begin_object(h->w);
		json_key(h->w, is_error ? "error" : "output");
		if (object)
			json_put_raw(h->w, raw.data, raw.len);
		else
			json_put_string_n(h->w, data, text->len);
		json_end_object(h->w);
	}
	json_clear(&j);
}

static void
put_result(struct gemini_history *h, const struct part *call, size_t after, bool ids)
{
	const struct part *p =
	    call->call_id != NULL ? find_result(h->chat, after, call->call_id) : NULL;

	gemini_turn_begin(h, TURN_USER);
	json_begin_object(h->w);
	json_key(h->w, "functionResponse");
	json_begin_object(h->w);
	put_name_and_id(h, call, ids);
	if (p != NULL) {
		put_response(h, &p->text, p->is_error);
	} else {
		/* Google refuses a chat with fewer results than calls */
		emit_warning(h->sink, "the call of %.64s has no result; \"no result\" was sent for it",
		    call->name != NULL ? call->name : "a tool");
		put_response(h, &(struct text){ (char[]){ "no result" }, 9 }, true);
	}
	json_end_object(h->w);
	json_end_object(h->w);
}

int
gemini_results_check(struct gemini_history *h, size_t at)
{
	const struct chat_message *m = &h->chat->messages[at];

	for (size_t k = 0; k < m->part_count; k++) {
		const struct part *p = &m->parts[k];
		size_t i = at;

		if (p->type != PART_TOOL_RESULT)
			continue;
		while (i-- > 0) {
			if (find_in(&h->chat->messages[i], PART_TOOL_CALL, p->call_id) != NULL)
				break;
		}
		if (i == SIZE_MAX)
			return error_field(h->err, "messages",
			    "a tool result answers no call in the history: its tool has no name");
		if (find_result(h->chat, i + 1, p->call_id) != p)
			emit_warning(h->sink, "a second result of one tool call was left out");
	}
	return 0;
}

/* ---- steps ---- */

/* "call_" and 16 hex digits: made here, unknown to Google. */
static bool
is_made_up(const char *id)
{
	return strlen(id) == 21 && strncmp(id, "call_", 5) == 0 &&
	    strspn(id + 5, "0123456789abcdef") == 16;
}

/* Ids go back only to whom gave them: the step is signed by this model, and all its calls have one. */
static bool
step_has_ids(const struct gemini_history *h, size_t from, size_t to)
{
	bool ours = false;

	for (size_t i = from; i < to; i++) {
		const struct chat_message *m = &h->chat->messages[i];

		for (size_t k = 0; k < m->part_count; k++) {
			const struct part *p = &m->parts[k];

			ours |= p->signature.len > 0 && part_is_of(p, h->to);
			if (p->type == PART_TOOL_CALL && (p->call_id == NULL || is_made_up(p->call_id)))
				return false;
		}
	}
	return ours;
}

void
gemini_step_put(struct gemini_history *h, size_t from, size_t to)
{
	const struct chat_message *m;
	bool ids = step_has_ids(h, from, to);

	for (size_t i = from; i < to; i++) {
		if (h->chat->messages[i].role == ROLE_ASSISTANT)
			put_model(h, &h->chat->messages[i], ids);
	}
	for (size_t i = from; i < to; i++) {
		m = &h->chat->messages[i];
		for (size_t k = 0; m->role == ROLE_ASSISTANT && k < m->part_count; k++) {
			if (m->parts[k].type == PART_TOOL_CALL)
				put_result(h, &m->parts[k], to, ids);
		}
	}
}

size_t
gemini_step_end(const struct chat_request *c, size_t from)
{
	size_t end = from + 1;

	for (size_t i = from; i < c->message_count; i++) {
		if (c->messages[i].role == ROLE_ASSISTANT)
			end = i + 1;
		else if (c->messages[i].role != ROLE_SYSTEM)
			break;
	}
	return end;
}
