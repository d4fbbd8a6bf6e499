/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_thread.h -- a thread that can be left behind in the kernel.
 *
 * It runs one job at a time while its owner waits. Around each system call that may hang it says so
 * (look_thread_enter, look_thread_leave); if it then makes no progress for the limit, the owner goes on without it.
 *
 * MEMORY. While a job runs, all that the job was given is the job's. Once left behind, the thread touches nothing but
 * this object and what it owns itself: look_thread_leave() returns false, and the job unwinds to its end without looking at anything
 * else. Whatever the job wrote before is seen by the owner.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"

enum look_thread_phase {
    LOOK_THREAD_RUNS,
    LOOK_THREAD_IN_KERNEL,
    LOOK_THREAD_LEFT
};

struct look_thread;

struct look_thread_mark { /* first member of look_thread: what enter and leave need, inlined */
    atomic_int phase;
    atomic_uint progress;
};

typedef void (*look_job_fn)(struct look_thread *t, void *arg);
typedef void *(*look_own_fn)(void);
typedef void (*look_disown_fn)(void *owned);

/* own (may be NULL) makes what the thread owns; disown frees it, in the thread, at its end. POFR_ENOMEM, POFR_ESYSTEM. */
POFR_MUST_USE int look_thread_new(look_own_fn own, look_disown_fn disown, struct look_thread **out_thread,
                                  struct pofr_err *err);
void *look_thread_owned(struct look_thread *t);

/* Run fn(t, arg) and wait. true: done. false: left behind; nothing may be called on t but the two below. */
bool look_thread_run(struct look_thread *t, look_job_fn fn, void *arg, uint32_t limit_ms);

/* Has a thread that was left behind come back? */
bool look_thread_returned(struct look_thread *t);

/* Ends it, or lets go of one that was left behind. NULL is allowed. */
void look_thread_free(struct look_thread *t);

static inline void look_thread_enter(struct look_thread *t)
{
    struct look_thread_mark *m = (struct look_thread_mark *)t;

    atomic_fetch_add_explicit(&m->progress, 1, memory_order_relaxed);
    atomic_store_explicit(&m->phase, LOOK_THREAD_IN_KERNEL, memory_order_release);
}

POFR_MUST_USE static inline bool look_thread_leave(struct look_thread *t)
{
    struct look_thread_mark *m = (struct look_thread_mark *)t;
    int expected = LOOK_THREAD_IN_KERNEL;

    return atomic_compare_exchange_strong_explicit(&m->phase, &expected, LOOK_THREAD_RUNS, memory_order_acquire,
                                                   memory_order_relaxed);
}
