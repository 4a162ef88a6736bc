#include "server/usage/price_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/json.h"
#include "protocol/sockpath.h"

#define NEXT_NAME PRICE_SNAPSHOT_NAME ".new"
#define FROM_MAX 2048
#define DATE_MAX_MS INT64_C(253402300799000) /* the year 9999 */

void
price_snapshot_clear(struct price_snapshot *s)
{
	free(s->source);
	free(s->from);
	price_list_clear(&s->list);
	memset(s, 0, sizeof *s);
}

/* ---- its text ---- */

/* A bit that fell over may leave JSON that is as good as before: other prices. */
static uint64_t
checksum(struct slice text)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (unsigned char)text.data[i]) * 0x100000001b3u;
	return h;
}

static void
put_amount(struct json_writer *w, const char *key, int64_t pico)
{
	char text[32];

	if (pico == PRICE_UNTOLD)
		return;
	/* pico-USD per token is micro-USD per million tokens */
	money_text(pico, text, sizeof text);
	json_kv_string(w, key, text);
}

static void
put_day(struct json_writer *w, int64_t ms)
{
	char text[16];

	if (ms <= 0)
		return;
	utc_day_text(ms, text, sizeof text);
	json_kv_string(w, "valid_from", text);
}

/* The rows of a price file, and whose they are. */
static void
put_content(const struct price_snapshot *s, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, false);
	json_begin_object(&w);
	json_kv_string(&w, "source", s->source);
	json_kv_string(&w, "from", s->from);
	json_kv_int(&w, "date_ms", s->date_ms);
	json_key(&w, "prices");
	json_begin_array(&w);
	for (size_t i = 0; i < s->list.count; i++) {
		const struct price_row *r = &s->list.rows[i];

		json_begin_object(&w);
		json_kv_string(&w, "provider", r->provider);
		json_kv_string(&w, "model", r->model);
		put_amount(&w, "input", r->tariff.input);
		put_amount(&w, "output", r->tariff.output);
		put_amount(&w, "cache_read", r->tariff.cache_read);
		put_amount(&w, "cache_write", r->tariff.cache_write);
		put_day(&w, r->from_ms);
		if (r->above > 0)
			json_kv_int(&w, "above", r->above);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
}

int
price_snapshot_write(const struct price_snapshot *s, struct buf *out, struct error *err)
{
	struct buf content;

	buf_init(&content, PRICE_SNAPSHOT_MAX_BYTES - 256);
	put_content(s, &content);
	buf_init(out, PRICE_SNAPSHOT_MAX_BYTES);
	buf_addf(out, "{\"modelpd_prices\":%d,\"checksum\":\"%016" PRIx64 "\",\"list\":",
	    PRICE_SNAPSHOT_VERSION, checksum((struct slice){ buf_str(&content), content.len }));
	buf_add(out, buf_str(&content), content.len);
	buf_adds(out, "}\n");
	out->failed = out->failed || content.failed;
	buf_clear(&content);
	return !out->failed ? 0
	                    : error_set(err, MP_E_TOO_LARGE, "the list is larger than what is kept of one");
}

static int
no_snapshot(struct error *err, const char *why)
{
	return error_set(err, MP_E_INVALID_STATE, "it is damaged: %s", why);
}

static int
read_list(const struct json *j, uint32_t list, struct price_snapshot *out, struct error *err)
{
	const struct price_reading how = { .day_ms = 0 };
	struct price_problems ps = { .count = 0 };
	uint32_t prices = json_get(j, list, "prices");

	out->source = json_strdup(j, json_get(j, list, "source"), FROM_MAX);
	out->from = json_strdup(j, json_get(j, list, "from"), FROM_MAX);
	if (out->source == NULL || out->from == NULL ||
	    !json_int(j, json_get(j, list, "date_ms"), &out->date_ms) || out->date_ms <= 0 ||
	    out->date_ms > DATE_MAX_MS || !json_is(j, prices, JSON_ARRAY))
		return no_snapshot(err, "it does not say whose it is");
	price_list_read_rows(j, prices, &how, &out->list, &ps);
	return ps.count > 0 ? no_snapshot(err, ps.list[0].message) : 0;
}

