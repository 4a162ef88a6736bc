#include "server/manager.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/base/log.h"

void
manager_tell(const char *notify_socket, const char *state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t n = notify_socket != NULL ? strlen(notify_socket) : 0;
	int fd;

	if (n == 0 || n >= sizeof addr.sun_path)
		return;
	memcpy(addr.sun_path, notify_socket, n);
	if (addr.sun_path[0] == '@') /* an abstract one */
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&addr,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_info("the service manager could not be told", LOG_TEXT("error", strerror(errno)));
	close(fd);
}
