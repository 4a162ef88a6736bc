#include "client/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "protocol/base/portable.h"

static int pipe_fds[2] = {-1, -1};

static void
on_signal(int number)
{
	int saved = errno;
	unsigned char byte = (unsigned char)number;

	if (write(pipe_fds[1], &byte, 1) < 0)
		_exit(128 + number);
	errno = saved;
}

int
interrupt_catch(void)
{
	/* RESETHAND: who presses Ctrl-C twice wants to be out */
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return -1;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	return pipe_fds[0];
}

int
interrupt_take(void)
{
	unsigned char byte = 0;

	return read(pipe_fds[0], &byte, 1) == 1 ? byte : 0;
}

void
interrupt_release(void)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	pipe_fds[0] = pipe_fds[1] = -1;
}
