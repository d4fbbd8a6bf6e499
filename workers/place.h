/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * place.h -- where a bundle stands in its host's history (CORRECTNESS 1.1 to 1.3).
 *
 * Only a bundle whose digest is in the ledger is a repeat. What names the predecessor that another stored
 * statement names, or contradicts what is stored under its sequence, is another history: a branch, with a
 * boot number of its own.
 */
#pragma once

#include "common/base/compiler.h"
#include "workers/world.h"

enum place_kind {
    PLACE_NEXT,      /* right after the boot's newest statement, or the first of a new boot */
    PLACE_GAP,       /* after it, but bundles between are missing */
    PLACE_LATE,      /* before it */
    PLACE_DUPLICATE, /* is stored */
};

struct place {
    enum place_kind kind;
    struct host_boot *boot;   /* NULL: a new boot row is needed (DUPLICATE: it is not kept any more) */
    uint32_t branch;          /* of that new row */
    bool branched;            /* a finding */
    struct ledger_row stored; /* kind DUPLICATE: its row */
    bool gap; /* sequences gap_first to gap_last are missing before it (kinds GAP, and NEXT for a new boot) */
    uint64_t gap_first, gap_last;
    struct host_boot *gap_after; /* boot whose newest bundle is the one before the gap; NULL: nothing is before it */
    bool older;                  /* new boot: bundles of a later boot are stored already */
};

POFR_MUST_USE int place_find(struct world *w, const struct host *h, const struct bundle_view *v, struct place *out);
