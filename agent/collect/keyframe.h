/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keyframe.h -- everything that is open, in parts, at the end of a tick.
 */
#pragma once

#include "agent/collect/pack.h"
#include "agent/collect/state.h"
#include "common/base/compiler.h"

/*
 * Put a whole keyframe. Nothing else of this tick may follow. part_bytes: a part ends about there, encoded. *out_left_out: processes with
 * more files than a part may ever hold: their range is in no part.
 */
POFR_MUST_USE int keyframe_put(struct state *s, struct pack *p, const uint8_t hash_key[16],
                               enum rec_keyframe_reason reason, uint64_t part_bytes, uint64_t *out_left_out);
