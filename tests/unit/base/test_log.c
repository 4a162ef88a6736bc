#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/err.h"
#include "server/base/clock.h"
#include "server/base/log.h"

static char dir[64], path[96];
static char content[1 << 16];

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mpd-unit-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/log", dir);
	return 0;
}

static int
teardown(void **state)
{
	char old[128];

	(void)state;
	log_close();
	snprintf(old, sizeof old, "%s.1", path);
	unlink(old);
	unlink(path);
	return rmdir(dir);
}

static const char *
read_log(const char *file)
{
	FILE *f = fopen(file, "r");
	size_t n;

	assert_non_null(f);
	n = fread(content, 1, sizeof content - 1, f);
	content[n] = '\0';
	fclose(f);
	return content;
}

static void
test_log__line_has_time_level_sentence_and_fields(void **state)
{
	int year, month, day, h, m, ms, rest = 0;
	float s;

	(void)state;
	assert_int_equal(log_open(path, "info"), 0);
	log_warn("the provider is slow", LOG_TEXT("name", "echo"), LOG_INT("ms", -5),
	    LOG_TEXT("said", "a \"b\" c"), LOG_TEXT("none", NULL));
	read_log(path);
	assert_int_equal(sscanf(content, "%d-%d-%d %d:%d:%f%n", &year, &month, &day, &h, &m, &s, &ms), 6);
	rest = ms;
	assert_string_equal(content + rest,
	    " warn  the provider is slow name=echo ms=-5 said=\"a \\\"b\\\" c\" none=\"\"\n");
}

static void
test_log__foreign_text_is_escaped_and_bounded(void **state)
{
	char *big = malloc(2000000);

	(void)state;
	memset(big, 'a', 1999999);
	big[1999999] = '\0';
	assert_int_equal(log_open(path, NULL), 0);
	log_info("heard", LOG_TEXT("t", "one\ntwo\x1b[31m"), LOG_TEXT("big", big));
	free(big);
	read_log(path);
	assert_non_null(strstr(content, "t=one\\x0atwo\\x1b[31m"));
	assert_null(strchr(content, '\x1b'));
	assert_ptr_equal(strchr(content, '\n'), content + strlen(content) - 1);
	assert_in_range(strlen(content), 512, 700);
	assert_non_null(strstr(content, "aaa...\n"));
}

static void
test_log__key_cut_by_the_bound_is_still_blanked(void **state)
{
	char text[700];
	struct secret *s = secret_new("Q7-this-is-a-secret-Q7", 22);

	(void)state;
	log_secret_register(s);
	memset(text, '.', sizeof text);
	memcpy(text + 505, "Q7-this-is-a-secret-Q7", 22);
	text[600] = '\0';
	assert_int_equal(log_open(path, NULL), 0);
	log_info("heard", LOG_TEXT("t", text));
	assert_null(strstr(read_log(path), "Q7"));
	assert_non_null(strstr(content, "..*******..."));
	log_secret_unregister(s);
	secret_free(s);
}

static void
test_log__level_is_respected(void **state)
{
	(void)state;
	assert_int_equal(log_open(path, "warn"), 0);
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
	read_log(path);
	assert_non_null(strstr(content, "error e\n"));
	assert_non_null(strstr(content, "warn  w\n"));
	assert_null(strstr(content, "info"));
	assert_int_equal(log_open(path, "loud"), MP_E_INVALID_PARAMS);
}

static void
test_log__file_is_private_and_links_are_not_followed(void **state)
{
	char target[128];
	struct stat st;
	mode_t old = umask(0);

	(void)state;
	assert_int_equal(log_open(path, NULL), 0);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	log_close();
	unlink(path);
	snprintf(target, sizeof target, "%s/target", dir);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(log_open(path, NULL), MP_E_NOT_PERMITTED);
	assert_int_equal(access(target, F_OK), -1);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_not_equal(log_open(path, NULL), 0);
}

