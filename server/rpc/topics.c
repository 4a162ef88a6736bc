#include "protocol/value.h"
#include "server/rpc/notify.h"

int
topics_read(const struct value *list, unsigned *topics, struct error *err)
{
	unsigned found = 0;
	enum topic t;

	if (list == NULL) {
		*topics = (1u << TOPIC_COUNT) - 1;
		return 0;
	}
	for (size_t i = 0; i < value_size(list); i++) {
		struct slice name = value_slice(value_at(list, i));

		if (!topic_parse(name.data, name.len, &t))
			return error_field(err, "topics", "unknown topic \"%.*s\"",
			    (int)(name.len < 64 ? name.len : 64), name.data != NULL ? name.data : "");
		found |= 1u << t;
	}
	*topics = found;
	return 0;
}
