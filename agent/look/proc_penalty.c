/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/proc_penalty.h"

#define LENGTH_US     INT64_C(60000000)
#define LENGTH_MAX_US INT64_C(3600000000)
#define REMEMBER      2 /* a repetition within so many lengths after the end is one */

static bool concerns(const struct proc_penalty *p, uint32_t pid, uint32_t uid)
{
    return p->steps != 0 && (p->pid == pid || (p->uid != 0 && p->uid == uid));
}

static bool holds(const struct proc_penalty *p, int64_t now_us)
{
    return p->hangs > 0 || now_us < p->until_us;
}

uint32_t proc_penalty_steps(const struct proc_penalties *p, uint32_t pid, uint32_t uid)
{
    uint32_t steps = 0;

    for (uint32_t i = 0; i < PROC_PENALTIES; i++) {
        if (p->of[i].active && concerns(&p->of[i], pid, uid)) {
            steps |= p->of[i].steps;
        }
    }
    return steps;
}

uint32_t proc_penalty_hung(struct proc_penalties *p, uint32_t pid, uint32_t uid, uint32_t step, int64_t now_us)
{
    uint32_t place = 0, free_place = PROC_PENALTIES, first = PROC_PENALTIES;

    uid = uid == UINT32_MAX ? 0 : uid;
    for (place = 0; place < PROC_PENALTIES && !concerns(&p->of[place], pid, uid); place++) {
        const struct proc_penalty *at = &p->of[place];

        if (at->steps == 0 && free_place == PROC_PENALTIES) {
            free_place = place;
        }
        if (at->hangs == 0 && (first == PROC_PENALTIES || at->until_us < p->of[first].until_us)) {
            first = place;
        }
    }
    if (place == PROC_PENALTIES) {
        place = free_place < PROC_PENALTIES ? free_place : first; /* fewer threads are away than there are places */
        p->of[place] = (struct proc_penalty){ .pid = pid, .uid = uid, .length_us = LENGTH_US / 2 };
    }
    p->of[place].steps |= step;
    p->of[place].hangs++;
    p->of[place].active = true;
    p->of[place].length_us *= 2;
    if (p->of[place].length_us > LENGTH_MAX_US) {
        p->of[place].length_us = LENGTH_MAX_US;
    }
    p->of[place].until_us = now_us + p->of[place].length_us;
    return place;
}

void proc_penalty_returned(struct proc_penalties *p, uint32_t place, int64_t now_us)
{
    p->of[place].hangs--;
    p->of[place].until_us = now_us + p->of[place].length_us;
}

void proc_penalty_expire(struct proc_penalties *p, int64_t now_us)
{
    for (uint32_t i = 0; i < PROC_PENALTIES; i++) {
        struct proc_penalty *at = &p->of[i];

        at->active = at->steps != 0 && holds(at, now_us);
        if (at->steps != 0 && at->hangs == 0 && now_us > at->until_us + REMEMBER * at->length_us) {
            *at = (struct proc_penalty){ .steps = 0 };
        }
    }
}
