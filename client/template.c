#include "client/template.h"

#include <string.h>

#include "protocol/base/str.h"

#define PATH_BYTES 128

int
template_check(const char *format, struct error *err)
{
	for (const char *s = format; *s != '\0'; s++) {
		size_t n;

		if (*s != '{')
			continue;
		if (s[1] == '{') {
			s++;
			continue;
		}
		n = strcspn(s + 1, "{}");
		if (s[n + 1] != '}')
			return error_set(err, MP_E_INVALID_PARAMS,
			    "the brace at byte %zu of the format is not closed",
			    (size_t)(s - format));
		if (n == 0 || n > PATH_BYTES)
			return error_set(err, MP_E_INVALID_PARAMS,
			    "nothing is named between the braces at byte %zu",
			    (size_t)(s - format));
		s += n + 1;
	}
	return 0;
}

/* One alternative: true when it names something that can be written. */
static bool
add_path(struct slice path, const struct template_names *names, struct buf *out)
{
	const char *words = names->words != NULL ? names->words(names->arg, path) : NULL;
	const struct value *v = NULL;
	bool first = true;

	if (words != NULL && *words != '\0') {
		text_escape(out, words, strlen(words), false);
		return true;
	}

	while (path.len > 0) {
		const char *dot = memchr(path.data, '.', path.len);
		struct slice name = {path.data, dot != NULL ? (size_t)(dot - path.data) : path.len};
		char key[PATH_BYTES + 1];

		memcpy(key, name.data, name.len);
		key[name.len] = '\0';
		v = first ? names->look(names->arg, name) : value_get(v, key);
		first = false;
		path.data += name.len + (dot != NULL);
		path.len -= name.len + (dot != NULL);
	}
	switch (value_type(v)) {
	case VALUE_STR:
		if (value_size(v) == 0)
			return false;
		text_escape(out, value_slice(v).data, value_size(v), false);
		return true;
	case VALUE_INT:
		return buf_addf(out, "%lld", (long long)value_int(v, 0)) == 0;
	case VALUE_FLOAT:
		return buf_addf(out, "%g", value_double(v, 0)) == 0;
	case VALUE_BOOL:
		return buf_adds(out, value_bool(v, false) ? "true" : "false") == 0;
	case VALUE_ARRAY:
		return buf_addf(out, "%zu", value_size(v)) == 0; /* how many there are */
	case VALUE_ABSENT:
	case VALUE_NIL:
	case VALUE_BIN:
	case VALUE_MAP:
		break;
	}
	return false;
}

static void
add_alternatives(struct slice s, const struct template_names *names, struct buf *out)
{
	while (s.len > 0) {
		const char *bar = memchr(s.data, '|', s.len);
		struct slice one = {s.data, bar != NULL ? (size_t)(bar - s.data) : s.len};

		if (add_path(one, names, out))
			return;
		s.data += one.len + (bar != NULL);
		s.len -= one.len + (bar != NULL);
	}
}

void
template_render(const char *format, const struct template_names *names, struct buf *out)
{
	while (*format != '\0') {
		size_t n = strcspn(format, "{");

		text_escape(out, format, n, false);
		format += n;
		if (*format == '\0')
			return;
		if (format[1] == '{') {
			buf_addc(out, '{');
			format += 2;
			continue;
		}
		n = strcspn(format + 1, "}");
		add_alternatives((struct slice){format + 1, n}, names, out);
		format += n + 2;
	}
}
