#include "server/dialect/extra.h"

int
extra_read(struct json *extra, const struct text *t, const char *const *reserved, struct error *err)
{
	size_t i;

	if (t->data == NULL || t->len == 0)
		return 0;
	if (json_read(extra, t->data, t->len, JSON_STRICT) != 0 || !json_is(extra, 0, JSON_OBJECT))
		return error_field(err, "extra", "it is no JSON object");
	for (i = 0; reserved[i] != NULL; i++) {
		if (extra_has(extra, reserved[i]))
			return error_field(
			    err, "extra", "\"%s\" cannot be given here", reserved[i]);
	}
	return 0;
}

bool
extra_has(const struct json *extra, const char *key)
{
	return json_get(extra, 0, key) != JSON_NONE;
}

uint32_t
extra_first(const struct json *extra)
{
	return json_first(extra, extra->count > 0 ? 0 : JSON_NONE);
}

void
extra_put(struct json_writer *w, const struct json *extra, uint32_t key)
{
	struct slice raw = json_raw(extra, json_value(extra, key));
	struct buf name = BUF_INIT;

	if (json_string(extra, key, &name) == 0) {
		json_key_n(w, buf_str(&name), name.len);
		json_put_raw(w, raw.data, raw.len);
	}
	buf_clear(&name);
}

int
put_checked_json(struct json_writer *w, const char *field, const struct text *t,
    enum json_type type, struct error *err)
{
	struct json j = JSON_INIT;
	int r = json_read(&j, t->data, t->len, JSON_LAST_KEY_WINS);

	if (r == 0 && !json_is(&j, 0, type))
		r = MP_E_INVALID_PARAMS;
	if (r == 0)
		json_put_raw(w, t->data, t->len);
	else
		r = error_field(err, field, "it is no JSON %s",
		    type == JSON_OBJECT ? "object" : "value of the right kind");
	json_clear(&j);
	return r;
}

int
encode_end(struct json *extra, struct wire_request *out, int r, struct error *err)
{
	if (r == 0 && out->body.failed)
		r = error_set(err, MP_E_TOO_LARGE, "the request is larger than %zu MiB",
		    out->body.max >> 20);
	json_clear(extra);
	if (r != 0)
		wire_request_clear(out);
	return r;
}
