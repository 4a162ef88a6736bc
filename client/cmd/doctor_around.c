/* doctor: certificates, the environment, other programs of our names. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cmd/doctor.h"

static void
check_tls(struct doctor *d)
{
	static const char *const stores[] = {"/etc/ssl/certs/ca-certificates.crt",
	    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"};
	struct stat st;

	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
		if (stat(stores[i], &st) == 0 && st.st_size > 0) {
			doctor_report(d, LEVEL_OK, "tls", "", "certificates in %s", stores[i]);
			return;
		}
	doctor_report(d, LEVEL_FAIL, "tls", "apt install ca-certificates",
	    "no store of certificates was found");
}

static void
check_environment(struct doctor *d)
{
	static const char *const proxies[] = {
	    "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"};
	const char *host = getenv("MPD_HOST"), *found = NULL;

	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]) && found == NULL; i++) {
		const char *value = getenv(proxies[i]);

		if (value != NULL && *value != '\0')
			found = proxies[i];
	}
	if (found != NULL)
		doctor_report(d, LEVEL_WARN, "proxy",
		    "mpc provider set P proxy=URL for each provider behind it",
		    "%s is set; it is ignored here", found);
	else
		doctor_report(d, LEVEL_OK, "proxy", "", "no proxy variable is set");
	doctor_report(d, LEVEL_OK, "MPD_HOST", "", "%s",
	    host != NULL ? "set, for Music Player Daemon; it is never read here" : "not set");
}

/* Whether path is a program of ours: in the folder of this one, or a link to it. */
static bool
is_ours(const char *path)
{
	char self[PATH_MAX], real[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *base;

	if (n <= 0 || realpath(path, real) == NULL)
		return false;
	self[n] = '\0';
	base = strrchr(real, '/');
	return strcmp(real, self) == 0 ||
	       (base != NULL && (strcmp(base, "/modelpd") == 0 || strcmp(base, "/modelpc") == 0));
}

static void
check_names(struct doctor *d)
{
	static const char *const names[] = {"mpd", "mpc"};
	const char *path = getenv("PATH");
	size_t others = 0;

	while (path != NULL && *path != '\0') {
		size_t n = strcspn(path, ":");

		for (size_t i = 0; i < 2 && n > 0; i++) {
			const char *file = app_format(d->a, "%.*s/%s", (int)n, path, names[i]);

			if (access(file, X_OK) != 0 || is_ours(file))
				continue;
			others++;
			doctor_report(d, LEVEL_WARN, "names",
			    app_format(d->a, "use %s here, or put it later on PATH",
				i == 0 ? "modelpd" : "modelpc"),
			    "%s is another program (Music Player Daemon's?)", file);
		}
		path += n + (path[n] == ':');
	}
	if (others == 0)
		doctor_report(d, LEVEL_OK, "names", "", "no other mpd or mpc on PATH");
}

void
doctor_look_around(struct doctor *d)
{
	check_tls(d);
	check_environment(d);
	check_names(d);
}
