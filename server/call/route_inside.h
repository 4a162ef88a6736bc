/* route_inside.h - the struct behind route.h. Private to route.c (where a call goes) and route_ready.c
 * (whether it can go there). */
#ifndef SERVER_CALL_ROUTE_INSIDE_H
#define SERVER_CALL_ROUTE_INSIDE_H

#include "server/call/route.h"

struct routes {
	struct providers *ps;
	struct models *ms;
	struct overrides *os;
	struct credentials *cs;
	struct sessions *ss; /* NULL = none */
	struct chains *chains; /* NULL = none */
	struct cooldowns *cooldowns; /* NULL = none */
	struct purses *purses;       /* NULL = none */
};

#endif
