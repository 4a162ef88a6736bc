/* fuzz_dispatch.c - any bytes on the control socket: the daemon's side answers or closes, and its state
 * can still be read.
 *
 * The first byte says how the rest is cut into writes. One office (store, vault, state) serves all
 * inputs; each input has a connection of its own. */
#include "tests/unit/rpc/office.h"

#include "server/rpc/dispatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct office office;

static void
end(void)
{
	office_close(&office);
}

static void
begin(void)
{
	static bool begun;
	static const struct rpc_patience patience = { 1000, 1000, 1000 };

	if (begun)
		return;
	begun = true;
	office_open(&office, &patience);
	atexit(end);
}

/* Methods that would reach out of the process have no place in a fuzz run. */
static bool
reaches_out(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "provider.detect", "provider.check", "prompt.start",
		"prompt.run" };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (size >= strlen(words[i]) && memmem(data, size, words[i], strlen(words[i])) != NULL)
			return true;
	return false;
}

static void
drain(struct peer *p)
{
	char got[65536];

	while (recv(p->fd, got, sizeof got, MSG_DONTWAIT) > 0)
		;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step, at = 1;
	struct peer p;

	if (size < 2 || size > 65536 || reaches_out(data, size))
		return 0;
	begin();
	peer_open(&p, &office);
	step = data[0] == 0 ? size : data[0];
	while (at < size) {
		size_t n = size - at < step ? size - at : step;
		ssize_t sent = send(p.fd, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			break;
		at += sent > 0 ? (size_t)sent : 0;
		loop_once(office.parts.loop, 0);
		drain(&p);
	}
	loop_once(office.parts.loop, 0);
	drain(&p);
	peer_close(&p);
	MUST(office.server->conn_count == 0);
	MUST(office.server->out_total == 0);
	MUST(!changes_open(office.parts.changes));
	/* what is left must still answer */
	peer_open(&p, &office);
	MUST(peer_ask(&p, "route.get", "{}"));
	peer_close(&p);
	return 0;
}