int
price_snapshot_read(struct slice text, struct price_snapshot *out, struct error *err)
{
	struct json j = JSON_INIT;
	uint32_t list, check;
	char expected[24];
	int64_t version;
	int r;

	memset(out, 0, sizeof *out);
	if (json_read(&j, text.data, text.len, JSON_STRICT) != 0) {
		r = no_snapshot(err, j.problem);
	} else if (!json_int(&j, json_get(&j, 0, "modelpd_prices"), &version) || version < 1) {
		r = error_set(err, MP_E_INVALID_STATE, "it is none of ours");
	} else if (version > PRICE_SNAPSHOT_VERSION) {
		r = error_set(err, MP_E_VERSION_MISMATCH, "a newer program wrote it");
	} else {
		list = json_get(&j, 0, "list");
		check = json_get(&j, 0, "checksum");
		snprintf(expected, sizeof expected, "%016" PRIx64, checksum(json_raw(&j, list)));
		r = !json_equals(&j, check, expected) ? no_snapshot(err, "its checksum is another one")
		    : read_list(&j, list, out, err);
	}
	if (r != 0)
		price_snapshot_clear(out);
	json_clear(&j);
	return r;
}

/* ---- its file ---- */

static int
storage_error(struct error *err, const char *cache_dir)
{
	error_set(err, MP_E_STORAGE, "the price list cannot be kept in %.200s: %s", cache_dir,
	    strerror(errno));
	error_hint(err, "make room there, or look after the folder");
	return MP_E_STORAGE;
}

static bool
write_all(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno != EINTR)
			return false;
		if (done > 0) {
			data += done;
			n -= (size_t)done;
		}
	}
	return true;
}

int
price_snapshot_save(const char *cache_dir, const struct buf *text, struct error *err)
{
	int dir = private_dir_open(cache_dir, true, err), fd, r = 0;

	if (dir < 0)
		return dir;
	unlinkat(dir, NEXT_NAME, 0); /* of one that was cut off */
	fd = openat(dir, NEXT_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || !write_all(fd, buf_str(text), text->len) || fsync(fd) != 0)
		r = storage_error(err, cache_dir);
	if (fd >= 0)
		close(fd);
	if (r == 0 && (renameat(dir, NEXT_NAME, dir, PRICE_SNAPSHOT_NAME) != 0 || fsync(dir) != 0))
		r = storage_error(err, cache_dir);
	if (r != 0)
		unlinkat(dir, NEXT_NAME, 0);
	close(dir);
	return r;
}

/* What could make us wait, or is somebody else's, is none of ours. */
static int
open_file(int dir, struct error *err)
{
	int fd = openat(dir, PRICE_SNAPSHOT_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return error_set(err, errno == ENOENT ? MP_E_NOT_FOUND : MP_E_INVALID_STATE,
		    "it cannot be opened: %s", strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
		close(fd);
		return error_set(err, MP_E_INVALID_STATE, "it is no file of ours");
	}
	return fd;
}

static int
read_all(int fd, struct buf *text, struct error *err)
{
	char piece[32 << 10];
	ssize_t n;

	while ((n = read(fd, piece, sizeof piece)) != 0) {
		if (n < 0 && errno != EINTR)
			return error_set(err, MP_E_INVALID_STATE, "it cannot be read: %s", strerror(errno));
		if (n > 0 && buf_add(text, piece, (size_t)n) != 0)
			return error_set(err, MP_E_INVALID_STATE, "it is larger than %zu KiB",
			    PRICE_SNAPSHOT_MAX_BYTES >> 10);
	}
	return 0;
}

int
price_snapshot_load(const char *cache_dir, struct price_snapshot *out, struct error *err)
{
	int dir = private_dir_open(cache_dir, false, err), fd;
	struct buf text;
	int r;

	memset(out, 0, sizeof *out);
	if (dir < 0)
		return dir;
	fd = open_file(dir, err);
	close(dir);
	if (fd < 0)
		return fd;
	buf_init(&text, PRICE_SNAPSHOT_MAX_BYTES);
	r = read_all(fd, &text, err);
	close(fd);
	if (r == 0)
		r = price_snapshot_read((struct slice){ buf_str(&text), text.len }, out, err);
	buf_clear(&text);
	return r;
}
