/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stats.h -- the merger's figures; their lines are in stat.def. */
#pragma once

#include "common/os/stat.h"

#define STAT_DEF "merger/stat.def"
enum merger_stat {
#include "common/os/stat_ids.inc"
    MERGER_STATS
};

extern const struct stat_def merger_stats[];
