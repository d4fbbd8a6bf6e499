/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random.h -- reproducible random numbers for tests: the same seed gives the same test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

/* splitmix64 */
__attribute__((no_sanitize("undefined"))) static inline uint64_t random_u64(struct random *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to bound - 1; bound is not 0 */
static inline uint64_t random_below(struct random *r, uint64_t bound)
{
    return random_u64(r) % bound;
}

static inline bool random_chance(struct random *r, unsigned percent)
{
    return random_below(r, 100) < percent;
}

/* Any magnitude is as likely as any other, so that every length of a varint occurs. */
static inline uint64_t random_magnitude(struct random *r)
{
    return random_u64(r) >> random_below(r, 64);
}

static inline void random_bytes(struct random *r, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)random_u64(r);
    }
}
