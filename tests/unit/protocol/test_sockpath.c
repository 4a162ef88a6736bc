/* test_sockpath.c - where things lie, and what is not trusted, with real directories and sockets.
 */
#include "tests/unit/protocol/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/sockpath.h"

struct place {
	char top[64];    /* a private temporary directory */
	char dir[80];    /* top/run */
	char socket[96]; /* top/run/rpc.sock */
	struct paths paths;
};

static const char *const variables[] = {"HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
    "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MODELPD_SOCKET", "MODELPD_DATA_DIR",
    "MODELPD_CONFIG_DIR"};

static int
setup(void **state)
{
	struct place *at = calloc(1, sizeof *at);
	size_t i;

	for (i = 0; i < sizeof variables / sizeof variables[0]; i++)
		unsetenv(variables[i]);
	snprintf(at->top, sizeof at->top, "/tmp/mpd-sockpath-XXXXXX");
	if (mkdtemp(at->top) == NULL)
		return -1;
	snprintf(at->dir, sizeof at->dir, "%s/run", at->top);
	snprintf(at->socket, sizeof at->socket, "%s/rpc.sock", at->dir);
	setenv("HOME", at->top, 1);
	*state = at;
	return paths_find(at->socket, &at->paths, NULL);
}

static int
teardown(void **state)
{
	struct place *at = *state;
	char command[128];
	int r;

	snprintf(command, sizeof command, "rm -rf -- '%s'", at->top);
	r = system(command);
	paths_clear(&at->paths);
	free(at);
	return r;
}

/* A listening socket at path; its file stays when the descriptor is closed. */
static int
listen_at(const char *path, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* ---- paths ---- */

static void
test_sockpath__defaults_below_home(void **state)
{
	struct paths p;

	(void)state;
	setenv("HOME", "/home/u", 1);
	assert_int_equal(paths_find(NULL, &p, NULL), 0);
	assert_string_equal(p.socket, "/home/u/.local/state/modelpd/run/rpc.sock");
	assert_string_equal(p.run_dir, "/home/u/.local/state/modelpd/run");
	assert_string_equal(p.data_dir, "/home/u/.local/share/modelpd");
	assert_string_equal(p.config_dir, "/home/u/.config/modelpd");
	assert_string_equal(p.state_dir, "/home/u/.local/state/modelpd");
	assert_string_equal(p.cache_dir, "/home/u/.cache/modelpd");
	paths_clear(&p);
}

static void
test_sockpath__xdg_variables(void **state)
{
	struct paths p;

	(void)state;
	unsetenv("HOME");
	setenv("XDG_RUNTIME_DIR", "/run/user/1000/", 1);
	setenv("XDG_STATE_HOME", "/x/state", 1);
	setenv("XDG_DATA_HOME", "/x/data", 1);
	setenv("XDG_CONFIG_HOME", "/x/config", 1);
	setenv("XDG_CACHE_HOME", "/x/cache", 1);
	assert_int_equal(paths_find(NULL, &p, NULL), 0);
	assert_string_equal(p.socket, "/run/user/1000/modelpd/rpc.sock");
	assert_string_equal(p.run_dir, "/run/user/1000/modelpd");
	assert_string_equal(p.data_dir, "/x/data/modelpd");
	assert_string_equal(p.config_dir, "/x/config/modelpd");
	assert_string_equal(p.state_dir, "/x/state/modelpd");
	assert_string_equal(p.cache_dir, "/x/cache/modelpd");
	paths_clear(&p);
	setenv("XDG_RUNTIME_DIR", "", 1);
	assert_int_equal(paths_find(NULL, &p, NULL), 0);
	assert_string_equal(p.socket, "/x/state/modelpd/run/rpc.sock");
	paths_clear(&p);
}

static void
test_sockpath__own_variables_and_option_win(void **state)
{
	struct paths p;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
	setenv("MODELPD_SOCKET", "/s/a.sock", 1);
	setenv("MODELPD_DATA_DIR", "/s/data/", 1);
	setenv("MODELPD_CONFIG_DIR", "/s/config", 1);
	assert_int_equal(paths_find(NULL, &p, NULL), 0);
	assert_string_equal(p.socket, "/s/a.sock");
	assert_string_equal(p.run_dir, "/s");
	assert_string_equal(p.data_dir, "/s/data");
	assert_string_equal(p.config_dir, "/s/config");
	paths_clear(&p);
	assert_int_equal(paths_find("/t/b.sock", &p, NULL), 0);
	assert_string_equal(p.socket, "/t/b.sock");
	paths_clear(&p);
}

static void
test_sockpath__refuses_what_it_cannot_use(void **state)
{
	struct error err;
	struct paths p;

	(void)state;
	assert_int_equal(paths_find("relative.sock", &p, &err), MP_E_INVALID_PARAMS);
	assert_non_null(strstr(err.message, "--socket"));
	assert_int_equal(paths_find("/tmp/", &p, &err), MP_E_INVALID_PARAMS);
	setenv("XDG_RUNTIME_DIR", "run", 1);
	assert_int_equal(paths_find(NULL, &p, &err), MP_E_INVALID_PARAMS);
	assert_non_null(strstr(err.message, "XDG_RUNTIME_DIR"));
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("HOME");
	assert_int_equal(paths_find(NULL, &p, &err), MP_E_INVALID_PARAMS);
	assert_non_null(strstr(err.message, "HOME"));
}

static void
test_sockpath__F44_path_of_108_bytes(void **state)
{
	struct error err;
	struct paths p;
	char path[109];

	(void)state;
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[108] = '\0';
	assert_int_equal(paths_find(path, &p, &err), MP_E_INVALID_PARAMS);
	assert_non_null(strstr(err.message, "108 bytes"));
	path[107] = '\0';
	assert_int_equal(paths_find(path, &p, &err), 0);
	paths_clear(&p);
}

/* ---- directories ---- */

static unsigned
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
test_sockpath__makes_private_directories(void **state)
{
	struct place *at = *state;
	char deep[160], middle[128];
	mode_t mask = umask(0);
	int fd;

	snprintf(middle, sizeof middle, "%s/a/b", at->top);
	snprintf(deep, sizeof deep, "%s//c/", middle);
	fd = private_dir_open(deep, true, NULL);
	umask(mask);
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(fd);
	assert_int_equal(mode_of(deep), 0700);
	assert_int_equal(mode_of(middle), 0700);
	fd = private_dir_open(deep, true, NULL);
	assert_true(fd >= 0);
	close(fd);
}

static void
test_sockpath__missing_directory(void **state)
{
	struct place *at = *state;
	struct error err;

	assert_int_equal(private_dir_open(at->dir, false, &err), MP_E_NOT_FOUND);
	assert_int_equal(access(at->dir, F_OK), -1);
}

static void
test_sockpath__F44_open_to_others(void **state)
{
	static const mode_t modes[] = { 0755, 0777, 0710, 0701, 01777 };
	struct place *at = *state;
	struct error err;
	size_t i;

	assert_int_equal(mkdir(at->dir, 0700), 0);
	for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		assert_int_equal(chmod(at->dir, modes[i]), 0);
		assert_int_equal(private_dir_open(at->dir, true, &err), MP_E_NOT_PERMITTED);
		assert_non_null(strstr(err.hint, "chmod 0700"));
		assert_int_equal(mode_of(at->dir), modes[i]);
	}
}

