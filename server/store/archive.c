#include "server/store/archive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpd_version.h"
#include "protocol/base/json.h"
#include "protocol/base/str.h"
#include "server/base/clock.h"

#define BLOCK 512
#define FORMAT 1
#define FACTS_NAME "modelpd-backup.json"
#define FACTS_BYTES 1024          /* blanks fill it up, so that it can be written last and stand first */
#define FILE_BYTES_MAX 077777777777 /* 8 GiB: what the length field of a header holds */
#define PIECE ((size_t)256 << 10)
#define TAIL_MAX ((int64_t)1 << 20) /* zeros that other programs pad an archive with */

/* POSIX.1-1988 ustar; texts end with NUL unless they fill the field, numbers are octal. */
struct header {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6], version[2];
	char user[32], group[32];
	char device[16];
	char prefix[155];
	char unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* ---- sums ---- */

/* CRC-64 as in xz: reflected, begins and ends inverted. */
struct summing {
	uint64_t value;
	uint64_t table[256];
};

static void
sum_begin(struct summing *s)
{
	s->value = ~UINT64_C(0);
	for (unsigned i = 0; i < 256; i++) {
		s->table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			s->table[i] = (s->table[i] >> 1) ^
			    ((s->table[i] & 1) != 0 ? UINT64_C(0xc96c5795d7870f42) : 0);
	}
}

static void
sum_add(struct summing *s, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n-- > 0)
		s->value = s->table[(s->value ^ *p++) & 0xff] ^ (s->value >> 8);
}

static unsigned
header_sum(const struct header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof *h; i++)
		sum += i >= offsetof(struct header, checksum) && i < offsetof(struct header, type) ? ' '
		                                                                                : p[i];
	return sum;
}

/* ---- errors ---- */

static int
io_failed(const char *what, const char *path, struct error *err)
{
	int full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

	error_set(err, MP_E_STORAGE, "cannot %s %s: %s", what, path, strerror(errno));
	if (full)
		error_hint(err, "make room on that disk, or choose another place");
	return MP_E_STORAGE;
}

static int
damaged(const char *path, const char *why, struct error *err)
{
	error_set(err, MP_E_INVALID_STATE, "%s is no whole backup: %s", path, why);
	error_hint(err, "nothing was changed; use another backup");
	return MP_E_INVALID_STATE;
}

static int
stopped(const struct archive_patience *p, struct error *err)
{
	if (p == NULL || p->stop == NULL || !p->stop(p->arg))
		return 0;
	return error_set(err, MP_E_CANCELLED, "cancelled");
}

/* ---- bytes ---- */

