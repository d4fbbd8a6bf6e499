/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: `phase` decides who may touch the job's memory. The thread moves it RUNS -> IN_KERNEL -> RUNS, the owner
 * IN_KERNEL -> LEFT, both by compare-and-swap where they could meet, so exactly one wins. `mutex` protects
 * job, stop and done alone. The object has two references, the owner's and the thread's.
 *
 * The owner looks five times per limit whether `progress` moved, so that a process that was stopped as a whole
 * (SIGSTOP, suspend) finds one fifth gone when it wakes, not all.
 */
#include "agent/look/look_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define PARTS       5
#define STACK_BYTES (256u * 1024u)

struct look_thread {
    struct look_thread_mark mark;
    pthread_t handle;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    look_job_fn job;
    void *arg;
    bool stop, done;
    atomic_int references;
    atomic_bool returned;
    bool left; /* the owner's own note */
    void *owned;
    look_disown_fn disown;
};

static void unref(struct look_thread *t)
{
    if (atomic_fetch_sub(&t->references, 1) == 1) {
        (void)pthread_cond_destroy(&t->cond); /* nobody waits */
        (void)pthread_mutex_destroy(&t->mutex);
        free(t);
    }
}

static void *thread_main(void *arg)
{
    struct look_thread *t = arg;
    bool left = false;

    (void)pthread_mutex_lock(&t->mutex); /* a default mutex can't fail */
    while (!left) {
        while (!t->job && !t->stop) {
            (void)pthread_cond_wait(&t->cond, &t->mutex);
        }
        if (t->stop) {
            break;
        }
        (void)pthread_mutex_unlock(&t->mutex);
        t->job(t, t->arg);
        (void)pthread_mutex_lock(&t->mutex);
        left = atomic_load(&t->mark.phase) == LOOK_THREAD_LEFT;
        t->job = NULL;
        t->done = true;
        (void)pthread_cond_broadcast(&t->cond);
    }
    (void)pthread_mutex_unlock(&t->mutex);
    if (t->disown) {
        t->disown(t->owned);
    }
    atomic_store(&t->returned, true);
    unref(t);
    return NULL;
}

static int start(struct look_thread *t)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int code;

    if ((code = pthread_attr_init(&attr)) != 0) {
        return code;
    }
    code = pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    if (code == 0) {
        code = pthread_create(&t->handle, &attr, thread_main, t);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return code;
}

int look_thread_new(look_own_fn own, look_disown_fn disown, struct look_thread **out_thread, struct pofr_err *err)
{
    struct look_thread *t = calloc(1, sizeof(*t));
    pthread_condattr_t monotonic;
    int code;

    if (!t || (own && !(t->owned = own()))) {
        free(t);
        return pofr_err_set(err, POFR_ENOMEM, "no memory for a look's thread");
    }
    t->disown = disown;
    atomic_store(&t->references, 2);
    (void)pthread_mutex_init(&t->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&t->cond, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if ((code = start(t)) != 0) {
        if (disown) {
            disown(t->owned);
        }
        atomic_store(&t->references, 1);
        unref(t);
        errno = code;
        return pofr_err_sys(err, POFR_ESYSTEM, "can't start a look's thread");
    }
    *out_thread = t;
    return 0;
}

void *look_thread_owned(struct look_thread *t)
{
    return t->owned;
}

/* Wait for done, at most a fifth of the limit. */
static bool wait_part(struct look_thread *t, uint32_t limit_ms)
{
    struct timespec until;
    int64_t ns;
    int code = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    ns = until.tv_nsec + (int64_t)limit_ms * 1000000 / PARTS;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    while (!t->done && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&t->cond, &t->mutex, &until);
    }
    return t->done;
}

bool look_thread_run(struct look_thread *t, look_job_fn fn, void *arg, uint32_t limit_ms)
{
    unsigned still = 0, last;
    bool done;

    (void)pthread_mutex_lock(&t->mutex);
    t->job = fn;
    t->arg = arg;
    t->done = false;
    last = atomic_load(&t->mark.progress);
    (void)pthread_cond_broadcast(&t->cond);
    while (!(done = wait_part(t, limit_ms))) {
        unsigned now = atomic_load(&t->mark.progress);
        int expected = LOOK_THREAD_IN_KERNEL;

        still = now == last ? still + 1 : 0;
        last = now;
        if (still >= PARTS && atomic_compare_exchange_strong(&t->mark.phase, &expected, LOOK_THREAD_LEFT)) {
            t->left = true;
            break;
        }
    }
    (void)pthread_mutex_unlock(&t->mutex);
    if (!done) {
        (void)pthread_detach(t->handle);
    }
    return done;
}

bool look_thread_returned(struct look_thread *t)
{
    return atomic_load(&t->returned);
}

void look_thread_free(struct look_thread *t)
{
    if (!t) {
        return;
    }
    if (!t->left) {
        (void)pthread_mutex_lock(&t->mutex);
        t->stop = true;
        (void)pthread_cond_broadcast(&t->cond);
        (void)pthread_mutex_unlock(&t->mutex);
        (void)pthread_join(t->handle, NULL);
    }
    unref(t);
}
