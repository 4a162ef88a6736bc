/* F68: connections that must not be trusted; F88: HTTP/2 is not offered. The server is openssl's own
 * s_server; without the openssl program the tests are skipped. */
#include "tests/unit/upstream/station.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

struct tls_server {
	char folder[64];
	char heard[96]; /* what the server printed: it echoes what it decrypts */
	char cert[96];
	char url[64];
	pid_t pid;
	int port;
};

static int
run(char *const argv[], const char *out, pid_t *background)
{
	pid_t pid = fork();
	int status, fd;

	if (pid == 0) {
		fd = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		if (background != NULL) {
			/* s_server ends when its input does */
			int ends[2];

			if (pipe(ends) == 0)
				dup2(ends[0], 0);
		}
		execvp(argv[0], argv);
		_exit(127);
	}
	if (background != NULL) {
		*background = pid;
		return 0;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static bool
can_connect(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ok = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
	close(fd);
	return ok;
}

#define ARG(text) (char[]){ text }

/* A self-signed certificate. name: its subjectAltName; days: how long it lasts. */
static bool
make_certificate(const struct tls_server *t, char *key, const char *name, char *days)
{
	char request[96], alt[96], log[96], cert[96];
	char *const ask[] = { ARG("openssl"), ARG("req"), ARG("-new"), ARG("-newkey"), ARG("ec"),
		ARG("-pkeyopt"), ARG("ec_paramgen_curve:prime256v1"), ARG("-nodes"), ARG("-subj"),
		ARG("/CN=test"), ARG("-addext"), alt, ARG("-keyout"), key, ARG("-out"), request,
		NULL };
	char *const sign[] = { ARG("openssl"), ARG("x509"), ARG("-req"), ARG("-in"), request,
		ARG("-signkey"), key, ARG("-copy_extensions"), ARG("copy"), ARG("-days"), days,
		ARG("-out"), cert, NULL };

	snprintf(request, sizeof request, "%s/request.pem", t->folder);
	snprintf(log, sizeof log, "%s/log", t->folder);
	snprintf(alt, sizeof alt, "subjectAltName=%s", name);
	snprintf(cert, sizeof cert, "%s", t->cert);
	return run(ask, log, NULL) == 0 && run(sign, log, NULL) == 0;
}

/* extra: up to three more arguments, NULL-terminated. False when there is no openssl program. */
static bool
tls_open(struct tls_server *t, const char *name, const char *days, const char *const *extra)
{
	char key[96], port[32], lasts[8];
	char words[3][32];
	char *serve[] = { ARG("openssl"), ARG("s_server"), ARG("-accept"), port, ARG("-cert"), t->cert,
		ARG("-key"), key, NULL, NULL, NULL, NULL };

	memset(t, 0, sizeof *t);
	strcpy(t->folder, "/tmp/mpd-tls-XXXXXX");
	assert_non_null(mkdtemp(t->folder));
	snprintf(key, sizeof key, "%s/key.pem", t->folder);
	snprintf(t->cert, sizeof t->cert, "%s/cert.pem", t->folder);
	snprintf(t->heard, sizeof t->heard, "%s/heard", t->folder);
	snprintf(lasts, sizeof lasts, "%s", days);
	if (!make_certificate(t, key, name, lasts))
		return false;
	t->port = free_port();
	snprintf(port, sizeof port, "127.0.0.1:%d", t->port);
	snprintf(t->url, sizeof t->url, "https://127.0.0.1:%d/v1", t->port);
	for (int i = 0; extra[i] != NULL; i++) {
		snprintf(words[i], sizeof words[i], "%s", extra[i]);
		serve[8 + i] = words[i];
	}
	run(serve, t->heard, &t->pid);
	for (int i = 0; i < 200 && !can_connect(t->port); i++)
		nap(10);
	return true;
}

static void
tls_close(struct tls_server *t)
{
	char path[128];

	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
	}
	static const char *const files[] = { "key.pem", "cert.pem", "heard", "log",
		"request.pem" };
	for (size_t i = 0; i < 5; i++) {
		snprintf(path, sizeof path, "%s/%s", t->folder, files[i]);
		unlink(path);
	}
	rmdir(t->folder);
}

static bool
tls_heard(const struct tls_server *t, const char *text)
{
	char all[8192];
	FILE *f = fopen(t->heard, "r");
	size_t n;

	if (f == NULL)
		return false;
	n = fread(all, 1, sizeof all, f);
	fclose(f);
	return memmem(all, n, text, strlen(text)) != NULL;
}

static void
call(struct customer *c, const struct tls_server *t, const char *ca_file)
{
	struct secret *key = secret_new("sk-never-sent", 13);

	customer_init(c, t->url);
	c->to.key = key;
	c->to.ca_file = ca_file;
	c->to.auth_style = AUTH_STYLE_BEARER;
	c->to.first_byte_ms = 300;
	customer_stream(c);
	secret_free(key);
}

static const char *const quiet[] = { "-quiet", "-tls1_2", NULL };

static void
must_refuse(const char *name, const char *days, bool own_ca, const char *const *extra,
    enum failure_class class)
{
	struct tls_server t;
	struct customer c;

	if (!tls_open(&t, name, days, extra)) {
		tls_close(&t);
		skip();
	}
	call(&c, &t, own_ca ? t.cert : NULL);
	assert_failure(&c, class, "tls");
	nap(50);
	assert_false(tls_heard(&t, "sk-never-sent"));
	assert_false(tls_heard(&t, "POST"));
	customer_clear(&c);
	tls_close(&t);
}

static void
test_tls__F68_self_signed(void **state)
{
	(void)state;
	must_refuse("IP:127.0.0.1", "30", false, quiet, FAILURE_CONFIG);
}

static void
test_tls__F68_wrong_name(void **state)
{
	(void)state;
	must_refuse("DNS:other.example", "30", true, quiet, FAILURE_CONFIG);
}

static void
test_tls__F68_expired(void **state)
{
	(void)state;
	must_refuse("IP:127.0.0.1", "-1", true, quiet, FAILURE_CONFIG);
}

static void
test_tls__F68_an_old_version(void **state)
{
	static const char *const old[] = { "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", NULL };

	(void)state;
	must_refuse("IP:127.0.0.1", "30", true, old, FAILURE_NETWORK);
}

static void
test_tls__F68_a_cut_handshake(void **state)
{
	struct station *s;
	struct customer c;
	char url[64];

	(void)state;
	s = station_open(serve_text, "");
	snprintf(url, sizeof url, "https://127.0.0.1:%d", s->port);
	customer_init(&c, url);
	c.to.connect_ms = 20000;
	customer_ask(&c, FRAMING_SSE, true);
	for (int i = 0; i < 500 && s->connections == 0; i++)
		customer_idle(&c, 20);
	station_close(s);
	customer_wait(&c, 20000);
	assert_int_equal(c.ends, 1);
	assert_failure(&c, FAILURE_NETWORK, "tls");
	customer_clear(&c);
}

static void
test_tls__a_ca_of_ones_own(void **state)
{
	struct tls_server t;
	struct customer c;

	(void)state;
	if (!tls_open(&t, "IP:127.0.0.1", "30", quiet)) {
		tls_close(&t);
		skip();
	}
	call(&c, &t, t.cert);
	/* s_server answers nothing, but it heard the request */
	assert_failure(&c, FAILURE_TIMEOUT, "first_byte");
	assert_true(tls_heard(&t, "Authorization: Bearer sk-never-sent"));
	customer_clear(&c);
	tls_close(&t);
}

static void
test_tls__a_ca_file_that_is_not_there(void **state)
{
	struct tls_server t;
	struct customer c;

	(void)state;
	if (!tls_open(&t, "IP:127.0.0.1", "30", quiet)) {
		tls_close(&t);
		skip();
	}
	call(&c, &t, "/nonexistent/ca.pem");
	assert_failure(&c, FAILURE_CONFIG, "tls");
	customer_clear(&c);
	tls_close(&t);
}

/* The server would rather speak HTTP/2: it is not even offered, so there are no GOAWAYs, resets of streams or
 * stalled windows to be hurt by. */
static void
test_tls__F88_http_2_is_never_agreed_on(void **state)
{
	static const char *const both[] = { "-tls1_3", "-alpn", "h2,http/1.1", NULL };
	struct tls_server t;
	struct customer c;

	(void)state;
	if (!tls_open(&t, "IP:127.0.0.1", "30", both)) {
		tls_close(&t);
		skip();
	}
	call(&c, &t, t.cert);
	assert_failure(&c, FAILURE_TIMEOUT, "first_byte"); /* it answers nothing */
	nap(50);
	assert_true(tls_heard(&t, "ALPN protocols advertised by the client: http/1.1"));
	assert_true(tls_heard(&t, "ALPN protocols selected: http/1.1"));
	assert_true(tls_heard(&t, "POST /v1/chat/completions HTTP/1.1"));
	assert_false(tls_heard(&t, "HTTP/2"));
	customer_clear(&c);
	tls_close(&t);
}

/* Who speaks nothing else is refused before a key is sent. */
static void
test_tls__F88_a_server_with_http_2_alone(void **state)
{
	static const char *const alone[] = { "-tls1_3", "-alpn", "h2", NULL };

	(void)state;
	must_refuse("IP:127.0.0.1", "30", true, alone, FAILURE_NETWORK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls__F68_self_signed),
		cmocka_unit_test(test_tls__F68_wrong_name),
		cmocka_unit_test(test_tls__F68_expired),
		cmocka_unit_test(test_tls__F68_an_old_version),
		cmocka_unit_test(test_tls__F68_a_cut_handshake),
		cmocka_unit_test(test_tls__F88_http_2_is_never_agreed_on),
		cmocka_unit_test(test_tls__F88_a_server_with_http_2_alone),
		cmocka_unit_test(test_tls__a_ca_of_ones_own),
		cmocka_unit_test(test_tls__a_ca_file_that_is_not_there),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