static int
write_all(int fd, const void *data, size_t n, int64_t at)
{
	const char *from = data;

	while (n > 0) {
		ssize_t done = pwrite(fd, from, n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		from += done;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

/* How much was there, up to n; -1. */
static ssize_t
read_all(int fd, void *data, size_t n, int64_t at)
{
	size_t got = 0;

	while (got < n) {
		ssize_t more = pread(fd, (char *)data + got, n - got, at + (int64_t)got);

		if (more < 0 && errno == EINTR)
			continue;
		if (more < 0)
			return -1;
		if (more == 0)
			break;
		got += (size_t)more;
	}
	return (ssize_t)got;
}

static int64_t
padded(int64_t n)
{
	return (n + BLOCK - 1) / BLOCK * BLOCK;
}

/* ---- writing ---- */

static int
write_header(int fd, const struct archive *a, const char *name, int64_t bytes, int64_t at)
{
	struct header h = { .type = '0', .mode = "0000600", .uid = "0000000", .gid = "0000000",
		.magic = "ustar", .version = { '0', '0' } };
	char number[13];

	strncpy(h.name, name, sizeof h.name - 1);
	snprintf(number, sizeof number, "%011" PRIo64, (uint64_t)bytes);
	memcpy(h.size, number, sizeof h.size);
	snprintf(number, sizeof number, "%011" PRIo64, (uint64_t)(a->created_ms / 1000) & FILE_BYTES_MAX);
	memcpy(h.mtime, number, sizeof h.mtime);
	snprintf(number, sizeof number, "%06o", header_sum(&h));
	memcpy(h.checksum, number, 7);
	h.checksum[7] = ' ';
	return write_all(fd, &h, sizeof h, at);
}

int
archive_begin(int fd, struct archive *a, const char *path, struct error *err)
{
	*a = (struct archive){ .created_ms = clock_wall_ms(), .bytes = BLOCK + FACTS_BYTES };
	snprintf(a->program, sizeof a->program, "%s", MPD_VERSION);
	return write_header(fd, a, FACTS_NAME, FACTS_BYTES, 0) == 0 ? 0 : io_failed("write", path, err);
}

/* Copies n bytes and gives their sum; fewer than n is an error of the source. */
static int
copy(int to_fd, int64_t to, int from_fd, int64_t from, int64_t n, uint64_t *sum,
    const struct archive_patience *p)
{
	char *piece = malloc(PIECE);
	int r = piece != NULL ? 0 : MP_E_INTERNAL;
	struct summing s;

	sum_begin(&s);
	while (n > 0 && r == 0) {
		size_t want = n < (int64_t)PIECE ? (size_t)n : PIECE;

		errno = EIO; /* of a source that is shorter than it was */
		if ((r = stopped(p, NULL)) != 0)
			break;
		if (read_all(from_fd, piece, want, from) != (ssize_t)want ||
		    write_all(to_fd, piece, want, to) != 0)
			r = MP_E_STORAGE;
		sum_add(&s, piece, want);
		from += (int64_t)want;
		to += (int64_t)want;
		n -= (int64_t)want;
	}
	*sum = ~s.value;
	free(piece);
	return r;
}

static int
copy_failed(int r, const char *what, const char *path, struct error *err)
{
	if (r == MP_E_STORAGE)
		return io_failed(what, path, err);
	return error_set(err, r, r == MP_E_CANCELLED ? "cancelled" : "out of memory");
}

int
archive_add(int fd, struct archive *a, const char *name, int from_fd, const struct archive_patience *p,
    const char *path, struct error *err)
{
	struct archive_file *f = &a->files[a->count];
	static const char zeros[BLOCK];
	struct stat st;
	int r;

	if (fstat(from_fd, &st) != 0)
		return io_failed("look at the copy for", path, err);
	if (st.st_size > FILE_BYTES_MAX)
		return error_set(err, MP_E_TOO_LARGE, "%s is larger than 8 GiB; a backup cannot hold it",
		    name);
	*f = (struct archive_file){ .bytes = st.st_size, .offset = a->bytes + BLOCK };
	snprintf(f->name, sizeof f->name, "%s", name);
	if (write_header(fd, a, name, f->bytes, a->bytes) != 0)
		return io_failed("write", path, err);
	if ((r = copy(fd, f->offset, from_fd, 0, f->bytes, &f->sum, p)) != 0)
		return copy_failed(r, "write", path, err);
	a->bytes = f->offset + padded(f->bytes);
	if (write_all(fd, zeros, (size_t)(padded(f->bytes) - f->bytes), f->offset + f->bytes) != 0)
		return io_failed("write", path, err);
	a->count++;
	return 0;
}

static void
write_facts(const struct archive *a, struct buf *out)
{
	struct json_writer w;
	char sum[17];

	json_writer_init(&w, out, true);
	json_begin_object(&w);
	json_kv_int(&w, "format", FORMAT);
	json_kv_string(&w, "program", a->program);
	json_kv_int(&w, "created_ms", a->created_ms);
	json_key(&w, "files");
	json_begin_array(&w);
	for (size_t i = 0; i < a->count; i++) {
		snprintf(sum, sizeof sum, "%016" PRIx64, a->files[i].sum);
		json_begin_object(&w);
		json_kv_string(&w, "name", a->files[i].name);
		json_kv_int(&w, "bytes", a->files[i].bytes);
		json_kv_string(&w, "crc64", sum);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	while (out->len < FACTS_BYTES - 1)
		buf_addc(out, ' ');
	buf_addc(out, '\n');
}

int
archive_finish(int fd, struct archive *a, const char *path, struct error *err)
{
	static const char end[2 * BLOCK];
	struct buf facts = BUF_INIT;
	int r = 0;

	write_facts(a, &facts);
	if (facts.failed || facts.len != FACTS_BYTES)
		r = error_set(err, MP_E_INTERNAL, "out of memory");
	else if (write_all(fd, facts.data, facts.len, BLOCK) != 0 ||
	    write_all(fd, end, sizeof end, a->bytes) != 0 || fsync(fd) != 0)
		r = io_failed("write", path, err);
	a->bytes += (int64_t)sizeof end;
	buf_clear(&facts);
	return r;
}

/* ---- reading ---- */

static bool
octal(const char *field, size_t n, int64_t *out)
{
	int64_t v = 0;
	size_t i = 0;

	while (i < n && field[i] >= '0' && field[i] <= '7')
		v = v * 8 + (field[i++] - '0');
	/* ended by a blank or a NUL, as different programs do */
	if (i == 0 || i == n || (field[i] != '\0' && field[i] != ' '))
		return false;
	*out = v;
	return true;
}

/* The header at `at`, and that it is of a plain file of this name. *bytes is its length. */
static int
read_header(int fd, int64_t at, const char *name, int64_t *bytes)
{
	struct header h;
	int64_t sum;

	if (read_all(fd, &h, sizeof h, at) != (ssize_t)sizeof h)
		return -1;
	if (memcmp(h.magic, "ustar", 5) != 0 || (h.type != '0' && h.type != '\0') || h.prefix[0] != '\0' ||
	    !octal(h.checksum, sizeof h.checksum, &sum) || sum != (int64_t)header_sum(&h) ||
	    !octal(h.size, sizeof h.size, bytes))
		return -1;
	return memchr(h.name, '\0', sizeof h.name) != NULL && strcmp(h.name, name) == 0 ? 0 : -1;
}

static bool
read_sum(const struct json *j, uint32_t at, uint64_t *out)
{
	struct slice s;

	*out = 0;
	if (!json_plain(j, at, &s) || s.len != 16)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		const char *digits = "0123456789abcdef", *digit = strchr(digits, s.data[i]);

		if (s.data[i] == '\0' || digit == NULL)
			return false;
		*out = *out << 4 | (uint64_t)(digit - digits);
	}
	return true;
}

static bool
read_text(const struct json *j, uint32_t at, char *out, size_t size)
{
	struct slice s;

	if (!json_plain(j, at, &s) || s.len >= size || memchr(s.data, '\0', s.len) != NULL)
		return false;
	memcpy(out, s.data, s.len);
	out[s.len] = '\0';
	return true;
}

static bool
parse_files(const struct json *j, uint32_t list, struct archive *a)
{
	if (json_size(j, list) == 0 || json_size(j, list) > ARCHIVE_FILES)
		return false;
	for (uint32_t i = json_first(j, list); i != JSON_NONE; i = json_next(j, i)) {
		struct archive_file *f = &a->files[a->count++];

		if (!read_text(j, json_get(j, i, "name"), f->name, sizeof f->name) ||
		    !json_int(j, json_get(j, i, "bytes"), &f->bytes) || f->bytes < 0 ||
		    f->bytes > FILE_BYTES_MAX || !read_sum(j, json_get(j, i, "crc64"), &f->sum))
			return false;
	}
	return true;
}

static int
parse_facts(const char *text, size_t n, struct archive *a, const char *path, struct error *err)
{
	struct json j = JSON_INIT;
	int64_t format = 0;
	int r = 0;

	if (json_read(&j, text, n, JSON_STRICT) != 0 || !json_int(&j, json_get(&j, 0, "format"), &format)) {
		r = damaged(path, "its first part cannot be read", err);
	} else if (format != FORMAT) {
		error_set(err, MP_E_VERSION_MISMATCH,
		    "%s was made by a newer modelpd (format %lld, this program knows %d)", path,
		    (long long)format, FORMAT);
		error_hint(err, "nothing was changed; restore it with the newer modelpd");
		r = MP_E_VERSION_MISMATCH;
	} else if (!json_int(&j, json_get(&j, 0, "created_ms"), &a->created_ms) || a->created_ms < 0 ||
	    !read_text(&j, json_get(&j, 0, "program"), a->program, sizeof a->program) ||
	    !parse_files(&j, json_get(&j, 0, "files"), a)) {
		r = damaged(path, "its first part is not as it must be", err);
	}
	json_clear(&j);
	return r;
}

/* Nothing but zeros from here to the end, at least the two blocks that end an archive. */
static int
check_tail(int fd, int64_t at, int64_t size)
{
	char block[BLOCK];

	if (size - at < (int64_t)2 * BLOCK || size - at > TAIL_MAX || size % BLOCK != 0)
		return -1;
	for (; at < size; at += BLOCK) {
		if (read_all(fd, block, sizeof block, at) != (ssize_t)sizeof block)
			return -1;
		for (size_t i = 0; i < sizeof block; i++)
			if (block[i] != '\0')
				return -1;
	}
	return 0;
}

int
archive_read(int fd, struct archive *out, const char *path, struct error *err)
{
	char facts[FACTS_BYTES];
	struct archive a = { .bytes = BLOCK + FACTS_BYTES };
	struct stat st;
	int64_t bytes;
	int r;

	if (fstat(fd, &st) != 0)
		return io_failed("look at", path, err);
	if (read_header(fd, 0, FACTS_NAME, &bytes) != 0)
		return damaged(path, "it does not begin as one", err);
	if (bytes != FACTS_BYTES || read_all(fd, facts, sizeof facts, BLOCK) != (ssize_t)sizeof facts)
		return damaged(path, "it is cut short", err);
	if ((r = parse_facts(facts, sizeof facts, &a, path, err)) != 0)
		return r;
	for (size_t i = 0; i < a.count; i++) {
		struct archive_file *f = &a.files[i];

		f->offset = a.bytes + BLOCK;
		if (read_header(fd, a.bytes, f->name, &bytes) != 0 || bytes != f->bytes)
			return damaged(path, "a part is missing or not where it must be", err);
		a.bytes = f->offset + padded(f->bytes);
	}
	if (check_tail(fd, a.bytes, st.st_size) != 0)
		return damaged(path, "its end is not as it must be (cut short?)", err);
	a.bytes = st.st_size;
	*out = a;
	return 0;
}

static int
take_out(int fd, const struct archive_file *f, int to_fd, uint64_t *sum, const struct archive_patience *p,
    const char *path, struct error *err)
{
	int r = copy(to_fd, 0, fd, f->offset, f->bytes, sum, p);

	return r != 0 ? copy_failed(r, "take the databases out of", path, err) : 0;
}

int
archive_extract(int fd, const struct archive_file *f, int to_fd, const struct archive_patience *p,
    const char *path, struct error *err)
{
	uint64_t sum;
	int r = take_out(fd, f, to_fd, &sum, p, path, err);

	return r == 0 && sum != f->sum ? damaged(path, "bytes in it were changed", err) : r;
}

int
archive_copy(int fd, const struct archive_file *f, int to_fd, const struct archive_patience *p,
    const char *path, struct error *err)
{
	uint64_t sum;

	return take_out(fd, f, to_fd, &sum, p, path, err);
}
