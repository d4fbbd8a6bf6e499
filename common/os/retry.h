/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * retry.h -- when to try again: exponential back-off with decorrelated jitter, as pure state.
 *
 * Each wait is random between base and three times the last wait, at most cap. So ten thousand agents that
 * lost the same gateway do not come back together.
 */
#pragma once

#include <stdint.h>

struct retry {
    int64_t base_us;
    int64_t cap_us;
    int64_t last_us;
    uint64_t random;   /* state of a small generator */
    uint32_t attempts; /* since the last success */
};

/* 0 < base_us <= cap_us. seed: random, so that processes differ. */
void retry_init(struct retry *r, int64_t base_us, int64_t cap_us, uint64_t seed);

/* It failed: how long to wait now. */
int64_t retry_next_us(struct retry *r);

/* It worked: begin at base again. */
void retry_reset(struct retry *r);
