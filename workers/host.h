/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host.h -- what a shard knows of one host beside its intervals: where its chain stands, its boots, what is open.
 * Data only; apply changes it, store reads and writes it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/uuid.h"
#include "workers/decode.h"
#include "workers/row.h"

struct group_state {
    uint64_t count, digest; /* of what is open, in the agent's terms; they mean something where clean is true */
    uint64_t keyframe_us;   /* newest keyframe that was whole: all that is open was seen at it */
    bool clean;             /* the open rows are what the host had open at its newest tick */
    uint64_t parts_us; /* tick of a keyframe whose first parts were compared, and where the next part begins; 0: none */
    uint64_t parts_low, parts_low_cookie;
    int32_t compared_day; /* day since 1970 of the last compare in full; -1: never */
};

enum boot_closed {
    BOOT_RUNNING,
    BOOT_REBOOT,
    BOOT_RETIRED
}; /* the words of the column, in its order */

struct host_boot {
    struct row_boot row; /* host_id, number, anchor */
    struct uuid boot_id;
    uint32_t branch;
    bool gateway_anchor;
    uint64_t uncertainty_us;
    int64_t host_anchor_us;
    uint64_t first_sequence;
    uint8_t first_digest[32];
    uint64_t tip_sequence;
    uint8_t tip_digest[32];
    uint8_t tip_run[16];
    bool has_key;
    uint8_t hash_key[16];
    uint64_t last_tick_us;
    int64_t drift_us;
    enum boot_closed closed;
    uint64_t resumed_us;                  /* first look of the newest run that had lost its state */
    int64_t clone_noted_us;               /* receipt of the bundle that last made a finding of a clone; not stored */
    struct group_state groups[GROUP_END]; /* index: enum group */
    bool stored;                          /* is in the table */
    bool changed;                         /* and has to be written */
    struct host_boot *next;
};

struct host {
    uint64_t host_id;
    struct uuid uuid;
    bool retired;
    struct host_boot *boots; /* newest number first */
    uint32_t boots_given;    /* highest number */
    uint64_t max_sequence;   /* of all that is stored */
    uint64_t newest_sequence;
    uint8_t newest_digest[32];
    uint8_t newest_run[16];
    uint32_t newest_boot;
    uint32_t current_boot;                                /* whose bundle was received last; 0: not known; not stored */
    int64_t last_tick_us, last_bundle_us, complete_to_us; /* wall clock */
    int64_t drift_noted_us; /* receipt of the bundle that last made a finding of drift; not stored */
    uint64_t records, records_total, lost_total, bundles;
    char recorder[2048]; /* newest RECORDER record as JSON */
    bool stored, changed;
};
