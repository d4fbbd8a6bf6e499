/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heal.h -- the slow way to apply records: read the rows of every slot that they touch, fold both together
 * (timeline.h), change what differs. For keyframes that must be compared, for bundles after a gap, for late ones.
 */
#pragma once

#include "common/base/compiler.h"
#include "workers/timeline.h"
#include "workers/world.h"

struct heal {
    struct world *w;
    struct host_boot *boot;
    struct changes *changes;
    const struct decoded *d;
    size_t first, end; /* records of d to take: first to end - 1 */
    /* to compare: keyframe parts among those records; of REC_COVERAGE: all rows of it, as a run begins */
    const struct keyframe_mark *marks;
    size_t marks_count;
    unsigned only;     /* take no other entity than this one; 0: all */
    uint64_t sequence; /* of the bundle */
    uint64_t before; /* newest look stored before it, 0: none; its own first one, if that began in the bundle before */
    bool late;       /* rows beyond the open ones are read: those that ended since the look before its first one */
    bool again;      /* its ENDs are stored, which may have been told looks after they came: their rows are read too */
};

/* All is carried out, what was in heal->changes of the host first. */
POFR_MUST_USE int heal_slots(const struct heal *h);
