/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spool_check.h -- is what lies in a spool one valid chain? Reads the files as a stranger would: names, entries, bundles,
 * signatures, statements, records; applies all records to a snapshot, strictly, from the first keyframe of a boot on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/record/snapshot.h"

struct spool_report {
    uint64_t first, last; /* sequences found */
    uint64_t bundles, ticks, records, gaps, keyframes, runs, recovered, states_lost;
    uint64_t lost_total;
    uint64_t acked, committed; /* of the head */
    uint64_t snapshot_errors;  /* records that contradict what was open (strict) */
    uint64_t sum_errors;       /* keyframes whose counts or sums are not those of the snapshot */
    char sums[200], bad_sums[200];
    char problem[256];         /* empty: a valid chain */
    struct snapshot *snapshot; /* the last state; the caller's to free */
};

/* public_key of the host. expect_snapshots: also hold that nothing contradicts and that sums agree. false: problem says what is wrong. */
bool spool_check_dump(const char *spool_dir, const uint8_t public_key[32], bool expect_snapshots, FILE *dump,
                      struct spool_report *out);
bool spool_check(const char *spool_dir, const uint8_t public_key[32], bool expect_snapshots, struct spool_report *out);
