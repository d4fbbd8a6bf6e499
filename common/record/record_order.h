/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record_order.h -- where a record may stand, and what it may not say of itself: the rules of docs/RECORD.md
 * part 3 that encoder and decoder share. Not for others.
 */
#pragma once

#include "common/base/compiler.h"
#include "common/record/record_table.h"

/*
 * 0: r may come next, and o now counts it among those that were. POFR_EFORMAT: it may not; o is as before.
 * shape is that of r->kind; r's entity and verb are not looked at. Moments later than the tick count as the tick.
 */
POFR_MUST_USE int rec_order_take(struct rec_order *o, const struct rec_shape *shape, const struct record *r);

/* The range of a keyframe part, and whether a record of an entity lies in it. */
struct rec_order rec_part(const struct rec_keyframe *k);
bool rec_part_holds(const struct rec_order *part, unsigned entity, const struct record *r);
