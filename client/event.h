/* event.h - a state.event in words, for watch and top. */
#ifndef CLIENT_EVENT_H
#define CLIENT_EVENT_H

#include "protocol/value.h"

struct app;

/* "route      openrouter:gpt-4 (gpt)  (route.set by mpc)" */
const char *event_words(struct app *a, const struct value *event);

#endif
