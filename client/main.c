/* mpc - the model provider client. Everything is in app.c; tests link the rest without this file.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "client/app.h"

/* A socket that landed on descriptor 1 would be sent what we print. Read-only: a result that nobody
 * can get is an error. */
static int
fill_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd)
			return -1;
	return 0;
}

int
main(int argc, char **argv)
{
	if (fill_standard_descriptors() != 0)
		return EXIT_OTHER;
	return app_main(argc, argv);
}
