#include "server/model/event.h"

const char *
stop_reason_name(enum stop_reason s)
{
	switch (s) {
	case STOP_END:
		return "end";
	case STOP_LENGTH:
		return "length";
	case STOP_TOOL_CALL:
		return "tool_call";
	case STOP_CONTENT_FILTER:
		return "content_filter";
	case STOP_CANCELLED:
		return "cancelled";
	case STOP_OTHER:
		return "other";
	}
	return "other";
}
