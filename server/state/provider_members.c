#include "server/state/provider_members.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

static void
text_copy(char **to, const char *from)
{
	char *fresh = xstrdup(from);

	free(*to);
	*to = fresh;
}

static void
strings_copy(char ***to, char *const *from)
{
	size_t n = 0;
	char **fresh;

	while (from[n] != NULL)
		n++;
	fresh = xcalloc(n + 1, sizeof *fresh);
	for (size_t i = 0; i < n; i++)
		fresh[i] = xstrdup(from[i]);
	for (size_t i = 0; (*to)[i] != NULL; i++)
		free((*to)[i]);
	free(*to);
	*to = fresh;
}

static void
aliases_copy(struct provider *to, const struct provider *from)
{
	for (size_t i = 0; i < to->alias_count; i++) {
		free(to->aliases[i].alias);
		free(to->aliases[i].model);
	}
	free(to->aliases);
	to->aliases = NULL;
	to->alias_count = 0;
	for (size_t i = 0; i < from->alias_count; i++)
		provider_alias_add(to, from->aliases[i].alias, from->aliases[i].model);
}

static bool
aliases_same(const struct provider *a, const struct provider *b)
{
	if (a->alias_count != b->alias_count)
		return false;
	for (size_t i = 0; i < a->alias_count; i++)
		if (strcmp(a->aliases[i].alias, b->aliases[i].alias) != 0 ||
		    strcmp(a->aliases[i].model, b->aliases[i].model) != 0)
			return false;
	return true;
}

static bool
text_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

#define TEXT_MEMBER(member)                                                                          \
	static void copy_##member(struct provider *to, const struct provider *from)                  \
	{                                                                                            \
		text_copy(&to->member, from->member);                                                \
	}                                                                                            \
	static bool same_##member(const struct provider *a, const struct provider *b)                \
	{                                                                                            \
		return text_same(a->member, b->member);                                              \
	}
#define PLAIN_MEMBER(member)                                                                         \
	static void copy_##member(struct provider *to, const struct provider *from)                  \
	{                                                                                            \
		to->member = from->member;                                                           \
	}                                                                                            \
	static bool same_##member(const struct provider *a, const struct provider *b)                \
	{                                                                                            \
		return a->member == b->member;                                                       \
	}
TEXT_MEMBER(name)
TEXT_MEMBER(display_name)
TEXT_MEMBER(dialect)
TEXT_MEMBER(base_url)
TEXT_MEMBER(key_env)
TEXT_MEMBER(login_command)
TEXT_MEMBER(health_check)
TEXT_MEMBER(ca_file)
TEXT_MEMBER(proxy)
TEXT_MEMBER(program)
PLAIN_MEMBER(type)
PLAIN_MEMBER(auth)
PLAIN_MEMBER(enabled)
PLAIN_MEMBER(auto_detect)
PLAIN_MEMBER(key_sharing)

static void
copy_rate_limits(struct provider *to, const struct provider *from)
{
	to->rate_limits = from->rate_limits;
}

static bool
same_rate_limits(const struct provider *a, const struct provider *b)
{
	return a->rate_limits.weekly == b->rate_limits.weekly &&
	    a->rate_limits.rolling == b->rate_limits.rolling &&
	    a->rate_limits.window_hours == b->rate_limits.window_hours;
}

static void
copy_features(struct provider *to, const struct provider *from)
{
	strings_copy(&to->features, from->features);
}

static bool
same_features(const struct provider *a, const struct provider *b)
{
	size_t i = 0;

	while (a->features[i] != NULL && b->features[i] != NULL &&
	       strcmp(a->features[i], b->features[i]) == 0)
		i++;
	return a->features[i] == NULL && b->features[i] == NULL;
}

