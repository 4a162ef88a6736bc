/* wire.h - the nouns between a dialect and a carrier: what is sent, what comes back. */
#ifndef SERVER_MODEL_WIRE_H
#define SERVER_MODEL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"

enum carrier_kind {
	CARRIER_HTTP,
	CARRIER_LOOPBACK, /* the built-in echo: the request's body comes back as its answer's lines */
	CARRIER_CHILD,    /* a program of the user's: the body is its input, its output the answer */
};

enum framing {
	FRAMING_SSE,
	FRAMING_NDJSON,
};

/* How the key travels; the carrier puts it there, a dialect never sees it. */
enum auth_style { AUTH_STYLE_NONE, AUTH_STYLE_BEARER, AUTH_STYLE_X_API_KEY, AUTH_STYLE_X_GOOG_API_KEY };

#define WIRE_HEADERS_MAX 8

#define WIRE_PAST_MAX ((size_t)4 << 20) /* of longer conversations no program waits */

/* What a dialect's encode makes. Cleared with wire_request_clear. */
struct wire_request {
	const char *method; /* "POST", "GET"; static */
	char path[1024];    /* below the base URL: "/chat/completions" */
	struct {
		char name[48];
		char value[256];
	} headers[WIRE_HEADERS_MAX]; /* none of them secret */
	size_t header_count;
	struct buf body; /* ceiling 64 MiB */
	bool stream;     /* an incremental answer was asked for */
	bool at_origin;  /* path is below scheme://host:port, not below the base URL */

	/* CARRIER_CHILD only. Arguments are read by every user of the machine: no private text in them. */
	const char *program;            /* its name; static */
	char **arguments;               /* owned; without the name */
	size_t argument_count;
	const char *const *environment; /* "NAME=value" beside what every program gets; static */
	const char *file_option;        /* static; NULL = none: an argument before the path of a */
	struct buf file;                /* private file that holds this */
	bool aside;                     /* takes no place among those that answer; what it writes is secret */
	bool stays;                     /* its input is left open: it may be asked again */
	struct buf past;                /* what a waiting program must know, byte by byte, to be */
	struct buf more;                /* asked this in place of body; empty = only a new one will do */
};

/* What a program knows that waits for the next turn of its conversation. The dialect writes it, the carrier
 * keeps and compares it. */
struct wire_memory {
	struct buf past;
	int64_t spent_microusd; /* what it has added up since its start; -1 = it does not say */
};

struct header {
	struct slice name; /* lower case */
	struct slice value;
};

/* The answer's head, borrowed for the callback. */
struct wire_head {
	int status;
	const struct header *headers;
	size_t header_count;
};
/* Value of the first header of that (lower case) name; the empty slice when there is none. */
struct slice wire_header(const struct wire_head *h, const char *name);

/* A piece of the answer that is whole in its framing. */
struct frame {
	struct slice event; /* SSE: the event name, empty = none */
	struct slice data;
};

void wire_request_init(struct wire_request *r);
void wire_request_clear(struct wire_request *r);
int wire_request_header(struct wire_request *r, const char *name, const char *value);
void wire_request_argument(struct wire_request *r, const char *text);
void wire_memory_init(struct wire_memory *m);
void wire_memory_clear(struct wire_memory *m);

#endif
