/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/fake_clock.h"

#include <stdatomic.h>

#include "common/os/clock.h"

#define START_WALL (INT64_C(1767225600) * CLOCK_US_PER_S)
#define START_BOOT (INT64_C(1000) * CLOCK_US_PER_S)
#define START_MONO (INT64_C(500) * CLOCK_US_PER_S)

static _Atomic int64_t wall = START_WALL, boot = START_BOOT, mono = START_MONO, cpu;

void fake_clock_reset(void)
{
    wall = START_WALL;
    boot = START_BOOT;
    mono = START_MONO;
    cpu = 0;
}

void fake_clock_advance(int64_t us)
{
    wall += us;
    boot += us;
    mono += us;
}

void fake_clock_set_wall(int64_t us)
{
    wall = us;
}

void fake_clock_set_boot(int64_t us)
{
    boot = us;
}

void fake_clock_set_mono(int64_t us)
{
    mono = us;
}

void fake_clock_set_thread_cpu(int64_t us)
{
    cpu = us;
}

int64_t clock_wall_us(void)
{
    return wall;
}

int64_t clock_boot_us(void)
{
    return boot;
}

int64_t clock_mono_us(void)
{
    return mono;
}

int64_t clock_thread_cpu_us(void)
{
    return cpu;
}
