/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * refused.h -- <spool>/refused/: bundles that the gateway refused finally, kept for whoever wants to know why, within a
 * limit; the oldest go first. One owner.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"

/*
 * Keep block as <dir>/refused/<sequence>.bundle, and remove the oldest until limit holds. A block that is larger than limit is not
 * kept. *out_dropped: bytes removed or not kept.
 */
POFR_MUST_USE int refused_keep(const char *dir, uint64_t sequence, struct slice block, uint64_t limit,
                               uint64_t *out_dropped, struct pofr_err *err);
