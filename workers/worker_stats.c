/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/worker_stats.h"

#define STAT_DEF "workers/worker_stat.def"
const struct stat_def worker_stats[WORKER_STATS] = {
#include "common/os/stat_defs.inc"
};
