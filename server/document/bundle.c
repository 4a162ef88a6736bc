#include "server/document/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"
#include "server/document/bundle_inside.h"
#include "server/document/layer.h"
#include "server/document/reader.h"

/* A bundle's content begins in this line of its file. */
#define FIRST_LINE 5

/* ---- making one ---- */

static void
write_content(const struct document_parts *parts, const struct bundle_order *order, int64_t version,
    struct writer *w, struct sentences *notes)
{
	write_int(w, "bundle", BUNDLE_FORMAT);
	write_text(w, "team", order->team);
	write_int(w, "version", version);
	for (size_t i = 0; i < section_count(); i++) {
		const struct section *s = section_at(i);

		if (!s->shared || (order->sections != NULL &&
		    !word_listed(order->sections, slice_of(s->name))))
			continue;
		if (strcmp(s->name, "providers") == 0)
			bundle_providers_write(parts, w, notes);
		else
			layer_export(parts, s, w);
	}
}

/* Every word is a shared section. */
static int
check_sections(const char *sections, struct error *err)
{
	const char *at = sections != NULL ? sections : "";

	while (*(at += strspn(at, " ")) != '\0') {
		struct slice word = { at, strcspn(at, " ") };
		bool found = false;

		for (size_t i = 0; i < section_count(); i++)
			found = found || (section_at(i)->shared && slice_eq(word, section_at(i)->name));
		if (!found)
			return error_field(err, "sections", "a bundle has no section \"%.*s\"",
			    (int)(word.len < 60 ? word.len : 60), word.data);
		at += word.len;
	}
	return 0;
}

/* Inside a transaction. */
static int
seal(const struct document_parts *parts, const struct bundle_order *order, struct bundle_made *out,
    struct error *err)
{
	unsigned char digest[TEAM_DIGEST_BYTES];
	const unsigned char *seen;
	struct secret *seed = NULL;
	struct buf content;
	struct team_member me;
	struct writer w;
	int r;

	buf_init(&content, ENVELOPE_CONTENT_MAX);
	writer_init(&w, &content, false);
	if ((r = team_make_me(parts->team, err)) != 0 || (r = team_seed(parts->team, &seed, err)) != 0)
		goto out;
	team_me(parts->team, &me);
	out->version = team_seen(parts->team, order->team, me.sign, &seen) + 1;
	write_content(parts, order, out->version, &w, &out->notes);
	if ((r = bundle_keys_write(parts, order, me.sign, &w, err)) != 0)
		goto out;
	if (content.failed)
		r = MP_E_TOO_LARGE;
	else
		r = envelope_write(seed, (struct slice){ content.data, content.len }, &out->text);
	if (r != 0) {
		error_set(err, r, r == MP_E_TOO_LARGE ? "the bundle is too large" :
		    "the bundle cannot be signed");
		goto out;
	}
	team_digest(content.data, content.len, digest);
	r = team_note_seen(parts->team, order->team, me.sign, out->version, digest, err);
out:
	secret_free(seed);
	buf_clear(&content);
	return r;
}

int
bundle_seal(const struct document_parts *parts, const struct bundle_order *order,
    const struct document_cause *cause, struct bundle_made *out, struct error *err)
{
	int r;

	if (!name_valid(order->team))
		return error_field(err, "team", "\"%.80s\" is not a valid name of a team", order->team);
	if ((r = check_sections(order->sections, err)) != 0 || (r = changes_begin(parts->changes, err)) != 0)
		return r;
	if ((r = seal(parts, order, out, err)) != 0) {
		changes_rollback(parts->changes);
		return r;
	}
	return changes_commit(parts->changes, cause->method, cause->client, NULL, err);
}

void
bundle_made_clear(struct bundle_made *m)
{
	buf_clear(&m->text);
	sentences_clear(&m->notes);
}

/* ---- what may be taken ---- */

static int
judge_signer(const struct document_parts *parts, const struct bundle_content *b,
    const struct envelope *e, struct error *err)
{
	const struct bundle_held *held = team_find(parts->team, b->team);
	char was[TEAM_FINGERPRINT_BYTES], is[TEAM_FINGERPRINT_BYTES];

	if (held == NULL || memcmp(held->signer, e->signer, TEAM_KEY_BYTES) == 0)
		return 0;
	team_fingerprint(held->signer, was);
	team_fingerprint(e->signer, is);
	error_set(err, MP_E_NOT_PERMITTED,
	    "the bundle of team %s is signed by %s, the one that is held by %s",
	    b->team, is, was);
	error_hint(err,
	    "if the team has a new signer, remove the old one first: mpc team remove %s", b->team);
	return MP_E_NOT_PERMITTED;
}

