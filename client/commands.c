#include "client/commands.h"

#include <string.h>

#include "protocol/base/str.h"

const char *const command_global_options = "--json\tthe result as JSON\n"
					   "--plain\ttab-separated, full values, no header\n"
					   "-q, --quiet\tno notes\n"
					   "-v, --verbose\tmore about what happens\n"
					   "--color WHEN\tauto, always or never\n"
					   "--socket PATH\tthe daemon's socket\n"
					   "--timeout S\tgive up after this many seconds\n"
					   "--no-spawn\tdo not start a daemon\n"
					   "-y, --yes\tdo not ask before deleting\n"
					   "--no-input\tnever ask anything\n"
					   "-h, --help\thelp\n"
					   "--version\tversion\n";

static const struct command commands[] = {
#define COMMAND(id, name, group, usage, purpose, examples, options)                                \
	{name, GROUP_##group, usage, purpose, examples, options, cmd_##id},
#include "client/commands.def"
};

/* Commands of the music client that must never become ours. */
static const char *const music[] = {"play", "pause", "pause-if-playing", "toggle", "next", "prev",
    "volume", "seek", "seekthrough", "current", "queued", "playlist", "ls", "lsplaylists", "lsdirs",
    "load", "save", "rm", "shuffle", "random", "repeat", "single", "consume", "crossfade", "idle",
    "idleloop", "update", "rescan", "crop", "clear", "clearerror", "cdprev", "insert", "move",
    "mixrampdb", "mixrampdelay", "replaygain", "search", "searchadd", "searchplay", "find",
    "findadd", "stats", "outputs", "enable", "disable", "toggleoutput", "sticker", "mount",
    "unmount", "channels", "subscribe", "sendmessage", "waitmessage", "stop", "albumart",
    "readpicture", "partitions", "tab", "addplaylist", "delplaylist", "moveplaylist", "renplaylist",
    "clearplaylist", "prio", "listall", "listneighbors", "del", "outputset"};

size_t
command_count(void)
{
	return sizeof(commands) / sizeof(commands[0]);
}

const struct command *
command_at(size_t i)
{
	return &commands[i];
}

const struct command *
command_find(const char *name)
{
	if (strcmp(name, "p") == 0)
		name = "prompt";
	for (size_t i = 0; i < command_count(); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

void
command_suggest(const char *name, struct error *err)
{
	for (unsigned distance = 0; distance <= 2; distance++)
		for (size_t i = 0; i < command_count(); i++)
			if (edit_distance(name, commands[i].name, 2) == distance)
				error_candidate(err, commands[i].name);
}

bool
command_is_music(const char *name)
{
	for (size_t i = 0; i < sizeof(music) / sizeof(music[0]); i++)
		if (strcmp(music[i], name) == 0)
			return command_find(name) == NULL;
	return false;
}
