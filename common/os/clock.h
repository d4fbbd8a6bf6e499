/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clock.h -- the only way to read the time. Microseconds in int64_t.
 *
 * Tests that need another time compile tests/support/fake_clock.c in: it defines these functions, so that
 * the linker leaves clock.c out.
 */
#pragma once

#include <stdint.h>

#define CLOCK_US_PER_S  INT64_C(1000000)
#define CLOCK_US_PER_MS INT64_C(1000)

/* UTC since 1970. May jump. */
int64_t clock_wall_us(void);

/* Since boot, suspended time included (CLOCK_BOOTTIME). */
int64_t clock_boot_us(void);

/* Monotonic, for deadlines and durations. */
int64_t clock_mono_us(void);

/* CPU time that this thread used. */
int64_t clock_thread_cpu_us(void);

#define CLOCK_TEXT_SIZE 32

/* "2026-08-22T10:11:12.123456Z" with a NUL; returns out. Years outside 0000 to 9999 are shown as those. (clock_text.c) */
char *clock_format(int64_t wall_us, char out[CLOCK_TEXT_SIZE]);