static int
judge_version(const struct document_parts *parts, const struct bundle_content *b,
    const struct envelope *e, struct error *err)
{
	const unsigned char *digest;
	int64_t seen = team_seen(parts->team, b->team, e->signer, &digest);

	if (b->version < seen) {
		error_set(err, MP_E_CONFLICT,
		    "version %lld of the bundle of team %s is older than version %lld, "
					      "which was here already", (long long)b->version,
					      b->team, (long long)seen);
		error_hint(err, "get the newest one; who signs it can seal the old content again");
		return MP_E_CONFLICT;
	}
	if (b->version == seen && digest != NULL && memcmp(digest, e->digest, TEAM_DIGEST_BYTES) != 0) {
		error_set(err, MP_E_CONFLICT,
		    "version %lld of the bundle of team %s was here already with another content",
		    (long long)b->version, b->team);
		error_hint(err, "every change needs a version of its own: seal it again");
		return MP_E_CONFLICT;
	}
	return 0;
}

/* ---- taking and removing ---- */

static void
find_difference(const struct document_parts *parts, const char *team, const struct bundle_content *now,
    struct difference *out)
{
	const struct bundle_held *held = team_find(parts->team, team);
	struct problems unheard = { .count = 0 };
	struct bundle_content was = { .team = NULL };

	if (held != NULL)
		bundle_content_read(held->content, 1, &was, &unheard);
	difference_of(was.root, now != NULL ? now->root : NULL, out);
	problems_clear(&unheard);
	bundle_content_clear(&was);
}

/* Inside a transaction, with the bundle among those that are held, or out of them: the state
 * becomes what they
 * say, as far as that goes. */
static int
apply(struct bundle_change *b, struct error *err)
{
	int r;

	if ((r = bundle_keys_drop(b, err)) != 0 || (r = layer_drop(&b->c, err)) != 0 ||
	    (r = bundle_providers_apply(b, err)) != 0 || b->c.problems->count > 0 ||
	    (r = layer_raise(&b->c, err)) != 0)
		return r;
	return b->content != NULL ? bundle_keys_apply(b, err) : 0;
}

/* With a transaction open when 0 is returned. */
static int
try(const struct document_parts *parts, const struct envelope *e, const struct bundle_content *content,
    const struct bundle_source *from, struct bundle_result *out, struct error *err)
{
	struct bundle_change b = { { parts, &out->what.problems, &out->what.losses, &out->what.notes },
		content->team, content, e->signer, 0 };
	int r;

	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	find_difference(parts, content->team, content, &out->what.difference);
	if ((r = team_put(parts->team, content->team, content->version, e->signer, e->content,
	    from, err)) == 0 &&
	    (r = team_note_seen(parts->team, content->team, e->signer, content->version, e->digest,
	    err)) == 0)
		r = apply(&b, err);
	out->keys = b.keys;
	problems_sort(&out->what.problems);
	if (r != 0)
		changes_rollback(parts->changes);
	return r;
}

/* Signature, then content, then who and which version: nothing is looked at before what stands
 * before it fits. */
static int
read_all(const struct document_parts *parts, const char *text, size_t n, struct envelope *e,
    struct bundle_content *content, struct bundle_result *out, struct error *err)
{
	const struct bundle_held *held;
	struct team_member me;
	int r;

	if ((r = envelope_read(text, n, e, err)) != 0)
		return r;
	memcpy(out->signer, e->signer, TEAM_KEY_BYTES);
	out->is_signed = true;
	out->is_ours = team_me(parts->team, &me) && memcmp(me.sign, e->signer, TEAM_KEY_BYTES) == 0;
	if (bundle_content_read(e->content, FIRST_LINE, content, &out->what.problems) != 0)
		return 0;
	out->team = xstrdup(content->team);
	out->version = content->version;
	if ((held = team_find(parts->team, content->team)) != NULL)
		out->held_version = held->version;
	if ((r = judge_signer(parts, content, e, err)) != 0)
		return r;
	return judge_version(parts, content, e, err);
}

