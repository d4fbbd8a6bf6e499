/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nothing but the functions that tests/support/fake_clock.c defines as well: else both would be linked. */
#include "common/os/clock.h"

#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t = { 0, 0 };

    (void)clock_gettime(id, &t); /* these clocks exist on every kernel we run on */
    return (int64_t)t.tv_sec * CLOCK_US_PER_S + t.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

int64_t clock_boot_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_thread_cpu_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}
