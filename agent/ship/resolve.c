/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/os/loop.h"

#define STACK_SIZE (512 * 1024)

struct resolve {
    pthread_mutex_t lock; /* protects refs, cancelled, and event */
    int refs;
    bool cancelled;
    struct loop_event *event;
    resolve_fn fn;
    void *arg;
    char host[256];
    char port[8];
    /* written by the thread before it posts, read by the loop after */
    struct sockaddr_storage found[RESOLVE_MAX];
    size_t count;
    char error[160];
};

static atomic_int threads;

static void unref(struct resolve *r) /* with the lock held; lets go of it */
{
    bool last = --r->refs == 0;

    pthread_mutex_unlock(&r->lock);
    if (last) {
        pthread_mutex_destroy(&r->lock);
        free(r);
    }
}

/* Returns whether the question was answered, be it with an error. */
static bool ask(struct resolve *r, int flags)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags };
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(r->host, r->port, &hints, &list);

    for (struct addrinfo *a = list; rc == 0 && a && r->count < RESOLVE_MAX; a = a->ai_next) {
        if (a->ai_addrlen <= sizeof(r->found[0])) {
            memcpy(&r->found[r->count++], a->ai_addr, a->ai_addrlen);
        }
    }
    if (list) {
        freeaddrinfo(list);
    }
    if (r->count == 0) {
        snprintf(r->error, sizeof(r->error), "%s", rc != 0 ? gai_strerror(rc) : "no address");
    }
    return r->count > 0;
}

static void *run(void *arg)
{
    struct resolve *r = arg;

    (void)ask(r, AI_ADDRCONFIG);
    atomic_fetch_sub(&threads, 1);
    pthread_mutex_lock(&r->lock);
    if (!r->cancelled) {
        loop_event_post(r->event);
    }
    unref(r);
    return NULL;
}

static void let_go(struct resolve *r)
{
    pthread_mutex_lock(&r->lock);
    r->cancelled = true;
    loop_event_free(r->event);
    r->event = NULL;
    unref(r);
}

static void answered(void *arg)
{
    struct resolve *r = arg;
    struct sockaddr_storage found[RESOLVE_MAX];
    resolve_fn fn = r->fn;
    void *fn_arg = r->arg;
    char error[sizeof(r->error)];
    size_t count;

    pthread_mutex_lock(&r->lock); /* the thread wrote before it took the lock to post */
    count = r->count;
    memcpy(found, r->found, sizeof(found));
    memcpy(error, r->error, sizeof(error));
    pthread_mutex_unlock(&r->lock);
    let_go(r);
    fn(fn_arg, found, count, error);
}

static int start_thread(struct resolve *r, struct pofr_err *err)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    if (atomic_fetch_add(&threads, 1) >= RESOLVE_THREADS) {
        atomic_fetch_sub(&threads, 1);
        return pofr_err_set(err, POFR_EBUSY, "%s: %d names are still being looked up", r->host, RESOLVE_THREADS);
    }
    r->refs++;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    rc = pthread_create(&thread, &attr, run, r);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        r->refs--;
        atomic_fetch_sub(&threads, 1);
        errno = rc;
        return pofr_err_sys(err, POFR_ESYSTEM, "no thread to look up %s", r->host);
    }
    return 0;
}

int resolve_start(struct loop *loop, const char *host, uint16_t port, resolve_fn fn, void *arg, struct resolve **out,
                  struct pofr_err *err)
{
    struct resolve *r = calloc(1, sizeof(*r));
    int rc;

    if (!r) {
        return pofr_err_set(err, POFR_ENOMEM, "no memory to look up %s", host);
    }
    pthread_mutex_init(&r->lock, NULL);
    r->refs = 1;
    r->fn = fn;
    r->arg = arg;
    snprintf(r->host, sizeof(r->host), "%s", host);
    snprintf(r->port, sizeof(r->port), "%u", (unsigned)port);
    rc = loop_event_new(loop, answered, r, &r->event, err);
    if (rc == 0 && ask(r, AI_NUMERICHOST)) {
        loop_event_post(r->event); /* an address needs no thread */
    } else if (rc == 0) {
        rc = start_thread(r, err);
    }
    if (rc != 0) {
        let_go(r);
        return rc;
    }
    *out = r;
    return 0;
}

void resolve_cancel(struct resolve *r)
{
    if (r) {
        let_go(r);
    }
}
