#include "server/store/archive.h"
#include "tests/unit/store/scratch.h"

static struct error err;

static int
open_at(const char *name, int flags)
{
	int fd = open(in_scratch(name), flags | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* An archive of two files with this content. */
static void
make(const char *name, const char *first, size_t first_n, const char *second, size_t second_n)
{
	struct archive a;
	int fd = open_at(name, O_RDWR | O_CREAT | O_TRUNC), from;

	write_whole(in_scratch("first"), first, first_n, 0600);
	write_whole(in_scratch("second"), second, second_n, 0600);
	assert_int_equal(archive_begin(fd, &a, name, &err), 0);
	from = open_at("first", O_RDONLY);
	assert_int_equal(archive_add(fd, &a, "state.db", from, NULL, name, &err), 0);
	close(from);
	from = open_at("second", O_RDONLY);
	assert_int_equal(archive_add(fd, &a, "usage.db", from, NULL, name, &err), 0);
	close(from);
	assert_int_equal(archive_finish(fd, &a, name, &err), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), a.bytes);
	close(fd);
}

static int
read_archive(const char *name, struct archive *a)
{
	int fd = open_at(name, O_RDONLY), r;

	memset(&err, 0, sizeof err);
	r = archive_read(fd, a, name, &err);
	close(fd);
	return r;
}

/* Reads all of it: 0, or the first error. */
static int
use(const char *name)
{
	struct archive a;
	int fd, to, r = read_archive(name, &a);

	for (size_t i = 0; r == 0 && i < a.count; i++) {
		fd = open_at(name, O_RDONLY);
		to = open_at("out", O_RDWR | O_CREAT | O_TRUNC);
		r = archive_extract(fd, &a.files[i], to, NULL, name, &err);
		close(to);
		close(fd);
	}
	if (r != 0)
		assert_true(err.message[0] != '\0' && err.hint[0] != '\0' && err.code == r);
	return r;
}

static void
extract(const char *name, size_t i, const char *content, size_t n)
{
	struct archive a;
	int fd, to;

	assert_int_equal(read_archive(name, &a), 0);
	fd = open_at(name, O_RDONLY);
	to = open_at("out", O_RDWR | O_CREAT | O_TRUNC);
	assert_int_equal(archive_extract(fd, &a.files[i], to, NULL, name, &err), 0);
	close(to);
	close(fd);
	assert_true(same_content(in_scratch("out"), content, n));
}

static void
test_archive__gives_back_what_was_put_in(void **state)
{
	static char big[700001];
	struct archive a;

	(void)state;
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7 + i / 251);
	make("a", big, sizeof big, "", 0);
	assert_int_equal(read_archive("a", &a), 0);
	assert_int_equal(a.count, 2);
	assert_string_equal(a.files[0].name, "state.db");
	assert_int_equal(a.files[0].bytes, sizeof big);
	assert_string_equal(a.files[1].name, "usage.db");
	assert_int_equal(a.files[1].bytes, 0);
	assert_true(a.created_ms > 0 && a.program[0] != '\0');
	extract("a", 0, big, sizeof big);
	extract("a", 1, "", 0);
}

/* https://reveng.sourceforge.io/crc-catalogue/all.htm: CRC-64/XZ of "123456789" */
static void
test_archive__its_sums_are_the_known_ones(void **state)
{
	size_t n;
	char *bytes;

	(void)state;
	make("a", "123456789", 9, "x", 1);
	bytes = read_whole(in_scratch("a"), &n);
	assert_non_null(memmem(bytes, n, "995dc9bbdf1939fa", 16));
	free(bytes);
}

static void
test_archive__tar_takes_it_apart(void **state)
{
	char command[400];

	(void)state;
	make("a", "the state", 9, "the usage of it", 15);
	snprintf(command, sizeof command,
	    "cd '%s' && mkdir t && tar -xf a -C t && test \"$(ls t | tr '\\n' ' ')\" = "
	    "'modelpd-backup.json state.db usage.db ' && tar -tvf a | grep -q '^-rw-------.*state.db'",
	    scratch);
	assert_int_equal(system(command), 0);
	assert_true(same_content(in_scratch("t/state.db"), "the state", 9));
	assert_true(same_content(in_scratch("t/usage.db"), "the usage of it", 15));
}

/* What tar makes of the parts again is taken, with its padding and its owner. */
static void
test_archive__tar_puts_it_together(void **state)
{
	char command[400];

	(void)state;
	make("a", "the state", 9, "the usage", 9);
	snprintf(command, sizeof command,
	    "cd '%s' && mkdir t && tar -xf a -C t && "
	    "tar --format=ustar -cf b -C t modelpd-backup.json state.db usage.db", scratch);
	assert_int_equal(system(command), 0);
	assert_int_equal(use("b"), 0);
	extract("b", 1, "the usage", 9);
}

/* ---- what is not as it must be ---- */

