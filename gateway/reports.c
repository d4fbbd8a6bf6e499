/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/reports.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/hashmap.h"

struct reports {
    pthread_mutex_t lock;
    struct hashmap hosts; /* struct report by host_id */
};

int reports_new(struct reports **out, struct pofr_err *err)
{
    struct reports *r = (struct reports *)calloc(1, sizeof(*r));

    if (!r) {
        return pofr_err_set(err, POFR_ENOMEM, "reports: out of memory");
    }
    (void)pthread_mutex_init(&r->lock, NULL); /* can't fail with default attributes */
    hashmap_init(&r->hosts, REPORTS_HOSTS_MAX, 0);
    *out = r;
    return 0;
}

void reports_free(struct reports *r)
{
    struct report *h;
    size_t at = 0;

    if (!r) {
        return;
    }
    while ((h = (struct report *)hashmap_next(&r->hosts, &at)) != NULL) {
        free(h);
    }
    hashmap_free(&r->hosts);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

/* With the lock held. */
static struct report *of_host(struct reports *r, uint64_t host_id)
{
    return (struct report *)hashmap_get(&r->hosts, host_id, NULL, NULL);
}

static struct report *add(struct reports *r, uint64_t host_id)
{
    struct report *h = (struct report *)calloc(1, sizeof(*h));

    if (h && hashmap_insert(&r->hosts, host_id, h) != 0) {
        free(h);
        h = NULL;
    }
    if (h) {
        h->host_id = host_id;
    }
    return h;
}

void reports_hello(struct reports *r, uint64_t host_id, uint64_t oldest, uint64_t newest, int64_t wall_us)
{
    struct report *h;

    pthread_mutex_lock(&r->lock);
    h = of_host(r, host_id);
    h = h ? h : add(r, host_id);
    if (h) {
        h->oldest = oldest;
        h->newest = newest;
        h->hello_us = wall_us;
        h->sessions++;
    }
    pthread_mutex_unlock(&r->lock);
}

void reports_acked(struct reports *r, uint64_t host_id, uint64_t sequence, int64_t wall_us)
{
    struct report *h;

    pthread_mutex_lock(&r->lock);
    h = of_host(r, host_id);
    if (h) {
        h->acked = sequence > h->acked ? sequence : h->acked; /* wanted ones come out of their order */
        h->acked_us = wall_us;
    }
    pthread_mutex_unlock(&r->lock);
}

void reports_left(struct reports *r, uint64_t host_id)
{
    struct report *h;

    pthread_mutex_lock(&r->lock);
    h = of_host(r, host_id);
    if (h && h->sessions > 0) {
        h->sessions--;
    }
    pthread_mutex_unlock(&r->lock);
}

static int by_host(const void *a, const void *b)
{
    uint64_t x = ((const struct report *)a)->host_id, y = ((const struct report *)b)->host_id;

    return (x > y) - (x < y);
}

int reports_take(struct reports *r, struct report **out, size_t *out_count)
{
    const struct report *h;
    struct report *list;
    size_t at = 0, n = 0;

    pthread_mutex_lock(&r->lock);
    list = (struct report *)calloc(r->hosts.count + 1, sizeof(*list));
    while (list && (h = (const struct report *)hashmap_next(&r->hosts, &at)) != NULL) {
        list[n++] = *h;
    }
    pthread_mutex_unlock(&r->lock);
    if (!list) {
        return POFR_ENOMEM;
    }
    qsort(list, n, sizeof(*list), by_host);
    *out = list;
    *out_count = n;
    return 0;
}

void reports_told(struct reports *r, const struct report *list, size_t count)
{
    const struct report *h;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < count; i++) {
        h = list[i].sessions == 0 ? of_host(r, list[i].host_id) : NULL;
        if (h && h->sessions == 0 && h->hello_us == list[i].hello_us) {
            free(hashmap_remove(&r->hosts, list[i].host_id, NULL, NULL));
        }
    }
    pthread_mutex_unlock(&r->lock);
}

void reports_format(const struct report *list, size_t count, struct buf *out)
{
    buf_u8(out, '[');
    for (size_t i = 0; i < count; i++) {
        const struct report *h = &list[i];

        buf_printf(out, "%s[%" PRIu64 ",%d,%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRId64 "]", i ? "," : "",
                   h->host_id, h->sessions > 0, h->hello_us, h->oldest, h->newest, h->acked, h->acked_us);
    }
    buf_u8(out, ']');
}
