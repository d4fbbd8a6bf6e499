/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hashmap.h -- small open-addressing map from a 64-bit key, or from a key that the values hold, to pointers.
 *
 * 16 bytes per slot, at most 3/4 full; it doubles when it grows, and shrinks when 7/8 are free.
 * The map owns its slots, never the values.
 *
 * Key of 64 bits: give it as hash, and eq = NULL. Any other key: give its 64-bit hash (siphash24 where
 * strangers choose the keys) and an eq that compares a value with the key.
 *
 * Not thread-safe: one owner. Nothing may be inserted or removed while hashmap_next() walks, but by hashmap_retain().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

struct hashmap_slot;

struct hashmap {
    struct hashmap_slot *slots;
    size_t cap; /* power of two, or 0 */
    size_t count;
    size_t max;
    uint64_t seed;
};

typedef bool (*hashmap_eq_fn)(const void *value, const void *key);
typedef bool (*hashmap_keep_fn)(void *value, void *arg);

/* Allocates nothing yet. seed: random where strangers choose 64-bit keys, else 0. */
void hashmap_init(struct hashmap *m, size_t max_entries, uint64_t seed);

/* Give the slots back; the map is then empty and can be used again. */
void hashmap_free(struct hashmap *m);

/* The value, or NULL. */
void *hashmap_get(const struct hashmap *m, uint64_t hash, hashmap_eq_fn eq, const void *key);

/*
 * Add value (not NULL), whose key must not be there (two of the same would both stay).
 * POFR_EFULL: max entries. POFR_ENOMEM: the map is as before.
 */
POFR_MUST_USE int hashmap_insert(struct hashmap *m, uint64_t hash, void *value);

/* Take it out: the value, or NULL. */
void *hashmap_remove(struct hashmap *m, uint64_t hash, hashmap_eq_fn eq, const void *key);

/* Walk in no order: size_t at = 0; while ((v = hashmap_next(m, &at)) != NULL) … */
void *hashmap_next(const struct hashmap *m, size_t *at);

/* Remove every value for which keep says false (keep may free it). Returns how many were removed. */
size_t hashmap_retain(struct hashmap *m, hashmap_keep_fn keep, void *arg);
