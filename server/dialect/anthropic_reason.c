#include "server/dialect/anthropic_reason.h"

#include <math.h>
#include <string.h>

#include "server/dialect/emit.h"
#include "server/dialect/extra.h"

#define BUDGET_MIN 1024

/* providers/mapping.md section 6 */
static const struct {
	const char *word;
	const char *effort;
	int64_t budget;
} efforts[] = {
	{ "minimal", "low", 1024 },
	{ "low", "low", 2048 },
	{ "medium", "medium", 8192 },
	{ "high", "high", 24576 },
	{ "xhigh", "xhigh", 32768 },
	{ "max", "max", 32768 },
};

/* ---- reasoning ---- */

static void
decide_off(struct anthropic_encoder *e)
{
	struct anthropic_thinking *t = &e->thinking;

	/* the older ones do not reason unless they are asked to */
	if (e->model.claude && !e->model.adaptive)
		return;
	if (!e->model.always_thinks) {
		t->type = "disabled";
		return;
	}
	t->effort = "low";
	emit_warning(e->sink, "this model always reasons; it was asked to do so as little as it can");
}

/* The budget lies within max_tokens, which a model bounds. */
static void
decide_budget(struct anthropic_encoder *e, int64_t budget)
{
	struct anthropic_thinking *t = &e->thinking;
	int64_t cap = e->model.output_max;

	if (e->model.claude && turns_lack_reasoning(&e->turns)) {
		emit_warning(e->sink,
		    "reasoning was left out: the tool calls in the history came without it");
		return;
	}
	t->type = "enabled";
	t->budget = budget;
	t->max_tokens += budget;
	if (cap == 0 || t->max_tokens <= cap)
		return;
	/* less is reasoned, not less said */
	t->max_tokens = t->max_tokens - budget > cap ? t->max_tokens - budget : cap;
	if (t->budget > t->max_tokens - BUDGET_MIN)
		t->budget = t->max_tokens - BUDGET_MIN;
}

void
anthropic_decide_thinking(struct anthropic_encoder *e, int64_t visible)
{
	struct anthropic_thinking *t = &e->thinking;
	const char *word = e->opt->reasoning_effort;
	bool given = json_get(&e->extra, 0, "thinking") != JSON_NONE;

	t->max_tokens = visible;
	if (word == NULL) {
		/* these reason by themselves; what they think is told only when asked for */
		if (e->chat->want_reasoning && e->model.adaptive && e->model.version >= 500)
			t->type = "adaptive";
		return;
	}
	if (strcmp(word, "off") == 0 || strcmp(word, "none") == 0) {
		decide_off(e);
		return;
	}
	for (size_t i = 0; i < sizeof efforts / sizeof efforts[0]; i++) {
		if (strcmp(word, efforts[i].word) != 0)
			continue;
		if (e->model.adaptive) {
			t->type = "adaptive";
			t->effort = efforts[i].effort;
		} else if (!given && (!e->model.claude || e->model.version >= 307)) {
			decide_budget(e, efforts[i].budget);
		} else if (!given) {
			emit_warning(e->sink, "reasoning was left out: this model does not know it");
		}
	}
}

void
anthropic_put_thinking(struct anthropic_encoder *e)
{
	const struct anthropic_thinking *t = &e->thinking;

	if (t->type == NULL || !anthropic_member(e, "thinking"))
		return;
	json_begin_object(&e->w);
	json_kv_string(&e->w, "type", t->type);
	if (t->budget > 0)
		json_kv_int(&e->w, "budget_tokens", t->budget);
	if (strcmp(t->type, "adaptive") == 0)
		json_kv_string(&e->w, "display", e->chat->want_reasoning ? "summarized" : "omitted");
	json_end_object(&e->w);
}

/* ---- effort and the form of the answer ---- */

