/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memory_world.h -- workers/world.h on arrays in memory: a shard for tests of apply, as simple as it can be.
 *
 * It refuses (fails the test) what a shard would refuse: two rows of one primary key, a change of a row that is not there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "workers/world.h"

struct memory_row {
    const struct row_boot *boot;
    const struct record *record;    /* ID and attributes */
    const struct record *fixed;     /* record that its fixed fields came from */
    const struct record *volatiles; /* and its volatile ones */
    struct row row;
};

struct memory_bundle {
    struct ledger_row row;
    struct keyframe_mark *marks;
    size_t marks_count;
    uint64_t look_before; /* the tick before its last one */
    bool last;            /* of a keyframe */
};

struct memory_finding {
    uint32_t boot;
    char kind[64];
};

struct world {
    struct arena arena; /* of everything, for ever */
    struct memory_row *rows;
    size_t rows_count, rows_room;
    struct memory_bundle *bundles;
    size_t bundles_count, bundles_room;
    struct gap_row *gaps;
    size_t gaps_count, gaps_room;
    struct run_row *runs;
    size_t runs_count, runs_room;
    struct memory_finding *findings;
    size_t findings_count, findings_room;
    uint64_t aside_first, aside_last, aside_records; /* what world_set_aside_records() says of these sequences */
    struct host host;
    struct changes changes;
    uint64_t reads; /* world_rows() and world_range() */
};

struct world *memory_world_new(void);
void memory_world_free(struct world *w);

/* The row of a primary key: key_first and key_ended as in struct stored_row; NULL: none. */
struct memory_row *memory_world_find(struct world *w, const struct row_boot *b, const struct record *slot,
                                     int64_t key_first, int64_t key_ended);

/* All rows in an order of their own as text, one a line: what two worlds must agree on. Boots by id and branch. */
void memory_world_print(struct world *w, struct buf *out);
/* Unexplained gaps for missing bundles, the same way. */
void memory_world_print_gaps(struct world *w, struct buf *out);
/* At most one open row per slot. */
void memory_world_check(const struct world *w);
