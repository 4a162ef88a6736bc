/* key set --command, --env, --file: no key is stored, but where the daemon reads it from. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/cmd/cmd.h"
#include "client/entry.h"
#include "client/link.h"
#include "client/out.h"

static const char *const kinds[] = {"command", "env", "file"};

/* The daemon has a working folder of its own. */
static const char *
full_path(struct app *a, const char *path)
{
	char here[PATH_MAX];

	if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL)
		return path;
	return app_format(a, "%s/%s", here, path);
}

static void
say(struct app *a, const struct value *result)
{
	const struct value *warnings = value_get(result, "warnings");

	if (a->form == FORM_PLAIN)
		printf("%s\t%s\t%s\t%s\n", app_member(a, result, "provider"),
		    app_member(a, result, "label"), app_member(a, result, "source"),
		    app_member(a, result, "from"));
	else if (!a->quiet)
		printf("The key of %s is read from the %s %s when it is needed.\n",
		    app_member(a, result, "provider"),
		    value_equals(value_get(result, "source"), "env")
			? "variable"
			: app_member(a, result, "source"),
		    app_member(a, result, "from"));
	for (size_t i = 0; i < value_size(warnings); i++)
		note(a, "%s", app_escaped(a, value_slice(value_at(warnings, i))));
}

static int
send(struct app *a, const char *provider, const char *label, const char *kind, const char *text)
{
	const struct value *result;
	struct pack *p;
	int r;

	if ((r = link_open(a)) != 0 || (r = key_ask_before(a, provider, label)) != 0)
		return r;
	p = link_begin_secret(a, "key.set");
	pack_kv_str(p, "provider", provider);
	pack_kv_str(p, "label", label);
	key_pack_weight(a, p);
	pack_str(p, "source");
	pack_map_begin(p);
	pack_kv_str(p, kind, strcmp(kind, "file") == 0 ? full_path(a, text) : text);
	pack_map_end(p);
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON)
		out_json(a, result);
	else
		say(a, result);
	return 0;
}

/* Commands and files have a blank or a slash sooner or later, variables are written in capitals. */
static bool
may_be_key(const char *text)
{
	if (strpbrk(text, " /") != NULL ||
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(text))
		return false;
	return entry_looks_like_key(text);
}

bool
key_set_source(struct app *a, const char *provider, const char *label, int *r)
{
	const char *kind = NULL;
	size_t given = args_has(&a->args, "stdin") + args_has(&a->args, "fd");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!args_has(&a->args, kinds[i]))
			continue;
		kind = kinds[i];
		given++;
	}
	if (kind == NULL)
		return false;
	if (given > 1)
		*r = fail_usage(a, "--stdin, --fd, --command, --env and --file exclude each other");
	else if (may_be_key(args_value(&a->args, kind)))
		*r = key_refuse_argument(a);
	else
		*r = send(a, provider, label, kind, args_value(&a->args, kind));
	return true;
}
