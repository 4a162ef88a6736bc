#include "server/state/key_source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/buf.h"

static const char *const names[] = {
	[KEY_STORED] = "stored",
	[KEY_COMMAND] = "command",
	[KEY_ENV] = "env",
	[KEY_FILE] = "file",
};

const char *
key_source_name(enum key_source_kind kind)
{
	return names[kind];
}

bool
key_source_parse(const char *row, enum key_source_kind *kind, const char **text)
{
	*kind = KEY_STORED;
	*text = "";
	if (*row == '\0')
		return true;
	for (int k = KEY_COMMAND; k <= KEY_FILE; k++) {
		size_t n = strlen(names[k]);

		if (strncmp(row, names[k], n) != 0 || row[n] != ' ' || row[n + 1] == '\0')
			continue;
		*kind = (enum key_source_kind)k;
		*text = row + n + 1;
		return true;
	}
	return false;
}

/* ---- the words of a command ---- */

static void
add_word(struct key_words *w, struct buf *word)
{
	w->of = xrealloc(w->of, (w->count + 1) * sizeof *w->of);
	w->of[w->count++] = xstrdup(buf_str(word));
	buf_reset(word, 0);
}

static int
no_shell(char c, struct error *err)
{
	error_field(err, "source", "a command is run without a shell, which \"%c\" would need", c);
	error_hint(err, "put it into quotes, or name the shell: sh -c '...'");
	return MP_E_INVALID_PARAMS;
}

/* From the opening quote to the closing one. */
static int
quoted(const char **at, struct buf *word, struct error *err)
{
	char quote = *(*at)++;

	for (; **at != quote; (*at)++) {
		if (**at == '\0')
			return error_field(err, "source", "the command has an open quote %c", quote);
		if (quote == '"' && (**at == '$' || **at == '`'))
			return no_shell(**at, err);
		if (quote == '"' && **at == '\\' && strchr("\"\\$`", (*at)[1]) != NULL && (*at)[1] != '\0')
			(*at)++;
		buf_addc(word, **at);
	}
	(*at)++;
	return 0;
}

static int
one_word(const char **at, struct buf *word, struct error *err)
{
	int r = 0;

	if (**at == '~')
		return no_shell('~', err);
	while (r == 0 && **at != '\0' && **at != ' ' && **at != '\t') {
		if (**at == '\'' || **at == '"') {
			r = quoted(at, word, err);
		} else if (strchr("|&;<>()$`*?", **at) != NULL) {
			r = no_shell(**at, err);
		} else {
			if (**at == '\\' && (*at)[1] != '\0')
				(*at)++;
			buf_addc(word, *(*at)++);
		}
	}
	return r;
}

int
key_words_split(const char *command, struct key_words *out, struct error *err)
{
	struct key_words w = { NULL, 0, 0 };
	struct buf word = BUF_INIT;
	const char *at = command;
	int r = 0;

	for (;;) {
		at += strspn(at, " \t");
		if (*at == '\0' || (r = one_word(&at, &word, err)) != 0)
			break;
		if (w.count == KEY_SOURCE_MAX_WORDS) {
			r = error_field(err, "source", "a command has at most %d words",
			    KEY_SOURCE_MAX_WORDS);
			break;
		}
		add_word(&w, &word);
		if (w.count == 1)
			w.rest = (size_t)(at - command);
	}
	buf_clear(&word);
	if (r == 0 && (w.count == 0 || w.of[0][0] == '\0'))
		r = error_field(err, "source", "the command is empty");
	if (r != 0)
		key_words_clear(&w);
	else
		*out = w;
	return r;
}

void
key_words_clear(struct key_words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->of[i]);
	free(w->of);
	*w = (struct key_words){ NULL, 0, 0 };
}

char *
key_words_replace(const struct key_words *w, const char *command, const char *program)
{
	struct buf b = BUF_INIT;

	if (strpbrk(program, "'\n") != NULL)
		return NULL;
	if (strpbrk(program, " \t\"\\|&;<>()$`*?~") != NULL)
		buf_addf(&b, "'%s'%s", program, command + w->rest);
	else
		buf_addf(&b, "%s%s", program, command + w->rest);
	return buf_steal(&b, NULL);
}

