#include "server/rpc/methods/chat_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "protocol/limits.h"

#define SHOWN_NAME_BYTES 256

/* ---- places and small checks ---- */

struct place
place_of(const char *name)
{
	struct place p;

	snprintf(p.text, sizeof(p.text), "%s", name);
	return p;
}

static struct place
place_add(const struct place *p, const char *more)
{
	struct place out = *p;
	size_t n = strlen(out.text);

	snprintf(out.text + n, sizeof(out.text) - n, "%s", more);
	return out;
}

struct place
place_at(const struct place *p, size_t i)
{
	char more[32];

	snprintf(more, sizeof(more), "[%zu]", i);
	return place_add(p, more);
}

struct place
place_in(const struct place *p, const char *member)
{
	char more[96];

	snprintf(more, sizeof(more), ".%s", member);
	return place_add(p, more);
}

int
wrong_type(const struct place *at, const struct value *got, const char *wanted, struct error *err)
{
	return error_field(err, at->text, "%s must be %s, not %s", at->text, wanted,
	    value_type_name(value_type(got)));
}

static bool
listed(const char *words, struct slice word)
{
	while (*words != '\0') {
		size_t n = strcspn(words, " ");

		if (n == word.len && memcmp(words, word.data, n) == 0)
			return true;
		words += n;
		words += strspn(words, " ");
	}
	return false;
}

int
map_check(const struct value *v, const char *members, const struct place *at, struct error *err)
{
	const struct value *member;

	if (value_type(v) != VALUE_MAP)
		return wrong_type(at, v, "a map", err);
	for (size_t i = 0; i < value_size(v); i++) {
		struct slice key = value_pair(v, i, &member);
		char name[LIMIT_NAME_BYTES + 1];
		struct place where;

		if (listed(members, key))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(key.len < 64 ? key.len : 64), key.data);
		where = place_in(at, name);
		error_field(err, where.text, "unknown member %s", where.text);
		error_hint(err, "known: %s", members);
		return MP_E_INVALID_PARAMS;
	}
	return 0;
}

int
str_member(const struct value *map, const char *member, unsigned how, const struct place *at,
    struct slice *out, struct error *err)
{
	const struct value *v = value_get(map, member);
	struct place where = place_in(at, member);

	*out = (struct slice){ NULL, 0 };
	if (value_type(v) == VALUE_ABSENT)
		return how & STR_REQUIRED
		    ? error_field(err, where.text, "%s is missing", where.text)
		    : 0;
	if (value_type(v) != VALUE_STR)
		return wrong_type(&where, v, "str", err);
	*out = value_slice(v);
	if (how & STR_FREE)
		return 0;
	if (out->len == 0)
		return error_field(err, where.text, "%s is empty", where.text);
	if (memchr(out->data, '\0', out->len) != NULL)
		return error_field(err, where.text, "%s holds a NUL", where.text);
	return 0;
}

/* ---- images and files ---- */

