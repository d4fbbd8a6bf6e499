/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FAST  The bundle is next in its boot's chain and the open rows are known to be what the host had open: a START is an
 *       INSERT, an END moves exactly the row that its first_seen names, and a keyframe whose counts and digests fit is
 *       not looked at further. Nothing is read.
 * SLOW  All else goes through heal.h: after a gap (until a keyframe was compared), late, a run that names things anew,
 *       a keyframe that differs or is due for its daily compare.
 *
 * clean, per group, says which: set when a whole keyframe fits or was compared, cleared by every gap.
 */
#include "workers/apply.h"

#include <stdio.h>
#include <string.h>

#include "workers/gaps.h"
#include "workers/heal.h"
#include "workers/notes.h"
#include "workers/sums.h"

#define DRIFT_US INT64_C(2000000)
#define DAY_US   INT64_C(86400000000)

struct applying {
    struct world *w;
    struct host *h;
    struct host_boot *b;
    struct changes *changes;
    const struct bundle_meta *meta;
    const struct statement *st;
    const struct decoded *d;
    struct apply_result *out;
    struct place place;
    struct keyframe_mark *marks; /* of the bundle */
    size_t marks_count;
    bool new_boot;
    bool new_run;    /* nothing of its run is stored in this boot before it */
    uint64_t before; /* newest tick stored of the boot before this bundle, 0: none */
    struct buf scratch;
};

static int32_t day_of(const struct applying *a)
{
    return (int32_t)(a->meta->received_us / DAY_US);
}

/* --- boots ------------------------------------------------------------------------------------------------ */

static int64_t host_anchor(const struct statement *st)
{
    uint64_t wall = st->from_wall_us < (uint64_t)INT64_MAX / 2 ? st->from_wall_us : (uint64_t)INT64_MAX / 2;
    uint64_t boot = st->from_boot_us < (uint64_t)INT64_MAX / 2 ? st->from_boot_us : (uint64_t)INT64_MAX / 2;

    return (int64_t)wall - (int64_t)boot;
}

static int new_boot(struct applying *a)
{
    const struct statement *st = a->st;
    struct host *h = a->h;
    struct host_boot *b = NULL;
    int code = world_new_boot(a->w, &b);

    if (code) {
        return code;
    }
    memset(b, 0, sizeof(*b));
    b->row.host_id = h->host_id;
    b->row.number = ++h->boots_given;
    b->boot_id = st->boot;
    b->branch = a->place.branch;
    b->host_anchor_us = host_anchor(st);
    b->gateway_anchor = a->meta->has_offset;
    b->row.anchor_us = a->meta->has_offset ? a->meta->offset_us : b->host_anchor_us;
    b->uncertainty_us = a->meta->has_offset ? a->meta->uncertainty_us : 0;
    b->first_sequence = b->tip_sequence = st->sequence;
    memcpy(b->first_digest, a->meta->view->statement_digest, 32);
    if (h->retired) {
        b->closed = BOOT_RETIRED;
    } else if (a->place.older) {
        b->closed = BOOT_REBOOT;
    }
    for (int g = GROUP_PROCESS; g < GROUP_END; g++) {
        b->groups[g].clean = a->d->begins_run && a->d->stateless; /* nothing is open but what it names */
        b->groups[g].compared_day = day_of(a);
    }
    b->next = h->boots;
    h->boots = b;
    a->b = b;
    a->new_boot = true;
    return 0;
}

static const unsigned entities[] = {
#define ENTITY(number, lower, UPPER) number,
    POFR_ENTITIES(ENTITY)
#undef ENTITY
};

/* May something be open that was not shown any more for a while? */
static bool blind_since(const struct blind *blinds, size_t n, const struct host_boot *b)
{
    for (size_t i = 0; i < n; i++) {
        for (int g = GROUP_PROCESS; g < GROUP_COVERAGE; g++) {
            if (blinds[i].from >= b->groups[g].keyframe_us) {
                return true;
            }
        }
    }
    return n > 0 && !b->groups[GROUP_COVERAGE].clean;
}

