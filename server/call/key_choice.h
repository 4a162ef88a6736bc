/* key_choice.h - which of a provider's keys a call is made with, when they share its calls.
 *
 * Rules alone: no loop, no clock, no I/O. A conversation (the same beginning) stays with one key, because
 * the provider's prompt cache belongs to it; only when that key cannot serve is the conversation bound to
 * another, and stays there. The first choice is weighted rendezvous hashing: each key draws a number from
 * the conversation and its own label, scaled by its weight, and the best one wins. So a key that comes or
 * goes moves those conversations alone that it wins or had, and with the same seed a restart moves none.
 * A key is known by its label: one that is replaced under it keeps its conversations. */
#ifndef SERVER_CALL_KEY_CHOICE_H
#define SERVER_CALL_KEY_CHOICE_H

#include "server/model/chat.h"
#include "server/model/provider.h"
#include "server/vault/short_hash.h"

#define KEY_CHOICE_CONVERSATIONS 1024 /* that are remembered; the longest unused is forgotten first */

/* Of one provider. */
struct key_candidate {
	const char *label;
	unsigned weight;    /* 1..100: its share */
	unsigned in_flight; /* calls that are made with it now */
	bool able;          /* it can serve now */
};

struct key_choice;

struct key_choice *key_choice_new(const unsigned char seed[SHORT_HASH_KEY_BYTES]);
void key_choice_free(struct key_choice *kc); /* NULL is harmless */

/* What the turns of a conversation have in common: the system's text and the first of the user's. A keyed
 * hash that is neither stored nor logged. */
uint64_t key_choice_conversation(const struct key_choice *kc, const struct chat_request *chat);

/* The index of the key for that conversation with that provider, which stays with it from now on; count when
 * none is able. how is not KEY_SHARING_OFF. */
size_t key_choice_take(struct key_choice *kc, enum key_sharing how, const char *provider_id,
    uint64_t conversation, const struct key_candidate *keys, size_t count);

#endif
