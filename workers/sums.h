/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sums.h -- count and keyed digest of what is open, per group, as the host keeps them too: they say whether a keyframe
 * needs a look at all (CORRECTNESS 6.4). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "workers/host.h"

/* A START adds, an END subtracts; others do nothing. */
void sums_count(struct host_boot *b, const struct record *r, struct buf *scratch);

/* The host's key, from a KEYFRAME; sums under another key say nothing any more. new_boot: there were none. */
void sums_take_key(struct host_boot *b, const uint8_t key[16], bool new_boot);

/* What is open may not be what the rows say, until a keyframe was compared. */
void sums_doubt(struct host_boot *b);

/* Is a part known to show what is open already, so that its SIGHTs need no look? day: since 1970, of the daily compare. */
bool sums_part_fits(const struct host_boot *b, const struct rec_keyframe *k, int32_t day);

struct sums_result {
    unsigned equal, compared,
        wrong; /* groups whose keyframe was whole with this part; wrong: differed without a reason */
};

/* A part is through: it fitted, or its rows were compared. at: its tick. */
void sums_part_done(struct host_boot *b, const struct rec_keyframe *k, uint64_t at, bool fitted, int32_t day,
                    struct sums_result *result);