int apply_close_boot(struct world *w, struct changes *changes, struct host_boot *b, enum boot_closed how)
{
    static const struct keyframe_mark all[] = {
        /* at moment 0: they only say which rows are read */
        { .entity = REC_PROCESS, .high = UINT64_MAX },
        { .entity = REC_SOCKET, .high = UINT64_MAX, .high_cookie = UINT64_MAX },
        { .entity = REC_USER },
        { .entity = REC_COVERAGE },
    };
    struct decoded none = { 0 };
    struct heal heal = { .w = w,
                         .boot = b,
                         .changes = changes,
                         .d = &none,
                         .marks = all,
                         .marks_count = pofr_countof(all),
                         .sequence = b->tip_sequence + 1 };
    struct blind *blinds = NULL;
    size_t n = 0;
    int code = world_flush(w, changes);

    b->closed = how;
    b->changed = true;
    if (code == 0) {
        code = gaps_blind(w, b, &blinds, &n);
    }
    if (code || blind_since(blinds, n, b)) {
        return code ? code : heal_slots(&heal); /* each row by itself */
    }
    for (size_t e = 0; e < pofr_countof(entities) && code == 0; e++) {
        code = world_close_open(w, b, entities[e], b->last_tick_us, b->last_tick_us,
                                how == BOOT_REBOOT ? ROW_SOURCE_REBOOT : ROW_SOURCE_RETIRED);
    }
    return code;
}

/* The boot before this new one is over, if it was the one that ran. */
static int close_older(struct applying *a)
{
    struct host_boot *before = NULL;

    if (a->place.branched || a->place.older) {
        return 0;
    }
    for (struct host_boot *b = a->b->next; b; b = b->next) {
        if (b->tip_sequence + 1 == a->st->sequence && memcmp(b->tip_digest, a->st->previous, 32) == 0) {
            before = b;
            break;
        }
        if (b->tip_sequence < a->st->sequence && (!before || b->tip_sequence > before->tip_sequence)) {
            before = b;
        }
    }
    return before && before->closed == BOOT_RUNNING ? apply_close_boot(a->w, a->changes, before, BOOT_REBOOT) : 0;
}

/* --- runs --------------------------------------------------------------------------------------------------- */

/* A late bundle may be the newest before a run that began after it. */
static int move_run(struct applying *a, struct run_row *run)
{
    if (run->first_us <= a->st->to_boot_us || run->before_us >= a->st->to_boot_us) {
        return 0;
    }
    run->before_us = a->st->to_boot_us;
    return world_put_run(a->w, a->h, run);
}

static int note_run(struct applying *a)
{
    struct run_row *runs = NULL;
    struct run_row run = { .boot = a->b->row.number,
                           .first_sequence = a->st->sequence,
                           .first_us = a->st->from_boot_us,
                           .before_us = a->before };
    bool known = false, first = true, other = false;
    size_t n = 0;
    int code;

    if (!a->new_boot && a->place.kind == PLACE_NEXT && memcmp(a->b->tip_run, a->st->run, 16) == 0) {
        return 0;
    }
    code = world_runs_of_boot(a->w, a->b, &runs, &n);
    for (size_t i = 0; i < n && code == 0; i++) {
        if (memcmp(runs[i].run, a->st->run, 16) == 0) {
            known = true;
            first = runs[i].first_sequence > run.first_sequence;
        } else {
            other = true;
            code = move_run(a, &runs[i]);
        }
    }
    if (code || (known && !first)) {
        return code;
    }
    memcpy(run.run, a->st->run, 16);
    a->new_run = true;
    if (a->d->begins_run && a->d->stateless && other && run.first_us > a->b->resumed_us) {
        a->b->resumed_us = run.first_us;
    }
    return world_put_run(a->w, a->h, &run);
}

