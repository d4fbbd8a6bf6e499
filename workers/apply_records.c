/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FAST  The bundle is next in its boot's chain and the open rows are known to be what the host had open: a START is an
 *       INSERT, an END moves exactly the row that its first_seen names, and a keyframe whose counts and digests fit is
 *       not looked at further. Nothing is read.
 * SLOW  All else goes through heal.h: after a gap (until a keyframe was compared), late, a run that names things anew,
 *       a keyframe that differs or is due for its daily compare, an END whose arguments its row has.
 *
 * clean, per group, says which: set when a whole keyframe fits or was compared, cleared by every gap.
 */
#include "workers/apply_parts.h"

#include <string.h>

#include "workers/gaps.h"
#include "workers/heal.h"
#include "workers/stripped.h"
#include "workers/tables.h"

/* SIGHTs of one part, compared. i: index of its KEYFRAME. */
static int compare_part(struct applying *a, size_t i, size_t end)
{
    const struct decoded *d = a->d;
    const struct rec_keyframe *k = &d->records[i].record->keyframe;
    uint32_t tick = d->records[i].tick;
    struct keyframe_mark m = { .at = d->ticks[tick].boot_us,
                               .before = decoded_before(d, tick),
                               .entity = (unsigned)k->entity,
                               .low = k->low,
                               .high = k->high,
                               .low_cookie = k->low_cookie,
                               .high_cookie = k->high_cookie };
    struct heal heal = { .w = a->w,
                         .boot = a->b,
                         .changes = a->changes,
                         .d = d,
                         .first = i,
                         .end = end,
                         .marks = &m,
                         .marks_count = 1,
                         .sequence = a->st->sequence,
                         .before = a->before };

    a->out->slow = true;
    return heal_slots(&heal);
}

static size_t end_of_part(const struct decoded *d, size_t i)
{
    uint32_t tick = d->records[i].tick;

    for (i++; i < d->count && d->records[i].tick == tick && d->records[i].record->verb == REC_SIGHT &&
              d->records[i].record->entity != 0;
         i++) {
    }
    return i;
}

/* with_coverage false: its records are done already. */
static int apply_fast(struct applying *a, bool with_coverage)
{
    const struct decoded *d = a->d;
    int code = 0;

    for (size_t i = 0; i < d->count && code == 0; i++) {
        const struct record *r = d->records[i].record;

        if (r->kind == REC_KEYFRAME) {
            size_t end = end_of_part(d, i);
            bool fits = sums_part_fits(a->b, &r->keyframe, apply_day_of(a));

            if (!fits) {
                code = compare_part(a, i, end);
            }
            sums_part_done(a->b, &r->keyframe, d->ticks[d->records[i].tick].boot_us, fits, apply_day_of(a),
                           &a->out->keyframes);
            i = end - 1;
        } else if (r->entity != 0 && (with_coverage || r->entity != REC_COVERAGE)) {
            sums_count(a->b, r, &a->scratch);
            if (r->verb == REC_START) {
                changes_start(a->changes, &a->b->row, r);
            } else if (r->verb == REC_END) {
                changes_end(a->changes, &a->b->row, r);
            }
        }
    }
    return code ? code : a->changes->err;
}

/* Sums and keyframes of a bundle whose rows went the slow way. */
static void count_slow(struct applying *a)
{
    const struct decoded *d = a->d;

    for (size_t i = 0; i < d->count; i++) {
        const struct record *r = d->records[i].record;

        if (r->kind == REC_KEYFRAME) {
            sums_part_done(a->b, &r->keyframe, d->ticks[d->records[i].tick].boot_us, false, apply_day_of(a),
                           &a->out->keyframes);
        } else if (r->kind == REC_GAP && decoded_gap_blinds(r)) {
            sums_doubt(a->b);
        } else {
            sums_count(a->b, r, &a->scratch);
        }
    }
}

/* Where a run begins, all rows of coverage are looked at: nothing goes on that the run before it had begun. */
static const struct keyframe_mark of_coverage = { .entity = REC_COVERAGE };

/* The bundle's keyframe parts, and coverage where a run begins. */
static int marks_to_compare(struct applying *a, const struct keyframe_mark **out, size_t *out_count)
{
    struct keyframe_mark *marks = arena_array(world_arena(a->w), a->marks_count + 1, sizeof(*marks));

    if (!marks) {
        return world_arena(a->w)->err;
    }
    if (a->marks_count > 0) {
        memcpy(marks, a->marks, a->marks_count * sizeof(*marks));
    }
    *out = marks;
    *out_count = a->marks_count;
    if (a->new_run && !a->new_boot) {
        marks[(*out_count)++] = of_coverage;
    }
    return 0;
}

