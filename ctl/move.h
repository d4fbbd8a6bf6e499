/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move.h -- a slot goes to another shard with its rows (docs/decisions/0010-slots-move-with-their-rows.md).
 *
 * Each call may be cut off anywhere and be repeated: what is done already is known from the rows of catalog and shards. One
 * pofrctl at a time (lock pofr_shards).
 */
#pragma once

#include "ctl/ctl.h"

struct move {
    struct ctl *c;
    struct db *catalog;
    const struct ctl_shard *shards;
    size_t count;
    const struct ctl_shard *to;
};

/*
 * *out_unseen: the shard has it, and what is left is move_end(), once for all of them; else it is all done. Where the slot is
 * under way to another shard, moving it to the one that has it takes it back.
 */
POFR_MUST_USE int move_slot(const struct move *m, unsigned slot, bool *out_unseen, struct pofr_err *err);

/* The head asks for all slots where they are; none that is to's is under way any more. */
POFR_MUST_USE int move_end(const struct move *m, struct pofr_err *err);

/* It is not moved by anybody else while the connection lasts. */
POFR_MUST_USE int move_lock(struct db *catalog, uint64_t slot, struct pofr_err *err);

/* No slot of this number is under way; POFR_EREFUSED. */
POFR_MUST_USE int move_none(struct db *catalog, uint64_t slot, struct pofr_err *err);
