/* http_library.h - libcurl, loaded with the first HTTP transfer and kept.
 *
 * Linking it would map some thirty libraries (two TLS stacks, Kerberos, LDAP, SSH) into every daemon at
 * its start, before anything was asked: 4 ms and 4 MiB, measured on Debian 12. So the functions of
 * http_library.def are looked up by name, and the macros below let the code read as usual. Include
 * this instead of curl/curl.h. */
#ifndef SERVER_UPSTREAM_HTTP_LIBRARY_H
#define SERVER_UPSTREAM_HTTP_LIBRARY_H

/* libcurl's own macros of these names check argument types, but call the functions by their symbols */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include <stdbool.h>

#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt

struct http_library {
#define CURL_FUNCTION(name) __typeof__(name) *(name);
#include "server/upstream/http_library.def"
#undef CURL_FUNCTION
};

/* Valid after http_library_load. */
extern struct http_library http_library;

/* Once is enough, more is harmless. False when the library or a function of it is missing; that is
 * logged with the reason. */
bool http_library_load(void);

#ifndef HTTP_LIBRARY_NO_MACROS
#define curl_easy_cleanup http_library.curl_easy_cleanup
#define curl_easy_getinfo http_library.curl_easy_getinfo
#define curl_easy_init http_library.curl_easy_init
#define curl_easy_pause http_library.curl_easy_pause
#define curl_easy_reset http_library.curl_easy_reset
#define curl_easy_setopt http_library.curl_easy_setopt
#define curl_easy_strerror http_library.curl_easy_strerror
#define curl_global_init http_library.curl_global_init
#define curl_multi_add_handle http_library.curl_multi_add_handle
#define curl_multi_assign http_library.curl_multi_assign
#define curl_multi_cleanup http_library.curl_multi_cleanup
#define curl_multi_info_read http_library.curl_multi_info_read
#define curl_multi_init http_library.curl_multi_init
#define curl_multi_remove_handle http_library.curl_multi_remove_handle
#define curl_multi_setopt http_library.curl_multi_setopt
#define curl_multi_socket_action http_library.curl_multi_socket_action
#define curl_slist_append http_library.curl_slist_append
#define curl_slist_free_all http_library.curl_slist_free_all
#endif

#endif