/* --- the two ways ---------------------------------------------------------------------------------------------- */

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
            bool fits = sums_part_fits(a->b, &r->keyframe, day_of(a));

            if (!fits) {
                code = compare_part(a, i, end);
            }
            sums_part_done(a->b, &r->keyframe, d->ticks[d->records[i].tick].boot_us, fits, day_of(a),
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
            sums_part_done(a->b, &r->keyframe, d->ticks[d->records[i].tick].boot_us, false, day_of(a),
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

static int apply_slow(struct applying *a)
{
    struct heal heal = { .w = a->w,
                         .boot = a->b,
                         .changes = a->changes,
                         .d = a->d,
                         .end = a->d->count,
                         .sequence = a->st->sequence,
                         .before = a->before };
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
    struct heal heal = { .w = a->w,
                         .boot = a->b,
                         .changes = a->changes,
                         .d = a->d,
                         .end = a->d->count,
                         .marks = &of_coverage,
                         .marks_count = 1,
                         .sequence = a->st->sequence,
                         .before = a->before,
                         .only = REC_COVERAGE };
    int code = heal_slots(&heal);

    a->b->groups[GROUP_COVERAGE].clean = true; /* of the older run nothing is open */
    return code ? code : apply_fast(a, false);
}

/*
 * What was taken to have ended at the look before the bundle, because nothing came after it, is now known to have gone on
 * unless the bundle says otherwise.
 */
static int apply_late(struct applying *a)
{
    struct heal heal = { .w = a->w,
                         .boot = a->b,
                         .changes = a->changes,
                         .d = a->d,
                         .end = a->d->count,
                         .sequence = a->st->sequence,
                         .before = a->before,
                         .late = true };
    struct blind *blinds = NULL;
    size_t n = 0;
    uint64_t to;
    int code = marks_to_compare(a, &heal.marks, &heal.marks_count);

    a->out->slow = true;
    if (code == 0) {
        code = heal_slots(&heal);
    }
    if (code == 0) {
        code = gaps_blind(a->w, a->b, &blinds, &n);
    }
    if (code || a->before == 0) {
        return code;
    }
    to = timeline_last_look(blinds, n, a->before,
                            a->b->last_tick_us); /* rows that the boot's end ended, by themselves */
    for (size_t e = 0; e < pofr_countof(entities) && code == 0 && to != a->before; e++) {
        code = world_move_gone(a->w, a->b, entities[e], a->before, to);
    }
    return code;
}

static bool is_simple(const struct applying *a)
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
    return d->oldest_unseen_end > b->resumed_us || b->resumed_us == 0;
}

static int apply_records(struct applying *a)
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

/* --- around it ---------------------------------------------------------------------------------------------------- */

static int take_singles(struct applying *a)
{
    int code = 0;

    for (size_t i = 0; i < a->d->count && code == 0; i++) {
        const struct record *r = a->d->records[i].record;

        switch (r->kind) {
        case REC_GAP:
            code = gaps_told(a->w, a->h, a->b, r);
            break;
        case REC_FINDING:
            code = world_put_finding(a->w, a->h, a->b->row.number, row_wall(&a->b->row, r->finding.at), r->finding.kind,
                                     r->finding.detail);
            a->out->findings++;
            break;
        case REC_KEYCHANGE:
            code = world_put_key(a->w, a->h, r->keychange.public_key.data);
            break;
        case REC_RECORDER:
            if (a->place.kind != PLACE_LATE) {
                notes_recorder(&r->recorder, a->h->recorder, sizeof(a->h->recorder));
            }
            break;
        default:
            break;
        }
    }
    return code;
}

static int finding(struct applying *a, const char *kind, const char *detail)
{
    a->out->findings++;
    return world_put_finding(a->w, a->h, a->b->row.number, row_wall(&a->b->row, a->st->from_boot_us), slice_str(kind),
                             slice_str(detail));
}

/* CORRECTNESS 4.1, 4.2: the clocks of gateway and host, beside the anchor. */
static int look_at_clocks(struct applying *a)
{
    struct host_boot *b = a->b;
    int64_t drift;
    char text[160];

    if (a->new_boot && b->gateway_anchor) {
        int64_t off = b->host_anchor_us - b->row.anchor_us;

        if (off > DRIFT_US + (int64_t)b->uncertainty_us || off < -DRIFT_US - (int64_t)b->uncertainty_us) {
            int code;

            snprintf(text, sizeof(text), "at its first bundle the host's clock was %lld us ahead of the gateway's",
                     (long long)off);
            code = finding(a, "clock_differs", text);
            if (code) {
                return code;
            }
        }
    }
    if (!a->meta->has_offset) {
        return 0;
    }
    drift = a->meta->offset_us - b->row.anchor_us;
    if (a->place.kind != PLACE_LATE) {
        b->drift_us = drift;
    }
    if ((drift <= DRIFT_US + (int64_t)a->meta->uncertainty_us &&
         drift >= -DRIFT_US - (int64_t)a->meta->uncertainty_us) ||
        (a->h->drift_noted_us && a->meta->received_us - a->h->drift_noted_us < DAY_US / 24)) {
        return 0;
    }
    a->h->drift_noted_us = a->meta->received_us;
    snprintf(text, sizeof(text), "the boot clock has moved by %lld us since the boot's first bundle", (long long)drift);
    return finding(a, "clock_drift", text);
}

static int note_branch(struct applying *a)
{
    char text[160];

    if (!a->place.branched) {
        return 0;
    }
    a->out->branched = true;
    snprintf(text, sizeof(text), "sequence %llu exists in two histories (branch %u of its boot)",
             (unsigned long long)a->st->sequence, a->b->branch);
    return finding(a, "branch", text);
}

static uint64_t lost_total(const struct statement *st)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < st->lost_len; i++) {
        sum += st->lost[i].total;
    }
    return sum;
}

