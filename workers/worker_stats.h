/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker_stats.h -- the figures of worker_stat.def: ids and definitions. */
#pragma once

#include <stddef.h>

#include "common/os/stat.h"

#define STAT_DEF "workers/worker_stat.def"
enum worker_stat {
#include "common/os/stat_ids.inc"
    WORKER_STATS
};
#undef STAT_DEF

extern const struct stat_def worker_stats[WORKER_STATS];

enum worker_cause {
    CAUSE_LOADING,
    CAUSE_QUEUE,
    CAUSE_SHARD,
    CAUSE_CATALOG,
    CAUSE_UNMAPPED,
    CAUSE_END
};
