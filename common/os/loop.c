/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FDS      A table by fd number. Each entry has a generation, which goes into epoll's data and rises at
 *          removal: an event that was fetched before its fd was removed (and the number perhaps taken again) is seen as stale.
 *
 * TIMERS   A binary heap of pointers to the callers' timers, by due time; one timerfd is armed for the first.
 *          Due is decided by clock_mono_us() alone, so a fake clock moves them.
 *
 * THREADS  One owner; only `stopping` and the eventfds are touched by others.
 */
#include "common/os/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"

#define EVENTS_PER_ROUND 64

struct fd_entry {
    loop_fd_fn fn; /* NULL: not in use */
    void *arg;
    uint32_t generation;
};

struct signal_entry {
    loop_signal_fn fn;
    void *arg;
};

struct loop {
    int epoll_fd;
    int timer_fd;
    int signal_fd;
    int64_t armed_us; /* what timer_fd is set to; 0: not set */
    struct fd_entry *fds;
    size_t fds_size;
    struct loop_timer **heap; /* [0] is the first due */
    size_t heap_len;
    size_t heap_size;
    struct signal_entry signals[NSIG];
    sigset_t taken; /* signals that loop_signal_add() blocked and that were not blocked before */
    sigset_t wanted;
    struct loop_event *stop_event;
    atomic_bool stopping;
};

struct loop_event {
    struct loop *loop;
    int fd;
    loop_timer_fn fn;
    void *arg;
};

/* ---- fds ---- */

static uint64_t epoll_key(const struct loop *l, int fd)
{
    return (uint64_t)l->fds[fd].generation << 32 | (uint32_t)fd;
}

static int grow_fds(struct loop *l, size_t needed)
{
    size_t size = l->fds_size ? l->fds_size : 16;
    struct fd_entry *fds;

    while (size < needed) {
        size *= 2;
    }
    if (size == l->fds_size) {
        return 0;
    }
    fds = reallocarray(l->fds, size, sizeof(*fds));
    if (!fds) {
        return POFR_ENOMEM;
    }
    for (size_t i = l->fds_size; i < size; i++) {
        fds[i] = (struct fd_entry){ NULL, NULL, 0 };
    }
    l->fds = fds;
    l->fds_size = size;
    return 0;
}

int loop_fd_add(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg, struct pofr_err *err)
{
    struct epoll_event e = { .events = events };

    assert(fd >= 0 && fn);
    if (grow_fds(l, (size_t)fd + 1) != 0) {
        return pofr_err_set(err, POFR_ENOMEM, "watch fd %d: out of memory", fd);
    }
    assert(!l->fds[fd].fn);
    e.data.u64 = epoll_key(l, fd);
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0) {
        return pofr_err_sys(err, fsio_code(errno), "watch fd %d", fd);
    }
    l->fds[fd].fn = fn;
    l->fds[fd].arg = arg;
    return 0;
}

int loop_fd_change(struct loop *l, int fd, uint32_t events, struct pofr_err *err)
{
    struct epoll_event e = { .events = events };

    assert(fd >= 0 && (size_t)fd < l->fds_size && l->fds[fd].fn);
    e.data.u64 = epoll_key(l, fd);
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &e) != 0) {
        return pofr_err_sys(err, fsio_code(errno), "watch fd %d", fd);
    }
    return 0;
}

void loop_fd_remove(struct loop *l, int fd)
{
    if (fd < 0 || (size_t)fd >= l->fds_size || !l->fds[fd].fn) {
        return;
    }
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* fails where fd was closed already: it is gone then too */
    l->fds[fd].fn = NULL;
    l->fds[fd].generation++;
}

/* ---- timers ---- */

static void put_at(struct loop *l, size_t i, struct loop_timer *t)
{
    l->heap[i] = t;
    t->at = i + 1;
}

static void sift(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];

    while (i > 0 && t->due_us < l->heap[(i - 1) / 2]->due_us) {
        put_at(l, i, l->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < l->heap_len && l->heap[child + 1]->due_us < l->heap[child]->due_us) {
            child++;
        }
        if (child >= l->heap_len || l->heap[child]->due_us >= t->due_us) {
            break;
        }
        put_at(l, i, l->heap[child]);
        i = child;
    }
    put_at(l, i, t);
}

int loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_us, loop_timer_fn fn, void *arg)
{
    assert(fn);
    if (t->at == 0 && l->heap_len == l->heap_size) {
        size_t size = l->heap_size ? l->heap_size * 2 : 16;
        struct loop_timer **heap = reallocarray(l->heap, size, sizeof(struct loop_timer *));

        if (!heap) {
            return POFR_ENOMEM;
        }
        l->heap = heap;
        l->heap_size = size;
    }
    t->due_us = due_us;
    t->fn = fn;
    t->arg = arg;
    if (t->at == 0) {
        put_at(l, l->heap_len++, t);
    }
    sift(l, t->at - 1);
    return 0;
}

int loop_timer_after(struct loop *l, struct loop_timer *t, int64_t after_us, loop_timer_fn fn, void *arg)
{
    return loop_timer_set(l, t, clock_mono_us() + after_us, fn, arg);
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
    size_t i;

    if (t->at == 0) {
        return;
    }
    i = t->at - 1;
    assert(i < l->heap_len && l->heap[i] == t);
    t->at = 0;
    l->heap_len--;
    if (i < l->heap_len) {
        put_at(l, i, l->heap[l->heap_len]);
        sift(l, i);
    }
}

/* Set timer_fd to the first timer. A refusal would only make timers late: epoll's own limit of 1 s then serves. */
static void arm(struct loop *l, int64_t now)
{
    int64_t due = l->heap_len ? l->heap[0]->due_us : 0;
    struct itimerspec spec = { .it_value = { 0, 0 } };

    if (due == l->armed_us) {
        return;
    }
    if (l->heap_len) {
        int64_t wait = due > now ? due - now : 1; /* 0 would switch it off */

        spec.it_value.tv_sec = wait / CLOCK_US_PER_S;
        spec.it_value.tv_nsec = wait % CLOCK_US_PER_S * 1000;
    }
    l->armed_us = timerfd_settime(l->timer_fd, 0, &spec, NULL) == 0 ? due : 0;
}

static void timer_fd_ready(int fd, uint32_t events, void *arg)
{
    struct loop *l = arg;
    uint64_t expired;

    (void)events;
    if (read(fd, &expired, sizeof(expired)) == (ssize_t)sizeof(expired)) {
        l->armed_us = 0;
    }
}

/* At most as many as there were at the start: a timer that sets itself again for now waits for the next round. */
static void run_timers(struct loop *l)
{
    int64_t now = clock_mono_us();

    for (size_t n = l->heap_len; n > 0 && l->heap_len > 0 && l->heap[0]->due_us <= now; n--) {
        struct loop_timer *t = l->heap[0];

        loop_timer_cancel(l, t);
        t->fn(t->arg); /* t may be gone afterwards */
    }
}

/* ---- signals ---- */

static void signal_fd_ready(int fd, uint32_t events, void *arg)
{
    struct loop *l = arg;
    struct signalfd_siginfo info;

    (void)events;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo < NSIG && l->signals[info.ssi_signo].fn) {
            l->signals[info.ssi_signo].fn((int)info.ssi_signo, l->signals[info.ssi_signo].arg);
        }
    }
}

int loop_signal_add(struct loop *l, int signo, loop_signal_fn fn, void *arg, struct pofr_err *err)
{
    sigset_t one, before;
    int fd;

    assert(signo > 0 && signo < NSIG && fn);
    (void)sigemptyset(&one); /* these four can't fail for a valid signal number */
    (void)sigaddset(&one, signo);
    (void)pthread_sigmask(SIG_BLOCK, &one, &before);
    (void)sigaddset(&l->wanted, signo);
    if (!sigismember(&before, signo)) {
        (void)sigaddset(&l->taken, signo);
    }
    fd = signalfd(l->signal_fd, &l->wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return pofr_err_sys(err, fsio_code(errno), "signalfd");
    }
    l->signals[signo] = (struct signal_entry){ fn, arg };
    if (l->signal_fd >= 0) {
        return 0;
    }
    l->signal_fd = fd;
    return loop_fd_add(l, fd, EPOLLIN, signal_fd_ready, l, err);
}

/* ---- events of other threads ---- */

static void event_fd_ready(int fd, uint32_t events, void *arg)
{
    struct loop_event *e = arg;
    uint64_t posts;

    (void)events;
    if (read(fd, &posts, sizeof(posts)) == (ssize_t)sizeof(posts)) {
        e->fn(e->arg);
    }
}

