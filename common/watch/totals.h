/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * totals.h -- how many records of each kind hosts have recorded since their first, and how many were lost on them, by the
 * running totals of each host's newest statement: of those hosts of which something was stored in the last days, so that only
 * these days of the ledger are read.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"

#define TOTALS_DAYS    8
#define TOTALS_KINDS   256u
#define TOTALS_SOURCES 16u

struct db;

struct totals {
    uint64_t hosts;
    uint64_t recorded[TOTALS_KINDS]; /* by kind of record; what only later versions know is in 0 */
    uint64_t lost[TOTALS_SOURCES];   /* by source, enum statement_lost; as above */
};

/* Add what one statement says, as the ledger has it (bundle.counts). What can't be read is left out. A sum that would be more
 * than 2^64 stays at the most: they are hosts' words. */
void totals_add(struct totals *t, struct slice counts);
/* Add those of a shard's hosts; db: its pofr_store. On failure t is as before. */
POFR_MUST_USE int totals_add_shard(struct totals *t, struct db *store, struct pofr_err *err);

/* Words for scripts and metrics; "other" where there is none. */
const char *totals_kind_name(unsigned kind);
const char *totals_source_name(unsigned source);
