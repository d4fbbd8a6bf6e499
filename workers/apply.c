/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bundle's way into the tables: its place, its boot and run, its records, what the ledger and the host keep of it. */
#include "workers/apply_parts.h"

#include <stdio.h>
#include <string.h>

#include "workers/clone.h"
#include "workers/gaps.h"
#include "workers/notes.h"

#define DRIFT_US INT64_C(2000000)

static int take_singles(struct applying *a)
{
    const uint8_t *key =
        NULL; /* of several the last: whoever tells more must not take others' places in the transaction */
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
            key = r->keychange.public_key.data;
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
    return code || !key ? code : world_put_key(a->w, a->h, key);
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

static int note_clone(struct applying *a)
{
    uint32_t other = 0;
    char text[240];

    if (!clone_at_work(a->h, a->b, a->new_boot, a->st->sequence, a->meta->received_us, &other)) {
        return 0;
    }
    snprintf(text, sizeof(text),
             "sequence %llu of boot %u came from %.*s while boot %u goes on, too: the host's key and state are on two "
             "machines",
             (unsigned long long)a->st->sequence, a->b->row.number, SLICE_FMT(slice_sub(a->meta->peer, 0, 64)), other);
    return finding(a, "clone", text);
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
    int code = a->place.boot ? 0 : apply_new_boot(a);

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
        code = apply_close_older(a);
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
        code = apply_note_run(a);
    }
    if (code == 0) {
        code = take_singles(a);
    }
    if (code == 0) {
        code = keyframe_marks_of(a->d, world_arena(a->w), &a->marks, &a->marks_count);
    }
    return code;
}

static int put_bundle(struct applying *a, int (*put)(struct world *, const struct host *, const struct world_bundle *))
{
    struct buf marks = BUF_INIT(KEYFRAME_MARKS_MAX);
    size_t ticks = a->d->ticks_count;
    struct world_bundle b = { .meta = a->meta,
                              .boot = a->b,
                              .look_before = ticks > 1 ? a->d->ticks[ticks - 2].boot_us : 0,
                              .unknown = a->d->unknown_kinds + a->d->unknown_fields };
    int code;

    keyframe_marks_write(a->marks, a->marks_count, &marks);
    b.marks = buf_slice(&marks);
    code = marks.err ? marks.err : put(a->w, a->h, &b);
    buf_free(&marks);
    return code;
}

/* What the worker that stored it did not know, and this one does. */
static bool tells_more(const struct applying *a)
{
    return a->meta->replayed && a->place.boot && a->d->unknown_kinds + a->d->unknown_fields < a->place.stored.unknown;
}

/*
 * A stored bundle's records once more. They are facts, and facts are only ever added (timeline.h): those that are known
 * change nothing. What says something by itself (a gap, a finding) was taken when the bundle was stored; a new kind of that
 * sort has to be taken here.
 */
static int apply_again(struct applying *a)
{
    struct ledger_row *before = NULL, *after = NULL;
    int code = world_ledger_near(a->w, a->b, a->st->sequence, &before, &after);

    a->before = before ? before->to_us : 0;
    a->place.kind = PLACE_LATE;
    if (code == 0) {
        code = keyframe_marks_of(a->d, world_arena(a->w), &a->marks, &a->marks_count);
    }
    if (code == 0) {
        code = apply_records(a);
    }
    if (code == 0) {
        sums_doubt(a->b); /* a newer attribute is another hash */
        code = put_bundle(a, world_change_bundle);
    }
    a->b->changed = a->h->changed = true;
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
    out->again = code == 0 && a.place.kind == PLACE_DUPLICATE && tells_more(&a);
    if (code || (a.place.kind == PLACE_DUPLICATE && !out->again)) {
        return code;
    }
    buf_init(&a.scratch, REC_BODY_MAX);
    changes->received_us = meta->received_us;
    a.b = a.place.boot;
    if (out->again) {
        out->boot = a.b;
        code = apply_again(&a);
        buf_free(&a.scratch);
        return code;
    }
    code = prepare(&a);
    out->boot = a.b;
    if (code == 0) {
        code = apply_records(&a);
    }
    if (code == 0) {
        code = note_branch(&a);
    }
    if (code == 0) {
        code = note_clone(&a);
    }
    if (code == 0) {
        code = look_at_clocks(&a);
    }
    if (code == 0) {
        code = put_bundle(&a, world_put_bundle);
    }
    if (code == 0) {
        move_boot(&a);
        move_host(&a);
    }
    buf_free(&a.scratch);
    return code;
}
