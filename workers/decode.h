/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * decode.h -- a payload's records as an array in an arena, and what can be said of them without any table.
 *
 * Pure. Records point into the payload and live as long as payload and arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/evidence/statement.h"
#include "common/record/record.h"

struct decoded_tick {
    uint64_t boot_us;
    uint64_t wall_us;
};

struct decoded_record {
    const struct record *record; /* only as much memory as its kind needs: never copy the struct as a whole */
    uint32_t tick;               /* index */
};

struct decoded {
    struct decoded_record *records; /* all but TICK, in order */
    size_t count;
    struct decoded_tick *ticks;
    size_t ticks_count;
    bool begins_run;            /* its first tick is its run's first */
    bool stateless;             /* it begins a run that knew nothing: it names all processes anew, or says so */
    bool blind_gap;             /* a GAP in it says that records were lost, so that what is open is in doubt */
    const uint8_t *hash_key;    /* of the first KEYFRAME, 16 bytes; NULL: none in it */
    size_t named_anew;          /* processes that its first tick names as never seen */
    size_t unseen_starts;       /* START with start_unseen */
    uint64_t oldest_unseen_end; /* smallest first_seen of an END with start_unseen; UINT64_MAX: none */
    size_t stripped_ends;       /* ENDs without the arguments that a record in another bundle may tell (stripped.h) */
    size_t coverages;           /* records of coverage */
    size_t gaps;                /* GAP records */
    size_t keyframes;           /* KEYFRAME records */
    uint64_t unknown_kinds, unknown_fields;
    uint64_t text; /* bytes of all texts, each as often as a record names it */
};

/*
 * POFR_EFORMAT, POFR_ETRUNCATED, POFR_ETOOBIG: the payload is not to be believed, or contradicts its statement
 * (ticks, counts). POFR_ENOMEM.
 */
POFR_MUST_USE int decode_payload(struct slice payload, const struct statement *st, size_t records_max,
                                 struct arena *arena, struct decoded *out, struct pofr_err *err);

/* The tick before that of record i within the bundle; 0: it is the bundle's first. */
uint64_t decoded_before(const struct decoded *d, size_t tick);

/* Does a GAP record say that what is open may have changed unseen? */
bool decoded_gap_blinds(const struct record *r);

/* The groups of open_state and of keyframes. */
enum group {
    GROUP_PROCESS = 1,
    GROUP_FILE,
    GROUP_SOCKET,
    GROUP_FACT,
    GROUP_COVERAGE,
    GROUP_END
};
enum group group_of(unsigned entity);