static void move_boot(struct applying *a)
{
    struct host_boot *b = a->b;
    const struct statement *st = a->st;

    b->changed = true;
    if (st->sequence < b->first_sequence) {
        b->first_sequence = st->sequence;
        memcpy(b->first_digest, a->meta->view->statement_digest, 32);
    }
    if (st->sequence >= b->tip_sequence) {
        b->tip_sequence = st->sequence;
        memcpy(b->tip_digest, a->meta->view->statement_digest, 32);
        memcpy(b->tip_run, st->run, 16);
    }
}

static void move_host(struct applying *a)
{
    struct host *h = a->h;
    const struct statement *st = a->st;
    bool newest =
        a->new_boot ? !a->place.older : a->b->row.number == h->newest_boot && st->sequence >= a->b->tip_sequence;

    h->changed = true;
    h->bundles++;
    h->records += statement_records(st);
    if (st->sequence > h->max_sequence) {
        h->max_sequence = st->sequence;
    }
    if (a->meta->received_us > h->last_bundle_us) {
        h->last_bundle_us = a->meta->received_us;
    }
    if (!newest && h->bundles > 1) {
        return;
    }
    h->newest_sequence = st->sequence;
    memcpy(h->newest_digest, a->meta->view->statement_digest, 32);
    memcpy(h->newest_run, st->run, 16);
    h->newest_boot = a->b->row.number;
    h->last_tick_us = h->complete_to_us = row_wall(&a->b->row, a->b->last_tick_us);
    h->records_total = statement_records_total(st);
    h->lost_total = lost_total(st);
}

/* All but the records themselves, before them: the rows' ends depend on gaps and runs. */
static int prepare(struct applying *a)
{
    struct gap_bundle gb = { a->st, NULL };
    bool filled = false;
    int code = a->place.boot ? 0 : new_boot(a);

    if (code) {
        return code;
    }
    gb.boot = a->b;
    a->before = a->new_boot ? 0 : a->b->last_tick_us;
    if (a->st->sequence < a->h->max_sequence) {
        code = gaps_fill(a->w, a->h, &gb, &filled);
    }
    if (code == 0 && a->place.gap && !filled) {
        code = gaps_missing(a->w, a->h, &a->place, &gb);
        a->out->gaps++;
    }
    if (code == 0 && a->new_boot) {
        code = close_older(a);
    }
    if (a->place.kind == PLACE_LATE) {
        struct ledger_row *before = NULL, *after = NULL;

        if (code == 0) {
            code = world_ledger_near(a->w, a->b, a->st->sequence, &before, &after);
        }
        a->before = before ? before->to_us : 0;
    }
    if (a->st->to_boot_us > a->b->last_tick_us) {
        a->b->last_tick_us = a->st->to_boot_us;
    }
    if (code == 0) {
        code = note_run(a);
    }
    if (code == 0) {
        code = take_singles(a);
    }
    if (code == 0) {
        code = keyframe_marks_of(a->d, world_arena(a->w), &a->marks, &a->marks_count);
    }
    return code;
}

static int put_bundle(struct applying *a)
{
    struct buf marks = BUF_INIT(KEYFRAME_MARKS_MAX);
    struct world_bundle b = { .meta = a->meta, .boot = a->b, .unknown = a->d->unknown_kinds + a->d->unknown_fields };
    int code;

    keyframe_marks_write(a->marks, a->marks_count, &marks);
    b.marks = buf_slice(&marks);
    code = marks.err ? marks.err : world_put_bundle(a->w, a->h, &b);
    buf_free(&marks);
    return code;
}

int apply_bundle(struct world *w, struct host *h, struct changes *changes, const struct bundle_meta *meta,
                 const struct decoded *d, struct apply_result *out)
{
    struct applying a = {
        .w = w, .h = h, .changes = changes, .meta = meta, .st = &meta->view->statement, .d = d, .out = out
    };
    int code;

    memset(out, 0, sizeof(*out));
    code = place_find(w, h, meta->view, &a.place);
    out->kind = a.place.kind;
    if (code || a.place.kind == PLACE_DUPLICATE) {
        return code;
    }
    buf_init(&a.scratch, REC_BODY_MAX);
    changes->received_us = meta->received_us;
    a.b = a.place.boot;
    code = prepare(&a);
    out->boot = a.b;
    if (code == 0) {
        code = apply_records(&a);
    }
    if (code == 0) {
        code = note_branch(&a);
    }
    if (code == 0) {
        code = look_at_clocks(&a);
    }
    if (code == 0) {
        code = put_bundle(&a);
    }
    if (code == 0) {
        move_boot(&a);
        move_host(&a);
    }
    buf_free(&a.scratch);
    return code;
}
