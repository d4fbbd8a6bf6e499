/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tick.h -- when to look: an absolute timer; what is late is skipped and counted, never made up for in a rush.
 * Suspended time is not counted as skipped: the timer's clock stands still meanwhile.
 */
#pragma once

#include <stdint.h>

struct tick {
    int64_t period_us;
    int64_t due_us; /* clock_mono_us() of the next one */
};

void tick_init(struct tick *t, int64_t period_us, int64_t now_us); /* the first is due now */
void tick_period(struct tick *t, int64_t period_us, int64_t now_us);
/* A tick begins: how many were due since the last and not made; the next is set. */
uint64_t tick_begin(struct tick *t, int64_t now_us);
