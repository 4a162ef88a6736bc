/* rpc: any method of the protocol, by hand. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/app.h"
#include "client/input.h"
#include "client/link.h"
#include "client/out.h"

/* The events of the stream that was started, one per line, to the last one. */
static int
follow_stream(struct app *a, int64_t stream)
{
	struct error err = ERROR_INIT;
	struct message m;

	while (link_next(a, &m, -1, &err) > 0) {
		const struct value *e = value_at(m.params, 0), *type;

		if (m.kind != MESSAGE_NOTIFICATION ||
		    value_int(value_get(e, "stream"), -1) != stream)
			continue;
		out_json_line(e);
		type = value_get(e, "type");
		if (value_equals(type, "done"))
			return 0;
		if (value_equals(type, "error")) {
			message_read_error(e, &err);
			return error_exit_code(err.code);
		}
	}
	return link_fail(a, &err);
}

/* state.subscribe: every event until Ctrl-C. */
static int
follow_state(struct app *a)
{
	struct error err = ERROR_INIT;
	struct message m;

	while (link_next(a, &m, -1, &err) > 0)
		if (m.kind == MESSAGE_NOTIFICATION)
			out_json_line(value_at(m.params, 0));
	return link_fail(a, &err);
}

static int
read_params(struct app *a, const char *text, struct buf *in)
{
	struct error err = ERROR_INIT;

	if (strcmp(text, "-") != 0)
		buf_adds(in, text);
	else if (input_read(STDIN_FILENO, "stdin", in, &err) != 0)
		return fail_err(a, &err);
	if (strlen(buf_str(in)) != in->len)
		return fail_usage(a, "the parameters are not JSON: they hold a NUL byte");
	return 0;
}

int
cmd_rpc(struct app *a)
{
	const char *method = args_word(&a->args, 0), *text = args_word(&a->args, 1);
	const struct value *result;
	struct buf in = BUF_INIT;
	int r;

	if (method == NULL)
		return fail_usage(a, "rpc needs a method; mpc rpc sys.methods lists them");
	if ((r = no_more_words(a, 2)) != 0)
		return r;
	if (text != NULL && strcmp(text, "-") != 0 && link_is_secret(method))
		return fail_usage(
		    a, "%.40s holds a secret: pass its parameters on stdin (-)", method);
	buf_init_secret(&in, 16 << 20); /* may be a key.set */
	if (text != NULL)
		r = read_params(a, text, &in);
	if (r == 0 && (r = link_open(a)) == 0) {
		link_long(a);
		r = link_call(a, method, text != NULL ? buf_str(&in) : NULL, &result);
	}
	buf_clear(&in);
	if (r != 0)
		return r;
	if (strcmp(method, "prompt.start") == 0) {
		int64_t stream = value_int(value_get(result, "stream"), -1);

		out_json_line(result);
		return follow_stream(a, stream);
	}
	if (strcmp(method, "state.subscribe") == 0) {
		out_json_line(result);
		return follow_state(a);
	}
	out_json(a, result);
	return 0;
}
