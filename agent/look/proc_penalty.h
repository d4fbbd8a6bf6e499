/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proc_penalty.h -- what is not asked of whom any more, because asking it hung.
 *
 * A step that hung is left out for that process and, unless it is root's, for every process of the same real uid: a user who
 * makes readings hang loses his own processes' arguments to the record, not a second of each look. It ends a minute
 * after the last hanging thread has come back, twice that at each repetition, at most an hour. Pure. One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PROC_PENALTIES 64u

struct proc_penalty {
    uint32_t pid, uid; /* whom; uid 0: the process alone */
    uint32_t steps;    /* enum proc_step; 0: the place is free */
    uint32_t hangs;    /* threads that are away because of it */
    bool active;       /* false: over, but remembered: the next time is longer */
    int64_t length_us, until_us;
};

struct proc_penalties {
    struct proc_penalty of[PROC_PENALTIES];
};

/* uid UINT32_MAX: not known. */
uint32_t proc_penalty_steps(const struct proc_penalties *p, uint32_t pid, uint32_t uid);

/* A thread hung. Returns the place, for proc_penalty_returned(). Where none is free, that which would end first is taken. */
uint32_t proc_penalty_hung(struct proc_penalties *p, uint32_t pid, uint32_t uid, uint32_t step, int64_t now_us);

/* The thread came back. */
void proc_penalty_returned(struct proc_penalties *p, uint32_t place, int64_t now_us);

/* Before each look: end those that are over. */
void proc_penalty_expire(struct proc_penalties *p, int64_t now_us);