int loop_event_new(struct loop *l, loop_timer_fn fn, void *arg, struct loop_event **out, struct pofr_err *err)
{
    struct loop_event *e = calloc(1, sizeof(*e));
    int rc;

    if (!e) {
        return pofr_err_set(err, POFR_ENOMEM, "event: out of memory");
    }
    *e = (struct loop_event){ .loop = l, .fn = fn, .arg = arg };
    e->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (e->fd < 0) {
        rc = pofr_err_sys(err, fsio_code(errno), "eventfd");
        free(e);
        return rc;
    }
    rc = loop_fd_add(l, e->fd, EPOLLIN, event_fd_ready, e, err);
    if (rc != 0) {
        fsio_close(&e->fd);
        free(e);
        return rc;
    }
    *out = e;
    return 0;
}

void loop_event_post(struct loop_event *e)
{
    static const uint64_t one = 1;
    int saved = errno;
    ssize_t n = write(e->fd, &one, sizeof(one));

    (void)n; /* EAGAIN: the counter is at its top, so the loop will wake anyway */
    errno = saved;
}

int loop_event_fd(const struct loop_event *e)
{
    return e->fd;
}

void loop_event_free(struct loop_event *e)
{
    if (e) {
        loop_fd_remove(e->loop, e->fd);
        fsio_close(&e->fd);
        free(e);
    }
}

/* ---- the loop ---- */

static void woken_to_stop(void *arg)
{
    (void)arg; /* waking is all it is for */
}

int loop_new(struct loop **out, struct pofr_err *err)
{
    struct loop *l = calloc(1, sizeof(*l));
    int rc;

    if (!l) {
        return pofr_err_set(err, POFR_ENOMEM, "loop: out of memory");
    }
    l->signal_fd = -1;
    (void)sigemptyset(&l->taken); /* can't fail */
    (void)sigemptyset(&l->wanted);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l->epoll_fd < 0 || l->timer_fd < 0) {
        rc = pofr_err_sys(err, fsio_code(errno), "loop: epoll or timerfd");
    } else {
        rc = loop_fd_add(l, l->timer_fd, EPOLLIN, timer_fd_ready, l, err);
    }
    if (rc == 0) {
        rc = loop_event_new(l, woken_to_stop, NULL, &l->stop_event, err);
    }
    if (rc != 0) {
        loop_free(l);
        return rc;
    }
    *out = l;
    return 0;
}

void loop_free(struct loop *l)
{
    if (!l) {
        return;
    }
    loop_event_free(l->stop_event);
    for (size_t i = 0; i < l->heap_len; i++) {
        l->heap[i]->at = 0;
    }
    (void)pthread_sigmask(SIG_UNBLOCK, &l->taken, NULL); /* can't fail */
    fsio_close(&l->signal_fd);
    fsio_close(&l->timer_fd);
    fsio_close(&l->epoll_fd);
    free(l->heap);
    free(l->fds);
    free(l);
}

/* For epoll_wait(): whole milliseconds, rounded up, so that a short wait is not none. */
static int wait_ms(int64_t max_wait_us)
{
    if (max_wait_us < 0) {
        return -1;
    }
    if (max_wait_us > INT64_C(3600) * CLOCK_US_PER_S) {
        return 3600 * 1000;
    }
    return (int)((max_wait_us + 999) / 1000);
}

int loop_once(struct loop *l, int64_t max_wait_us, struct pofr_err *err)
{
    struct epoll_event events[EVENTS_PER_ROUND];
    int64_t now = clock_mono_us();
    int wait = wait_ms(max_wait_us);
    int n;

    arm(l, now);
    if (l->heap_len && l->heap[0]->due_us <= now) {
        wait = 0;
    } else if (l->heap_len && l->armed_us == 0 && (wait < 0 || wait > 1000)) {
        wait = 1000;
    }
    n = epoll_wait(l->epoll_fd, events, EVENTS_PER_ROUND, wait);
    if (n < 0 && errno != EINTR) {
        return pofr_err_sys(err, POFR_ESYSTEM, "epoll_wait");
    }
    for (int i = 0; i < n; i++) {
        uint32_t fd = (uint32_t)events[i].data.u64;
        struct fd_entry *entry = &l->fds[fd]; /* the callback may move the table: not used after the call */

        if (entry->fn && entry->generation == (uint32_t)(events[i].data.u64 >> 32)) {
            entry->fn((int)fd, events[i].events, entry->arg);
        }
    }
    run_timers(l);
    return 0;
}

int loop_run(struct loop *l, struct pofr_err *err)
{
    int rc = 0;

    while (rc == 0 && !atomic_load(&l->stopping)) {
        rc = loop_once(l, -1, err);
    }
    atomic_store(&l->stopping, false);
    return rc;
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stopping, true);
    loop_event_post(l->stop_event);
}
