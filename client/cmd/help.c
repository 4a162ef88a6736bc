#include "client/help.h"

#include "client/app.h"
#include "protocol/base/err.h"

int
cmd_help(struct app *a)
{
	const char *name = args_word(&a->args, 0);
	const struct command *c = NULL;
	struct error err = ERROR_INIT;
	int r;

	if ((r = no_more_words(a, 1)) != 0)
		return r;
	if (name != NULL && (c = command_find(name)) == NULL) {
		error_set(&err, MP_E_UNKNOWN_METHOD, "unknown command \"%.60s\"", name);
		command_suggest(name, &err);
		return fail_as(a, &err, "", "unknown_command", EXIT_USAGE);
	}
	return help_print(a, c);
}