static const struct member {
	const char *word;
	const char *canonical; /* NULL = word */
	void (*copy)(struct provider *to, const struct provider *from);
	bool (*same)(const struct provider *a, const struct provider *b);
} members_table[] = {
	{ "name", NULL, copy_name, same_name },
	{ "display_name", NULL, copy_display_name, same_display_name },
	{ "type", NULL, copy_type, same_type },
	{ "auth_type", NULL, copy_auth, same_auth },
	{ "auth", "auth_type", copy_auth, same_auth },
	{ "dialect", NULL, copy_dialect, same_dialect },
	{ "base_url", NULL, copy_base_url, same_base_url },
	{ "key_env", NULL, copy_key_env, same_key_env },
	{ "enabled", NULL, copy_enabled, same_enabled },
	{ "features", NULL, copy_features, same_features },
	{ "rate_limits", NULL, copy_rate_limits, same_rate_limits },
	{ "login_command", NULL, copy_login_command, same_login_command },
	{ "auto_detect", NULL, copy_auto_detect, same_auto_detect },
	{ "health_check", NULL, copy_health_check, same_health_check },
	{ "ca_file", NULL, copy_ca_file, same_ca_file },
	{ "proxy", NULL, copy_proxy, same_proxy },
	{ "program", NULL, copy_program, same_program },
	{ "key_sharing", NULL, copy_key_sharing, same_key_sharing },
	{ "models", NULL, aliases_copy, aliases_same },
	{ "aliases", "models", aliases_copy, aliases_same },
};

/* The next space separated word of *s; false at the end. */
static bool
next_word(const char **s, struct slice *word)
{
	*s += strspn(*s, " ");
	word->data = *s;
	word->len = strcspn(*s, " ");
	*s += word->len;
	return word->len > 0;
}

static const struct member *
member_find(struct slice word)
{
	for (size_t i = 0; i < sizeof members_table / sizeof members_table[0]; i++)
		if (slice_eq(word, members_table[i].word))
			return &members_table[i];
	return NULL;
}

static const char *
canonical(const struct member *m)
{
	return m->canonical != NULL ? m->canonical : m->word;
}

void
provider_members_copy(struct provider *to, const struct provider *from, const char *members)
{
	struct slice word;

	while (next_word(&members, &word)) {
		const struct member *m = member_find(word);

		if (m != NULL)
			m->copy(to, from);
		if (!slice_eq(word, "*"))
			continue;
		for (size_t i = 0; i < sizeof members_table / sizeof members_table[0]; i++)
			members_table[i].copy(to, from);
	}
}

bool
provider_members_same(const struct provider *a, const struct provider *b, const char *members)
{
	for (size_t i = 0; i < sizeof members_table / sizeof members_table[0]; i++) {
		const struct member *m = &members_table[i];

		if (provider_members_has(members, canonical(m)) && !m->same(a, b))
			return false;
	}
	return true;
}

int
provider_members_known(const char *members, struct error *err)
{
	struct slice word;

	while (next_word(&members, &word)) {
		if (member_find(word) == NULL) {
			char *name = slice_dup(word);
			int r = error_field(err, name, "a provider has no member \"%s\"", name);

			free(name);
			return r;
		}
	}
	return 0;
}

bool
provider_members_has(const char *members, const char *member)
{
	struct slice word;

	while (next_word(&members, &word)) {
		const struct member *m = member_find(word);

		if (slice_eq(word, "*") || (m != NULL && strcmp(canonical(m), member) == 0))
			return true;
	}
	return false;
}

static char *
join(const char *a, const char *b, const char *without)
{
	struct buf out = BUF_INIT;

	for (size_t i = 0; i < sizeof members_table / sizeof members_table[0]; i++) {
		const struct member *m = &members_table[i];

		if (m->canonical != NULL || strcmp(m->word, without) == 0)
			continue;
		if (!provider_members_has(a, m->word) && !provider_members_has(b, m->word))
			continue;
		if (out.len > 0)
			buf_addc(&out, ' ');
		buf_adds(&out, m->word);
	}
	buf_adds(&out, "");
	return buf_steal(&out, NULL);
}

char *
provider_members_join(const char *a, const char *b)
{
	return join(a, b, "");
}

char *
provider_members_without(const char *members, const char *member)
{
	return join(members, "", member);
}
