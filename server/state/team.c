#include "server/state/team.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/store/team_rows.h"

struct seen {
	char *team;
	unsigned char signer[TEAM_KEY_BYTES];
	int64_t version;
	bool has_digest;
	unsigned char digest[TEAM_DIGEST_BYTES];
};

struct key_of {
	char *row_id, *team;
};

struct item {
	char *section, *item, *value;
};

struct team {
	struct store *store;
	struct vault *vault;
	struct changes *changes;
	bool has_me;
	struct team_member me;
	struct buf sealed; /* the seed */
	int64_t generation;
	struct bundle_held *held;
	size_t held_count;
	struct seen *seen;
	size_t seen_count;
	struct key_of *keys;
	size_t key_count;
	struct item *items;
	size_t item_count;
	bool damaged; /* a row that we never write */
};

/* ---- the rows in memory ---- */

static void
clear(struct team *t)
{
	for (size_t i = 0; i < t->held_count; i++) {
		free((char *)t->held[i].team);
		free((char *)t->held[i].content.data);
		free((char *)t->held[i].source);
		free((char *)t->held[i].ca_file);
	}
	for (size_t i = 0; i < t->seen_count; i++)
		free(t->seen[i].team);
	for (size_t i = 0; i < t->key_count; i++) {
		free(t->keys[i].row_id);
		free(t->keys[i].team);
	}
	for (size_t i = 0; i < t->item_count; i++) {
		free(t->items[i].section);
		free(t->items[i].item);
		free(t->items[i].value);
	}
	free(t->items);
	free(t->held);
	free(t->seen);
	free(t->keys);
	buf_clear(&t->sealed);
	t->held = NULL;
	t->seen = NULL;
	t->keys = NULL;
	t->items = NULL;
	t->held_count = t->seen_count = t->key_count = t->item_count = 0;
	t->has_me = t->damaged = false;
}

static void
load_me(void *arg, const struct team_identity_row *row)
{
	struct team *t = arg;

	if (row->public_len != 2 * TEAM_KEY_BYTES) {
		t->damaged = true;
		return;
	}
	t->has_me = true;
	memcpy(t->me.sign, row->public, TEAM_KEY_BYTES);
	memcpy(t->me.box, (const unsigned char *)row->public + TEAM_KEY_BYTES, TEAM_KEY_BYTES);
	buf_add(&t->sealed, row->sealed, row->sealed_len);
	t->generation = row->generation;
}

static void
load_held(void *arg, const struct bundle_row *row)
{
	struct team *t = arg;
	struct bundle_held *h;

	if (row->signer_len != TEAM_KEY_BYTES) {
		t->damaged = true;
		return;
	}
	t->held = xrealloc(t->held, (t->held_count + 1) * sizeof *t->held);
	h = &t->held[t->held_count++];
	*h = (struct bundle_held){
		.team = xstrdup(row->team),
		.version = row->version,
		.content = { slice_dup((struct slice){ row->content, row->content_len }), row->content_len },
		.source = xstrdup(row->source),
		.ca_file = xstrdup(row->ca_file),
		.local = row->local,
		.added_ms = row->added_ms,
		.updated_ms = row->updated_ms,
	};
	memcpy(h->signer, row->signer, TEAM_KEY_BYTES);
}

static void
load_seen(void *arg, const struct bundle_seen_row *row)
{
	struct team *t = arg;
	struct seen *s;

	if (row->signer_len != TEAM_KEY_BYTES || (row->digest_len != 0 &&
	    row->digest_len != TEAM_DIGEST_BYTES)) {
		t->damaged = true;
		return;
	}
	t->seen = xrealloc(t->seen, (t->seen_count + 1) * sizeof *t->seen);
	s = &t->seen[t->seen_count++];
	memset(s, 0, sizeof *s);
	s->team = xstrdup(row->team);
	s->version = row->version;
	memcpy(s->signer, row->signer, TEAM_KEY_BYTES);
	s->has_digest = row->digest_len > 0;
	if (s->has_digest)
		memcpy(s->digest, row->digest, TEAM_DIGEST_BYTES);
}

static void
load_key(void *arg, const struct bundle_key_row *row)
{
	struct team *t = arg;

	t->keys = xrealloc(t->keys, (t->key_count + 1) * sizeof *t->keys);
	t->keys[t->key_count++] = (struct key_of){ xstrdup(row->credential_id), xstrdup(row->team) };
}

static void
load_item(void *arg, const struct bundle_item_row *row)
{
	struct team *t = arg;

	t->items = xrealloc(t->items, (t->item_count + 1) * sizeof *t->items);
	t->items[t->item_count++] =
	    (struct item){ xstrdup(row->section), xstrdup(row->item), xstrdup(row->value) };
}

static int
load(struct team *t)
{
	int r;

	clear(t);
	if ((r = store_team_identity_get(t->store, load_me, t)) < 0 ||
	    (r = store_bundle_each(t->store, load_held, t)) != 0 ||
	    (r = store_bundle_seen_each(t->store, load_seen, t)) != 0 ||
	    (r = store_bundle_key_each(t->store, load_key, t)) != 0 ||
	    (r = store_bundle_item_each(t->store, load_item, t)) != 0)
		return r;
	return t->damaged ? MP_E_STORAGE : 0;
}

