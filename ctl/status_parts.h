/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_parts.h -- what pofrctl status asks the head: one part of the page each. */
#pragma once

#include <stddef.h>

#define STATUS_SILENT_S 60 /* a host whose newest tick is older than this is silent */

struct status_part {
    const char *key; /* in JSON */
    const char *title;
    const char *sql; /* each parameter is STATUS_SILENT_S; @ stands where the partitions that are asked are named */
    const char *sql_hosts; /* instead, where all hosts are asked for; NULL: the same */
    size_t parameters;
};

extern const struct status_part status_parts[];
extern const size_t status_parts_count;
