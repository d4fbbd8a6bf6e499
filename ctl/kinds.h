/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kinds.h -- records by kind, of all hosts (common/watch/totals.h)
 */
#pragma once

#include "ctl/ctl.h"

/* A part of pofrctl status: "kinds" and "lost_by_source" in JSON. A shard that does not answer is left out: others say so.
 * catalog: does it answer? If not, the part says that nothing is known. */
POFR_MUST_USE int kinds_part(struct ctl *c, bool catalog, struct pofr_err *err);
