/* selector.h - what a person types for a target, taken apart (UX.md section 4). Pure text work; what the
 * parts mean is route's business. */
#ifndef SERVER_STATE_SELECTOR_H
#define SERVER_STATE_SELECTOR_H

#include "protocol/base/err.h"
#include "protocol/base/str.h"

#define SELECTOR_MAX_BYTES 512

enum selector_kind {
	SELECTOR_EMPTY,    /* the live choice */
	SELECTOR_CATEGORY, /* @coding */
	SELECTOR_PAIR,     /* left is a known provider: left:right, left/right, left,right */
	SELECTOR_WORD,     /* provider, alias, nickname or bare model id (may contain : and /) */
};

struct selector {
	enum selector_kind kind;
	struct slice left;  /* category, provider or the word */
	struct slice right; /* model of a pair */
};

/* is_provider says whether a word names one. MP_E_INVALID_PARAMS for bad characters (controls, white
 * space, invalid UTF-8) or length. */
int selector_parse(const char *text, size_t n, bool (*is_provider)(void *arg, struct slice name),
    void *arg, struct selector *out, struct error *err);

#endif
