/* sockpath.c - where things lie. */
#include "protocol/sockpath.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "protocol/limits.h"

/* Without the slashes at its end, so that joined paths have single ones. */
static char *
join(const char *dir, const char *rest)
{
	size_t n = strlen(dir), size;
	char *path;

	while (n > 0 && dir[n - 1] == '/')
		n--;
	size = n + strlen(rest) + 1;
	path = xcalloc(1, size);
	snprintf(path, size, "%.*s%s", (int)n, dir, rest);
	return path;
}

/* NULL when unset or empty, as the XDG specification says. */
static const char *
variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static int
absolute(const char *path, const char *name, struct error *err)
{
	if (path[0] == '/')
		return 0;
	error_set(err, MP_E_INVALID_PARAMS, "%s must be an absolute path, not \"%s\"", name, path);
	return MP_E_INVALID_PARAMS;
}

/* $variable + rest, or $HOME + below_home + rest. */
static int
xdg_path(const char *name, const char *below_home, const char *rest, char **out,
    struct error *err)
{
	const char *base = variable(name);
	const char *home = variable("HOME");
	char *middle;
	int r;

	if (base != NULL) {
		if ((r = absolute(base, name, err)) != 0)
			return r;
		*out = join(base, rest);
		return 0;
	}
	if (home == NULL) {
		error_set(err, MP_E_INVALID_PARAMS, "neither HOME nor %s is set", name);
		error_hint(err, "set HOME to your home directory");
		return MP_E_INVALID_PARAMS;
	}
	if ((r = absolute(home, "HOME", err)) != 0)
		return r;
	middle = join(home, below_home);
	*out = join(middle, rest);
	free(middle);
	return 0;
}

#ifdef __APPLE__
#define APPLE_HOME "/Library/Application Support"
#define DATA_HOME APPLE_HOME
#define CONFIG_HOME APPLE_HOME
#define STATE_HOME APPLE_HOME
#define CACHE_HOME "/Library/Caches"
#define RUNTIME_VARIABLE "TMPDIR" /* private to the user there */
#else
#define DATA_HOME "/.local/share"
#define CONFIG_HOME "/.config"
#define STATE_HOME "/.local/state"
#define CACHE_HOME "/.cache"
#define RUNTIME_VARIABLE "XDG_RUNTIME_DIR"
#endif

static int
own_path(const char *own, const char *xdg, const char *below_home, char **out, struct error *err)
{
	const char *value = own == NULL ? NULL : variable(own);
	int r;

	if (value == NULL)
		return xdg_path(xdg, below_home, "/modelpd", out, err);
	if ((r = absolute(value, own, err)) != 0)
		return r;
	*out = join(value, "");
	return 0;
}

static int
socket_path(const char *override, char **out, struct error *err)
{
	const char *value = override;
	const char *name = "--socket";
	int r;

	if (value == NULL) {
		value = variable("MODELPD_SOCKET");
		name = "MODELPD_SOCKET";
	}
	if (value != NULL) {
		if ((r = absolute(value, name, err)) != 0)
			return r;
		*out = xstrdup(value);
		return 0;
	}
	if ((value = variable(RUNTIME_VARIABLE)) != NULL) {
		if ((r = absolute(value, RUNTIME_VARIABLE, err)) != 0)
			return r;
		*out = join(value, "/modelpd/rpc.sock");
		return 0;
	}
	return xdg_path("XDG_STATE_HOME", STATE_HOME, "/modelpd/run/rpc.sock", out, err);
}

/* The socket must have a file name and fit in a sockaddr_un. */
static int
socket_check(struct paths *p, struct error *err)
{
	size_t n = strlen(p->socket);
	char *slash = strrchr(p->socket, '/');

	if (n > LIMIT_SOCKET_PATH) {
		error_set(err, MP_E_INVALID_PARAMS,
		    "the socket path has %zu bytes, more than the %d a socket may have: %s", n,
		    LIMIT_SOCKET_PATH, p->socket);
		error_hint(err, "set MODELPD_SOCKET to a shorter path in a directory of your own");
		return MP_E_INVALID_PARAMS;
	}
	if (slash[1] == '\0')
		return error_set(err, MP_E_INVALID_PARAMS, "the socket path names a directory: %s",
		    p->socket);
	p->run_dir = slice_dup((struct slice){ p->socket, (size_t)(slash - p->socket) });
	if (p->run_dir[0] == '\0') {
		free(p->run_dir);
		p->run_dir = xstrdup("/");
	}
	return 0;
}

int
paths_find(const char *socket_override, struct paths *out, struct error *err)
{
	struct paths p = { 0 };
	int r;

	if ((r = socket_path(socket_override, &p.socket, err)) != 0
	    || (r = socket_check(&p, err)) != 0
	    || (r = own_path("MODELPD_DATA_DIR", "XDG_DATA_HOME", DATA_HOME, &p.data_dir, err)) != 0
	    || (r = own_path("MODELPD_CONFIG_DIR", "XDG_CONFIG_HOME", CONFIG_HOME, &p.config_dir,
	            err)) != 0
	    || (r = own_path(NULL, "XDG_STATE_HOME", STATE_HOME, &p.state_dir, err)) != 0
	    || (r = own_path(NULL, "XDG_CACHE_HOME", CACHE_HOME, &p.cache_dir, err)) != 0) {
		paths_clear(&p);
		return r;
	}
	*out = p;
	return 0;
}

void
paths_clear(struct paths *p)
{
	free(p->socket);
	free(p->run_dir);
	free(p->data_dir);
	free(p->config_dir);
	free(p->state_dir);
	free(p->cache_dir);
	memset(p, 0, sizeof *p);
}
