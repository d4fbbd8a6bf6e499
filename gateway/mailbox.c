/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/mailbox.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/os/loop.h"

struct mailbox {
    pthread_mutex_t lock; /* of the list and of posted in each note */
    struct note *first, **last;
    struct loop_event *event;
    void *arg;
};

static struct note *take_first(struct mailbox *m)
{
    struct note *n;

    pthread_mutex_lock(&m->lock);
    n = m->first;
    if (n) {
        m->first = n->next;
        if (!m->first) {
            m->last = &m->first;
        }
        n->next = NULL;
        n->posted = false;
    }
    pthread_mutex_unlock(&m->lock);
    return n;
}

/* One at a time: a delivery may cancel others. What is posted meanwhile raises the event again. */
static void deliver_all(void *arg)
{
    struct mailbox *m = (struct mailbox *)arg;
    struct note *n;

    while ((n = take_first(m)) != NULL) {
        n->deliver(n, m->arg);
    }
}

int mailbox_open(struct loop *l, void *arg, struct mailbox **out, struct pofr_err *err)
{
    struct mailbox *m = (struct mailbox *)calloc(1, sizeof(*m));
    int rc;

    if (!m) {
        return pofr_err_set(err, POFR_ENOMEM, "mailbox: out of memory");
    }
    m->last = &m->first;
    m->arg = arg;
    rc = loop_event_new(l, deliver_all, m, &m->event, err);
    if (rc != 0) {
        free(m);
        return rc;
    }
    (void)pthread_mutex_init(&m->lock, NULL); /* can't fail with default attributes */
    *out = m;
    return 0;
}

void mailbox_close(struct mailbox *m)
{
    if (m) {
        deliver_all(m);
        loop_event_free(m->event);
        (void)pthread_mutex_destroy(&m->lock);
        free(m);
    }
}

void mailbox_post(struct mailbox *m, struct note *n)
{
    bool wake = false;

    pthread_mutex_lock(&m->lock);
    if (!n->posted) {
        n->posted = true;
        n->next = NULL;
        wake = m->first == NULL;
        *m->last = n;
        m->last = &n->next;
    }
    pthread_mutex_unlock(&m->lock);
    if (wake) {
        loop_event_post(m->event);
    }
}

void mailbox_cancel(struct mailbox *m, struct note *n)
{
    struct note **at;

    pthread_mutex_lock(&m->lock);
    for (at = &m->first; n->posted && *at; at = &(*at)->next) {
        if (*at == n) {
            *at = n->next;
            if (m->last == &n->next) {
                m->last = at;
            }
            n->next = NULL;
            n->posted = false;
            break;
        }
    }
    pthread_mutex_unlock(&m->lock);
}
