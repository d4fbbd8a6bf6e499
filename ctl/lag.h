/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lag.h -- how far each slot is stored, against what Kafka has. The truth about "stored" is the shard's
 * offset row, not the consumer group's commit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"

struct lag_slot {
    uint16_t slot;
    bool known; /* low and high came from Kafka */
    char shard[65];
    char worker[64];
    char state[16];
    uint32_t incarnation;
    int64_t next_offset;
    int64_t low, high; /* Kafka: first offset it has, and the next one it will give */
    int64_t lag;       /* messages that are not stored yet */
    int64_t idle_s;    /* since the offset row was last changed */
};

/* All slots that shards own, ascending; free() the array. A shard that is down: its slots are left out, err says so, *out_partial. */
POFR_MUST_USE int lag_read(struct ctl *c, struct lag_slot **out_slots, size_t *out_count, bool *out_partial,
                           struct pofr_err *err);
