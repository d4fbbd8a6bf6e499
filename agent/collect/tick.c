/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/tick.h"

void tick_init(struct tick *t, int64_t period_us, int64_t now_us)
{
    *t = (struct tick){ .period_us = period_us, .due_us = now_us };
}

void tick_period(struct tick *t, int64_t period_us, int64_t now_us)
{
    if (t->period_us != period_us) {
        t->period_us = period_us;
        t->due_us = now_us + period_us;
    }
}

uint64_t tick_begin(struct tick *t, int64_t now_us)
{
    uint64_t late = now_us > t->due_us ? (uint64_t)(now_us - t->due_us) / (uint64_t)t->period_us : 0;

    t->due_us += (int64_t)(late + 1) * t->period_us;
    return late;
}