/* What the first bytes say; NULL = nothing we know. */
static const char *
sniff(struct slice s)
{
	static const struct {
		const char *type;
		size_t at, n;
		const char *magic;
	} rows[] = {
		{ "image/png", 0, 8, "\x89PNG\r\n\x1a\n" },
		{ "image/jpeg", 0, 3, "\xff\xd8\xff" },
		{ "image/gif", 0, 6, "GIF87a" },
		{ "image/gif", 0, 6, "GIF89a" },
		{ "image/webp", 8, 4, "WEBP" },
		{ "application/pdf", 0, 5, "%PDF-" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (s.len >= rows[i].at + rows[i].n &&
		    memcmp(s.data + rows[i].at, rows[i].magic, rows[i].n) == 0 &&
		    (rows[i].at == 0 || memcmp(s.data, "RIFF", 4) == 0))
			return rows[i].type;
	return NULL;
}

/* The bytes of `data`: bin, or str with encoding "base64" (into scratch). plain_ok: a str without an
 * encoding is the text itself. *out.data stays NULL when there is no data. */
static int
bytes_member(const struct value *map, bool plain_ok, const struct place *at, struct buf *scratch,
    struct slice *out, struct error *err)
{
	const struct value *data = value_get(map, "data");
	struct place where = place_in(at, "data"), coding = place_in(at, "encoding");
	struct slice encoding;
	int r;

	*out = (struct slice){ NULL, 0 };
	if ((r = str_member(map, "encoding", 0, at, &encoding, err)) != 0)
		return r;
	if (encoding.data != NULL && !slice_eq(encoding, "base64"))
		return error_field(err, coding.text, "%s must be \"base64\"", coding.text);
	switch (value_type(data)) {
	case VALUE_ABSENT:
		return 0;
	case VALUE_BIN:
		*out = value_slice(data);
		break;
	case VALUE_STR:
		*out = value_slice(data);
		if (encoding.data == NULL) {
			if (!plain_ok)
				return error_field(err, coding.text,
				    "%s must be bin, or str with encoding \"base64\"", where.text);
			break;
		}
		if (base64_decode(scratch, out->data, out->len) != 0)
			return error_field(err, where.text, "%s is no base64", where.text);
		*out = (struct slice){ buf_str(scratch), scratch->len };
		break;
	case VALUE_NIL:
	case VALUE_BOOL:
	case VALUE_INT:
	case VALUE_FLOAT:
	case VALUE_ARRAY:
	case VALUE_MAP:
		return wrong_type(&where, data, "bin or str", err);
	}
	if (out->data == NULL)
		out->data = "";
	return 0;
}

static bool
media_type_valid(struct slice s)
{
	const char *slash = memchr(s.data, '/', s.len);

	if (slash == NULL || slash == s.data || slash == s.data + s.len - 1 || s.len > 128)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < 0x21 || s.data[i] > 0x7e)
			return false;
	return true;
}

static int
media_type_member(const struct value *map, const struct place *at, struct slice *out,
    struct error *err)
{
	struct place where = place_in(at, "media_type");
	int r;

	if ((r = str_member(map, "media_type", 0, at, out, err)) != 0)
		return r;
	if (out->data != NULL && !media_type_valid(*out))
		return error_field(err, where.text, "%s is no media type such as image/png",
		    where.text);
	return 0;
}

static int
image_read(const struct value *v, struct chat_message *m, const struct place *at,
    struct error *err)
{
	struct place where;
	struct buf scratch = BUF_INIT;
	struct slice media, url, bytes;
	struct part *p;
	int r;

	if ((r = map_check(v, "type media_type data encoding url name", at, err)) != 0 ||
	    (r = media_type_member(v, at, &media, err)) != 0 ||
	    (r = str_member(v, "url", 0, at, &url, err)) != 0 ||
	    (r = bytes_member(v, false, at, &scratch, &bytes, err)) != 0)
		goto out;
	where = place_in(at, url.data != NULL ? "url" : "data");
	if ((url.data != NULL) == (bytes.data != NULL)) {
		r = error_field(err, where.text, "%s needs either data or url", at->text);
		goto out;
	}
	if (url.data != NULL && !slice_starts(url, "https://")) {
		r = error_field(err, where.text, "%s must begin with https://", where.text);
		goto out;
	}
	if (url.data == NULL && media.data == NULL)
		media = slice_of(sniff(bytes));
	if (url.data == NULL && media.data == NULL) {
		where = place_in(at, "media_type");
		r = error_field(err, where.text, "%s is missing and the bytes do not tell it",
		    where.text);
		goto out;
	}
	p = chat_add_part(m, PART_IMAGE);
	p->media_type = media.data != NULL ? slice_dup(media) : NULL;
	if (url.data != NULL)
		p->url = slice_dup(url);
	else
		text_set(&p->bytes, bytes.data, bytes.len);
out:
	buf_clear(&scratch);
	return r;
}

/* A text file becomes text, under a line that names it: every model reads that. */
static void
inline_file(struct chat_message *m, struct slice name, struct slice bytes)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "--- ");
	text_escape(&b, name.data, name.len < SHOWN_NAME_BYTES ? name.len : SHOWN_NAME_BYTES,
	    false);
	buf_adds(&b, " ---\n");
	utf8_repair(&b, bytes.data, bytes.len);
	chat_add_text(m, buf_str(&b), b.len);
	buf_clear(&b);
}

