#include "client/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/app.h"
#include "protocol/base/json.h"
#include "protocol/base/str.h"

#define FIRST_LINE_BYTES 94 /* with "mpc: " and room below 100 columns */

/* What we can say from the facts alone, when the message does not say it already. */
static void
derive_why(const struct error *err, struct buf *why)
{
	char span[32];

	if (err->http_status != 0 && strstr(err->message, "HTTP") == NULL)
		buf_addf(why, "%s answered HTTP %d",
		    err->provider[0] != '\0' ? err->provider : "the provider", err->http_status);
	if (err->retry_after_ms > 0) {
		duration_format(err->retry_after_ms, span, sizeof(span));
		buf_addf(why, "%sit says to wait %s", why->len > 0 ? "; " : "", span);
	}
}

static void
add_line(struct buf *out, const char *label, const char *text)
{
	if (*text == '\0')
		return;
	buf_adds(out, label);
	text_escape(out, text, strlen(text), false);
	buf_addc(out, '\n');
}

/* Where a first line that is too long may end: behind the last ": ", "; " or ", " that fits. */
static size_t
first_line(const char *message)
{
	size_t at = 0;

	if (strlen(message) <= FIRST_LINE_BYTES)
		return strlen(message);
	for (size_t i = 20; i < FIRST_LINE_BYTES; i++)
		if (message[i + 1] == ' ' && strchr(":;,", message[i]) != NULL)
			at = i;
	if (at > 0)
		return at;
	for (at = FIRST_LINE_BYTES; at > 20 && message[at] != ' '; at--)
		;
	return at;
}

void
fail_text(struct buf *out, const struct error *err, const char *why)
{
	struct buf derived = BUF_INIT;
	const char *message = err->message[0] != '\0' ? err->message : error_code(err->code);
	size_t n = first_line(message);

	/* what does not fit in the first line is the reason, or comes before it */
	if (message[n] != '\0') {
		const char *rest = message + n + strspn(message + n, ":;, ");

		buf_addf(&derived, "%s%s%s", rest, *why != '\0' ? "; " : "", why);
		why = "";
	} else if (*why == '\0') {
		derive_why(err, &derived);
	}
	buf_adds(out, "mpc: ");
	text_escape(out, message, n, false);
	buf_addc(out, '\n');
	add_line(out, "  why: ", *why != '\0' ? why : buf_str(&derived));
	add_line(out, "  fix: ", err->hint);
	for (size_t i = 0; i < sizeof(err->candidates) / sizeof(err->candidates[0]); i++) {
		if (err->candidates[i][0] == '\0')
			break;
		buf_adds(out, i == 0 ? "  did you mean: " : ", ");
		text_escape(out, err->candidates[i], strlen(err->candidates[i]), false);
	}
	if (err->candidates[0][0] != '\0')
		buf_adds(out, "?\n");
	buf_clear(&derived);
}

static void
json_data(struct json_writer *w, const struct error *err, const char *why)
{
	json_key(w, "data");
	json_begin_object(w);
	if (err->field[0] != '\0')
		json_kv_string(w, "field", err->field);
	if (err->provider[0] != '\0')
		json_kv_string(w, "provider", err->provider);
	if (err->http_status != 0)
		json_kv_int(w, "http_status", err->http_status);
	if (*why != '\0')
		json_kv_string(w, "why", why);
	if (err->candidates[0][0] != '\0') {
		json_key(w, "candidates");
		json_begin_array(w);
		for (size_t i = 0; i < sizeof(err->candidates) / sizeof(err->candidates[0]); i++)
			if (err->candidates[i][0] != '\0')
				json_put_string(w, err->candidates[i]);
		json_end_array(w);
	}
	json_end_object(w);
}

void
fail_json(struct buf *out, const struct error *err, const char *why, const char *code)
{
	struct json_writer w;

	json_writer_init(&w, out, false);
	json_begin_object(&w);
	json_key(&w, "error");
	json_begin_object(&w);
	json_kv_string(&w, "code", code);
	json_kv_string(&w, "message", err->message);
	if (err->hint[0] != '\0')
		json_kv_string(&w, "hint", err->hint);
	if (err->retry_after_ms > 0)
		json_kv_int(&w, "retry_after_ms", err->retry_after_ms);
	json_data(&w, err, why);
	json_end_object(&w);
	json_end_object(&w);
	buf_addc(out, '\n');
}

int
fail_as(struct app *a, const struct error *err, const char *why, const char *code, int exit_code)
{
	struct buf out = BUF_INIT;

	fflush(stdout);
	if (a->form == FORM_JSON)
		fail_json(&out, err, why, code);
	else
		fail_text(&out, err, why);
	fwrite(buf_str(&out), 1, out.len, stderr);
	buf_clear(&out);
	return exit_code;
}

int
fail_err(struct app *a, const struct error *err)
{
	return fail_as(a, err, "", error_code(err->code), error_exit_code(err->code));
}

int
fail_usage(struct app *a, const char *fmt, ...)
{
	struct error err = ERROR_INIT;
	struct buf message = BUF_INIT;
	const struct command *c = a->args.command;
	va_list ap;

	va_start(ap, fmt);
	buf_addv(&message, fmt, ap);
	va_end(ap);
	error_set(&err, MP_E_INVALID_PARAMS, "%s", buf_str(&message));
	if (c != NULL)
		error_hint(&err, "mpc %s --help", c->name);
	else
		error_hint(&err, "mpc --help");
	buf_clear(&message);
	return fail_as(a, &err, "", "usage", EXIT_USAGE);
}

int
no_more_words(struct app *a, size_t most)
{
	if (a->args.word_count <= most)
		return 0;
	return fail_usage(a, "too many words for \"%s\" (%zu expected at most)",
	    a->args.command != NULL ? a->args.command->name : "mpc", most);
}

int
fail_music(struct app *a, const char *verb)
{
	struct error err = ERROR_INIT;

	error_set(&err, MP_E_INVALID_PARAMS,
	    "\"%.20s\" is a Music Player Daemon command; this is the model provider client", verb);
	error_hint(&err,
	    "call the music client by its own path, or install modelpd without the mpc name "
	    "(man modelpc, COEXISTENCE)");
	return fail_as(a, &err, "", "music_command", EXIT_USAGE);
}
