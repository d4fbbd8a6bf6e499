/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MurmurHash2 (Appleby, public domain) with the seed that Kafka's Java client uses. */
#include "common/base/murmur2.h"

#include <assert.h>

#include "common/base/compiler.h"

#define KAFKA_SEED UINT32_C(0x9747b28c)
#define M          UINT32_C(0x5bd1e995)

POFR_WRAPS uint32_t murmur2(struct slice key)
{
    uint32_t h = KAFKA_SEED ^ (uint32_t)key.len;
    const uint8_t *p = key.data;
    size_t left = key.len;

    for (; left >= 4; left -= 4, p += 4) {
        uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

        k *= M;
        k ^= k >> 24;
        h = h * M ^ k * M;
    }
    if (left > 2) {
        h ^= (uint32_t)p[2] << 16;
    }
    if (left > 1) {
        h ^= (uint32_t)p[1] << 8;
    }
    if (left > 0) {
        h = (h ^ p[0]) * M;
    }
    h ^= h >> 13;
    h *= M;
    return h ^ h >> 15;
}

uint32_t murmur2_partition(struct slice key, uint32_t partitions)
{
    assert(partitions > 0);
    return (murmur2(key) & UINT32_C(0x7fffffff)) % partitions;
}
