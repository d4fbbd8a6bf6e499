/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/wanted.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/err.h"

struct wanted {
    pthread_mutex_t lock; /* of rows and count */
    struct wanted_row *rows;
    size_t count;
    int64_t newest_us; /* since of all rows that there ever were */
};

int wanted_new(struct wanted **out)
{
    struct wanted *w = (struct wanted *)calloc(1, sizeof(*w));

    if (!w) {
        return POFR_ENOMEM;
    }
    (void)pthread_mutex_init(&w->lock, NULL); /* can't fail with default attributes */
    *out = w;
    return 0;
}

void wanted_free(struct wanted *w)
{
    if (w) {
        free(w->rows);
        (void)pthread_mutex_destroy(&w->lock);
        free(w);
    }
}

bool wanted_replace(struct wanted *w, struct wanted_row *rows, size_t count)
{
    struct wanted_row *old;
    bool newer = false;

    pthread_mutex_lock(&w->lock);
    old = w->rows;
    w->rows = rows;
    w->count = count;
    for (size_t i = 0; i < count; i++) {
        newer = newer || rows[i].since_us > w->newest_us;
        w->newest_us = rows[i].since_us > w->newest_us ? rows[i].since_us : w->newest_us;
    }
    pthread_mutex_unlock(&w->lock);
    free(old);
    return newer;
}

unsigned wanted_of(struct wanted *w, uint64_t host_id, struct message_range *out, unsigned max, int64_t *out_since_us)
{
    size_t low = 0, high;
    unsigned n = 0;

    *out_since_us = 0;

    pthread_mutex_lock(&w->lock);
    high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (w->rows[middle].host_id < host_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < w->count && w->rows[low].host_id == host_id && n < max; low++) {
        if (out) {
            out[n] = w->rows[low].range;
        }
        if (w->rows[low].since_us > *out_since_us) {
            *out_since_us = w->rows[low].since_us;
        }
        n++;
    }
    pthread_mutex_unlock(&w->lock);
    return n;
}
