/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * strangers.h -- hosts that a shard has and the catalog does not know: there are none, but where the catalog was lost.
 */
#pragma once

#include "ctl/ctl.h"

/* Adds to *out_count. The shard's tables are there. */
POFR_MUST_USE int strangers_count(struct ctl *c, struct db *catalog, const struct ctl_shard *s, uint64_t *out_count,
                                  struct pofr_err *err);

/* What to do about them, as words after a number of hosts. */
#define STRANGERS_ADVICE                                                                                               \
    "that the catalog does not know: was the head lost? Put back its backup, or: pofrctl recover --from COPY, a "      \
    "gateway's or worker's (docs/OPERATING.md, \"The head is lost\")"
