/* test_listener.c - the control socket's files and peers (THREATS.md section 5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "server/rpc/listener.h"
#include "server/rpc/sockfile.h"
#include "tests/unit/rpc/office.h"

static struct office office;
static struct paths paths;
static char run_dir[80], sock[100];

static int
setup(void **state)
{
	(void)state;
	office_open(&office, NULL);
	snprintf(run_dir, sizeof run_dir, "%.60s/run", office.dir);
	snprintf(sock, sizeof sock, "%s/rpc.sock", run_dir);
	paths = office.paths;
	paths.socket = strdup(sock);
	paths.run_dir = strdup(run_dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(paths.socket);
	free(paths.run_dir);
	office_close(&office);
	return 0;
}

static const char *
in_run(const char *name)
{
	static char path[200];

	snprintf(path, sizeof path, "%s/%s", run_dir, name);
	return path;
}

static int
open_and_bind(struct sockfile *f, struct error *err)
{
	int r = sockfile_open(&paths, f, err);

	if (r != 0)
		return r;
	r = sockfile_bind(f, err);
	if (r != 0) {
		sockfile_unlink(f);
		sockfile_close(f);
	}
	return r;
}

/* A socket file nobody listens on any more. */
static void
leave_dead_socket(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	close(fd);
}

static int
connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
test_listener__files_are_private_and_go_away(void **state)
{
	struct error err = ERROR_INIT;
	struct sockfile f;
	struct stat st;

	(void)state;
	umask(0);
	assert_int_equal(open_and_bind(&f, &err), 0);
	umask(077);
	assert_int_equal(stat(run_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(lstat(sock, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(lstat(in_run("pid"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	sockfile_unlink(&f);
	sockfile_close(&f);
	assert_int_not_equal(lstat(sock, &st), 0);
	assert_int_not_equal(lstat(in_run("pid"), &st), 0);
}

static void
test_listener__F05_dead_socket_is_replaced(void **state)
{
	struct error err = ERROR_INIT;
	struct sockfile f;
	int fd;

	(void)state;
	mkdir(run_dir, 0700);
	leave_dead_socket(sock);
	close(open(in_run("lock"), O_CREAT | O_RDWR, 0600));
	assert_int_equal(open_and_bind(&f, &err), 0);
	fd = connect_to(sock);
	assert_true(fd >= 0);
	close(fd);
	sockfile_unlink(&f);
	sockfile_close(&f);
}

static void
test_listener__F19_second_one_is_told_the_pid(void **state)
{
	struct error err = ERROR_INIT;
	struct sockfile first, second;
	char pid[32];

	(void)state;
	assert_int_equal(open_and_bind(&first, &err), 0);
	assert_int_equal(open_and_bind(&second, &err), MP_E_BUSY);
	snprintf(pid, sizeof pid, "pid %d", (int)getpid());
	assert_non_null(strstr(err.message, pid));
	sockfile_unlink(&first);
	sockfile_close(&first);
}

static void
test_listener__living_socket_without_lock_is_left_alone(void **state)
{
	struct error err = ERROR_INIT;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct sockfile f;
	struct stat st;
	int fd;

	(void)state;
	mkdir(run_dir, 0700);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", sock);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(open_and_bind(&f, &err), MP_E_BUSY);
	assert_int_equal(lstat(sock, &st), 0);
	close(fd);
}

static void
test_listener__F44_what_is_no_socket_stays(void **state)
{
	struct error err = ERROR_INIT;
	struct sockfile f;
	struct stat st;

	(void)state;
	mkdir(run_dir, 0700);
	close(open(sock, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(open_and_bind(&f, &err), MP_E_NOT_PERMITTED);
	assert_int_equal(lstat(sock, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	unlink(sock);
	assert_int_equal(symlink("/nowhere/at/all", sock), 0);
	assert_int_equal(open_and_bind(&f, &err), MP_E_NOT_PERMITTED);
	assert_int_equal(lstat(sock, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void
test_listener__F44_open_folder_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	struct sockfile f;
	struct stat st;

	(void)state;
	mkdir(run_dir, 0700);
	chmod(run_dir, 0755);
	assert_int_equal(open_and_bind(&f, &err), MP_E_NOT_PERMITTED);
	assert_non_null(strstr(err.hint, "chmod"));
	assert_int_equal(stat(run_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_not_equal(lstat(sock, &st), 0);
}

static void
test_listener__F18_lock_must_be_a_plain_file(void **state)
{
	struct error err = ERROR_INIT;
	struct sockfile f;

	(void)state;
	mkdir(run_dir, 0700);
	assert_int_equal(symlink("elsewhere", in_run("lock")), 0);
	assert_int_equal(open_and_bind(&f, &err), MP_E_NOT_PERMITTED);
	assert_int_not_equal(access(in_run("elsewhere"), F_OK), 0);
	unlink(in_run("lock"));
	assert_int_equal(mkdir(in_run("lock"), 0700), 0);
	assert_int_equal(open_and_bind(&f, &err), MP_E_NOT_PERMITTED);
	rmdir(in_run("lock"));
	assert_int_equal(mkfifo(in_run("lock"), 0600), 0);
	assert_int_equal(open_and_bind(&f, &err), MP_E_NOT_PERMITTED);
}

static void
test_listener__a_replaced_socket_is_not_removed(void **state)
{
	struct error err = ERROR_INIT;
	struct sockfile f;
	struct stat st;

	(void)state;
	assert_int_equal(open_and_bind(&f, &err), 0);
	assert_true(sockfile_is_ours(&f, &st));
	unlink(sock);
	leave_dead_socket(sock);
	assert_false(sockfile_is_ours(&f, &st));
	sockfile_unlink(&f);
	sockfile_close(&f);
	assert_int_equal(lstat(sock, &st), 0);
}

static void
test_listener__activation_takes_one_listening_socket(void **state)
{
	struct error err = ERROR_INIT;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct sockfile f;
	struct stat st;
	char pid[16];
	int fd, kept;

	(void)state;
	mkdir(run_dir, 0700);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s/passed.sock", run_dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 5), 0);
	kept = fcntl(3, F_DUPFD_CLOEXEC, 100); /* whatever this process has there */
	assert_int_equal(dup2(fd, 3), 3);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(open_and_bind(&f, &err), 0);
	assert_int_equal(f.fd, 3);
	assert_string_equal(paths.socket, a.sun_path);
	assert_null(getenv("LISTEN_FDS"));
	sockfile_unlink(&f);
	sockfile_close(&f);
	/* it belongs to the service manager: the file stays */
	assert_int_equal(lstat(a.sun_path, &st), 0);
	if (fd != 3)
		close(fd);
	if (kept >= 0) {
		dup2(kept, 3);
		close(kept);
	}
}

static void
test_listener__activation_refuses_anything_else(void **state)
{
	struct error err = ERROR_INIT;
	struct sockfile f;
	char pid[16];
	int kept = fcntl(3, F_DUPFD_CLOEXEC, 100), null;

	(void)state;
	null = open("/dev/null", O_RDONLY);
	assert_int_equal(dup2(null, 3), 3);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(open_and_bind(&f, &err), MP_E_NOT_PERMITTED);
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	assert_int_equal(open_and_bind(&f, &err), MP_E_NOT_PERMITTED);
	if (null != 3)
		close(null);
	if (kept >= 0) {
		dup2(kept, 3);
		close(kept);
	} else {
		close(3);
	}
}

/* ---- a running listener ---- */

static struct listener *
start(void)
{
	struct error err = ERROR_INIT;
	struct listener *l;

	assert_int_equal(listener_open(&paths, &l, &err), 0);
	assert_int_equal(listener_start(l, office.parts.loop, office.server, &err), 0);
	return l;
}

static void
turn(int rounds)
{
	for (int i = 0; i < rounds; i++)
		loop_once(office.parts.loop, 5);
}

static void
test_listener__F43_another_uid_is_closed_without_a_byte(void **state)
{
	struct listener *l;
	int status, done[2];
	pid_t child;
	char byte;

	(void)state;
	if (geteuid() != 0)
		skip();
	l = start();
	assert_int_equal(pipe(done), 0);
	chmod(office.dir, 0711);
	chmod(run_dir, 0711);
	chmod(sock, 0666);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char got;
		int fd, n;

		if (setresuid(65534, 65534, 65534) != 0 || (fd = connect_to(sock)) < 0)
			_exit(2);
		if (write(done[1], "x", 1) != 1)
			_exit(3);
		fcntl(fd, F_SETFL, 0);
		alarm(5); /* who is let in would wait for ever */
		n = (int)read(fd, &got, 1);
		_exit(n == 0 ? 0 : 4);
	}
	assert_int_equal(read(done[0], &byte, 1), 1);
	turn(20);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(office.server->refused_peers, 1);
	assert_int_equal(office.server->conn_count, 0);
	close(done[0]);
	close(done[1]);
	listener_free(l);
}

static void
test_listener__F31_no_descriptors_left(void **state)
{
	struct listener *l = start();
	struct rlimit before, low;
	struct peer old;
	int first, second, hogs[1024], n = 0;

	(void)state;
	peer_open(&old, &office);
	assert_true(peer_ask(&old, "sys.ping", "{}"));
	first = connect_to(sock);
	second = connect_to(sock);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 900;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (n < 1024 && (hogs[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	turn(5);
	assert_int_equal(office.server->conn_count, 1);
	assert_int_equal(office.server->refused_full, 1);
	assert_true(peer_ask(&old, "sys.ping", "{}")); /* existing clients are served */
	while (n > 0)
		close(hogs[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	turn(40);
	assert_int_equal(office.server->conn_count, 2); /* the listener came back */
	close(first);
	close(second);
	peer_close(&old);
	turn(3);
	listener_free(l);
}

static void
test_listener__F64_passed_descriptors_are_not_kept(void **state)
{
	struct listener *l = start();
	struct iovec iov = { (char[]){ (char)0x94 }, 1 };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof control };
	struct cmsghdr *c;
	int ends[2], fd = connect_to(sock);
	char byte;

	(void)state;
	turn(3);
	assert_int_equal(pipe(ends), 0);
	memset(&control, 0, sizeof control);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &ends[1], sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, 0), 1);
	close(ends[1]);
	turn(5);
	/* nobody holds the other end any more */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	close(fd);
	turn(3);
	listener_free(l);
}

static void
said_replaced(void *arg, const struct log_line *line)
{
	if (strstr(line->text, "was replaced") != NULL)
		*(bool *)arg = true;
}

static void
test_listener__F45_replaced_socket_is_noticed(void **state)
{
	struct listener *l = start();
	char other[200];
	bool said = false;

	(void)state;
	snprintf(other, sizeof other, "%s", in_run("other"));
	leave_dead_socket(other);
	assert_int_equal(rename(other, sock), 0);
	turn(20);
	log_recent(LOG_LEVEL_DEBUG, 0, 1000, said_replaced, &said);
	assert_true(said);
	listener_free(l);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_listener__files_are_private_and_go_away),
		TEST(test_listener__F05_dead_socket_is_replaced),
		TEST(test_listener__F19_second_one_is_told_the_pid),
		TEST(test_listener__living_socket_without_lock_is_left_alone),
		TEST(test_listener__F44_what_is_no_socket_stays),
		TEST(test_listener__F44_open_folder_is_refused),
		TEST(test_listener__F18_lock_must_be_a_plain_file),
		TEST(test_listener__a_replaced_socket_is_not_removed),
		TEST(test_listener__activation_takes_one_listening_socket),
		TEST(test_listener__activation_refuses_anything_else),
		TEST(test_listener__F43_another_uid_is_closed_without_a_byte),
		TEST(test_listener__F31_no_descriptors_left),
		TEST(test_listener__F64_passed_descriptors_are_not_kept),
		TEST(test_listener__F45_replaced_socket_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
