/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/gate.h"

#include <errno.h>
#include <time.h>

#include "common/base/err.h"

/* The clock id of a process's CPU clock, scheduler's kind (CPUCLOCK_SCHED): the kernel's make_process_cpuclock(). */
static clockid_t clock_of(uint32_t pid)
{
    return (clockid_t)((~pid << 3) | 2u);
}

int gate_clock(uint32_t pid, uint64_t *out_ns)
{
    struct timespec now;

    if (clock_gettime(clock_of(pid), &now) != 0) {
        return errno == EINVAL ? POFR_ENOTFOUND : POFR_ESYSTEM;
    }
    *out_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return 0;
}