static bool
is_text(struct slice media, struct slice bytes)
{
	if (media.data != NULL && slice_starts(media, "text/"))
		return true;
	if (media.data != NULL && (slice_starts(media, "image/") || slice_starts(media, "audio/") ||
	        slice_starts(media, "video/") || slice_eq(media, "application/pdf")))
		return false;
	return memchr(bytes.data, '\0', bytes.len) == NULL && utf8_valid(bytes.data, bytes.len);
}

static int
file_read(const struct value *v, struct chat_message *m, const struct place *at, struct error *err)
{
	struct place where = place_in(at, "data");
	struct buf scratch = BUF_INIT;
	struct slice media, name, bytes;
	struct part *p;
	int r;

	if ((r = map_check(v, "type name data encoding media_type", at, err)) != 0 ||
	    (r = str_member(v, "name", STR_REQUIRED, at, &name, err)) != 0 ||
	    (r = media_type_member(v, at, &media, err)) != 0 ||
	    (r = bytes_member(v, true, at, &scratch, &bytes, err)) != 0)
		goto out;
	if (bytes.data == NULL) {
		r = error_field(err, where.text, "%s is missing", where.text);
		goto out;
	}
	if (media.data == NULL)
		media = slice_of(sniff(bytes));
	if (is_text(media, bytes)) {
		inline_file(m, name, bytes);
		goto out;
	}
	if (media.data == NULL)
		media = SLICE("application/octet-stream");
	p = chat_add_part(m, slice_starts(media, "image/") ? PART_IMAGE : PART_DOCUMENT);
	p->media_type = slice_dup(media);
	p->name = slice_dup(name);
	text_set(&p->bytes, bytes.data, bytes.len);
out:
	buf_clear(&scratch);
	return r;
}

/* ---- text and tools ---- */

static int
text_read(const struct value *v, struct chat_message *m, struct slice call_id,
    const struct place *at, struct error *err)
{
	struct slice text;
	struct part *p;
	int r;

	if ((r = map_check(v, "type text", at, err)) != 0 ||
	    (r = str_member(v, "text", STR_REQUIRED | STR_FREE, at, &text, err)) != 0)
		return r;
	if (call_id.data == NULL) {
		chat_add_text(m, text.data, text.len);
		return 0;
	}
	p = chat_add_part(m, PART_TOOL_RESULT);
	p->call_id = slice_dup(call_id);
	text_set(&p->text, text.data, text.len);
	return 0;
}

/* What a provider signed goes back to it alone: the dialect compares signed_by with its target. */
static int
signature_read(const struct value *v, struct part *p, const struct place *at, struct error *err)
{
	struct slice signature, by;
	int r;

	if ((r = str_member(v, "signature", 0, at, &signature, err)) != 0 ||
	    (r = str_member(v, "signed_by", 0, at, &by, err)) != 0)
		return r;
	if (signature.len == 0)
		return 0;
	if (by.len == 0) {
		struct place where = place_in(at, "signed_by");

		return error_field(err, where.text, "%s is missing: whose signature is it?", where.text);
	}
	text_set(&p->signature, signature.data, signature.len);
	p->signed_by = slice_dup(by);
	return 0;
}

static int
reasoning_read(const struct value *v, struct chat_message *m, const struct place *at,
    struct error *err)
{
	const struct value *redacted = value_get(v, "redacted");
	struct place where = place_in(at, "redacted");
	struct slice text;
	struct part *p;
	int r;

	if ((r = map_check(v, "type text signature signed_by redacted", at, err)) != 0 ||
	    (r = str_member(v, "text", STR_FREE, at, &text, err)) != 0)
		return r;
	if (redacted != NULL && value_type(redacted) != VALUE_BOOL)
		return wrong_type(&where, redacted, "bool", err);
	p = chat_add_part(m, PART_REASONING);
	text_set(&p->text, text.data, text.len);
	p->redacted = value_bool(redacted, false);
	return signature_read(v, p, at, err);
}