static void
F21_test_archive__every_flipped_byte_is_found(void **state)
{
	char content[300], *bytes;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (char)(i * 13);
	make("a", content, sizeof content, "usage", 5);
	bytes = read_whole(in_scratch("a"), &n);
	for (size_t i = 0; i < n; i++) {
		bool blank = i >= 512 && i < 1536 && (bytes[i] == ' ' || bytes[i] == '\n');
		bool unused = i % 512 == 155; /* after the end of a header's own sum */
		bool padding = (i >= 2048 + sizeof content && i < 2560) || (i >= 3072 + 5 && i < 3584);
		struct archive a;

		bytes[i] = (char)(bytes[i] ^ 0x55);
		write_whole(in_scratch("b"), bytes, n, 0600);
		/* between the parts and in what people write nothing is promised but that nothing breaks */
		if (!padding && !blank && !unused && use("b") == 0) {
			assert_int_equal(read_archive("b", &a), 0);
			if (i < 512 || i >= 1536) /* else the date or the version, still well formed */
				fail_msg("byte %zu was changed and not seen", i);
		}
		bytes[i] = (char)(bytes[i] ^ 0x55);
	}
	free(bytes);
}

static void
F21_test_archive__cut_at_every_length(void **state)
{
	char *bytes;
	size_t n;

	(void)state;
	make("a", "the state", 9, "the usage", 9);
	bytes = read_whole(in_scratch("a"), &n);
	for (size_t cut = 0; cut < n; cut += 37) {
		write_whole(in_scratch("b"), bytes, cut, 0600);
		assert_int_equal(use("b"), MP_E_INVALID_STATE);
	}
	free(bytes);
}

static void
test_archive__more_after_the_end(void **state)
{
	char *bytes;
	size_t n;

	(void)state;
	make("a", "s", 1, "u", 1);
	bytes = read_whole(in_scratch("a"), &n);
	bytes = realloc(bytes, n + 1024);
	memset(bytes + n, 0, 1024);
	write_whole(in_scratch("b"), bytes, n + 1024, 0600);
	assert_int_equal(use("b"), 0);
	bytes[n + 600] = 'x';
	write_whole(in_scratch("b"), bytes, n + 1024, 0600);
	assert_int_equal(use("b"), MP_E_INVALID_STATE);
	free(bytes);
}

/* Writes other facts over those of an archive; they are as long as there is room. */
static void
with_facts(const char *facts)
{
	char *bytes;
	size_t n;

	make("a", "s", 1, "u", 1);
	bytes = read_whole(in_scratch("a"), &n);
	memset(bytes + 512, ' ', 1024);
	memcpy(bytes + 512, facts, strlen(facts));
	write_whole(in_scratch("b"), bytes, n, 0600);
	free(bytes);
}

#define SUM_S "\"crc64\":\"0000000000000000\""
#define FILE_S "{\"name\":\"state.db\",\"bytes\":1," SUM_S "}"
#define WITH(files) "{\"format\":1,\"created_ms\":1,\"program\":\"x\",\"files\":[" files "]}"

static void
test_archive__facts_that_do_not_hold(void **state)
{
	static const char *const bad[] = {
		"", "{", "[]", "{\"format\":1}", "{\"format\":\"1\"}", WITH(""),
		"{\"format\":1,\"created_ms\":-1,\"program\":\"x\",\"files\":[" FILE_S "]}",
		WITH(FILE_S "," FILE_S "," FILE_S),
		WITH("{\"name\":\"state.db\",\"bytes\":-1," SUM_S "}"),
		WITH("{\"name\":\"state.db\",\"bytes\":9007199254740993," SUM_S "}"),
		WITH("{\"name\":\"../x\",\"bytes\":1," SUM_S "}"),
		WITH("{\"name\":\"state.db\",\"bytes\":2," SUM_S "}"),
		WITH("{\"name\":\"state.db\",\"bytes\":1,\"crc64\":\"0\"}"),
		WITH(FILE_S), /* and the other file? */
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		with_facts(bad[i]);
		if (use("b") != MP_E_INVALID_STATE)
			fail_msg("taken: %s", bad[i]);
	}
	with_facts("{\"format\":2}");
	assert_int_equal(use("b"), MP_E_VERSION_MISMATCH);
	assert_non_null(strstr(err.message, "newer modelpd"));
}

static void
test_archive__anything_else_is_no_backup(void **state)
{
	(void)state;
	write_whole(in_scratch("b"), "", 0, 0600);
	assert_int_equal(use("b"), MP_E_INVALID_STATE);
	write_whole(in_scratch("b"), "hello", 5, 0600);
	assert_int_equal(use("b"), MP_E_INVALID_STATE);
}

static bool
stop_soon(const void *arg)
{
	static int pieces = 2;

	(void)arg;
	return --pieces < 0;
}

static void
test_archive__can_be_stopped(void **state)
{
	static char big[1 << 20];
	int fd, from;
	struct archive_patience p = { stop_soon, NULL };
	struct archive a;

	(void)state;
	write_whole(in_scratch("first"), big, sizeof big, 0600);
	fd = open_at("a", O_RDWR | O_CREAT);
	from = open_at("first", O_RDONLY);
	assert_int_equal(archive_begin(fd, &a, "a", &err), 0);
	assert_int_equal(archive_add(fd, &a, "state.db", from, &p, "a", &err), MP_E_CANCELLED);
	close(from);
	close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_archive__gives_back_what_was_put_in),
		T(test_archive__its_sums_are_the_known_ones),
		T(test_archive__tar_takes_it_apart),
		T(test_archive__tar_puts_it_together),
		T(F21_test_archive__every_flipped_byte_is_found),
		T(F21_test_archive__cut_at_every_length),
		T(test_archive__more_after_the_end),
		T(test_archive__facts_that_do_not_hold),
		T(test_archive__anything_else_is_no_backup),
		T(test_archive__can_be_stopped),
	};

	scratch_is_fast = true;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
