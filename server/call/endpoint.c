/* endpoint.c - where a request goes and with which key; an answer's head, kept. */
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/call/attempt.h"
#include "server/call/mint.h"
#include "server/call/waiting.h"
#include "server/state/credentials.h"

/* A local server may load a model for minutes before the first byte. */
#define LOCAL_FIRST_BYTE_MS 600000

static void
take_first(void *arg, const struct credential *c)
{
	const char **first = arg;

	if (*first == NULL && strcmp(c->label, MINT_LABEL) != 0)
		*first = c->label;
}

/* What is asked beside calls (lists of models, checks) goes with the usual key; where several share the calls
 * there need not be one of that label. */
static const char *
label_of(const struct credentials *cs, const struct provider *p, const char *label)
{
	const char *first = NULL;

	if (p->key_sharing == KEY_SHARING_OFF || credentials_find(cs, p->name, label) != NULL ||
	    (label != NULL && strcmp(label, "default") != 0))
		return label;
	credentials_each(cs, p->name, take_first, &first);
	return first != NULL ? first : label;
}

int
endpoint_open(struct endpoint *to, struct credentials *cs, const struct provider *p,
    const char *label, enum auth_style style, struct error *err)
{
	const struct credential *c;
	int r = 0;

	label = label_of(cs, p, label);
	c = credentials_find(cs, p->name, label);
	memset(to, 0, sizeof(*to));
	to->base_url = p->base_url;
	to->ca_file = p->ca_file;
	to->proxy = p->proxy;
	to->program = p->program;
	waiting_owner(p, to->owner, sizeof(to->owner));
	to->local = p->type == PROVIDER_LOCAL;
	to->auth_style = style;
	if (to->local)
		to->first_byte_ms = LOCAL_FIRST_BYTE_MS;
	if (style == AUTH_STYLE_NONE)
		return 0;

	switch (p->auth) {
	case AUTH_API_KEY:
		r = credentials_open(cs, p, label, &to->key, err);
		break;
	case AUTH_OPTIONAL_KEY:
		/* No key is fine; a key that is there but cannot be used is not: the answer would
		 * differ from what the user set up. */
		if (c != NULL)
			r = credentials_open(cs, p, label, &to->key, err);
		break;
	case AUTH_OAUTH_PERSONAL:
	case AUTH_NONE:
		c = NULL;
		break;
	}
	if (r == 0 && to->key == NULL)
		to->unread = c;
	if (to->key == NULL && to->unread == NULL)
		to->auth_style = AUTH_STYLE_NONE;
	return r;
}

void
attempt_limits(const struct attempt_parts *parts, const struct provider *p, const char *label,
    const struct dialect *d, const struct wire_head *head)
{
	struct limits l = { .count = 0 };

	if (d->limits == NULL)
		return;
	l.at_ms = clock_wall_ms();
	d->limits(p, head, l.at_ms, &l);
	if (l.count > 0)
		credentials_report_limits(parts->credentials, p->name, label, &l);
}

void
head_copy_set(struct head_copy *to, const struct wire_head *head)
{
	size_t at = 0;

	head_copy_clear(to);
	to->head.status = head->status;
	if (head->header_count == 0)
		return;
	to->headers = calloc(head->header_count, sizeof(*to->headers));
	if (to->headers == NULL)
		return;
	for (size_t i = 0; i < head->header_count; i++) {
		buf_add(&to->text, head->headers[i].name.data, head->headers[i].name.len);
		buf_add(&to->text, head->headers[i].value.data, head->headers[i].value.len);
	}
	if (to->text.failed || to->text.data == NULL)
		return;
	/* Only now does the text stand still. */
	for (size_t i = 0; i < head->header_count; i++) {
		to->headers[i].name.data = to->text.data + at;
		to->headers[i].name.len = head->headers[i].name.len;
		at += head->headers[i].name.len;
		to->headers[i].value.data = to->text.data + at;
		to->headers[i].value.len = head->headers[i].value.len;
		at += head->headers[i].value.len;
	}
	to->head.headers = to->headers;
	to->head.header_count = head->header_count;
}

void
head_copy_clear(struct head_copy *h)
{
	free(h->headers);
	buf_clear(&h->text);
	memset(h, 0, sizeof(*h));
}
