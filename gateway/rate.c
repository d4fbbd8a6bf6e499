/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bucket is one number: when it will be full again. An address whose bucket is full is as one never seen, and is
 * forgotten: so the table holds only those that came lately, in the order of their coming.
 */
#include "gateway/rate.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/hashmap.h"
#include "common/base/siphash.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"

#define SWEEP 2 /* at each connection: so they go faster than they come */

struct bucket {
    struct bucket *prev, *next; /* in a ring with rate.oldest; by the time of the last connection */
    uint64_t hash;
    int64_t full_us;
    uint8_t address[RATE_ADDRESS_SIZE];
};

struct rate {
    struct hashmap by_address;
    struct bucket ends; /* next: the oldest; prev: the newest */
    int64_t token_us;   /* for one to come back; 0: no limit */
    int64_t burst;
    uint8_t hash_key[SIPHASH_KEY_SIZE];
};

int rate_new(struct rate **out, struct pofr_err *err)
{
    struct rate *r = (struct rate *)calloc(1, sizeof(*r));
    int rc;

    if (!r) {
        return pofr_err_set(err, POFR_ENOMEM, "rate: out of memory");
    }
    rc = fsio_random(r->hash_key, sizeof(r->hash_key), err);
    if (rc != 0) {
        free(r);
        return rc;
    }
    hashmap_init(&r->by_address, RATE_ADDRESSES_MAX, 0);
    r->ends.prev = r->ends.next = &r->ends;
    *out = r;
    return 0;
}

static bool same_address(const void *value, const void *key)
{
    return memcmp(((const struct bucket *)value)->address, key, RATE_ADDRESS_SIZE) == 0;
}

static void unlink_bucket(struct bucket *b)
{
    b->prev->next = b->next;
    b->next->prev = b->prev;
}

static void link_newest(struct rate *r, struct bucket *b)
{
    b->prev = r->ends.prev;
    b->next = &r->ends;
    b->prev->next = b;
    r->ends.prev = b;
}

static void forget_oldest(struct rate *r)
{
    struct bucket *b = r->ends.next;

    unlink_bucket(b);
    free(hashmap_remove(&r->by_address, b->hash, same_address, b->address));
}

void rate_free(struct rate *r)
{
    if (r) {
        while (r->by_address.count > 0) {
            forget_oldest(r);
        }
        hashmap_free(&r->by_address);
        free(r);
    }
}

void rate_set(struct rate *r, uint32_t per_second, uint32_t burst)
{
    r->token_us = per_second == 0 ? 0 : per_second >= CLOCK_US_PER_S ? 1 : CLOCK_US_PER_S / (int64_t)per_second;
    r->burst = burst;
}

static uint64_t hash_of(const struct rate *r, const uint8_t *address)
{
    return siphash24(r->hash_key, slice_of(address, RATE_ADDRESS_SIZE));
}

static struct bucket *find_or_add(struct rate *r, const uint8_t *address)
{
    uint64_t hash = hash_of(r, address);
    struct bucket *b = (struct bucket *)hashmap_get(&r->by_address, hash, same_address, address);

    if (b) {
        unlink_bucket(b);
        link_newest(r, b);
        return b;
    }
    if (r->by_address.count >= RATE_ADDRESSES_MAX) {
        forget_oldest(r);
    }
    b = (struct bucket *)calloc(1, sizeof(*b));
    if (b) {
        b->hash = hash;
        memcpy(b->address, address, RATE_ADDRESS_SIZE);
        if (hashmap_insert(&r->by_address, hash, b) != 0) {
            free(b);
            return NULL;
        }
        link_newest(r, b);
    }
    return b;
}

bool rate_take(struct rate *r, const uint8_t address[RATE_ADDRESS_SIZE], int64_t now_us)
{
    struct bucket *b;
    int64_t full_us;
    int i;

    for (i = 0; i < SWEEP && r->by_address.count > 0 && r->ends.next->full_us <= now_us; i++) {
        forget_oldest(r);
    }
    if (r->token_us == 0 || (b = find_or_add(r, address)) == NULL) {
        return true;
    }
    full_us = (b->full_us > now_us ? b->full_us : now_us) + r->token_us;
    if (full_us > now_us + r->token_us * r->burst) {
        return false;
    }
    b->full_us = full_us;
    return true;
}

void rate_give_back(struct rate *r, const uint8_t address[RATE_ADDRESS_SIZE])
{
    struct bucket *b = (struct bucket *)hashmap_get(&r->by_address, hash_of(r, address), same_address, address);

    if (b) {
        b->full_us -= r->token_us - r->token_us / 16;
    }
}

size_t rate_addresses(const struct rate *r)
{
    return r->by_address.count;
}