static int
put_format(struct anthropic_encoder *e)
{
	const struct text *schema = &e->opt->schema;
	struct json j = JSON_INIT;
	int r = 0;

	json_key(&e->w, "format");
	json_begin_object(&e->w);
	json_kv_string(&e->w, "type", "json_schema");
	json_key(&e->w, "schema");
	if (schema->data != NULL && json_read(&j, schema->data, schema->len, JSON_LAST_KEY_WINS) == 0 &&
	    json_is(&j, 0, JSON_OBJECT))
		json_put_raw(&e->w, schema->data, schema->len);
	else
		r = error_field(e->err, "schema", "it is no JSON object");
	json_clear(&j);
	if (r == 0)
		json_end_object(&e->w);
	return r;
}

/* One object for both, joined with what the user gives in it. */
int
anthropic_put_output_config(struct anthropic_encoder *e)
{
	uint32_t given = json_get(&e->extra, 0, "output_config"), key;
	bool joined = json_is(&e->extra, given, JSON_OBJECT);
	bool effort = e->thinking.effort != NULL &&
	    json_get(&e->extra, given, "effort") == JSON_NONE;
	bool format = e->opt->format == FORMAT_JSON_SCHEMA &&
	    json_get(&e->extra, given, "format") == JSON_NONE;
	int r = 0;

	if ((given != JSON_NONE && !joined) || (!effort && !format && !joined))
		return 0;
	json_key(&e->w, "output_config");
	json_begin_object(&e->w);
	if (effort)
		json_kv_string(&e->w, "effort", e->thinking.effort);
	if (format)
		r = put_format(e);
	if (r != 0)
		return r;
	for (key = joined ? json_first(&e->extra, given) : JSON_NONE; key != JSON_NONE;
	    key = json_next(&e->extra, key))
		extra_put(&e->w, &e->extra, key);
	json_end_object(&e->w);
	return 0;
}

/* ---- sampling ---- */

static void
warn_about_unknown(const struct anthropic_encoder *e)
{
	const struct chat_options *o = e->opt;

	if (o->seed != INT64_MIN)
		emit_warning(e->sink, "seed was left out: it does not exist here");
	if (!isnan(o->presence_penalty) || !isnan(o->frequency_penalty))
		emit_warning(e->sink, "penalties were left out: they do not exist here");
}

static void
put_temperature(struct anthropic_encoder *e)
{
	double v = e->opt->temperature;

	if (isnan(v) || !anthropic_member(e, "temperature"))
		return;
	if (v > 1 && e->model.claude) {
		emit_warning(e->sink, "temperature %g was lowered to 1: there is no more here", v);
		v = 1;
	}
	json_put_double(&e->w, v);
	e->sampled = true;
}

/* From 4.1 on one of the two is taken, not both. */
static void
put_top_p(struct anthropic_encoder *e)
{
	double v = e->opt->top_p;

	if (isnan(v))
		return;
	if (e->model.claude && e->model.version >= 401 && e->sampled) {
		emit_warning(e->sink, "top_p was left out: this model takes it or a temperature");
		return;
	}
	if (!anthropic_member(e, "top_p"))
		return;
	json_put_double(&e->w, v);
	e->sampled = true;
}

void
anthropic_put_sampling(struct anthropic_encoder *e)
{
	const struct chat_options *o = e->opt;
	bool any = !isnan(o->temperature) || !isnan(o->top_p) || o->top_k >= 0;

	warn_about_unknown(e);
	if (any && !e->model.sampling) {
		emit_warning(e->sink, "temperature, top_p and top_k were left out: this model refuses them");
		return;
	}
	if (any && e->model.claude && e->thinking.budget > 0) {
		emit_warning(e->sink, "temperature, top_p and top_k were left out: reasoning excludes them");
		return;
	}
	put_temperature(e);
	put_top_p(e);
	if (o->top_k >= 0 && anthropic_member(e, "top_k")) {
		json_put_int(&e->w, o->top_k);
		e->sampled = true;
	}
}
