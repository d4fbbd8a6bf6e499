/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_clock.h -- time that moves only when a test says so. Link pofr::fake_clock: it takes the place of
 * common/os/clock.c. At the start: wall 2026-01-01T00:00:00Z, boot clock 1000 s, monotonic 500 s, CPU 0.
 */
#pragma once

#include <stdint.h>

/* Everything as at the start. */
void fake_clock_reset(void);

/* Wall, boot and monotonic clock go on by us. */
void fake_clock_advance(int64_t us);

/* Only this one jumps. */
void fake_clock_set_wall(int64_t us);
void fake_clock_set_boot(int64_t us);
void fake_clock_set_mono(int64_t us);
void fake_clock_set_thread_cpu(int64_t us);
