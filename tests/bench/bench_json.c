/* bench_json FILE...: medians of reading each file, of unescaping and writing it back, and of
 * jansson doing the same. Small and large files alike: each round lasts about a millisecond. */
#include "tests/jansson_apart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/base/json.h"

#define ROUNDS 101
#define ROUND_NS 1000000.0

struct subject {
	const char *text;
	size_t len;
	struct json json;
	struct buf out;
	struct buf scratch;
	json_t *tree;
};

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
read_ours(struct subject *s)
{
	if (json_read(&s->json, s->text, s->len, JSON_STRICT) != 0) {
		fprintf(stderr, "%s at %zu\n", s->json.problem, s->json.problem_offset);
		exit(1);
	}
}

static void
write_value(struct subject *s, struct json_writer *w, uint32_t at)
{
	struct slice raw = json_raw(&s->json, at);
	uint32_t child;

	switch (json_type(&s->json, at)) {
	case JSON_STRING:
		buf_reset(&s->scratch, SIZE_MAX);
		json_string(&s->json, at, &s->scratch);
		json_put_string_n(w, buf_str(&s->scratch), s->scratch.len);
		break;
	case JSON_ARRAY:
		json_begin_array(w);
		for (child = json_first(&s->json, at); child != JSON_NONE;
		    child = json_next(&s->json, child))
			write_value(s, w, child);
		json_end_array(w);
		break;
	case JSON_OBJECT:
		json_begin_object(w);
		for (child = json_first(&s->json, at); child != JSON_NONE;
		    child = json_next(&s->json, child)) {
			buf_reset(&s->scratch, SIZE_MAX);
			json_string(&s->json, child, &s->scratch);
			json_key_n(w, buf_str(&s->scratch), s->scratch.len);
			write_value(s, w, json_value(&s->json, child));
		}
		json_end_object(w);
		break;
	case JSON_NULL:
	case JSON_FALSE:
	case JSON_TRUE:
	case JSON_NUMBER:
		json_put_raw(w, raw.data, raw.len);
		break;
	}
}

static void
write_ours(struct subject *s)
{
	struct json_writer w;

	buf_reset(&s->out, SIZE_MAX);
	json_writer_init(&w, &s->out, false);
	write_value(s, &w, 0);
}

/* What a front door does with a stream piece: the text of the first choice. */
static void
read_and_take(struct subject *s)
{
	uint32_t choice;

	read_ours(s);
	choice = json_first(&s->json, json_get(&s->json, 0, "choices"));
	buf_reset(&s->scratch, SIZE_MAX);
	json_string(&s->json, json_path(&s->json, choice, "delta", "content"), &s->scratch);
	json_get(&s->json, choice, "finish_reason");
	json_get(&s->json, 0, "usage");
}

static json_t *
load_jansson(struct subject *s)
{
	return json_loadb(s->text, s->len,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static void
read_jansson(struct subject *s)
{
	json_decref(load_jansson(s));
}

static void
write_jansson(struct subject *s)
{
	free(json_dumps(s->tree, JSON_COMPACT | JSON_ENCODE_ANY));
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
measure(const char *name, void (*work)(struct subject *), struct subject *s)
{
	double took[ROUNDS];
	double start = now_ns();
	long repeats, i;
	int round;

	work(s);
	work(s);
	repeats = 1 + (long)(ROUND_NS / ((now_ns() - start) / 2));
	for (round = 0; round < ROUNDS; round++) {
		start = now_ns();
		for (i = 0; i < repeats; i++)
			work(s);
		took[round] = (now_ns() - start) / (double)repeats;
	}
	qsort(took, ROUNDS, sizeof took[0], ascending);
	printf("  %-28s %12.3f us   %8.1f MB/s\n", name, took[ROUNDS / 2] / 1e3,
	    (double)s->len * 1e3 / took[ROUNDS / 2]);
}

static char *
load(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *text;
	long size;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) <= 0) {
		perror(path);
		exit(1);
	}
	rewind(f);
	text = malloc((size_t)size);
	if (text == NULL || fread(text, 1, (size_t)size, f) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(f);
	*len = (size_t)size;
	return text;
}

static void
bench_file(const char *path)
{
	struct subject s = { .json = JSON_INIT, .out = BUF_INIT, .scratch = BUF_INIT };
	char *text = load(path, &s.len);

	s.text = text;
	read_ours(&s);
	printf("%s: %zu bytes, %u values\n", path, s.len, s.json.count);
	measure("read and check", read_ours, &s);
	measure("read, take a stream's text", read_and_take, &s);
	measure("unescape and write", write_ours, &s);
	if ((s.tree = load_jansson(&s)) != NULL) {
		measure("jansson: read", read_jansson, &s);
		measure("jansson: write", write_jansson, &s);
		json_decref(s.tree);
	}
	json_clear(&s.json);
	buf_clear(&s.out);
	buf_clear(&s.scratch);
	free(text);
}

int
main(int argc, char **argv)
{
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE.json...\n", argv[0]);
		return 2;
	}
	for (i = 1; i < argc; i++)
		bench_file(argv[i]);
	return 0;
}
