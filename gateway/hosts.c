/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: one mutex over the map and over state and superseded of every claim. Mailboxes are posted to
 * while it is held (theirs is the inner lock).
 */
#include "gateway/hosts.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/hashmap.h"
#include "common/base/siphash.h"
#include "common/os/fsio.h"

#define HOSTS_MAX 2000000u

struct entry {
    struct uuid host;
    struct host_claim *holder;
    struct host_claim *waiter;
};

struct hosts {
    pthread_mutex_t lock;
    struct hashmap map;
    uint8_t hash_key[SIPHASH_KEY_SIZE];
};

int hosts_new(struct hosts **out, struct pofr_err *err)
{
    struct hosts *h = (struct hosts *)calloc(1, sizeof(*h));
    int rc;

    if (!h) {
        return pofr_err_set(err, POFR_ENOMEM, "hosts: out of memory");
    }
    rc = fsio_random(h->hash_key, sizeof(h->hash_key), err);
    if (rc != 0) {
        free(h);
        return rc;
    }
    (void)pthread_mutex_init(&h->lock, NULL); /* can't fail with default attributes */
    hashmap_init(&h->map, HOSTS_MAX, 0);
    *out = h;
    return 0;
}

static bool drop(void *value, void *arg)
{
    (void)arg;
    free(value);
    return false;
}

void hosts_free(struct hosts *h)
{
    if (h) {
        (void)hashmap_retain(&h->map, drop, NULL); /* the count is of no interest */
        hashmap_free(&h->map);
        (void)pthread_mutex_destroy(&h->lock);
        free(h);
    }
}

static bool is_entry(const void *value, const void *uuid)
{
    return uuid_eq(&((const struct entry *)value)->host, (const struct uuid *)uuid);
}

static uint64_t hash_of(const struct hosts *h, const struct uuid *host)
{
    return siphash24(h->hash_key, slice_of(host->b, sizeof(host->b)));
}

static void supersede(struct host_claim *c)
{
    if (c && !c->superseded) {
        c->superseded = true;
        mailbox_post(c->mailbox, &c->note);
    }
}

static int claim_locked(struct hosts *h, struct host_claim *c)
{
    uint64_t hash = hash_of(h, &c->host);
    struct entry *e = (struct entry *)hashmap_get(&h->map, hash, is_entry, &c->host);
    int rc;

    if (e) {
        supersede(e->holder);
        supersede(e->waiter);
        if (e->waiter) {
            e->waiter->state = CLAIM_NONE;
        }
        e->waiter = c;
        c->state = CLAIM_WAITS;
        return 0;
    }
    e = (struct entry *)calloc(1, sizeof(*e));
    if (!e) {
        return POFR_ENOMEM;
    }
    e->host = c->host;
    rc = hashmap_insert(&h->map, hash, e);
    if (rc != 0) {
        free(e);
        return rc;
    }
    e->holder = c;
    c->state = CLAIM_HOLDS;
    return 0;
}

int hosts_claim(struct hosts *h, struct host_claim *c, enum host_claim_state *out_state)
{
    int rc;

    pthread_mutex_lock(&h->lock);
    rc = claim_locked(h, c);
    if (rc == 0) {
        *out_state = c->state;
    }
    pthread_mutex_unlock(&h->lock);
    return rc;
}

enum host_claim_state hosts_news(struct hosts *h, struct host_claim *c, bool *out_superseded)
{
    enum host_claim_state state;

    pthread_mutex_lock(&h->lock);
    state = c->state;
    *out_superseded = c->superseded;
    pthread_mutex_unlock(&h->lock);
    return state;
}

static void release_locked(struct hosts *h, struct host_claim *c)
{
    uint64_t hash = hash_of(h, &c->host);
    struct entry *e = (struct entry *)hashmap_get(&h->map, hash, is_entry, &c->host);

    if (e->waiter == c) {
        e->waiter = NULL;
    } else if (e->waiter) {
        e->holder = e->waiter;
        e->waiter = NULL;
        e->holder->state = CLAIM_HOLDS;
        mailbox_post(e->holder->mailbox, &e->holder->note);
    } else {
        free(hashmap_remove(&h->map, hash, is_entry, &c->host));
    }
    c->state = CLAIM_NONE;
}

void hosts_release(struct hosts *h, struct host_claim *c)
{
    pthread_mutex_lock(&h->lock);
    if (c->state != CLAIM_NONE) {
        release_locked(h, c);
    }
    pthread_mutex_unlock(&h->lock);
    if (c->mailbox) {
        mailbox_cancel(c->mailbox, &c->note);
    }
}

size_t hosts_count(struct hosts *h)
{
    size_t n;

    pthread_mutex_lock(&h->lock);
    n = h->map.count;
    pthread_mutex_unlock(&h->lock);
    return n;
}
