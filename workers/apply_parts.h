/* SPDX-License-Identifier: GPL-2.0-or-later */
/* apply_parts.h -- what the files of apply share. Not for others. */
#pragma once

#include "workers/apply.h"

#define DAY_US INT64_C(86400000000)

struct applying {
    struct world *w;
    struct host *h;
    struct host_boot *b;
    struct changes *changes;
    const struct bundle_meta *meta;
    const struct statement *st;
    const struct decoded *d;
    struct apply_result *out;
    struct place place;
    struct keyframe_mark *marks; /* of the bundle */
    size_t marks_count;
    bool new_boot;
    bool new_run;    /* nothing of its run is stored in this boot before it */
    uint64_t before; /* newest tick stored of the boot before this bundle, 0: none */
    struct buf scratch;
};

static inline int32_t apply_day_of(const struct applying *a)
{
    return (int32_t)(a->meta->received_us / DAY_US);
}

/* apply_boot.c */
POFR_MUST_USE int apply_new_boot(struct applying *a);
/* The boot before the new one is over, if it was the one that ran. */
POFR_MUST_USE int apply_close_older(struct applying *a);
POFR_MUST_USE int apply_note_run(struct applying *a);

/* apply_records.c */
POFR_MUST_USE int apply_records(struct applying *a);
