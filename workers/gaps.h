/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gaps.h -- the rows that say what is missing: made when a sequence is skipped, split and explained when a late bundle
 * comes, counted from the running totals of the bundles around them.
 */
#pragma once

#include "common/base/compiler.h"
#include "workers/place.h"
#include "workers/timeline.h"
#include "workers/world.h"

/* The bundle's own part of the story. */
struct gap_bundle {
    const struct statement *st;
    const struct host_boot *boot;
};

/* Sequences place->gap_first to gap_last did not come before this bundle. */
POFR_MUST_USE int gaps_missing(struct world *w, const struct host *h, const struct place *p,
                               const struct gap_bundle *b);

/* The bundle fills a place in a gap, if there is one: *out_found. */
POFR_MUST_USE int gaps_fill(struct world *w, const struct host *h, const struct gap_bundle *b, bool *out_found);

/* A GAP record of the bundle at hand. */
POFR_MUST_USE int gaps_told(struct world *w, const struct host *h, const struct host_boot *b, const struct record *r);

/* A bundle of that sequence was set aside: what it holds is not lost. */
POFR_MUST_USE int gaps_set_aside(struct world *w, const struct host *h, uint64_t sequence);

/* The boot's times without looks, for timeline_fold(): gaps, and between two runs. In the world's arena. */
POFR_MUST_USE int gaps_blind(struct world *w, const struct host_boot *b, struct blind **out, size_t *out_count);
