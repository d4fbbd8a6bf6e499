/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.h -- epoll: fds, timers, signals, and wake-ups from other threads.
 *
 * One thread owns a loop and makes every call but loop_stop() and loop_event_post(), which any thread may
 * make (both are also safe in a signal handler). Callbacks may add and remove anything, themselves included;
 * what was removed is not called any more, not even for events that were fetched before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

struct loop;
struct loop_event;
struct pofr_err;

typedef void (*loop_fd_fn)(int fd, uint32_t events, void *arg); /* events: EPOLLIN … */
typedef void (*loop_timer_fn)(void *arg);
typedef void (*loop_signal_fn)(int signo, void *arg);

POFR_MUST_USE int loop_new(struct loop **out, struct pofr_err *err);

/* Signals that it took are as before; fds that were added are not closed. NULL is allowed. */
void loop_free(struct loop *l);

/* Until loop_stop(). 0, or POFR_ESYSTEM. */
POFR_MUST_USE int loop_run(struct loop *l, struct pofr_err *err);

/* One round: wait for at most max_wait_us (0: not at all; < 0: no limit), then call what is due. */
POFR_MUST_USE int loop_once(struct loop *l, int64_t max_wait_us, struct pofr_err *err);

/* Let loop_run() return after the callbacks of this round. Any thread. Stays set until loop_run() has returned. */
void loop_stop(struct loop *l);

/* Call fn when fd is ready for events (EPOLLIN, EPOLLOUT, EPOLLRDHUP; errors and hang-ups always). One entry per fd. */
POFR_MUST_USE int loop_fd_add(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg, struct pofr_err *err);
POFR_MUST_USE int loop_fd_change(struct loop *l, int fd, uint32_t events, struct pofr_err *err);
/* Before close(fd). An fd that was never added is ignored. */
void loop_fd_remove(struct loop *l, int fd);

/* A timer is the caller's memory, zeroed before its first use; it runs once and may set itself again in fn. */
struct loop_timer {
    int64_t due_us; /* clock_mono_us() */
    loop_timer_fn fn;
    void *arg;
    size_t at; /* place in the loop's heap, from 1; 0: not set */
};

/* Call fn(arg) once, at due_us of clock_mono_us() or soon after. Moves a timer that is set. POFR_ENOMEM. */
POFR_MUST_USE int loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due_us, loop_timer_fn fn, void *arg);
/* The same, after_us from now. */
POFR_MUST_USE int loop_timer_after(struct loop *l, struct loop_timer *t, int64_t after_us, loop_timer_fn fn, void *arg);
/* Must be done before its memory goes. Harmless where it is not set. */
void loop_timer_cancel(struct loop *l, struct loop_timer *t);
static inline bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->at != 0;
}

/* Call fn for signo, which is blocked in this thread and in those it starts afterwards: so before any thread is started. */
POFR_MUST_USE int loop_signal_add(struct loop *l, int signo, loop_signal_fn fn, void *arg, struct pofr_err *err);

/* Something another thread can raise: fn(arg) runs on the loop's thread, once for any number of posts before it. */
POFR_MUST_USE int loop_event_new(struct loop *l, loop_timer_fn fn, void *arg, struct loop_event **out,
                                 struct pofr_err *err);
void loop_event_post(struct loop_event *e);
/* The eventfd, for libraries that write to an fd (rd_kafka_queue_io_event_enable: 8 bytes, uint64_t 1). */
int loop_event_fd(const struct loop_event *e);
/* No thread may post any more. NULL is allowed. Before loop_free(). */
void loop_event_free(struct loop_event *e);
