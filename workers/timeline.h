/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeline.h -- all that is known of one slot -> its rows. The rules of CORRECTNESS 1.1 and 6.3 are in timeline_fold()
 * and nowhere else.
 *
 * The rows are a function of a set of facts, whatever their order: which names the slot's intervals were given, the newest
 * look that showed each, which ends were seen, which looks did not show the slot. A row of the tables keeps just those of its
 * facts that this needs, so it can be turned back into them when a late bundle brings more.
 *
 * Pure. Times are microseconds of the boot clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/compiler.h"
#include "workers/row.h"

/* Times in which no look reached us: between them, what was open was seen again and again. */
struct blind {
    uint64_t from; /* the last look before it */
    uint64_t to;
};

struct timeline_name { /* an interval by a first_seen that it was given */
    uint64_t name;
    uint64_t shown; /* newest look that is known to have shown it; not before name */
    uint64_t hash;  /* of identity and attributes; 0: not known */
    bool unseen;    /* who named it did not know whether it had a name before */
    bool seen;      /* its end was seen: */
    uint64_t ended, last;
    enum row_source source;
    uint64_t over, over_before; /* it was not shown any more at that moment, and the look before; 0: not known */
    int stored;                 /* the stored row that it comes from, -1: a record */
    const struct record *begin, *sight, *end; /* records of the bundle at hand that name it; NULL: none */
};

struct timeline_none { /* a look that would have shown the slot if it had been open, and did not */
    uint64_t at;
    uint64_t before; /* the look before it, 0: not known */
    uint64_t over;   /* what a row says of it in row.before */
};

struct timeline_row { /* result */
    struct row row;
    int stored;                 /* the stored row that this one becomes of, -1: none */
    const struct record *first; /* a record of its first name, NULL: none */
    const struct record *begin; /* the START of its first name, NULL: not in this bundle */
    const struct record *end;   /* its END, NULL: not in this bundle */
    const struct record *told;  /* the START of its last name, or a SIGHT of it; NULL: not in this bundle */
    const struct record *any;   /* a record that tells all of it, the newest; NULL: only the stored row does */
};

#define TIMELINE_MAX 100000u /* facts of one slot at once; more is no real host's */

struct timeline {
    struct arena *arena; /* names of rows */
    struct timeline_name *names;
    size_t names_count, names_room;
    struct timeline_none *nones;
    size_t nones_count, nones_room;
    struct timeline_row *rows;
    size_t rows_count, rows_room;
    int err; /* sticky: POFR_ENOMEM, POFR_EFULL */
};

void timeline_init(struct timeline *t, struct arena *arena);
void timeline_free(struct timeline *t);
void timeline_reset(struct timeline *t);
void timeline_add(struct timeline *t, const struct timeline_name *n);
void timeline_add_none(struct timeline *t, const struct timeline_none *n);

/* The last look that still shows what was shown at one, of those before the moment limit (the limit itself if it is one). */
uint64_t timeline_last_look(const struct blind *blinds, size_t n, uint64_t shown, uint64_t limit);

struct timeline_frame { /* what is the same for all slots of a boot */
    const struct blind *blinds;
    size_t blinds_count;
    uint64_t newest;      /* the boot's newest look */
    enum row_source over; /* ROW_SOURCE_OPEN: the boot goes on; else what ended it and all that was open */
};

/* After it, t->rows are in order of first; at most the last is open. */
POFR_MUST_USE int timeline_fold(struct timeline *t, const struct timeline_frame *f);

/*
 * Of the rows that one stored row becomes, is t->rows[i] the one that it is changed into, while others are copies or made anew?
 * It is the one whose END lacks the arguments that the stored row has, else the last.
 */
bool timeline_is_heir(const struct timeline *t, size_t i);
