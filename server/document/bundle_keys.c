/* bundle_keys.c - the keys of a bundle: each sealed for some members, for one provider, label and address.
 *
 * What is sealed says all of that, and who signed, in front of the key itself: a sealed key that somebody
 * copied into a bundle of his own, or aimed at another address, does not open. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/buf.h"
#include "protocol/base/str.h"
#include "server/document/bundle_inside.h"
#include "server/vault/seal.h"

#define ORIGIN_MAX_BYTES 2048
#define SEALED_MAX_BYTES ((size_t)2 * SECRET_MAX_BYTES)
#define MEMBERS_MAX 1000

/* What a key is bound to. */
struct key_place {
	const char *team, *provider, *label, *origin;
	const unsigned char *signer;
};

static void
binding(const struct key_place *k, struct buf *out)
{
	aad_init(out);
	aad_text(out, "modelpd team key 1");
	aad_bytes(out, k->signer, TEAM_KEY_BYTES);
	aad_text(out, k->team);
	aad_text(out, k->provider);
	aad_text(out, k->label);
	aad_text(out, k->origin);
}

/* ---- what comes ---- */

struct drop {
	struct bundle_change *b;
	struct error *err;
	int r;
};

static void
drop_key(void *arg, const char *row_id)
{
	struct drop *d = arg;

	if (d->r == 0)
		d->r = credentials_delete_row(d->b->c.parts->credentials, row_id, d->err);
}

int
bundle_keys_drop(struct bundle_change *b, struct error *err)
{
	struct drop d = { b, err, 0 };

	team_each_key(b->c.parts->team, b->team, drop_key, &d);
	return d.r != 0 ? d.r : team_forget_keys(b->c.parts->team, b->team, err);
}

/* Opens what was sealed for us; reports what does not fit. NULL then, and without memory. */
static struct secret *
open_box(struct bundle_change *b, const struct node *n, const struct key_place *k,
    const struct secret *seed)
{
	const char *text = node_text(n, "a sealed key", SEALED_MAX_BYTES, b->c.problems);
	struct buf sealed = BUF_INIT, bound = BUF_INIT;
	struct secret *plain = NULL, *key = NULL;

	if (text == NULL)
		return NULL;
	binding(k, &bound);
	if (base64_decode(&sealed, text, strlen(text)) == 0 &&
	    team_box_open(seed, buf_str(&sealed), sealed.len, &plain) == 0 &&
	    secret_len(plain) > bound.len && memcmp(secret_bytes(plain), bound.data, bound.len) == 0)
		key = secret_new(secret_bytes(plain) + bound.len, secret_len(plain) - bound.len);
	if (key == NULL)
		problem_add(b->c.problems, n->line, n->column,
		    "the key of %.64s that is sealed for you does not open: it is not for this "
		    "team, provider and "
		    "address, or was changed",
		    k->provider);
	secret_free(plain);
	buf_clear(&sealed);
	buf_clear(&bound);
	return key;
}

/* The provider that the key is for: one of this bundle or of the catalogue, not one that hides it. */
static const struct provider *
find_provider(const struct bundle_change *b, const char *name)
{
	const struct providers *ps = b->c.parts->providers;
	const struct provider *p;

	for (size_t i = 0; i < providers_count(ps); i++) {
		const char *brought = providers_bundle_name(providers_at(ps, i), b->team);

		if (brought != NULL && strcmp(brought, name) == 0)
			return providers_at(ps, i);
	}
	p = providers_find_shipped(ps, name);
	/* that of another team is none of ours */
	return p != NULL && strncmp(p->id, "catalogue:", 10) == 0 ? p : NULL;
}

/* The address the provider has now; NULL = none. The caller frees it. */
static char *
origin_of(const struct provider *p)
{
	char *origin = NULL;

	if (p->base_url == NULL || url_origin(p->base_url, &origin, NULL) != 0)
		return NULL;
	return origin;
}

/* Whether the key can be of use here; a note says why not. */
static bool
fits(struct bundle_change *b, const struct provider *p, const struct key_place *k)
{
	char *now = p != NULL ? origin_of(p) : NULL;
	bool same = now != NULL && strcmp(now, k->origin) == 0;

	free(now);
	if (p == NULL)
		sentence_add(b->c.notes, "the team's key for %s is left aside: that provider is not there",
		    k->provider);
	else if (!same)
		sentence_add(b->c.notes,
		    "the team's key for %s is left aside: the provider is not at %s here", p->name,
		    k->origin);
	else if (credentials_row_id(b->c.parts->credentials, p, k->label) != NULL)
		sentence_add(b->c.notes,
		    "the team's key for %s is left aside: you have one of your own", p->name);
	else
		return true;
	return false;
}