/* All records of the bundle; which keyframe parts are compared is the caller's. */
static struct heal heal_of(struct applying *a)
{
    return (struct heal){ .w = a->w,
                          .boot = a->b,
                          .changes = a->changes,
                          .d = a->d,
                          .end = a->d->count,
                          .sequence = a->st->sequence,
                          .before = a->before };
}

static int apply_slow(struct applying *a)
{
    struct heal heal = heal_of(a);
    int code = marks_to_compare(a, &heal.marks, &heal.marks_count);

    a->out->slow = true;
    if (code == 0) {
        code = heal_slots(&heal);
    }
    if (code == 0) {
        count_slow(a);
    }
    return code;
}

/* A run begins that knows what was open: only coverage ends with the older run. */
static int apply_restart(struct applying *a)
{
    struct heal heal = heal_of(a);
    int code;

    heal.marks = &of_coverage;
    heal.marks_count = 1;
    heal.only = REC_COVERAGE;
    code = heal_slots(&heal);
    a->b->groups[GROUP_COVERAGE].clean = true; /* of the older run nothing is open */
    return code ? code : apply_fast(a, false);
}

/*
 * What was taken to have ended at the look before the bundle, because nothing came after it, is now known to have gone on
 * unless the bundle says otherwise.
 */
static int apply_late(struct applying *a)
{
    struct heal heal = heal_of(a);
    struct blind *blinds = NULL;
    size_t n = 0;
    uint64_t to;
    int code = marks_to_compare(a, &heal.marks, &heal.marks_count);

    a->out->slow = true;
    heal.late = true;
    heal.again = a->out->again;
    if (code == 0) {
        code = heal_slots(&heal);
    }
    if (code == 0) {
        code = gaps_blind(a->w, a->b, &blinds, &n);
    }
    if (code || a->before == 0 || a->b->closed == BOOT_RUNNING) { /* only what is over has such rows */
        return code;
    }
    to = timeline_last_look(blinds, n, a->before,
                            a->b->last_tick_us); /* rows that the boot's end ended, by themselves */
    for (size_t e = 0; e < TABLES_COUNT && code == 0 && to != a->before; e++) {
        code = world_move_gone(a->w, a->b, tables[e].entity, a->before, to);
    }
    return code;
}

/* Is there an END without arguments whose START, in another bundle, told some? Its hash is that of its START. */
static bool lacks_arguments(struct applying *a)
{
    const struct decoded *d = a->d;
    bool lacks = false;

    for (size_t i = 0; i < d->count && d->stripped_ends > 0 && !lacks; i++) {
        const struct record *r = d->records[i].record;

        lacks = stripped_is(r) && !(a->b->has_key && rec_hash(r, a->b->hash_key, &a->scratch) == r->iv.hash);
    }
    return lacks;
}

static bool is_simple(struct applying *a)
{
    const struct host_boot *b = a->b;
    const struct decoded *d = a->d;

    for (int g = GROUP_PROCESS; g < GROUP_COVERAGE; g++) {
        if (!b->groups[g].clean) {
            return false;
        }
    }
    if (d->coverages > 0 && !b->groups[GROUP_COVERAGE].clean && !a->new_run) {
        return false;
    }
    /* what a run without its state found may be a row of an older name */
    if (d->oldest_unseen_end <= b->resumed_us && b->resumed_us != 0) {
        return false;
    }
    return !lacks_arguments(a);
}

int apply_records(struct applying *a)
{
    const struct decoded *d = a->d;

    if (a->place.kind == PLACE_LATE || a->b->closed != BOOT_RUNNING) {
        return apply_late(a);
    }
    if (a->place.kind == PLACE_GAP || d->blind_gap || (d->begins_run && d->stateless && !a->new_boot)) {
        sums_doubt(a->b);
    }
    if (d->hash_key) {
        sums_take_key(a->b, d->hash_key, a->new_boot);
    }
    if (!is_simple(a)) {
        return apply_slow(a);
    }
    return a->new_run && !a->new_boot ? apply_restart(a) : apply_fast(a, true);
}
