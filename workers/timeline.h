/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeline.h -- one slot's mentions, in the order of their moments -> its rows. The rules of CORRECTNESS 1.1
 * and 6.3 are in timeline_fold() and nowhere else.
 *
 * A mention is what some bundle said of the slot: it began, it ended, it was open at a keyframe, or it was not. Rows that
 * are in the tables are turned back into the mentions they stand for, so that a late bundle's mentions fall
 * into their places and the fold gives the rows that order would have given.
 *
 * Pure. Times are microseconds of the boot clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "workers/row.h"

/* Times in which no look reached us: between them, what was open was seen again and again. */
struct blind {
    uint64_t from; /* the last look before it */
    uint64_t to;
};

enum mention_kind { /* in the order in which they count at one moment */
    MENTION_END,
    MENTION_START,
    MENTION_SIGHT,
    MENTION_NONE, /* a keyframe of its range does not show it; or, for coverage, another run began */
    MENTION_GONE, /* the boot is over, or the host was retired */
};

struct mention {
    enum mention_kind kind;
    uint64_t at;   /* START: first_seen, END: ended, SIGHT and NONE: the keyframe's tick, GONE: ROW_OPEN */
    uint64_t told; /* the tick at which it was said; of stored rows: first */
    uint64_t name; /* first_seen of the interval that is meant */
    bool unseen;
    uint64_t hash;               /* 0: not known */
    uint64_t ended, last;        /* END */
    enum row_source source;      /* END, GONE */
    uint64_t before;             /* NONE: the look before */
    uint64_t over;               /* NONE: the look that no longer showed it */
    const struct record *record; /* NULL: comes from a row */
    int row;                     /* index of that row, -1: comes from a record */
};

struct timeline_row { /* result */
    struct row row;
    const struct record *record; /* newest record that tells all of it; NULL: only the stored row does */
    const struct record *began;  /* the record of its beginning, where that is new; NULL: none */
    int stored;                  /* the stored row that this one becomes of, -1: none */
};

#define TIMELINE_MAX 100000u /* mentions of one slot in one bundle; more is no real host's */

struct timeline {
    struct mention *mentions;
    size_t count, room;
    struct timeline_row *rows;
    size_t rows_count, rows_room;
    int err; /* sticky: POFR_ENOMEM, POFR_EFULL */
};

void timeline_init(struct timeline *t);
void timeline_free(struct timeline *t);
void timeline_reset(struct timeline *t);
void timeline_add(struct timeline *t, const struct mention *m);

/* The last look that still shows what was mentioned at from, of those before the moment limit (the limit itself if it is one). */
uint64_t timeline_last_look(const struct blind *blinds, size_t n, uint64_t from, uint64_t limit);

/*
 * Sort the mentions and make rows of them. newest: the boot's newest look.
 * After it, t->rows are in order of first; at most the last is open.
 */
POFR_MUST_USE int timeline_fold(struct timeline *t, const struct blind *blinds, size_t n, uint64_t newest);