int
bundle_check(const struct document_parts *parts, const char *text, size_t n,
    struct bundle_result *out, struct error *err)
{
	const struct bundle_source nowhere = { NULL, NULL, false };
	struct bundle_content content = { .team = NULL };
	struct envelope e;
	int r;

	if ((r = read_all(parts, text, n, &e, &content, out, err)) == 0 && out->what.problems.count == 0 &&
	    (r = try(parts, &e, &content, &nowhere, out, err)) == 0)
		changes_rollback(parts->changes);
	bundle_content_clear(&content);
	return r;
}

static int
no_consent(const struct sentences *losses, struct error *err)
{
	error_set(err, MP_E_CONFLICT, "%s%s; nothing was changed", losses->list[0],
	    losses->count > 1 ? ", and more" : "");
	error_hint(err, "say so with --cascade");
	return MP_E_CONFLICT;
}

static int
has_problems(const struct bundle_result *r, struct error *err)
{
	size_t n = r->what.problems.count + r->what.problems.more;

	if (n == 0)
		return 0;
	return error_set(err, MP_E_INVALID_PARAMS, "the bundle has %zu problem%s; nothing was changed", n,
	    n == 1 ? "" : "s");
}

static int
finish(const struct document_parts *parts, const struct document_cause *cause, struct error *err)
{
	int r = changes_commit(parts->changes, cause->method, cause->client, NULL, err);

	if (r == 0) {
		sessions_scrub(parts->sessions);
		credentials_scrub(parts->credentials);
	}
	return r;
}

static int
judge_consent(const struct bundle_consent *consent, const struct bundle_result *out, struct error *err)
{
	char is[TEAM_FINGERPRINT_BYTES];

	if (team_fingerprint_is(out->signer, consent->signer))
		return 0;
	team_fingerprint(out->signer, is);
	error_set(err, MP_E_NOT_PERMITTED, "the bundle is signed by %s, not by %.100s", is, consent->signer);
	error_hint(err, "ask who made it for the fingerprint that mpc team id shows");
	return MP_E_NOT_PERMITTED;
}

int
bundle_add(const struct document_parts *parts, const char *text, size_t n,
    const struct bundle_consent *consent, const struct bundle_source *from,
    const struct document_cause *cause, struct bundle_result *out, struct error *err)
{
	struct bundle_content content = { .team = NULL };
	struct envelope e;
	int r;

	if ((r = read_all(parts, text, n, &e, &content, out, err)) != 0 ||
	    (r = judge_consent(consent, out, err)) != 0 || (r = has_problems(out, err)) != 0 ||
	    (r = try(parts, &e, &content, from, out, err)) != 0)
		goto out;
	if ((r = has_problems(out, err)) == 0 && out->what.losses.count > 0 && !consent->losses)
		r = no_consent(&out->what.losses, err);
	if (r != 0)
		changes_rollback(parts->changes);
	else
		r = finish(parts, cause, err);
out:
	bundle_content_clear(&content);
	return r;
}

int
bundle_remove(const struct document_parts *parts, const char *team, bool only_try, bool consent,
    const struct document_cause *cause, struct bundle_result *out, struct error *err)
{
	struct bundle_change b = { { parts, &out->what.problems, &out->what.losses, &out->what.notes }, team,
		NULL, NULL, 0 };
	const struct bundle_held *held = team_find(parts->team, team);
	int r;

	if (held == NULL) {
		error_set(err, MP_E_NOT_FOUND, "there is no bundle of a team \"%.80s\"", team);
		error_hint(err, "what is there: mpc team");
		return MP_E_NOT_FOUND;
	}
	out->team = xstrdup(team);
	out->held_version = held->version;
	b.team = out->team;
	find_difference(parts, team, NULL, &out->what.difference);
	if ((r = changes_begin(parts->changes, err)) != 0)
		return r;
	if ((r = team_remove(parts->team, out->team, err)) == 0 && (r = apply(&b, err)) == 0)
		r = has_problems(out, err);
	if (r == 0 && !only_try && out->what.losses.count > 0 && !consent)
		r = no_consent(&out->what.losses, err);
	if (r != 0 || only_try)
		changes_rollback(parts->changes);
	else
		r = finish(parts, cause, err);
	return r;
}

void
bundle_result_clear(struct bundle_result *r)
{
	document_result_clear(&r->what);
	free(r->team);
	r->team = NULL;
}
