/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random_statement.h -- what the statement of a made-up bundle says of the records in it.
 */
#pragma once

#include <stdbool.h>

#include "common/evidence/statement.h"
#include "common/record/record.h"
#include "tests/support/random.h"

#define STATEMENT_KINDS 512

/* As many of each kind as the encoder has taken, added to the run's totals. */
static inline void statement_count_records(struct statement *s, const struct rec_encoder *e,
                                           uint64_t totals[STATEMENT_KINDS])
{
    s->counts_len = 0;
    for (uint32_t kind = REC_KEYFRAME + 1; kind < STATEMENT_KINDS; kind++) {
        uint64_t here = rec_encoder_count(e, kind);

        totals[kind] += here;
        if (totals[kind] > 0) {
            s->counts[s->counts_len++] = (struct statement_count){ kind, here, totals[kind] };
        }
    }
}

/* A tick goes into the bundle. first: it opens it. */
static inline void statement_tick(struct statement *s, const struct rec_tick *tick, bool first)
{
    if (first) {
        s->from_boot_us = tick->boot_us;
        s->from_wall_us = tick->wall_us;
    }
    s->to_boot_us = tick->boot_us;
    s->to_wall_us = tick->wall_us;
    s->ticks++;
    s->ticks_total++;
}

/* Is the bundle full here, so that the tick goes on in the next one? Often around keyframes; their parts stay whole. */
static inline bool statement_is_full(struct random *random, const struct record *next)
{
    if (next->kind == REC_KEYFRAME) {
        return random_chance(random, 25);
    }
    return !(rec_kind_is_entity(next->kind) && next->kind % 4 == REC_SIGHT) && random_chance(random, 1);
}

static inline void statement_sealed(struct statement *s)
{
    s->ticks = 0;
    s->keyframe = 0;
}
