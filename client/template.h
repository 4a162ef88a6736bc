/* template.h - the little language of `mpc watch --format`: text with {path} and {first|second}.
 *
 * A path is member names joined by dots; the first alternative that names something wins, none
 * gives nothing. "{{" is a brace. What comes out is one harmless line. */
#ifndef CLIENT_TEMPLATE_H
#define CLIENT_TEMPLATE_H

#include "protocol/base/buf.h"
#include "protocol/base/err.h"
#include "protocol/value.h"

/* 0, or MP_E_INVALID_PARAMS with the place of the mistake. */
int template_check(const char *format, struct error *err);
struct template_names {
	/* The value of a path's first name; NULL = none. */
	const struct value *(*look)(void *arg, struct slice name);
	/* What a whole path says in words, for what is no value; NULL = ask look. May be NULL itself. */
	const char *(*words)(void *arg, struct slice path);
	void *arg;
};
/* format has been checked. */
void template_render(const char *format, const struct template_names *names, struct buf *out);

#endif