static void
test_log__reopen_follows_a_rotation(void **state)
{
	char old[128];

	(void)state;
	snprintf(old, sizeof old, "%s.1", path);
	assert_int_equal(log_open(path, NULL), 0);
	log_info("first");
	assert_int_equal(rename(path, old), 0);
	log_info("second");
	assert_int_equal(log_reopen(), 0);
	log_info("third");
	assert_non_null(strstr(read_log(old), "second"));
	assert_null(strstr(content, "third"));
	assert_non_null(strstr(read_log(path), "third"));
}

/* ---- the ring ---- */

struct seen {
	int count;
	char first[32], last[32];
};

static void
see(void *arg, const struct log_line *line)
{
	struct seen *s = arg;

	snprintf(s->count == 0 ? s->first : s->last, sizeof s->last, "%s", line->text);
	s->count++;
}

static void
test_log__ring_keeps_the_newest_oldest_first(void **state)
{
	struct seen s = { 0 }, few = { 0 }, none = { 0 };

	(void)state;
	assert_int_equal(log_open(path, NULL), 0);
	for (int i = 0; i < 1500; i++)
		log_info("line", LOG_INT("n", i));
	log_recent(LOG_LEVEL_DEBUG, 0, 5000, see, &s);
	assert_int_equal(s.count, 1000);
	assert_string_equal(s.first, "line n=500");
	assert_string_equal(s.last, "line n=1499");
	log_recent(LOG_LEVEL_DEBUG, 0, 3, see, &few);
	assert_int_equal(few.count, 3);
	assert_string_equal(few.first, "line n=1497");
	log_recent(LOG_LEVEL_WARN, 0, 3, see, &none);
	log_recent(LOG_LEVEL_DEBUG, clock_wall_ms() + 60000, 3, see, &none);
	assert_int_equal(none.count, 0);
}

/* ---- stderr ---- */

static void
with_stderr(int fd, void (*run)(void))
{
	int saved = dup(STDERR_FILENO);

	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	run();
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static int pipe_fds[2];

static void
say_to_journal(void)
{
	char stream[64];
	struct stat st;

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open(NULL, NULL);
	log_info("hello");
	setenv("JOURNAL_STREAM", "1:2", 1); /* inherited from a service around us */
	log_open(NULL, NULL);
	log_info("hello");
	unsetenv("JOURNAL_STREAM");
}

static void
test_log__journal_lines_have_a_number(void **state)
{
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	with_stderr(pipe_fds[1], say_to_journal);
	n = read(pipe_fds[0], content, sizeof content - 1);
	assert_true(n > 0);
	content[n] = '\0';
	assert_memory_equal(content, "<6>hello\n2", 10);
	assert_non_null(strstr(content, " info  hello\n"));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void
say_much(void)
{
	log_open(NULL, NULL);
	for (int i = 0; i < 5000; i++)
		log_info("a line that nobody reads", LOG_INT("n", i));
	/* the reader comes back */
	assert_true(read(pipe_fds[0], content, sizeof content) > 0);
	log_info("after");
}

static void
test_log__reader_that_stops_does_not_stop_us(void **state)
{
	int64_t start = clock_monotonic_ms();
	ssize_t n, got = 0;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	with_stderr(pipe_fds[1], say_much);
	close(pipe_fds[1]);
	assert_true(clock_monotonic_ms() - start < 2000);
	while ((n = read(pipe_fds[0], content + got, sizeof content - 1 - (size_t)got)) > 0)
		got += n;
	content[got] = '\0';
	assert_non_null(strstr(content, "lines were lost)\n"));
	assert_non_null(strstr(content, "info  after\n"));
	close(pipe_fds[0]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_log__line_has_time_level_sentence_and_fields),
		T(test_log__foreign_text_is_escaped_and_bounded),
		T(test_log__key_cut_by_the_bound_is_still_blanked),
		T(test_log__level_is_respected),
		T(test_log__file_is_private_and_links_are_not_followed),
		T(test_log__reopen_follows_a_rotation),
		T(test_log__ring_keeps_the_newest_oldest_first),
		T(test_log__journal_lines_have_a_number),
		T(test_log__reader_that_stops_does_not_stop_us),
	};

	if (secret_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
