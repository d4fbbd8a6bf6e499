/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/retry.h"

#include <assert.h>

#include "common/base/compiler.h"

/* splitmix64: any seed will do, and it is no secret. */
POFR_WRAPS static uint64_t next_random(struct retry *r)
{
    uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void retry_init(struct retry *r, int64_t base_us, int64_t cap_us, uint64_t seed)
{
    assert(base_us > 0 && cap_us >= base_us && cap_us <= INT64_MAX / 4);
    *r = (struct retry){ .base_us = base_us, .cap_us = cap_us, .last_us = base_us, .random = seed };
}

int64_t retry_next_us(struct retry *r)
{
    uint64_t span = (uint64_t)(r->last_us * 3 - r->base_us) + 1;
    int64_t wait = r->base_us + (int64_t)(next_random(r) % span);

    r->last_us = wait < r->cap_us ? wait : r->cap_us;
    if (r->attempts < UINT32_MAX) {
        r->attempts++;
    }
    return r->last_us;
}

void retry_reset(struct retry *r)
{
    r->last_us = r->base_us;
    r->attempts = 0;
}
