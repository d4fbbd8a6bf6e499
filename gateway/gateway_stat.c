/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/gateway_stat.h"

#include "common/base/compiler.h"

const struct stat_def gateway_stats[GATEWAY_STAT_COUNT] = {
#include "common/os/stat_defs.inc"
};

const char *session_end_name(enum session_end why)
{
    static const char *const names[] = { "peer",    "silence",  "slow",      "protocol", "superseded",
                                         "refused", "delivery", "stuck",     "drain",    "broken",
                                         "order",   "done",     "resources", "wanted" };

    return (size_t)why < pofr_countof(names) ? names[why] : "unknown";
}
