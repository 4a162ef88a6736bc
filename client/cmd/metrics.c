/* metrics: the daemon in figures, for Prometheus. */
#include <stdio.h>

#include "client/app.h"
#include "client/link.h"
#include "client/out.h"

int
cmd_metrics(struct app *a)
{
	const struct value *result;
	struct slice text;
	int r;

	if ((r = no_more_words(a, 0)) != 0 || (r = link_open(a)) != 0)
		return r;
	link_begin(a, "metrics.get");
	if ((r = link_end(a, &result)) != 0)
		return r;
	if (a->form == FORM_JSON) {
		out_json(a, result);
		return 0;
	}
	text = value_slice(value_get(result, "text"));
	fwrite(text.data, 1, text.len, stdout);
	return 0;
}
