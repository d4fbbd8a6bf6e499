/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stripped.h -- ENDs of processes without the arguments that their START told (docs/RECORD.md, part 4): what a collector
 * writes while its spool is nearly full. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/base/compiler.h"
#include "workers/decode.h"

/* Is it an END that has no arguments and says that they could not be read? Its START may have told them. */
bool stripped_is(const struct record *r);

/*
 * Such ENDs take them from the START or SIGHT of their interval, where that is among d's records. How many are left:
 * d->stripped_ends. POFR_ENOMEM.
 */
POFR_MUST_USE int stripped_mend(struct decoded *d, struct arena *arena);

/* The records of d that tell arguments: STARTs and SIGHTs of processes, sorted for stripped_teller(); NULL: none. POFR_ENOMEM. */
POFR_MUST_USE int stripped_tellers(const struct decoded *d, struct arena *arena, const struct record ***out,
                                   size_t *out_count);
/* Of the interval of slot that is named so; NULL: none. */
const struct record *stripped_teller(const struct record *const *tellers, size_t n, const struct record *slot,
                                     uint64_t first_seen);