static int
tool_call_read(const struct value *v, struct chat_message *m, const struct place *at,
    struct error *err)
{
	struct slice id, name, arguments;
	struct part *p;
	int r;

	if ((r = map_check(v, "type id name arguments signature signed_by", at, err)) != 0 ||
	    (r = str_member(v, "id", STR_REQUIRED, at, &id, err)) != 0 ||
	    (r = str_member(v, "name", STR_REQUIRED, at, &name, err)) != 0 ||
	    (r = str_member(v, "arguments", STR_FREE, at, &arguments, err)) != 0)
		return r;
	p = chat_add_part(m, PART_TOOL_CALL);
	p->call_id = slice_dup(id);
	p->name = slice_dup(name);
	if (arguments.len > 0)
		text_set(&p->arguments, arguments.data, arguments.len);
	else
		text_set(&p->arguments, "{}", 2);
	return signature_read(v, p, at, err);
}

static int
tool_result_read(const struct value *v, struct chat_message *m, const struct place *at,
    struct error *err)
{
	const struct value *is_error = value_get(v, "is_error");
	struct place where = place_in(at, "is_error");
	struct slice id, name, content;
	struct part *p;
	int r;

	if ((r = map_check(v, "type id content name is_error", at, err)) != 0 ||
	    (r = str_member(v, "id", STR_REQUIRED, at, &id, err)) != 0 ||
	    (r = str_member(v, "content", STR_REQUIRED | STR_FREE, at, &content, err)) != 0 ||
	    (r = str_member(v, "name", 0, at, &name, err)) != 0)
		return r;
	if (is_error != NULL && value_type(is_error) != VALUE_BOOL)
		return wrong_type(&where, is_error, "bool", err);
	p = chat_add_part(m, PART_TOOL_RESULT);
	p->call_id = slice_dup(id);
	p->name = name.data != NULL ? slice_dup(name) : NULL;
	p->is_error = value_bool(is_error, false);
	text_set(&p->text, content.data, content.len);
	return 0;
}

/* ---- the face ---- */

static int
part_type(const struct value *v, const struct place *at, struct slice *type, struct error *err)
{
	if (value_type(v) != VALUE_MAP)
		return wrong_type(at, v, "a map", err);
	return str_member(v, "type", STR_REQUIRED, at, type, err);
}

static int
unknown_type(const struct place *at, const char *known, struct error *err)
{
	struct place where = place_in(at, "type");

	return error_field(err, where.text, "%s must be one of %s", where.text, known);
}

int
chat_part_read(const struct value *v, struct chat_message *m, struct slice call_id,
    const struct place *at, struct error *err)
{
	struct slice type = { NULL, 0 };
	int r;

	if ((r = part_type(v, at, &type, err)) != 0)
		return r;
	if (slice_eq(type, "text"))
		return text_read(v, m, call_id, at, err);
	if (slice_eq(type, "image"))
		return image_read(v, m, at, err);
	if (slice_eq(type, "file"))
		return file_read(v, m, at, err);
	if (slice_eq(type, "tool_call"))
		return tool_call_read(v, m, at, err);
	if (slice_eq(type, "tool_result"))
		return tool_result_read(v, m, at, err);
	if (slice_eq(type, "reasoning"))
		return reasoning_read(v, m, at, err);
	return unknown_type(at, "text, image, file, tool_call, tool_result, reasoning", err);
}

int
chat_attachment_read(const struct value *v, struct chat_message *m, const struct place *at,
    struct error *err)
{
	struct slice type = { NULL, 0 };
	int r;

	if ((r = part_type(v, at, &type, err)) != 0)
		return r;
	if (slice_eq(type, "image"))
		return image_read(v, m, at, err);
	if (slice_eq(type, "file"))
		return file_read(v, m, at, err);
	return unknown_type(at, "image, file", err);
}
