/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * draft.h -- a bundle that is closed and not signed yet: its payload and what its statement will say of it.
 * Sequence, chain and totals are the writer's (seal.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"
#include "common/evidence/statement.h"
#include "common/record/record.h"

#define DRAFT_NOTES_MAX 16

struct draft {
    uint8_t *payload; /* owned */
    size_t payload_len;
    uint8_t run[16];
    struct uuid boot;
    uint8_t hash_key[16];
    bool recovered; /* of a run that is over: found in the journal */
    uint64_t from_boot_us, to_boot_us, from_wall_us, to_wall_us;
    uint64_t ticks;
    uint64_t keyframe;             /* as in struct statement */
    unsigned counts_len, lost_len; /* ascending by kind; here alone counts */
    struct statement_count counts[STATEMENT_COUNTS_MAX];
    struct statement_count lost[64];
    unsigned notes_len; /* refused bundles whose gap records are in it: their sequences */
    uint64_t notes[DRAFT_NOTES_MAX];
};

struct draft *draft_new(void);    /* NULL: no memory */
void draft_free(struct draft *d); /* NULL is allowed */

void draft_lost(struct draft *d, enum statement_lost source, uint64_t n);
uint64_t draft_records(const struct draft *d); /* sum of counts */

/* counts from an encoder */
void draft_count(struct draft *d, const struct rec_encoder *e);

/*
 * What payload says of itself: times, ticks, keyframe, counts; and, from its last KEYFRAME, hash_key where there is one. As far as it
 * can be decoded: *out_len is what may be kept of it. POFR_ENOTFOUND: not even one tick.
 */
POFR_MUST_USE int draft_read(struct draft *d, struct slice payload, size_t *out_len);

/* counts_add(counts, &len, max, kind, here): ascending, each kind once; false: no room. */
bool draft_add_count(struct statement_count *counts, unsigned *len, unsigned max, uint32_t kind, uint64_t here,
                     uint64_t total);
