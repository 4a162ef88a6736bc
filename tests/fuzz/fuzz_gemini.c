/* fuzz_gemini.c - what Google may answer; and, behind the byte 'S', a tool's schema on its way into the
 * restricted form: valid JSON comes out, or a refusal that names its field. */
#define LLVMFuzzerTestOneInput answer_input
#include "tests/fuzz/answer_fuzzer.h"
#undef LLVMFuzzerTestOneInput

#include "server/dialect/gemini.h"

static const struct answers answers = { .dialect = "gemini", .headers = OPENAI_HEADERS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
convert(struct slice text)
{
	struct json j = JSON_INIT, back = JSON_INIT;
	struct buf out = BUF_INIT;
	struct json_writer w;
	struct error err = ERROR_INIT;

	buf_init(&out, 1 << 20);
	json_writer_init(&w, &out, false);
	if (json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS) == 0) {
		if (gemini_schema(&w, &j, "tool f", "tools", NULL, &err) != 0)
			MUST(err.field[0] != '\0');
		else if (!out.failed)
			MUST(json_read(&back, out.data, out.len, JSON_LAST_KEY_WINS) == 0 &&
			    json_is(&back, 0, JSON_OBJECT));
	}
	json_clear(&back);
	json_clear(&j);
	buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || data[0] != 'S')
		return answer_input(data, size);
	convert((struct slice){ (const char *)data + 1, size - 1 });
	return 0;
}
