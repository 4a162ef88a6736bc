#include "client/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/app.h"
#include "protocol/base/json.h"

static int
too_large(const char *name, struct error *err)
{
	error_set(err, MP_E_TOO_LARGE,
	    "%.100s is too large: text and files together may have %d MiB", name,
	    (int)(INPUT_MAX_BYTES >> 20));
	error_hint(err, "send less, or the part that matters");
	return MP_E_TOO_LARGE;
}

int
input_read(int fd, const char *name, struct buf *out, struct error *err)
{
	char piece[16384];
	ssize_t n;

	for (;;) {
		n = read(fd, piece, sizeof(piece));
		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, MP_E_INVALID_PARAMS, "cannot read %.100s: %s", name,
			    strerror(errno));
		if (buf_add(out, piece, (size_t)n) != 0)
			return too_large(name, err);
	}
}

int
input_text(struct app *a, struct buf *out, bool *given, struct error *err)
{
	bool placed = false;
	int r;

	for (size_t i = 0; i < a->args.word_count; i++) {
		const char *word = args_word(&a->args, i);

		if (i > 0 && buf_addc(out, ' ') != 0)
			return too_large("the text", err);
		if (strcmp(word, "-") == 0 && !placed) {
			placed = true;
			if ((r = input_read(STDIN_FILENO, "stdin", out, err)) != 0)
				return r;
		} else if (buf_adds(out, word) != 0) {
			return too_large("the text", err);
		}
	}
	*given = a->args.word_count > 0 || !a->in_tty;
	if (!placed && !a->in_tty) {
		size_t before = out->len;

		if (before > 0)
			buf_adds(out, "\n\n");
		if ((r = input_read(STDIN_FILENO, "stdin", out, err)) != 0)
			return r;
		if (before > 0 && out->len == before + 2)
			buf_truncate(out, before); /* stdin was empty */
	}
	if (!utf8_valid(out->data, out->len)) {
		error_set(err, MP_E_INVALID_PARAMS, "the text is not valid UTF-8");
		error_hint(err, "attach other bytes as a file: mpc prompt -f FILE");
		return MP_E_INVALID_PARAMS;
	}
	return 0;
}

static int
add_template(struct app *a, const char *name, struct buf *out, struct error *err)
{
	struct buf path = BUF_INIT;
	int fd = -1, r;

	if (!name_valid(name)) {
		buf_clear(&path);
		return error_set(err, MP_E_INVALID_PARAMS, "\"%.64s\" is no name of a template", name);
	}
	buf_addf(&path, "%s/templates/%s.md", a->paths.config_dir, name);
	fd = open(buf_str(&path), O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		r = error_set(err, errno == ENOENT ? MP_E_NOT_FOUND : MP_E_INVALID_PARAMS,
		    "cannot open the template %.64s: %s", name, strerror(errno));
		error_hint(err, "templates are files NAME.md in %s/templates", a->paths.config_dir);
	} else {
		r = input_read(fd, name, out, err);
		close(fd);
	}
	while (r == 0 && out->len > 0 && out->data[out->len - 1] == '\n')
		buf_truncate(out, out->len - 1);
	buf_clear(&path);
	return r;
}

int
input_system(struct app *a, struct buf *out, struct error *err)
{
	const char *name = args_value(&a->args, "template"), *text = args_value(&a->args, "system");
	int r;

	if (name != NULL && (r = add_template(a, name, out, err)) != 0)
		return r;
	if (text != NULL && out->len > 0)
		buf_adds(out, "\n\n");
	if (text != NULL && buf_adds(out, text) != 0)
		return too_large("the system prompt", err);
	if (!utf8_valid(out->data, out->len))
		return error_set(err, MP_E_INVALID_PARAMS, "the system prompt is not valid UTF-8");
	return 0;
}

/* Its last part: a path is nobody's business. */
static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static int
add_file(struct pack *p, const char *path, size_t *total, struct error *err)
{
	struct buf bytes = BUF_INIT;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	if (fd < 0)
		return error_set(
		    err, MP_E_INVALID_PARAMS, "cannot open %.200s: %s", path, strerror(errno));
	buf_init(&bytes, *total < INPUT_MAX_BYTES ? INPUT_MAX_BYTES - *total : 1);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		r = error_set(err, MP_E_INVALID_PARAMS, "%.200s is a directory", path);
	else if (st.st_size > 0 && (uint64_t)st.st_size > INPUT_MAX_BYTES - *total)
		r = too_large(path, err);
	else
		r = input_read(fd, path, &bytes, err);
	close(fd);
	if (r == 0) {
		*total += bytes.len;
		pack_map_begin(p);
		pack_kv_str(p, "type", "file");
		pack_kv_str(p, "name", base_name(path));
		pack_str(p, "data");
		pack_bin(p, buf_str(&bytes), bytes.len);
		pack_map_end(p);
	}
	buf_clear(&bytes);
	return r;
}

int
input_files(struct app *a, struct pack *p, size_t *total, struct error *err)
{
	size_t at = 0;
	const char *path;
	int r = 0;

	pack_array_begin(p);
	while (r == 0 && (path = args_each(&a->args, "file", &at)) != NULL)
		r = add_file(p, path, total, err);
	pack_array_end(p);
	return r;
}

void
input_option_value(struct pack *p, const char *text)
{
	struct json j = JSON_INIT;

	if (json_read(&j, text, strlen(text), JSON_STRICT) == 0)
		pack_json(p, &j, 0);
	else
		pack_str(p, text);
	json_clear(&j);
}

int
input_options(struct app *a, struct pack *p, struct error *err)
{
	size_t at = 0;
	const char *text, *equals;
	int r = 0;

	pack_map_begin(p);
	while (r == 0 && (text = args_each(&a->args, "option", &at)) != NULL) {
		if ((equals = strchr(text, '=')) == NULL || equals == text) {
			r = error_set(err, MP_E_INVALID_PARAMS,
			    "option \"%.60s\" is not of the form K=V", text);
			break;
		}
		pack_str_n(p, text, (size_t)(equals - text));
		input_option_value(p, equals + 1);
	}
	pack_map_end(p);
	return r;
}
