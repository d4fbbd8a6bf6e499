/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keyframe.h -- everything that is open, in parts, at the end of a tick.
 */
#pragma once

#include "agent/collect/pack.h"
#include "agent/collect/state.h"
#include "common/base/compiler.h"

#define KEYFRAME_NAMED 8u

/*
 * A part must lie in one bundle, and a process in one part. One with more files than that allows (some 40,000) is in no part,
 * and no part's range holds its pid: nothing is compared, and nothing ended, for want of a sighting.
 */
struct keyframe_left {
    uint64_t processes, files; /* of all of them */
    struct {
        uint64_t pid, files;
    } named[KEYFRAME_NAMED]; /* the first of them */
    uint64_t last_pid;
};

/* Put a whole keyframe. Nothing else of this tick may follow. part_bytes: a part ends about there, encoded. */
POFR_MUST_USE int keyframe_put(struct state *s, struct pack *p, const uint8_t hash_key[16],
                               enum rec_keyframe_reason reason, uint64_t part_bytes, struct keyframe_left *out_left);

/* Which they are, for people. */
void keyframe_left_text(const struct keyframe_left *left, char *out, size_t size);
