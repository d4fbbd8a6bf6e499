/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linear probing; a removal moves the following entries back, so there are no tombstones and a table that
 * lives for months stays as fast as a new one.
 */
#include "common/base/hashmap.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/err.h"

#define SMALLEST 8U

struct hashmap_slot {
    uint64_t hash;
    void *value; /* NULL: free */
};

/* Where a hash wants to be; mixes, because 64-bit keys (pids, inodes) are given as they are. */
POFR_WRAPS static size_t home(const struct hashmap *m, uint64_t hash)
{
    uint64_t x = hash ^ m->seed;

    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    x ^= x >> 33;
    return (size_t)x & (m->cap - 1);
}

void hashmap_init(struct hashmap *m, size_t max_entries, uint64_t seed)
{
    *m = (struct hashmap){ .max = max_entries, .seed = seed };
}

void hashmap_free(struct hashmap *m)
{
    free(m->slots);
    hashmap_init(m, m->max, m->seed);
}

/* The slot of the key, or the free one where it would go. cap > count, so it ends. */
static size_t find(const struct hashmap *m, uint64_t hash, hashmap_eq_fn eq, const void *key)
{
    size_t at = home(m, hash);

    while (m->slots[at].value && !(m->slots[at].hash == hash && (!eq || eq(m->slots[at].value, key)))) {
        at = (at + 1) & (m->cap - 1);
    }
    return at;
}

static void place(struct hashmap *m, uint64_t hash, void *value)
{
    size_t at = home(m, hash);

    while (m->slots[at].value) {
        at = (at + 1) & (m->cap - 1);
    }
    m->slots[at] = (struct hashmap_slot){ hash, value };
}

static int resize(struct hashmap *m, size_t cap)
{
    struct hashmap_slot *old = m->slots;
    size_t old_cap = m->cap;
    struct hashmap_slot *slots = calloc(cap, sizeof(*slots));

    if (!slots) {
        return POFR_ENOMEM;
    }
    m->slots = slots;
    m->cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].value) {
            place(m, old[i].hash, old[i].value);
        }
    }
    free(old);
    return 0;
}

/* No memory for the smaller table: keep the larger. */
static void shrink(struct hashmap *m)
{
    size_t cap = m->cap;

    while (cap > SMALLEST && m->count < cap / 8) {
        cap /= 2;
    }
    if (cap < m->cap) {
        (void)resize(m, cap); /* the larger table serves as well */
    }
}

void *hashmap_get(const struct hashmap *m, uint64_t hash, hashmap_eq_fn eq, const void *key)
{
    return m->count ? m->slots[find(m, hash, eq, key)].value : NULL;
}

int hashmap_insert(struct hashmap *m, uint64_t hash, void *value)
{
    assert(value);
    if (m->count >= m->max) {
        return POFR_EFULL;
    }
    if (m->count + 1 > m->cap / 4 * 3) {
        int rc = resize(m, m->cap ? m->cap * 2 : SMALLEST);

        if (rc != 0) {
            return rc;
        }
    }
    place(m, hash, value);
    m->count++;
    return 0;
}

/* Free the slot; entries behind it that would be cut off from their home move back. */
static void remove_at(struct hashmap *m, size_t at)
{
    size_t mask = m->cap - 1;
    size_t hole = at;

    for (size_t next = (at + 1) & mask; m->slots[next].value; next = (next + 1) & mask) {
        size_t wants = home(m, m->slots[next].hash);

        if (((next - wants) & mask) >= ((next - hole) & mask)) {
            m->slots[hole] = m->slots[next];
            hole = next;
        }
    }
    m->slots[hole] = (struct hashmap_slot){ 0, NULL };
    m->count--;
}

void *hashmap_remove(struct hashmap *m, uint64_t hash, hashmap_eq_fn eq, const void *key)
{
    size_t at;
    void *value;

    if (m->count == 0) {
        return NULL;
    }
    at = find(m, hash, eq, key);
    value = m->slots[at].value;
    if (value) {
        remove_at(m, at);
        shrink(m);
    }
    return value;
}

void *hashmap_next(const struct hashmap *m, size_t *at)
{
    while (*at < m->cap) {
        void *value = m->slots[(*at)++].value;

        if (value) {
            return value;
        }
    }
    return NULL;
}

/*
 * Walk round the table from a free slot. A removal moves only entries that come later in this walk (no run
 * crosses a free slot), so each entry is asked exactly once.
 */
size_t hashmap_retain(struct hashmap *m, hashmap_keep_fn keep, void *arg)
{
    size_t before = m->count;
    size_t start = 0;

    if (m->count == 0) {
        return 0;
    }
    while (m->slots[start].value) {
        start++;
    }
    for (size_t i = 1; i < m->cap; i++) {
        size_t at = (start + i) & (m->cap - 1);

        while (m->slots[at].value && !keep(m->slots[at].value, arg)) {
            remove_at(m, at);
        }
    }
    shrink(m);
    return before - m->count;
}
