/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keyframe.h -- which slots a keyframe part speaks of, and how the ledger remembers it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "workers/decode.h"

struct keyframe_mark { /* one part, or several of one tick that lie side by side */
    uint64_t at;       /* its tick */
    uint64_t before;   /* the tick before, 0: not known */
    unsigned entity;   /* 16: processes and files, 18: sockets, 19: facts, REC_COVERAGE: coverage, where a run begins */
    uint64_t low, high, low_cookie,
        high_cookie; /* its range; of coverage: low is the run's first look, at right before it */
};

/* Is the slot of r one of those that the part shows if they are open? */
bool keyframe_covers(const struct keyframe_mark *m, const struct record *r);
/* Does it speak of that entity at all? */
bool keyframe_of_entity(const struct keyframe_mark *m, unsigned entity);
/* Does its range end where the last one of its group does? */
bool keyframe_is_last(const struct keyframe_mark *m);

/* The parts in a bundle, as the ledger keeps them: before is 0 at its first tick. In arena; POFR_ENOMEM. */
POFR_MUST_USE int keyframe_marks_of(const struct decoded *d, struct arena *arena, struct keyframe_mark **out,
                                    size_t *out_count);

/* Fill in before, of the marks from first on, which are those of one bundle: look is the newest one before its first tick. */
void keyframe_marks_settle(struct keyframe_mark *marks, size_t first, size_t count, uint64_t look);

/* Is there, for each group, one tick whose parts show all of it? What was before those says nothing more. */
bool keyframe_marks_whole(const struct keyframe_mark *marks, size_t count);

#define KEYFRAME_MARKS_MAX 4096u /* bytes of the column */

/* As many as fit. */
void keyframe_marks_write(const struct keyframe_mark *marks, size_t count, struct buf *out);
/* Appended to *list, of which *count are used; POFR_EFORMAT. */
POFR_MUST_USE int keyframe_marks_read(struct slice column, struct arena *arena, struct keyframe_mark **list,
                                      size_t *count);
