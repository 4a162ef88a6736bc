/* clock.h - the clocks, in milliseconds unless the name says otherwise. Read here and nowhere else.
 *
 * Expiry is judged on the wall clock and never later than the time since boot (which counts
 * suspend) allows: see clock_boot_ms and clock_boot_id. */
#ifndef SERVER_BASE_CLOCK_H
#define SERVER_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);      /* since the epoch */
int64_t clock_monotonic_ms(void); /* for time-outs; stands still in suspend */
int64_t clock_monotonic_us(void);
int64_t clock_boot_ms(void);      /* since boot, suspend included */
/* An opaque id of this boot, "" when the system has none: temporary overrides end with it. Borrowed,
 * read once. MODELPD_TEST_BOOT_ID replaces it. */
const char *clock_boot_id(void);

/* ---- for tests ---- */

/* From now on these are added to the wall clock and to the time since boot: somebody set the clock (wall
 * alone), the machine slept (both). MODELPD_TEST_CLOCK, the path of a file of two int64_t in the machine's
 * own form, does the same to a running daemon: what stands there is read at every look. */
void clock_test_shift(int64_t wall_ms, int64_t boot_ms);

#endif
