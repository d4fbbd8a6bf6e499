/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore.h -- the state as it was at the last tick on disk: the newest whole keyframe of this boot in the spool, and
 * the bundles since.
 */
#pragma once

#include "agent/collect/segments.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/record/snapshot.h"

/*
 * POFR_ENOTFOUND: there is no whole keyframe of head's boot in the spool, or a bundle since then can't be read.
 * out_key: the sums' key of that boot. The snapshot is the caller's.
 */
POFR_MUST_USE int restore_snapshot(struct segments *s, const struct spool_head *head, struct snapshot **out_snapshot,
                                   uint8_t out_key[16], struct pofr_err *err);
