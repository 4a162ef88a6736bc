#include "server/dialect/emit.h"

#include <stdarg.h>
#include <stdio.h>

#include "protocol/base/buf.h"
#include "server/dialect/refusal.h"

void
emit_start(const struct event_sink *sink, struct slice id, struct slice model)
{
	struct event e = { .type = EVENT_START, .id = id, .name = model };

	sink->event(sink->arg, &e);
}

void
emit_text(const struct event_sink *sink, enum event_type type, struct slice text, bool refusal)
{
	struct event e = { .type = type, .text = text, .refusal = refusal };

	if (text.len > 0)
		sink->event(sink->arg, &e);
}

void
emit_usage(const struct event_sink *sink, const struct usage *usage)
{
	struct event e = { .type = EVENT_USAGE, .usage = usage };

	if (usage_known(usage))
		sink->event(sink->arg, &e);
}

void
emit_finish(const struct event_sink *sink, enum stop_reason stop)
{
	struct event e = { .type = EVENT_FINISH, .stop = stop };

	sink->event(sink->arg, &e);
}

void
emit_warning(const struct event_sink *sink, const char *fmt, ...)
{
	struct event e = { .type = EVENT_WARNING };
	struct buf whole = BUF_INIT;
	char text[320];
	va_list ap;

	if (sink == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	e.text = slice_of(text);
	e.text.len -= utf8_incomplete_tail(e.text.data, e.text.len);
	/* a foreign name may have been cut inside a letter */
	if (utf8_repair(&whole, e.text.data, e.text.len))
		e.text = (struct slice){ whole.data, whole.len };
	sink->event(sink->arg, &e);
	buf_clear(&whole);
}

void
emit_error(const struct event_sink *sink, const struct failure *failure)
{
	struct event e = { .type = EVENT_ERROR, .failure = failure };

	sink->event(sink->arg, &e);
}

void
emit_protocol_error(const struct event_sink *sink, const char *kind, const char *message)
{
	struct failure f = FAILURE_INIT;

	failure_of_protocol(&f, kind, message);
	emit_error(sink, &f);
}
