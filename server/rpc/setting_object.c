/* setting_object.c - a setting as a msgpack map (PROTOCOL.md section 5). */
#include "server/rpc/objects.h"

/* Whole numbers and truths keep their type; everything else is what a person would write. */
static void
pack_value(struct pack *p, const char *key, const struct setting_def *d, const char *text, int64_t number)
{
	if (d->type == SETTING_IS_INT)
		pack_kv_int(p, key, number);
	else if (d->type == SETTING_IS_BOOL)
		pack_kv_bool(p, key, number != 0);
	else
		pack_kv_str(p, key, text);
}

static int64_t
number_of(const struct settings *s, const struct setting_def *d, enum setting which)
{
	if (d->type == SETTING_IS_INT)
		return settings_int(s, which);
	return d->type == SETTING_IS_BOOL && settings_bool(s, which);
}

void
pack_setting_members(struct pack *p, const struct rpc_parts *parts, enum setting which)
{
	const struct settings *s = parts->settings;
	const struct setting_def *d = setting_def(which);
	struct buf text = BUF_INIT;

	pack_kv_str(p, "name", d->name);
	pack_kv_str(p, "type", setting_type_name(d->type));
	settings_format(s, which, &text);
	pack_value(p, "value", d, buf_str(&text), number_of(s, d, which));
	if (d->type == SETTING_IS_DURATION)
		pack_kv_int(p, "value_ms", settings_ms(s, which));
	buf_reset(&text, 256);
	setting_format_default(which, &text);
	pack_value(p, "default", d, buf_str(&text), d->number_default);
	pack_kv_bool(p, "is_default", settings_is_default(s, which));
	buf_reset(&text, 256);
	setting_format_range(which, &text);
	pack_kv_str(p, "range", buf_str(&text));
	pack_kv_str(p, "help", d->help);
	buf_clear(&text);
}

void
pack_setting(struct pack *p, const struct rpc_parts *parts, enum setting which)
{
	pack_map_begin(p);
	pack_setting_members(p, parts, which);
	pack_map_end(p);
}

void
pack_settings(struct pack *p, const struct rpc_parts *parts)
{
	pack_array_begin(p);
	for (int i = 0; i < SETTING_COUNT; i++)
		pack_setting(p, parts, (enum setting)i);
	pack_array_end(p);
}
