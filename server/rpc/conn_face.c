/* conn_face.c - what handlers may ask of a connection (request.h). */
#include "server/rpc/conn.h"

#include <stdlib.h>

void
conn_hello_clear(struct conn_hello *h)
{
	free(h->handler);
	free(h->scope);
	free(h->name);
	free(h->version);
	free(h->tty);
	free(h->cwd);
	*h = (struct conn_hello){ .said = false };
}

void
conn_own(struct conn *c, struct conn_owned *o)
{
	o->conn = c;
	o->prev = NULL;
	o->next = c->owned;
	if (o->next != NULL)
		o->next->prev = o;
	c->owned = o;
	c->owned_count++;
}

void
conn_disown(struct conn_owned *o)
{
	struct conn *c = o->conn;

	if (c == NULL)
		return;
	if (o->prev != NULL)
		o->prev->next = o->next;
	else
		c->owned = o->next;
	if (o->next != NULL)
		o->next->prev = o->prev;
	o->conn = NULL;
	o->prev = o->next = NULL;
	c->owned_count--;
}

size_t
conn_owned_count(const struct conn *c)
{
	return c->owned_count;
}

const char *
conn_client(const struct conn *c)
{
	return c->hello.name;
}

const char *
conn_scope(const struct conn *c)
{
	return c->hello.scope;
}

const struct rpc_parts *
conn_parts(const struct conn *c)
{
	return c->server->parts;
}

struct pack *
rpc_event_begin(struct conn *c, const char *name)
{
	pack_init(&c->event, c->holding > 0 ? &c->late : &c->out);
	message_begin_event(&c->event, name, c->hello.handler);
	pack_map_begin(&c->event);
	return &c->event;
}

void
rpc_event_end(struct conn *c)
{
	pack_map_end(&c->event);
	message_end_event(&c->event, c->hello.handler);
	if (c->holding == 0)
		conn_touched(c);
}
