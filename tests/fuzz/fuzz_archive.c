/* fuzz_archive.c - arbitrary bytes as a backup file: read without harm; what is accepted can be taken out. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/store/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
memory_file(const void *data, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
	return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memory_file(data, size);
	struct error err = ERROR_INIT;
	struct archive a;
	int r = archive_read(fd, &a, "fuzz", &err);

	if ((r != 0) != (err.message[0] != '\0'))
		abort();
	for (size_t i = 0; r == 0 && i < a.count; i++) {
		int to = memory_file("", 0);

		if (a.files[i].bytes < 0 || a.files[i].offset + a.files[i].bytes > (int64_t)size ||
		    memchr(a.files[i].name, '\0', sizeof a.files[i].name) == NULL)
			abort();
		archive_extract(fd, &a.files[i], to, NULL, "fuzz", &err);
		close(to);
	}
	close(fd);
	return 0;
}
