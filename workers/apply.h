/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply.h -- one verified bundle -> changes of its host's rows, gaps, findings, ledger (CORRECTNESS 1, 4, 6).
 *
 * The rule behind all of it: for any set of bundles, any order of arrival gives the same rows as arrival in sequence
 * (but boot number, anchor, and what says when and how a bundle arrived). tests/unit/workers/test_apply.c tries that with
 * random hosts.
 *
 * Pure but for world.h. On an error the host and the changes are not to be used any more: the transaction is over.
 */
#pragma once

#include "common/base/compiler.h"
#include "workers/place.h"
#include "workers/sums.h"
#include "workers/world.h"

struct apply_result {
    enum place_kind kind; /* DUPLICATE: nothing was done, unless it is read again */
    bool again;           /* it is stored, and replayed because the worker that stored it did not know all of it */
    struct host_boot *boot;
    bool branched;
    unsigned gaps; /* new gap rows for missing bundles */
    unsigned findings;
    struct sums_result keyframes;
    bool slow; /* rows had to be read */
};

POFR_MUST_USE int apply_bundle(struct world *w, struct host *h, struct changes *changes, const struct bundle_meta *meta,
                               const struct decoded *d, struct apply_result *out);

/* The boot is over: what is open in it ended at the last look that showed it. */
POFR_MUST_USE int apply_close_boot(struct world *w, struct changes *changes, struct host_boot *b, enum boot_closed how);
