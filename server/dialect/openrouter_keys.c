#include "server/dialect/openrouter_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "protocol/base/err.h"
#include "protocol/base/json.h"

#define KEY_MAX_BYTES 4096

void
openrouter_keys_create(const char *name, int64_t limit_microusd, int64_t expires_ms,
    struct wire_request *out)
{
	time_t at = (time_t)(expires_ms / 1000);
	char limit[40], until[32];
	struct json_writer w;
	struct tm tm;

	wire_request_init(out);
	out->method = "POST";
	strcpy(out->path, "/keys");
	/* money is written as the decimal it is */
	snprintf(limit, sizeof limit, "%" PRId64 ".%06" PRId64, limit_microusd / 1000000,
	    limit_microusd % 1000000);
	gmtime_r(&at, &tm);
	strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_writer_init(&w, &out->body, false);
	json_begin_object(&w);
	json_kv_string(&w, "name", name);
	json_key(&w, "limit");
	json_put_raw(&w, limit, strlen(limit));
	json_kv_string(&w, "expires_at", until);
	json_end_object(&w);
	wire_request_header(out, "content-type", "application/json");
}

void
openrouter_keys_list(size_t offset, struct wire_request *out)
{
	wire_request_init(out);
	out->method = "GET";
	snprintf(out->path, sizeof out->path, "/keys?offset=%zu", offset);
}

/* It goes into a path. */
static bool
hash_valid(const char *hash, size_t n)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	if (n == 0 || n >= OPENROUTER_HASH_BYTES)
		return false;
	for (size_t i = 0; i < n; i++)
		if (hash[i] == '\0' || strchr(allowed, hash[i]) == NULL)
			return false;
	return true;
}

int
openrouter_keys_delete(const char *hash, struct wire_request *out)
{
	wire_request_init(out);
	if (!hash_valid(hash, strlen(hash)))
		return MP_E_INVALID_PARAMS;
	out->method = "DELETE";
	snprintf(out->path, sizeof out->path, "/keys/%s", hash);
	return 0;
}

static bool
read_hash(const struct json *j, uint32_t at, char hash[OPENROUTER_HASH_BYTES])
{
	struct slice s;

	if (!json_plain(j, at, &s) || !hash_valid(s.data, s.len))
		return false;
	memcpy(hash, s.data, s.len);
	hash[s.len] = '\0';
	return true;
}

int
openrouter_keys_created(struct slice body, char hash[OPENROUTER_HASH_BYTES], struct slice *key)
{
	struct json j = JSON_INIT;
	int r;

	hash[0] = '\0';
	if ((r = json_read(&j, body.data, body.len, JSON_LAST_KEY_WINS)) == 0 &&
	    (!read_hash(&j, json_path(&j, 0, "data", "hash"), hash) ||
	    !json_plain(&j, json_get(&j, 0, "key"), key) || key->len == 0 ||
	    key->len > KEY_MAX_BYTES))
		r = MP_E_INVALID_PARAMS;
	json_clear(&j);
	return r;
}

int
openrouter_keys_find(struct slice body, const char *name, char hash[OPENROUTER_HASH_BYTES],
    size_t *count)
{
	struct json j = JSON_INIT;
	uint32_t list, item;
	int r;

	hash[0] = '\0';
	*count = 0;
	if ((r = json_read(&j, body.data, body.len, JSON_LAST_KEY_WINS)) != 0)
		goto out;
	list = json_get(&j, 0, "data");
	if (!json_is(&j, list, JSON_ARRAY)) {
		r = MP_E_INVALID_PARAMS;
		goto out;
	}
	for (item = json_first(&j, list); item != JSON_NONE; item = json_next(&j, item)) {
		++*count;
		if (hash[0] == '\0' && json_equals(&j, json_get(&j, item, "name"), name))
			read_hash(&j, json_get(&j, item, "hash"), hash);
	}
out:
	json_clear(&j);
	return r;
}
