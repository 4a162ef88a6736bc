/* bundle_inside.h - between the files of bundle.h. */
#ifndef SERVER_DOCUMENT_BUNDLE_INSIDE_H
#define SERVER_DOCUMENT_BUNDLE_INSIDE_H

#include "server/document/bundle.h"

/* A content that was read. All zero is none. */
struct bundle_content {
	char *team;
	int64_t version;
	struct node *root; /* the shared sections */
	struct node *keys; /* NULL = none */
};
/* 0, or MP_E_INVALID_PARAMS with problems. The content's first line is `first_line` of a file. */
int bundle_content_read(struct slice content, int first_line, struct bundle_content *out,
    struct problems *ps);
void bundle_content_clear(struct bundle_content *b);

/* One run of taking or removing. */
struct bundle_change {
	struct document_change c;
	const char *team;
	const struct bundle_content *content; /* NULL: it goes */
	const unsigned char *signer;
	size_t keys; /* opened */
};

/* Inside a transaction. Problems are reported, and 0 returned. */
int bundle_providers_apply(struct bundle_change *b, struct error *err);
int bundle_keys_drop(struct bundle_change *b, struct error *err);
int bundle_keys_apply(struct bundle_change *b, struct error *err);

/* Appends the section; what is left out goes to notes. */
void bundle_providers_write(const struct document_parts *parts, struct writer *w,
    struct sentences *notes);
/* Appends the keys that are ordered, sealed for the members. */
int bundle_keys_write(const struct document_parts *parts, const struct bundle_order *order,
    const unsigned char signer[TEAM_KEY_BYTES], struct writer *w, struct error *err);

/* A provider of the catalogue by the name it is shipped with; NULL = there is none. The caller frees it. */
struct provider *bundle_catalogue_provider(const char *name);
/* Whether a provider is one that a person logs in to himself. */
bool bundle_is_plan(const struct provider *p);

#endif
