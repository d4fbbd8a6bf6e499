/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot.h -- everything that is open at a tick, rebuilt from a keyframe and the bundles since.
 *
 * Records are applied in order; at any tick snapshot_bytes() gives one canonical text of the state, equal
 * to the one that the collector held at that tick. Used by the collector at its start (to go on where it
 * was), by pofrctl and by tests. Owns copies of all that it holds. Pure. Not thread-safe.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/record/record.h"

struct snapshot;

#define SNAPSHOT_MAX 4194304u /* open things; one more is POFR_EFULL */

POFR_MUST_USE int snapshot_new(struct snapshot **out_snapshot);
void snapshot_free(struct snapshot *s);

/*
 * START opens, END closes, SIGHT confirms (inside a keyframe part: what lies in its range and is not
 * sighted is closed when the part is over). Other records are taken as they are meant or ignored.
 * An END of another interval than the open one closes it only if it names a later first_seen. VO fields are
 * those of START or of the last SIGHT. A TICK with number 0 begins a run: coverage that is still open goes.
 * POFR_EFORMAT: the record contradicts the state (END of what is not open, START of what is, but with
 * start_unseen) and strict was asked for at snapshot_strict(). POFR_EFULL, POFR_ENOMEM. s is then as before.
 */
POFR_MUST_USE int snapshot_apply(struct snapshot *s, const struct record *r);
void snapshot_strict(struct snapshot *s, bool on);
/* Tell that the tick is over (a keyframe part without any sight is known to be empty only then). */
POFR_MUST_USE int snapshot_end_tick(struct snapshot *s);
bool snapshot_complete(const struct snapshot *s); /* a whole keyframe was applied */

size_t snapshot_count(const struct snapshot *s, unsigned entity);
/* Sum modulo 2^64 of rec_hash() of everything open of an entity. */
uint64_t snapshot_digest(const struct snapshot *s, unsigned entity, const uint8_t key[16]);

/* In canonical order. The callback's record (a SIGHT) is borrowed for the call; non-zero stops and is returned. POFR_ENOMEM. */
typedef int (*snapshot_each_fn)(const struct record *open, void *ctx);
POFR_MUST_USE int snapshot_each(const struct snapshot *s, unsigned entity, snapshot_each_fn fn,
                                void *ctx); /* entity 0: all */

/* Canonical bytes of everything open: ID, AT, FX, first_seen of each, in order of rec_compare_id(). */
POFR_MUST_USE int snapshot_bytes(const struct snapshot *s, struct buf *out);
