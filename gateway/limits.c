/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/limits.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/hashmap.h"
#include "common/base/siphash.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "gateway/rate.h"

#define FILES_FOR_OTHERS 128u /* listeners, Kafka, the catalog, the log, files being replaced */

struct address_count {
    struct limit_address address;
    uint32_t sessions;
    uint32_t unauthenticated;
};

struct limits {
    struct limit_values values;
    pthread_mutex_t lock; /* of all below */
    uint32_t sessions;
    uint32_t unauthenticated;
    struct hashmap by_address;
    struct rate *rate;
    uint8_t hash_key[SIPHASH_KEY_SIZE];
};

int limits_new(const struct gateway_conf *conf, struct limits **out, struct pofr_err *err)
{
    struct limits *l = (struct limits *)calloc(1, sizeof(*l));
    int rc;

    if (!l) {
        return pofr_err_set(err, POFR_ENOMEM, "limits: out of memory");
    }
    rc = fsio_random(l->hash_key, sizeof(l->hash_key), err);
    if (rc == 0) {
        rc = rate_new(&l->rate, err);
    }
    if (rc != 0) {
        free(l);
        return rc;
    }
    (void)pthread_mutex_init(&l->lock, NULL); /* can't fail with default attributes */
    hashmap_init(&l->by_address, 2000000, 0);
    limits_set(l, conf, UINT64_MAX);
    *out = l;
    return 0;
}

static bool drop(void *value, void *arg)
{
    (void)arg;
    free(value);
    return false;
}

void limits_free(struct limits *l)
{
    if (l) {
        (void)hashmap_retain(&l->by_address, drop, NULL); /* the count is of no interest */
        hashmap_free(&l->by_address);
        rate_free(l->rate);
        (void)pthread_mutex_destroy(&l->lock);
        free(l);
    }
}

void limits_set(struct limits *l, const struct gateway_conf *conf, uint64_t files)
{
    struct limit_values *v = &l->values;
    uint32_t sessions = conf->sessions;

    if (files < (uint64_t)sessions + FILES_FOR_OTHERS) {
        sessions = files > FILES_FOR_OTHERS ? (uint32_t)(files - FILES_FOR_OTHERS) : 1;
    }
    atomic_store(&v->sessions, sessions);
    atomic_store(&v->sessions_per_address, conf->sessions_per_address);
    atomic_store(&v->unauthenticated, conf->unauthenticated);
    atomic_store(&v->unauthenticated_per_address, conf->unauthenticated_per_address);
    atomic_store(&v->window, conf->window);
    atomic_store(&v->bundle_max, conf->bundle_max);
    atomic_store(&v->session_memory, conf->session_memory);
    atomic_store(&v->auth_us, conf->auth_us);
    atomic_store(&v->message_us, conf->message_us);
    pthread_mutex_lock(&l->lock);
    rate_set(l->rate, conf->connects_per_address, conf->connects_burst);
    pthread_mutex_unlock(&l->lock);
}

const struct limit_values *limits_values(const struct limits *l)
{
    return &l->values;
}

void limit_address_of(const struct sockaddr *sa, struct limit_address *out)
{
    static const uint8_t v4_in_v6[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    memset(out, 0, sizeof(*out));
    if (sa->sa_family == AF_INET) {
        memcpy(out->b, v4_in_v6, sizeof(v4_in_v6));
        memcpy(out->b + 12, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

        memcpy(out->b, a, memcmp(a, v4_in_v6, sizeof(v4_in_v6)) == 0 ? 16 : 8);
    }
}

static bool is_address(const void *value, const void *key)
{
    return memcmp(&((const struct address_count *)value)->address, key, sizeof(struct limit_address)) == 0;
}

static struct address_count *find(struct limits *l, const struct limit_address *from, uint64_t *out_hash)
{
    *out_hash = siphash24(l->hash_key, slice_of(from->b, sizeof(from->b)));
    return (struct address_count *)hashmap_get(&l->by_address, *out_hash, is_address, from);
}

static struct address_count *find_or_add(struct limits *l, const struct limit_address *from)
{
    uint64_t hash;
    struct address_count *a = find(l, from, &hash);

    if (!a) {
        a = (struct address_count *)calloc(1, sizeof(*a));
        if (a) {
            a->address = *from;
            if (hashmap_insert(&l->by_address, hash, a) != 0) {
                free(a);
                a = NULL;
            }
        }
    }
    return a;
}

static void forget_if_unused(struct limits *l, const struct limit_address *from)
{
    uint64_t hash;
    struct address_count *a = find(l, from, &hash);

    if (a && a->sessions == 0) {
        free(hashmap_remove(&l->by_address, hash, is_address, from));
    }
}

int limits_enter(struct limits *l, const struct limit_address *from)
{
    const struct limit_values *v = &l->values;
    struct address_count *a;
    int against = 0;

    pthread_mutex_lock(&l->lock);
    if (l->sessions >= atomic_load(&v->sessions)) {
        against = REFUSAL_SESSIONS + 1;
    } else if (l->unauthenticated >= atomic_load(&v->unauthenticated)) {
        against = REFUSAL_UNAUTHENTICATED + 1;
    } else if ((a = find_or_add(l, from)) == NULL) {
        against = REFUSAL_MEMORY + 1;
    } else if (a->sessions >= atomic_load(&v->sessions_per_address) ||
               a->unauthenticated >= atomic_load(&v->unauthenticated_per_address)) {
        against = REFUSAL_ADDRESS + 1; /* so it has sessions, and stays in the map */
    } else if (!rate_take(l->rate, from->b, clock_mono_us())) {
        against = REFUSAL_RATE + 1;
        forget_if_unused(l, from);
    } else {
        a->sessions++;
        a->unauthenticated++;
        l->sessions++;
        l->unauthenticated++;
    }
    pthread_mutex_unlock(&l->lock);
    return against;
}

void limits_authenticated(struct limits *l, const struct limit_address *from)
{
    struct address_count *a;
    uint64_t hash;

    pthread_mutex_lock(&l->lock);
    a = find(l, from, &hash);
    if (a) {
        a->unauthenticated--;
        l->unauthenticated--;
        rate_give_back(l->rate, from->b);
    }
    pthread_mutex_unlock(&l->lock);
}

void limits_leave(struct limits *l, const struct limit_address *from, bool was_authenticated)
{
    struct address_count *a;
    uint64_t hash;

    pthread_mutex_lock(&l->lock);
    a = find(l, from, &hash);
    if (a) {
        l->sessions--;
        a->sessions--;
        if (!was_authenticated) {
            l->unauthenticated--;
            a->unauthenticated--;
        }
        forget_if_unused(l, from);
    }
    pthread_mutex_unlock(&l->lock);
}

bool limits_has_room_for_strangers(struct limits *l)
{
    return limits_unauthenticated(l) < atomic_load(&l->values.unauthenticated);
}

uint32_t limits_sessions(struct limits *l)
{
    uint32_t n;

    pthread_mutex_lock(&l->lock);
    n = l->sessions;
    pthread_mutex_unlock(&l->lock);
    return n;
}

uint32_t limits_unauthenticated(struct limits *l)
{
    uint32_t n;

    pthread_mutex_lock(&l->lock);
    n = l->unauthenticated;
    pthread_mutex_unlock(&l->lock);
    return n;
}
