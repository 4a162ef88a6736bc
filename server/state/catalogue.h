/* catalogue.h - the built-in definitions: data of catalogue.def, one row per provider and model. */
#ifndef SERVER_STATE_CATALOGUE_H
#define SERVER_STATE_CATALOGUE_H

#include "server/model/provider.h"

struct catalogue_model {
	const char *provider;
	const char *model;
	int64_t context_tokens; /* 0 = unknown */
	int64_t output_tokens;  /* 0 = unknown */
};

/* Where else a provider may be asked. */
struct catalogue_region {
	const char *provider;
	const char *word; /* "cn" */
	const char *url;
};

size_t catalogue_provider_count(void);
/* A fresh provider the caller frees; its id is fixed: "catalogue:<name>". */
struct provider *catalogue_provider(size_t i);
const char *catalogue_name_at(size_t i);
/* Other names of a provider, space separated ("" = none). */
const char *catalogue_also_known_as(size_t i);
size_t catalogue_model_count(void);
const struct catalogue_model *catalogue_model(size_t i);
/* The i-th region of a row; NULL = no more. */
const struct catalogue_region *catalogue_region(const char *provider, size_t i);
/* The name behind a fixed id, "qwen" of "catalogue:qwen"; NULL when it is no provider of ours. */
const char *catalogue_name(const char *id);

#endif
