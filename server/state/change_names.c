/* change_names.c - what topics and operations are called on the wire. */
#include "protocol/base/str.h"
#include "server/state/changes.h"

static const char *const topic_names[] = {
#define TOPIC(id, name) name,
#include "protocol/events.def"
};

const char *
topic_name(enum topic t)
{
	return topic_names[t];
}

bool
topic_parse(const char *name, size_t n, enum topic *out)
{
	for (int t = 0; t < TOPIC_COUNT; t++) {
		if (slice_eq((struct slice){ name, n }, topic_names[t])) {
			*out = (enum topic)t;
			return true;
		}
	}
	return false;
}

const char *
change_op_name(enum change_op op)
{
	switch (op) {
	case CHANGE_SET:
		return "set";
	case CHANGE_ADD:
		return "add";
	case CHANGE_REMOVE:
		return "remove";
	case CHANGE_UPDATE:
		return "update";
	}
	return "set";
}
