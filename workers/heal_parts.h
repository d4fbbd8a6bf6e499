/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heal_parts.h -- what the files of heal share. Not for others. */
#pragma once

#include "common/base/buf.h"
#include "workers/heal.h"

struct entry { /* one row or one record of a slot */
    const struct record *id;
    int row;    /* index in rows, -1: a record */
    size_t rec; /* index in d->records */
};

struct healing {
    const struct heal *h;
    struct arena *arena;
    struct row_list rows;
    struct entry *entries;
    size_t count;
    struct timeline_frame frame;
    struct keyframe_mark *keyframes, *own; /* of the ledger, of the bundle */
    size_t keyframes_count, own_count;
    uint64_t look_before; /* the newest one stored before the bundle's first tick */
    struct run_row *runs;
    size_t runs_count;
    struct timeline t;
    struct buf scratch;
};

/* Is it one of those to take? */
bool heal_takes(const struct heal *h, const struct record *r);

/* heal_rows.c: the rows that may change, into g->rows; the same one may come twice. */
POFR_MUST_USE int heal_read_rows(struct healing *g);
