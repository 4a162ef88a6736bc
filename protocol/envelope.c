/* envelope.c - requests, replies, events and errors on their way out, and errors read back. */
#include <stdio.h>
#include <string.h>

#include "protocol/limits.h"
#include "protocol/message.h"

void
message_begin_request(struct pack *p, uint32_t msgid, const char *method)
{
	pack_array_begin(p);
	pack_int(p, MESSAGE_REQUEST);
	pack_int(p, msgid);
	pack_str(p, method);
	pack_array_begin(p);
}

void
message_end_request(struct pack *p)
{
	pack_array_end(p);
	pack_array_end(p);
}

void
message_begin_reply(struct pack *p, uint32_t msgid)
{
	pack_array_begin(p);
	pack_int(p, MESSAGE_REPLY);
	pack_int(p, msgid);
	pack_nil(p);
}

void
message_end_reply(struct pack *p)
{
	pack_array_end(p);
}

static bool
has_data(const struct error *err)
{
	return err->field[0] != '\0' || err->candidates[0][0] != '\0' || err->provider[0] != '\0'
	    || err->http_status != 0 || err->code == MP_E_VERSION_MISMATCH;
}

static void
pack_data(struct pack *p, const struct error *err)
{
	size_t i;

	pack_str(p, "data");
	pack_map_begin(p);
	if (err->field[0] != '\0')
		pack_kv_str(p, "field", err->field);
	if (err->candidates[0][0] != '\0') {
		pack_str(p, "candidates");
		pack_array_begin(p);
		for (i = 0; i < sizeof err->candidates / sizeof err->candidates[0]; i++) {
			if (err->candidates[i][0] != '\0')
				pack_str(p, err->candidates[i]);
		}
		pack_array_end(p);
	}
	if (err->provider[0] != '\0')
		pack_kv_str(p, "provider", err->provider);
	if (err->http_status != 0)
		pack_kv_int(p, "http_status", err->http_status);
	if (err->code == MP_E_VERSION_MISMATCH) {
		pack_str(p, "supported");
		pack_array_begin(p);
		pack_int(p, LIMIT_PROTOCOL_MAJOR);
		pack_array_end(p);
	}
	pack_map_end(p);
}

void
message_pack_error(struct pack *p, const struct error *err)
{
	pack_map_begin(p);
	pack_kv_str(p, "code", error_code(err->code));
	pack_kv_int(p, "num", error_num(err->code));
	pack_kv_str(p, "message", err->message);
	pack_kv_bool(p, "retryable", error_retryable(err->code));
	if (err->hint[0] != '\0')
		pack_kv_str(p, "hint", err->hint);
	if (err->retry_after_ms > 0)
		pack_kv_int(p, "retry_after_ms", err->retry_after_ms);
	if (has_data(err))
		pack_data(p, err);
	pack_map_end(p);
}

static void
pack_error_pair(struct pack *p, const struct error *err)
{
	bool callers = err->code == MP_E_INVALID_PARAMS || err->code == MP_E_UNKNOWN_METHOD;
	char text[sizeof err->message + 64];

	snprintf(text, sizeof text, "%s: %s", error_code(err->code), err->message);
	pack_array_begin(p);
	pack_int(p, callers ? 1 : 0);
	pack_str(p, text);
	pack_array_end(p);
}

void
message_error_reply(struct pack *p, uint32_t msgid, const struct error *err, bool pair)
{
	pack_array_begin(p);
	pack_int(p, MESSAGE_REPLY);
	pack_int(p, msgid);
	if (pair)
		pack_error_pair(p, err);
	else
		message_pack_error(p, err);
	pack_nil(p);
	pack_array_end(p);
}

void
message_begin_event(struct pack *p, const char *name, const char *handler)
{
	char call[LIMIT_HANDLER_BYTES + 8];

	pack_array_begin(p);
	pack_int(p, MESSAGE_NOTIFICATION);
	if (handler == NULL) {
		pack_str(p, name);
		pack_array_begin(p);
		return;
	}
	snprintf(call, sizeof call, "%s(...)", handler);
	pack_str(p, "nvim_exec_lua");
	pack_array_begin(p);
	pack_str(p, call);
	pack_array_begin(p);
	pack_str(p, name);
}

void
message_end_event(struct pack *p, const char *handler)
{
	if (handler != NULL)
		pack_array_end(p);
	pack_array_end(p);
	pack_array_end(p);
}

/* Copies a str member into one of the fixed texts of an error. */
static void
read_text(const struct value *v, char *out, size_t size)
{
	struct slice s = value_slice(v);
	size_t n = s.len < size ? s.len : size - 1;

	if (n > 0) {
		memcpy(out, s.data, n);
		n -= utf8_incomplete_tail(out, n);
	}
	out[n] = '\0';
}

/* The same for members that no error_ function makes harmless. */
static void
read_name(const struct value *v, char *out, size_t size)
{
	char *at;

	read_text(v, out, size);
	for (at = out; *at != '\0'; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	}
}

static void
read_map(const struct value *v, struct error *err)
{
	const struct value *data = value_get(v, "data");
	const struct value *candidates = value_get(data, "candidates");
	struct error story = ERROR_INIT;
	char code[64];
	size_t i;

	read_text(value_get(v, "code"), code, sizeof code);
	read_text(value_get(v, "message"), story.message, sizeof story.message);
	/* through error_set: what a peer says is made harmless there */
	error_set(err, error_from_code(code), "%s", story.message);
	read_text(value_get(v, "hint"), story.hint, sizeof story.hint);
	if (story.hint[0] != '\0')
		error_hint(err, "%s", story.hint);
	read_name(value_get(data, "field"), err->field, sizeof err->field);
	read_name(value_get(data, "provider"), err->provider, sizeof err->provider);
	err->http_status = (int)value_int(value_get(data, "http_status"), 0);
	err->retry_after_ms = value_int(value_get(v, "retry_after_ms"), 0);
	for (i = 0; i < value_size(candidates); i++) {
		read_text(value_at(candidates, i), story.message, sizeof story.message);
		error_candidate(err, story.message);
	}
}

/* "code: message" of a pair, or any text. */
static void
read_line(const struct value *v, struct error *err)
{
	char text[sizeof err->message + 64];
	char *colon;

	read_text(v, text, sizeof text);
	colon = strstr(text, ": ");
	if (colon != NULL) {
		*colon = '\0';
		if (strcmp(error_code(error_from_code(text)), text) == 0) {
			error_set(err, error_from_code(text), "%s", colon + 2);
			return;
		}
		*colon = ':';
	}
	error_set(err, MP_E_INTERNAL, "%s", text);
}

void
message_read_error(const struct value *v, struct error *err)
{
	struct error unused;

	if (err == NULL)
		err = &unused;
	if (value_type(v) == VALUE_MAP)
		read_map(v, err);
	else if (value_type(v) == VALUE_ARRAY && value_size(v) == 2)
		read_line(value_at(v, 1), err);
	else
		read_line(v, err);
	if (err->message[0] == '\0')
		error_set(err, err->code, "the daemon answered with an error it did not describe");
}