static int
store(struct bundle_change *b, const struct node *n, const struct provider *p, const struct key_place *k,
    const struct secret *key, struct error *err)
{
	struct credentials *cs = b->c.parts->credentials;
	int r = credentials_set(cs, p, k->label, key, NULL, err);

	if (r == 0)
		r = team_note_key(b->c.parts->team, b->team, credentials_row_id(cs, p, k->label), err);
	if (r == 0)
		b->keys++;
	return section_blame(&b->c, n, false, r, err);
}

/* label: {origin: URL, for: {member: sealed}} */
static int
take_one(struct bundle_change *b, const struct node *n, const char *provider, const struct secret *seed,
    const char *me, struct error *err)
{
	static const char *const known[] = { "origin", "for" };
	const struct node *origin = node_get(n, "origin"), *members = node_get(n, "for"), *mine;
	struct problems *ps = b->c.problems;
	struct key_place k = { b->team, provider, n->key, NULL, b->signer };
	const struct provider *p;
	struct secret *key;
	int r = 0;

	for (const struct node *m = n->first; m != NULL; m = m->next)
		if (strcmp(m->key, known[0]) != 0 && strcmp(m->key, known[1]) != 0)
			problem_add(ps, m->key_line, m->key_column,
			    "unknown key \"%.80s\" beside origin and for",
			    m->key);
	if (origin == NULL || members == NULL || !name_valid(n->key)) {
		problem_add(ps, n->key_line, n->key_column,
		    "a key is LABEL: {origin: ADDRESS, for: {MEMBER: SEALED}}");
		return 0;
	}
	if ((k.origin = node_text(origin, "origin", ORIGIN_MAX_BYTES, ps)) == NULL ||
	    !node_is_map(members, "for", ps) || (mine = node_get(members, me)) == NULL)
		return 0;
	if ((key = open_box(b, mine, &k, seed)) == NULL)
		return 0;
	p = find_provider(b, provider);
	if (fits(b, p, &k))
		r = store(b, mine, p, &k, key, err);
	secret_free(key);
	return r;
}

int
bundle_keys_apply(struct bundle_change *b, struct error *err)
{
	const struct node *keys = b->content->keys;
	char me[TEAM_FINGERPRINT_BYTES] = "";
	struct secret *seed = NULL;
	struct team_member member;
	int r = 0;

	if (keys == NULL || !node_is_map(keys, "keys", b->c.problems))
		return 0;
	if (team_me(b->c.parts->team, &member)) {
		if ((r = team_seed(b->c.parts->team, &seed, err)) != 0)
			return r;
		team_fingerprint(member.sign, me);
	}
	for (const struct node *p = keys->first; p != NULL && r == 0; p = p->next) {
		if (!node_is_map(p, p->key, b->c.problems))
			continue;
		for (const struct node *l = p->first; l != NULL && r == 0; l = l->next)
			if (node_is_map(l, l->key, b->c.problems))
				r = take_one(b, l, p->key, seed, me, err);
	}
	secret_free(seed);
	return r;
}

/* ---- what is given ---- */

static int
seal_for(const struct key_place *k, const struct secret *key, const struct team_member *m,
    struct writer *w, struct error *err)
{
	char name[TEAM_FINGERPRINT_BYTES];
	struct buf bound = BUF_INIT, sealed = BUF_INIT, text = BUF_INIT;
	struct secret *plain;
	int r = MP_E_INTERNAL;

	binding(k, &bound);
	if ((plain = secret_new(NULL, bound.len + secret_len(key))) != NULL) {
		memcpy(secret_mutable(plain), bound.data, bound.len);
		memcpy(secret_mutable(plain) + bound.len, secret_bytes(key), secret_len(key));
		r = team_box_seal(m, plain, &sealed);
	}
	team_fingerprint(m->sign, name);
	if (r == 0) {
		base64_encode(&text, sealed.data, sealed.len);
		write_text(w, name, buf_str(&text));
	} else {
		error_set(err, r, "the key of %s cannot be sealed for %s", k->provider, name);
	}
	secret_free(plain);
	buf_clear(&bound);
	buf_clear(&sealed);
	buf_clear(&text);
	return r;
}

