#include "server/dialect/pages.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/json.h"
#include "server/dialect/dialect.h"

int
list_next_page(const struct dialect *d, struct slice text, char cursor[static PAGE_CURSOR_SIZE])
{
	const struct list_pages *pages = d->pages;
	struct json j = JSON_INIT;
	bool more = false;
	char *word = NULL;
	uint32_t at;
	int r = 0;

	if (pages == NULL || json_read(&j, text.data, text.len, JSON_LAST_KEY_WINS) != 0)
		goto out;
	if (pages->more != NULL && !(json_bool(&j, json_get(&j, 0, pages->more), &more) && more))
		goto out;
	at = json_get(&j, 0, pages->cursor);
	word = json_strdup(&j, at, PAGE_CURSOR_SIZE - 1);
	if (word != NULL && *word != '\0') {
		memcpy(cursor, word, strlen(word) + 1);
		r = 1;
	} else if (more || (word == NULL && at != JSON_NONE && !json_is(&j, at, JSON_NULL))) {
		r = MP_E_INVALID_PARAMS;
	}
out:
	free(word);
	json_clear(&j);
	return r;
}

int
list_page_request(const struct dialect *d, const struct provider *p, const char *cursor,
    struct wire_request *out)
{
	struct buf path = BUF_INIT;
	int r;

	if ((r = d->list_request(p, out)) != 0)
		return r;
	(void)buf_addf(&path, "%s%c%s=", out->path, strchr(out->path, '?') != NULL ? '&' : '?',
	    d->pages->parameter);
	text_percent_encode(&path, slice_of(cursor));
	if (path.failed || path.len >= sizeof out->path)
		r = MP_E_TOO_LARGE;
	else
		memcpy(out->path, path.data, path.len + 1);
	buf_clear(&path);
	return r;
}
