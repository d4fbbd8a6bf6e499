/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kinds.h -- how many records of each kind hosts have recorded since their first, by the running totals of each host's newest
 * statement: of those hosts of which something was stored in the last days, so that only these days of the ledger are read.
 */
#pragma once

#include "ctl/ctl.h"

#define KINDS_DAYS 8

/* A part of pofrctl status: "kinds" and "lost_by_source" in JSON. A shard that does not answer is left out: others say so. */
POFR_MUST_USE int kinds_part(struct ctl *c, struct pofr_err *err);
