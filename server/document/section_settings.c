/* section_settings.c - settings: NAME: VALUE; defaults are comments. */
#include <string.h>

#include "protocol/base/buf.h"
#include "server/document/section.h"

#define VALUE_MAX_BYTES 4096

static void
write_setting(const struct document_parts *parts, struct writer *w, enum setting which)
{
	const struct setting_def *d = setting_def(which);
	struct buf text = BUF_INIT, range = BUF_INIT;

	settings_format(parts->settings, which, &text);
	setting_format_range(which, &range);
	write_comment(w, "%s (%s)", d->help, buf_str(&range));
	if (settings_is_default(parts->settings, which))
		write_commented(w, d->name, buf_str(&text));
	else if (d->type == SETTING_IS_TEXT || d->type == SETTING_IS_ENUM)
		write_text(w, d->name, buf_str(&text));
	else
		write_raw(w, d->name, buf_str(&text));
	buf_clear(&text);
	buf_clear(&range);
}

void
section_settings_export(const struct document_parts *parts, struct writer *w)
{
	bool any = w->comments;

	for (int i = 0; i < SETTING_COUNT; i++)
		any = any || !settings_is_default(parts->settings, (enum setting)i);
	if (!any) {
		write_empty_map(w, "settings");
		return;
	}
	write_begin(w, "settings");
	for (int i = 0; i < SETTING_COUNT; i++)
		if (w->comments || !settings_is_default(parts->settings, (enum setting)i))
			write_setting(parts, w, (enum setting)i);
	write_end(w);
}

static const char *
name_at(const void *arg, size_t i)
{
	(void)arg;
	return setting_def((enum setting)i)->name;
}

static int
apply_one(struct document_change *c, const struct node *m, bool set[SETTING_COUNT], struct error *err)
{
	const char *text;
	enum setting which;

	if (!setting_find(m->key, &which)) {
		node_unknown_key(m, "settings", name_at, NULL, SETTING_COUNT, c->problems);
		return 0;
	}
	set[which] = true;
	/* nothing behind the colon: the default */
	if (m->kind == NODE_NULL)
		return section_blame(c, m, false, settings_reset(c->parts->settings, which, err), err);
	if ((text = node_text(m, m->key, VALUE_MAX_BYTES, c->problems)) == NULL)
		return 0;
	return section_blame(c, m, false, settings_set(c->parts->settings, which, text, err), err);
}

int
section_settings_apply(struct document_change *c, const struct node *n, struct error *err)
{
	bool set[SETTING_COUNT] = { false };
	int r = 0;

	if (!node_is_map(n, "settings", c->problems))
		return 0;
	for (const struct node *m = n != NULL ? n->first : NULL; m != NULL && r == 0; m = m->next)
		r = apply_one(c, m, set, err);
	for (int i = 0; i < SETTING_COUNT && r == 0; i++)
		if (!set[i])
			r = settings_reset(c->parts->settings, (enum setting)i, err);
	return r;
}