/* ---- what can be a source ---- */

/* The daemon lives by these, and a program that it starts gets them. */
static bool
is_daemons_own(const char *name)
{
	static const char *const own[] = { "HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "TMPDIR",
		"LC_", "XDG_", "MODELPD_" };

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
		size_t n = strlen(own[i]);

		if (strncmp(name, own[i], n) == 0 && (own[i][n - 1] == '_' || name[n] == '\0'))
			return true;
	}
	return false;
}

static int
check_name(const char *name, struct error *err)
{
	if (isdigit((unsigned char)*name) || strlen(name) > 128)
		return error_field(err, "source", "that is no name of a variable");
	for (const char *at = name; *at != '\0'; at++)
		if (!isalnum((unsigned char)*at) && *at != '_')
			return error_field(err, "source", "that is no name of a variable");
	if (is_daemons_own(name))
		return error_field(err, "source", "%s holds no key: the daemon needs it itself", name);
	return 0;
}

int
key_source_check(enum key_source_kind kind, const char *text, struct error *err)
{
	struct key_words words;
	size_t n = strlen(text);
	int r;

	if (n == 0 || n > KEY_SOURCE_MAX_BYTES)
		return error_field(err, "source", "a source has 1 to %d bytes", KEY_SOURCE_MAX_BYTES);
	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)text[i]))
			return error_field(err, "source", "a source is one line without control characters");
	switch (kind) {
	case KEY_COMMAND:
		if ((r = key_words_split(text, &words, err)) == 0)
			key_words_clear(&words);
		return r;
	case KEY_ENV:
		return check_name(text, err);
	case KEY_FILE:
		return text[0] == '/' ? 0 : error_field(err, "source", "the file needs its full path");
	case KEY_STORED:
		break;
	}
	return error_field(err, "source", "a source is a command, a variable (env) or a file");
}

/* ---- what it gives ---- */

bool
key_source_value(struct slice output, struct slice *key)
{
	const char *end = output.len > 0 ? memchr(output.data, '\n', output.len) : NULL;
	size_t n = end != NULL ? (size_t)(end - output.data) : output.len;

	if (n > 0 && output.data[n - 1] == '\r')
		n--;
	*key = (struct slice){ output.data, n };
	return secret_text_valid(output.data, n);
}

static int
not_read(struct error *err, const char *why, const char *fix)
{
	error_set(err, MP_E_NO_CREDENTIAL, "%s", why);
	if (fix != NULL)
		error_hint(err, "%s", fix);
	return MP_E_NO_CREDENTIAL;
}

static int
check_file(int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return not_read(err, strerror(errno), NULL);
	if (!S_ISREG(st.st_mode))
		return not_read(err, "that is no ordinary file", NULL);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return not_read(err, "it belongs to another user", NULL);
	if ((st.st_mode & 077) != 0)
		return not_read(err, "others can read or change it", "chmod 600 the file");
	return 0;
}

int
key_source_read_file(const char *path, struct secret **out, struct error *err)
{
	char text[SECRET_MAX_BYTES];
	/* not blocking: a pipe of that name is no file, and must not hold us up */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct slice key;
	ssize_t n;
	int r;

	if (fd < 0)
		return not_read(err, errno == ELOOP ? "it is a symbolic link" : strerror(errno), NULL);
	if ((r = check_file(fd, err)) == 0) {
		n = read(fd, text, sizeof text);
		if (n < 0)
			r = not_read(err, strerror(errno), NULL);
		else if (!key_source_value((struct slice){ text, (size_t)n }, &key))
			r = not_read(err, "its first line is no key", NULL);
		else if ((*out = secret_new(key.data, key.len)) == NULL)
			r = error_set(err, MP_E_INTERNAL, "no locked memory for the key");
		secret_wipe(text, sizeof text);
	}
	close(fd);
	return r;
}