static void
test_sockpath__F44_foreign_owner(void **state)
{
	struct place *at = *state;
	struct error err;

	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(at->dir, 0700), 0);
	assert_int_equal(chown(at->dir, 1, 1), 0);
	assert_int_equal(private_dir_open(at->dir, true, &err), MP_E_NOT_PERMITTED);
	assert_non_null(strstr(err.hint, "chown"));
}

static void
test_sockpath__F44_symbolic_link(void **state)
{
	struct place *at = *state;
	struct error err;
	char real[96];
	int fd;

	snprintf(real, sizeof real, "%s/real", at->top);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, at->dir), 0);
	assert_int_equal(private_dir_open(at->dir, true, &err), MP_E_NOT_PERMITTED);
	assert_non_null(strstr(err.message, "symbolic link"));
	/* a link further up is the user's own business */
	snprintf(real, sizeof real, "%s/below", at->dir);
	fd = private_dir_open(real, true, &err);
	assert_true(fd >= 0);
	close(fd);
}

static void
test_sockpath__F44_regular_file(void **state)
{
	struct place *at = *state;
	struct error err;
	int fd = open(at->dir, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(private_dir_open(at->dir, true, &err), MP_E_NOT_PERMITTED);
	assert_int_equal(access(at->dir, F_OK), 0);
}

/* ---- connecting ---- */

static void
test_sockpath__connects(void **state)
{
	struct place *at = *state;
	struct error err;
	uid_t uid = 12345;
	pid_t pid = 0;
	int server, fd;

	assert_int_equal(mkdir(at->dir, 0700), 0);
	server = listen_at(at->socket, 5);
	fd = daemon_connect(&at->paths, &err);
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
	assert_int_equal(peer_uid(fd, &uid, &pid), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(pid, getpid());
	close(fd);
	close(server);
}

static void
test_sockpath__no_daemon(void **state)
{
	struct place *at = *state;
	struct error err;

	assert_int_equal(daemon_connect(&at->paths, &err), MP_E_NOT_FOUND);
	assert_int_equal(mkdir(at->dir, 0700), 0);
	assert_int_equal(daemon_connect(&at->paths, &err), MP_E_NOT_FOUND);
	close(listen_at(at->socket, 5)); /* what a killed daemon leaves behind */
	assert_int_equal(daemon_connect(&at->paths, &err), MP_E_NOT_FOUND);
	assert_int_equal(access(at->socket, F_OK), 0);
}

static void
test_sockpath__full_backlog_is_busy(void **state)
{
	struct place *at = *state;
	int fds[64], n = 0, r = 0, server;
	struct error err;

	assert_int_equal(mkdir(at->dir, 0700), 0);
	server = listen_at(at->socket, 0);
	while (n < 64 && (r = daemon_connect(&at->paths, &err)) >= 0)
		fds[n++] = r;
	assert_int_equal(r, MP_E_BUSY);
	while (n > 0)
		close(fds[--n]);
	close(server);
}

static void
test_sockpath__F44_socket_is_a_link_or_a_file(void **state)
{
	struct place *at = *state;
	struct error err;
	char real[96];
	int server, fd;

	assert_int_equal(mkdir(at->dir, 0700), 0);
	snprintf(real, sizeof real, "%s/elsewhere.sock", at->top);
	server = listen_at(real, 5);
	assert_int_equal(symlink(real, at->socket), 0);
	assert_int_equal(daemon_connect(&at->paths, &err), MP_E_NOT_PERMITTED);
	assert_int_equal(accept(server, NULL, NULL), -1);
	close(server);
	assert_int_equal(unlink(at->socket), 0);
	fd = open(at->socket, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(daemon_connect(&at->paths, &err), MP_E_NOT_PERMITTED);
	assert_int_equal(access(at->socket, F_OK), 0);
}

static void
test_sockpath__F45_directory_open_to_others(void **state)
{
	struct place *at = *state;
	struct error err;
	int server;

	assert_int_equal(mkdir(at->dir, 0700), 0);
	server = listen_at(at->socket, 5);
	assert_int_equal(chmod(at->dir, 0777), 0);
	assert_int_equal(daemon_connect(&at->paths, &err), MP_E_NOT_PERMITTED);
	assert_int_equal(accept(server, NULL, NULL), -1);
	close(server);
}

static void
test_sockpath__F45_socket_of_another_user(void **state)
{
	struct place *at = *state;
	struct error err;
	int server;

	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(at->dir, 0700), 0);
	server = listen_at(at->socket, 5);
	assert_int_equal(chown(at->socket, 1, 1), 0);
	assert_int_equal(daemon_connect(&at->paths, &err), MP_E_NOT_PERMITTED);
	assert_int_equal(accept(server, NULL, NULL), -1);
	close(server);
}

/* The socket file is ours, but the process that listens on it is another user's. */
static void
test_sockpath__F46_server_of_another_user(void **state)
{
	struct place *at = *state;
	struct error err;
	char byte;
	int server, fd, status;
	pid_t child;

	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(at->dir, 0700), 0);
	server = listen_at(at->socket, 5);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) /* listening again makes the child's credentials the peer's */
		_exit(setuid(65534) != 0 || listen(server, 6) != 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(daemon_connect(&at->paths, &err), MP_E_NOT_PERMITTED);
	assert_non_null(strstr(err.message, "65534"));
	fd = accept(server, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
	close(server);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_sockpath__defaults_below_home),
		CASE(test_sockpath__xdg_variables),
		CASE(test_sockpath__own_variables_and_option_win),
		CASE(test_sockpath__refuses_what_it_cannot_use),
		CASE(test_sockpath__F44_path_of_108_bytes),
		CASE(test_sockpath__makes_private_directories),
		CASE(test_sockpath__missing_directory),
		CASE(test_sockpath__F44_open_to_others),
		CASE(test_sockpath__F44_foreign_owner),
		CASE(test_sockpath__F44_symbolic_link),
		CASE(test_sockpath__F44_regular_file),
		CASE(test_sockpath__connects),
		CASE(test_sockpath__no_daemon),
		CASE(test_sockpath__full_backlog_is_busy),
		CASE(test_sockpath__F44_socket_is_a_link_or_a_file),
		CASE(test_sockpath__F45_directory_open_to_others),
		CASE(test_sockpath__F45_socket_of_another_user),
		CASE(test_sockpath__F46_server_of_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