static const struct provider *
provider_to_share(const struct document_parts *parts, const struct bundle_key_order *o, struct error *err)
{
	const struct provider *p = providers_find(parts->providers, o->provider);

	if (p == NULL) {
		error_set(err, MP_E_NOT_FOUND, "there is no provider \"%.80s\"", o->provider);
		providers_suggest(parts->providers, o->provider, err);
		return NULL;
	}
	if (bundle_is_plan(p)) {
		error_set(err, MP_E_INVALID_PARAMS,
		    "%s is one that everybody logs in to himself: a bundle never "
						    "holds such a login", p->name);
		return NULL;
	}
	if (team_of_key(parts->team, credentials_row_id(parts->credentials, p, o->label)) != NULL) {
		error_set(err, MP_E_INVALID_PARAMS,
		    "the key of %s is one that a team gave you: it is not yours to "
						    "pass on", p->name);
		return NULL;
	}
	return p;
}

/* The name that the receiver knows it by. */
static const char *
name_to_share(const struct provider *p)
{
	return strncmp(p->id, "catalogue:", 10) == 0 ? p->id + 10 : p->name;
}

static int
write_one(const struct document_parts *parts, const struct bundle_order *order,
    const struct bundle_key_order *o, const unsigned char *signer, struct writer *w, struct error *err)
{
	const struct provider *p = provider_to_share(parts, o, err);
	const char *label = o->label != NULL ? o->label : "default";
	const struct credential *c;
	const struct secret *key;
	char *origin;
	int r;

	if (p == NULL)
		return err->code;
	if (credentials_label_reserved(label))
		return error_set(err, MP_E_INVALID_PARAMS, "keys of test sessions are not shared");
	c = credentials_find(parts->credentials, p->name, label);
	if (c != NULL && c->source != KEY_STORED)
		return error_set(err, MP_E_INVALID_STATE,
		    "the key of %s is read from a %s: only stored keys are shared", p->name,
		    key_source_name(c->source));
	if ((r = credentials_open(parts->credentials, p, label, &key, err)) != 0)
		return r;
	if ((origin = origin_of(p)) == NULL)
		return error_set(err, MP_E_INVALID_STATE,
		    "%s has no address that a key could go to", p->name);
	write_begin(w, label);
	write_text(w, "origin", origin);
	write_begin(w, "for");
	for (size_t i = 0; i < order->member_count && r == 0; i++)
		r = seal_for(&(struct key_place){ order->team, name_to_share(p), label, origin, signer }, key,
		    &order->members[i], w, err);
	write_end(w);
	write_end(w);
	free(origin);
	return r;
}

static bool
same_provider(const struct document_parts *parts, const struct bundle_key_order *a,
    const struct bundle_key_order *b)
{
	const struct provider *x = providers_find(parts->providers, a->provider),
			      *y = providers_find(parts->providers, b->provider);

	return x != NULL && x == y;
}

int
bundle_keys_write(const struct document_parts *parts, const struct bundle_order *order,
    const unsigned char signer[TEAM_KEY_BYTES], struct writer *w, struct error *err)
{
	int r = 0;

	if (order->key_count == 0)
		return 0;
	if (order->member_count == 0 || order->member_count > MEMBERS_MAX)
		return error_field(err, "members",
		    "keys are sealed for 1 to %d members: name them", MEMBERS_MAX);
	write_begin(w, "keys");
	for (size_t i = 0; i < order->key_count && r == 0; i++) {
		const struct bundle_key_order *o = &order->keys[i];
		bool first = true;

		for (size_t k = 0; k < i; k++)
			first = first && !same_provider(parts, o, &order->keys[k]);
		if (!first)
			continue; /* written with the first of that provider */
		if (provider_to_share(parts, o, err) == NULL)
			return err->code;
		write_begin(w, name_to_share(providers_find(parts->providers, o->provider)));
		for (size_t k = i; k < order->key_count && r == 0; k++)
			if (same_provider(parts, o, &order->keys[k]))
				r = write_one(parts, order, &order->keys[k], signer, w, err);
		write_end(w);
	}
	write_end(w);
	return r;
}
