#include "server/call/key_choice.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/str.h"

/* A conversation with one provider, and the key that it is bound to; the label is kept as its hash. */
struct binding {
	uint64_t conversation;
	uint64_t label;
	uint64_t used; /* when, counted in choices; 0 = free */
};

struct key_choice {
	unsigned char seed[SHORT_HASH_KEY_BYTES];
	uint64_t choices;
	struct binding bindings[KEY_CHOICE_CONVERSATIONS];
};

struct key_choice *
key_choice_new(const unsigned char seed[SHORT_HASH_KEY_BYTES])
{
	struct key_choice *kc = xcalloc(1, sizeof *kc);

	memcpy(kc->seed, seed, sizeof kc->seed);
	return kc;
}

void
key_choice_free(struct key_choice *kc)
{
	free(kc);
}

/* ---- hashes ---- */

static uint64_t
join(const struct key_choice *kc, uint64_t a, uint64_t b)
{
	const uint64_t both[2] = { a, b };

	return short_hash(kc->seed, both, sizeof both);
}

static uint64_t
add_texts(const struct key_choice *kc, uint64_t so_far, const struct chat_message *m)
{
	for (size_t i = 0; i < m->part_count; i++)
		if (m->parts[i].type == PART_TEXT)
			so_far = join(kc, so_far,
			    short_hash(kc->seed, m->parts[i].text.data, m->parts[i].text.len));
	return join(kc, so_far, (uint64_t)m->role);
}

uint64_t
key_choice_conversation(const struct key_choice *kc, const struct chat_request *chat)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < chat->message_count; i++) {
		const struct chat_message *m = &chat->messages[i];

		if (m->role == ROLE_SYSTEM || m->role == ROLE_USER)
			hash = add_texts(kc, hash, m);
		if (m->role == ROLE_USER)
			break;
	}
	return hash;
}

/* ---- the draw ---- */

#define FRACTION_BITS 20

/* -log2(u / 2^64) with FRACTION_BITS bits behind the point: the same on every machine. */
static uint64_t
minus_log2(uint64_t u)
{
	uint64_t whole = 0, fraction = 0, x;

	if (u == 0)
		return (uint64_t)64 << FRACTION_BITS;
	for (; (u >> 63) == 0; u <<= 1)
		whole++;
	/* u is 1.x times 2^63; squaring it gives one bit of its logarithm after another */
	x = u >> 32;
	for (int i = 0; i < FRACTION_BITS; i++) {
		x = x * x >> 31;
		fraction = fraction << 1 | x >> 32;
		if (x >> 32 != 0)
			x >>= 1;
	}
	return ((whole + 1) << FRACTION_BITS) - fraction;
}

/* What a key drew for a conversation. The time until the first of its events, were they to come at random as
 * often as its weight says: each key is the first in proportion to its weight. */
struct draw {
	uint64_t wait; /* of weight 1 */
	uint64_t hash; /* between equals */
};

static struct draw
draw(const struct key_choice *kc, uint64_t conversation, uint64_t label)
{
	uint64_t hash = join(kc, conversation, label);

	return (struct draw){ minus_log2(hash), hash };
}

static bool
is_busier(const struct key_candidate *a, const struct key_candidate *b)
{
	return (uint64_t)a->in_flight * b->weight > (uint64_t)b->in_flight * a->weight;
}

/* Whether a goes before b. */
static bool
is_better(enum key_sharing how, const struct key_candidate *a, struct draw of_a,
    const struct key_candidate *b, struct draw of_b)
{
	if (how == KEY_SHARING_LEAST_LOADED && is_busier(a, b))
		return false;
	if (how == KEY_SHARING_LEAST_LOADED && is_busier(b, a))
		return true;
	if (of_a.wait * b->weight != of_b.wait * a->weight)
		return of_a.wait * b->weight < of_b.wait * a->weight;
	return of_a.hash < of_b.hash;
}

static uint64_t
label_hash(const struct key_choice *kc, const struct key_candidate *k)
{
	return short_hash(kc->seed, k->label, strlen(k->label));
}

static size_t
elect(const struct key_choice *kc, enum key_sharing how, uint64_t conversation,
    const struct key_candidate *keys, size_t count)
{
	size_t best = count;
	struct draw of_best = { 0, 0 };

	for (size_t i = 0; i < count; i++) {
		struct draw of;

		if (!keys[i].able)
			continue;
		of = draw(kc, conversation, label_hash(kc, &keys[i]));
		if (best < count && !is_better(how, &keys[i], of, &keys[best], of_best))
			continue;
		best = i;
		of_best = of;
	}
	return best;
}

/* ---- who stays where ---- */

/* The binding of that conversation, else the place for it: a free one, or the one that is unused longest. */
static struct binding *
binding_of(struct key_choice *kc, uint64_t conversation)
{
	struct binding *oldest = &kc->bindings[0];

	for (size_t i = 0; i < KEY_CHOICE_CONVERSATIONS; i++) {
		struct binding *b = &kc->bindings[i];

		if (b->used != 0 && b->conversation == conversation)
			return b;
		if (b->used < oldest->used)
			oldest = b;
	}
	*oldest = (struct binding){ .conversation = conversation };
	return oldest;
}

/* The key that the conversation has, if it can serve. */
static size_t
bound_to(const struct key_choice *kc, const struct binding *b, const struct key_candidate *keys,
    size_t count)
{
	for (size_t i = 0; b->used != 0 && i < count; i++)
		if (keys[i].able && label_hash(kc, &keys[i]) == b->label)
			return i;
	return count;
}

size_t
key_choice_take(struct key_choice *kc, enum key_sharing how, const char *provider_id,
    uint64_t conversation, const struct key_candidate *keys, size_t count)
{
	uint64_t id = join(kc, short_hash(kc->seed, provider_id, strlen(provider_id)), conversation);
	struct binding *b = NULL;
	size_t at = elect(kc, how, id, keys, count), bound;

	assert(how != KEY_SHARING_OFF);
	if (at == count)
		return count; /* the conversation stays where it was: nobody else has anything of it */
	b = binding_of(kc, id);
	if ((bound = bound_to(kc, b, keys, count)) < count)
		at = bound;
	b->label = label_hash(kc, &keys[at]);
	b->used = ++kc->choices;
	return at;
}
