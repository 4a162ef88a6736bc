/* settings.c - what a person may set about the daemon, one value at a time. */
#include <inttypes.h>
#include <string.h>

#include "server/rpc/objects.h"
#include "server/rpc/request.h"
#include "server/state/changes.h"
#include "server/state/settings.h"

static int
find_setting(const char *name, enum setting *which, struct error *err)
{
	if (setting_find(name, which))
		return 0;
	error_set(err, MP_E_NOT_FOUND, "there is no setting \"%s\"", name);
	error_hint(err, "all of them: mpc config get");
	setting_suggest(name, err);
	return MP_E_NOT_FOUND;
}

struct rpc_answer
rpc_settings_get(struct rpc_request *req)
{
	const char *name = rpc_str(req, "name");
	struct error err = ERROR_INIT;
	enum setting which = SETTING_COUNT;
	struct pack *p;

	if (name != NULL && find_setting(name, &which, &err) != 0)
		return rpc_fail_err(req, &err);
	p = rpc_result(req);
	pack_str(p, "settings");
	if (name == NULL) {
		pack_settings(p, rpc_parts(req));
	} else {
		pack_array_begin(p);
		pack_setting(p, rpc_parts(req), which);
		pack_array_end(p);
	}
	return rpc_ok(req);
}

/* The value as a person would write it. A duration without a unit would be milliseconds to a program and
 * minutes to a person: it is text. */
static int
read_value(const struct value *v, const struct setting_def *d, struct buf *text, struct error *err)
{
	switch (value_type(v)) {
	case VALUE_STR:
		if (value_size(v) > 0 && memchr(value_slice(v).data, '\0', value_size(v)) != NULL)
			return error_field(err, "value", "value contains a NUL");
		if (value_size(v) > 0)
			buf_add(text, value_slice(v).data, value_size(v));
		return 0;
	case VALUE_INT:
		if (d->type != SETTING_IS_INT)
			break;
		buf_addf(text, "%" PRId64, value_int(v, 0));
		return 0;
	case VALUE_BOOL:
		if (d->type != SETTING_IS_BOOL)
			break;
		buf_adds(text, value_bool(v, false) ? "true" : "false");
		return 0;
	case VALUE_ABSENT:
	case VALUE_NIL:
	case VALUE_FLOAT:
	case VALUE_BIN:
	case VALUE_ARRAY:
	case VALUE_MAP:
		break;
	}
	return error_field(err, "value", "value must be a str%s, not %s",
	    d->type == SETTING_IS_INT ? " or int" : d->type == SETTING_IS_BOOL ? " or bool" : "",
	    value_type_name(value_type(v)));
}

static int
store_value(struct rpc_request *req, enum setting which, const char *text, struct error *err)
{
	const struct rpc_parts *parts = rpc_parts(req);
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	r = text != NULL ? settings_set(parts->settings, which, text, err)
	    : settings_reset(parts->settings, which, err);
	return rpc_change_end(req, r, err);
}

struct rpc_answer
rpc_settings_set(struct rpc_request *req)
{
	const struct rpc_parts *parts = rpc_parts(req);
	const struct value *value = rpc_param(req, "value");
	struct buf text = BUF_INIT, before = BUF_INIT;
	struct error err = ERROR_INIT;
	struct rpc_answer a;
	enum setting which;
	struct pack *p;

	if (find_setting(rpc_str(req, "name"), &which, &err) != 0)
		return rpc_fail_err(req, &err);
	settings_format(parts->settings, which, &before);
	if ((value != NULL && read_value(value, setting_def(which), &text, &err) != 0) ||
	    store_value(req, which, value != NULL ? buf_str(&text) : NULL, &err) != 0) {
		a = rpc_fail_err(req, &err);
	} else {
		p = rpc_result(req);
		pack_setting_members(p, parts, which);
		pack_kv_str(p, "previous", buf_str(&before));
		a = rpc_ok(req);
	}
	buf_clear(&text);
	buf_clear(&before);
	return a;
}