static void
reload(void *arg)
{
	struct team *t = arg;

	if (load(t) != 0)
		log_error("team bundles cannot be read back", LOG_TEXT("file", store_path(t->store)));
}

/* After a write: memory follows the disk, in the transaction, too. */
static int
stored(struct team *t, int r, struct error *err)
{
	if (r == 0)
		r = load(t);
	return r == 0 ? 0 : error_set(err, r, "the team bundle cannot be stored: %s", store_path(t->store));
}

/* ---- life ---- */

int
team_new(struct store *store, struct vault *vault, struct changes *changes, struct team **out,
    struct error *err)
{
	struct team *t = xcalloc(1, sizeof *t);
	int r;

	t->store = store;
	t->vault = vault;
	t->changes = changes;
	if ((r = load(t)) != 0) {
		team_free(t);
		return error_set(err, r, "the team bundles cannot be read from %s", store_path(store));
	}
	changes_on_rollback(changes, reload, t);
	*out = t;
	return 0;
}

void
team_free(struct team *t)
{
	if (t == NULL)
		return;
	clear(t);
	free(t);
}

/* ---- who we are ---- */

static const struct seal_binding binding = {
	.table = "team_identity", .row_id = "1", .field = "seed", .origin = ""
};

bool
team_me(const struct team *t, struct team_member *out)
{
	if (t->has_me)
		*out = t->me;
	return t->has_me;
}

static int
is_locked(const struct team *t, struct error *err)
{
	if (!vault_is_locked(t->vault))
		return 0;
	error_set(err, MP_E_LOCKED, "the keys are locked: %s", vault_locked_why(t->vault));
	error_hint(err, "mpc unlock");
	return MP_E_LOCKED;
}

/* The row of a seed that was sealed with the master key of that generation. */
static int
put_me(struct team *t, const struct secret *seed, const struct buf *sealed, int64_t generation,
    struct error *err)
{
	unsigned char public[2 * TEAM_KEY_BYTES];
	struct team_member me;

	if (team_seed_member(seed, &me) != 0)
		return error_set(err, MP_E_INTERNAL, "the team keys of this person cannot be made");
	memcpy(public, me.sign, TEAM_KEY_BYTES);
	memcpy(public + TEAM_KEY_BYTES, me.box, TEAM_KEY_BYTES);
	return stored(t, store_team_identity_put(t->store, &(struct team_identity_row){
	    .public = public, .public_len = sizeof public, .sealed = sealed->data,
	    .sealed_len = sealed->len, .generation = generation, .created_ms = clock_wall_ms() }), err);
}

int
team_make_me(struct team *t, struct error *err)
{
	struct buf sealed = BUF_INIT;
	struct secret *seed;
	int r;

	if (t->has_me)
		return 0;
	if ((r = is_locked(t, err)) != 0)
		return r;
	if ((seed = team_seed_new()) == NULL)
		return error_set(err, MP_E_INTERNAL, "no locked memory for the keys of this person");
	if ((r = vault_seal(t->vault, &binding, seed, &sealed)) != 0)
		error_set(err, r, "the team keys of this person cannot be sealed");
	else
		r = put_me(t, seed, &sealed, vault_generation(t->vault), err);
	buf_clear(&sealed);
	secret_free(seed);
	return r;
}

int
team_seed(struct team *t, struct secret **out, struct error *err)
{
	struct secret *seed = NULL;
	struct team_member me;
	int r;

	if (!t->has_me) {
		error_set(err, MP_E_NOT_FOUND, "there are no team keys of this person yet");
		error_hint(err, "make them: mpc team id");
		return MP_E_NOT_FOUND;
	}
	if ((r = is_locked(t, err)) != 0)
		return r;
	r = vault_open_sealed(t->vault, &binding, t->sealed.data, t->sealed.len, t->generation, &seed);
	/* the public halves lie beside it unsealed: they are believed only when they are its own */
	if (r == 0 && (team_seed_member(seed, &me) != 0 || memcmp(&me, &t->me, sizeof me) != 0))
		r = MP_E_TAMPERED;
	if (r != 0) {
		secret_free(seed);
		return error_set(err, r, "the team keys of this person cannot be opened%s",
		    r == MP_E_TAMPERED ? ": they were changed outside of this program" : "");
	}
	*out = seed;
	return 0;
}

int
team_rekey(struct team *t, struct error *err)
{
	struct buf sealed = BUF_INIT;
	struct error unheard = ERROR_INIT;
	struct secret *seed = NULL;
	int r;

	if (!t->has_me || (r = team_seed(t, &seed, &unheard)) == MP_E_TAMPERED)
		return 0;
	if (r != 0)
		return error_set(err, r, "%s", unheard.message);
	if ((r = vault_next_seal(t->vault, &binding, seed, &sealed)) != 0)
		error_set(err, r, "the team keys of this person cannot be sealed");
	else
		r = put_me(t, seed, &sealed, vault_next_generation(t->vault), err);
	buf_clear(&sealed);
	secret_free(seed);
	return r;
}

