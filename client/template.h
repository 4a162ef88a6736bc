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
/* look(arg, name) gives the value of a path's first name (NULL = none). format has been checked. */
void template_render(const char *format, const struct value *(*look)(void *arg, struct slice name),
    void *arg, struct buf *out);

#endif
