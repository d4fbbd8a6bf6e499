/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "merger/stats.h"

const struct stat_def merger_stats[] = {
#include "common/os/stat_defs.inc"
};
