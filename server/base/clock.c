#include "server/base/clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef CLOCK_BOOTTIME
#define SINCE_BOOT CLOCK_BOOTTIME
#else
#define SINCE_BOOT CLOCK_MONOTONIC /* counts suspend where there is no CLOCK_BOOTTIME (macOS) */
#endif

static int64_t
read_us(clockid_t id)
{
	struct timespec ts = { 0, 0 };

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- for tests: clocks that somebody moves ---- */

enum { SHIFT_WALL, SHIFT_BOOT, SHIFTS };

static int64_t own_shifts[SHIFTS];

/* The two numbers of MODELPD_TEST_CLOCK, or our own zeroes when there is no such file. */
static const volatile int64_t *
find_shifts(void)
{
	const char *path = getenv("MODELPD_TEST_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;
	struct stat st;

	if (fd < 0)
		return own_shifts;
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof own_shifts)
		map = mmap(NULL, sizeof own_shifts, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return map != MAP_FAILED ? map : own_shifts;
}

static int64_t
shift_ms(int which)
{
	static const volatile int64_t *shifts;

	if (shifts == NULL)
		shifts = find_shifts();
	return shifts[which];
}

void
clock_test_shift(int64_t wall_ms, int64_t boot_ms)
{
	own_shifts[SHIFT_WALL] = wall_ms;
	own_shifts[SHIFT_BOOT] = boot_ms;
}

/* ---- the clocks ---- */

int64_t
clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000 + shift_ms(SHIFT_WALL);
}

int64_t
clock_monotonic_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_monotonic_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t
clock_boot_ms(void)
{
	return read_us(SINCE_BOOT) / 1000 + shift_ms(SHIFT_BOOT);
}

static void
read_boot_id(char *out, size_t size)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	out[0] = '\0';
	if (fd < 0)
		return;
	n = read(fd, out, size - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
}

const char *
clock_boot_id(void)
{
	static char id[128];
	static bool known;
	const char *test;

	if (known)
		return id;
	known = true;
	test = getenv("MODELPD_TEST_BOOT_ID");
	if (test == NULL) {
		read_boot_id(id, sizeof id);
		return id;
	}
	strncpy(id, test, sizeof id - 1);
	return id;
}
