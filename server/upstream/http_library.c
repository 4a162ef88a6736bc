#define HTTP_LIBRARY_NO_MACROS
#include "server/upstream/http_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "server/base/log.h"

/* "libcurl.so.4", from CMake. */
#ifndef HTTP_LIBRARY_SONAME
#error "HTTP_LIBRARY_SONAME is set by CMake"
#endif

struct http_library http_library;

/* One row of http_library.def: where its pointer lies, and what it is called. */
struct row {
	size_t offset;
	const char *name;
};

static const struct row rows[] = {
#define CURL_FUNCTION(name) { offsetof(struct http_library, name), #name },
#include "server/upstream/http_library.def"
#undef CURL_FUNCTION
};

bool
http_library_load(void)
{
	static void *handle;

	if (handle != NULL)
		return true;
	handle = dlopen(HTTP_LIBRARY_SONAME, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; handle != NULL && i < sizeof rows / sizeof rows[0]; i++) {
		void *function = dlsym(handle, rows[i].name);

		if (function == NULL) {
			dlclose(handle);
			handle = NULL;
			break;
		}
		memcpy((char *)&http_library + rows[i].offset, &function, sizeof function);
	}
	if (handle == NULL)
		log_error("the HTTP library cannot be loaded", LOG_TEXT("why", dlerror()));
	return handle != NULL;
}
