/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recover_slots.h -- where slots are, for a catalog that was put back: a slot's generation rises at each move, and the shard
 * that owns it says it, too.
 */
#pragma once

#include "ctl/slots.h"

struct recover_slots {
    struct recover_slot {
        uint32_t shard_id; /* 0: the catalog does not know it */
        uint64_t generation, arriving_generation;
        const char *arriving; /* shard that it is on its way to; NULL: none */
    } at[SLOTS_MAX];
    uint64_t changed;
};

/* What the catalog says now. */
POFR_MUST_USE int recover_slots_begin(struct recover_slots *r, struct db *catalog, struct pofr_err *err);

/* One shard after the other: what it owns by a later move than the catalog knows of is written there. s must stay. */
POFR_MUST_USE int recover_slots_take(struct recover_slots *r, struct db *catalog, struct db *shard,
                                     const struct ctl_shard *s, struct pofr_err *err);

/* Names those that were on their way to a shard and are not there. */
void recover_slots_warn(const struct recover_slots *r);