/* ---- bundles ---- */

size_t
team_count(const struct team *t)
{
	return t->held_count;
}

const struct bundle_held *
team_at(const struct team *t, size_t i)
{
	return &t->held[i];
}

const struct bundle_held *
team_find(const struct team *t, const char *team)
{
	for (size_t i = 0; i < t->held_count; i++)
		if (strcmp(t->held[i].team, team) == 0)
			return &t->held[i];
	return NULL;
}

int64_t
team_seen(const struct team *t, const char *team, const unsigned char signer[TEAM_KEY_BYTES],
    const unsigned char **digest)
{
	*digest = NULL;
	for (size_t i = 0; i < t->seen_count; i++) {
		const struct seen *s = &t->seen[i];

		if (strcmp(s->team, team) != 0 || memcmp(s->signer, signer, TEAM_KEY_BYTES) != 0)
			continue;
		*digest = s->has_digest ? s->digest : NULL;
		return s->version;
	}
	return 0;
}

static const char *
text(const char *s)
{
	return s != NULL ? s : "";
}

int
team_put(struct team *t, const char *team, int64_t version,
    const unsigned char signer[TEAM_KEY_BYTES], struct slice content,
    const struct bundle_source *from, struct error *err)
{
	const struct bundle_held *h = team_find(t, team);
	int64_t now = clock_wall_ms();

	if (h == NULL && t->held_count >= TEAMS_MAX)
		return error_set(err, MP_E_TOO_MANY, "there are %d team bundles already", TEAMS_MAX);
	changes_note(t->changes, TOPIC_TEAM, h != NULL ? CHANGE_UPDATE : CHANGE_ADD, team);
	return stored(t, store_bundle_put(t->store, &(struct bundle_row){
	    .team = team, .signer = signer, .signer_len = TEAM_KEY_BYTES, .version = version,
	    .content = content.data, .content_len = content.len, .source = text(from->source),
	    .ca_file = text(from->ca_file), .local = from->local, .added_ms = h != NULL ? h->added_ms : now,
	    .updated_ms = now, .rev = changes_next_rev(t->changes) }), err);
}

int
team_remove(struct team *t, const char *team, struct error *err)
{
	changes_note(t->changes, TOPIC_TEAM, CHANGE_REMOVE, team);
	return stored(t, store_bundle_delete(t->store, team), err);
}

int
team_note_seen(struct team *t, const char *team, const unsigned char signer[TEAM_KEY_BYTES],
    int64_t version, const unsigned char digest[TEAM_DIGEST_BYTES], struct error *err)
{
	return stored(t, store_bundle_seen_put(t->store, &(struct bundle_seen_row){
	    .team = team, .signer = signer, .signer_len = TEAM_KEY_BYTES, .version = version,
	    .digest = digest, .digest_len = TEAM_DIGEST_BYTES }), err);
}

/* ---- keys ---- */

const char *
team_of_key(const struct team *t, const char *row_id)
{
	for (size_t i = 0; row_id != NULL && i < t->key_count; i++)
		if (strcmp(t->keys[i].row_id, row_id) == 0)
			return t->keys[i].team;
	return NULL;
}

void
team_each_key(const struct team *t, const char *team, void (*each)(void *arg, const char *row_id),
    void *arg)
{
	for (size_t i = 0; i < t->key_count; i++)
		if (strcmp(t->keys[i].team, team) == 0)
			each(arg, t->keys[i].row_id);
}

int
team_note_key(struct team *t, const char *team, const char *row_id, struct error *err)
{
	return stored(t, store_bundle_key_put(t->store, &(struct bundle_key_row){ row_id, team }), err);
}

int
team_forget_keys(struct team *t, const char *team, struct error *err)
{
	return stored(t, store_bundle_keys_delete(t->store, team), err);
}

/* ---- items ---- */

const char *
team_item(const struct team *t, const char *section, const char *item)
{
	for (size_t i = 0; i < t->item_count; i++)
		if (strcmp(t->items[i].section, section) == 0 && strcmp(t->items[i].item, item) == 0)
			return t->items[i].value;
	return NULL;
}

bool
team_has_items(const struct team *t, const char *section)
{
	for (size_t i = 0; i < t->item_count; i++)
		if (strcmp(t->items[i].section, section) == 0)
			return true;
	return false;
}

int
team_note_item(struct team *t, const char *section, const char *item, const char *value,
    struct error *err)
{
	struct bundle_item_row row = { section, item, value };
	int r = store_bundle_item_put(t->store, &row);

	/* there may be many in one go: no reading of everything back for each */
	if (r != 0)
		return stored(t, r, err);
	load_item(t, &row);
	return 0;
}

int
team_forget_items(struct team *t, const char *section, struct error *err)
{
	return stored(t, store_bundle_items_delete(t->store, section, NULL), err);
}

int
team_forget_item(struct team *t, const char *section, const char *item, struct error *err)
{
	return stored(t, store_bundle_items_delete(t->store, section, item), err);
}
