/* http_failure.h - what libcurl reports, as one of our failure classes. */
#ifndef SERVER_UPSTREAM_HTTP_FAILURE_H
#define SERVER_UPSTREAM_HTTP_FAILURE_H

#include "server/upstream/http_library.h"

#include "server/model/failure.h"
#include "server/upstream/http_guard.h"
#include "server/upstream/transfer.h"

struct http_story {
	const struct http_guard *guard;
	const char *origin;   /* for people; holds no secret */
	const char *detail;   /* the library's own words */
	bool connected;       /* a connection was made */
	bool got_bytes;       /* something of the answer came */
	long os_error;
};

void http_failure(CURLcode code, const struct http_story *story, struct failure *out);

#endif
