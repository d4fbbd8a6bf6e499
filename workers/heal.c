/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * STEPS   1  carry out what is pending, so that reading shows it
 *         2  read the rows (heal_rows.c): all of a compared range, else those of the slots that records name
 *         3  sort rows and records by slot; turn those of each slot into facts, and fold them
 *         4  where rows differ from what the fold gives, add a change
 *
 * WHICH KEYFRAMES SAW A ROW  Every stored keyframe was compared when it came (or was equal as a whole), so a row that was
 *         alive at its tick was seen by it, and a slot without such a row was not open then. That is how a late START
 *         learns that a keyframe after it does not show it.
 */
#include "workers/heal.h"

#include <stdlib.h>
#include <string.h>

#include "workers/gaps.h"
#include "workers/heal_parts.h"
#include "workers/stripped.h"

/* --- 3: slots ------------------------------------------------------------------------------------------- */

static int by_slot(const void *pa, const void *pb, void *arg)
{
    const struct entry *a = pa, *b = pb;
    const struct healing *g = arg;
    int c = rec_compare_id(a->id, b->id);

    if (c != 0) {
        return c;
    }
    if (a->row >= 0 && b->row >= 0) {
        const struct row *x = &g->rows.rows[a->row].row, *y = &g->rows.rows[b->row].row;

        if (x->first != y->first) {
            return x->first < y->first ? -1 : 1;
        }
        return (x->ended > y->ended) - (x->ended < y->ended);
    }
    if (a->row >= 0 || b->row >= 0) {
        return a->row >= 0 ? -1 : 1;
    }
    return (a->rec > b->rec) - (a->rec < b->rec);
}

static int collect(struct healing *g)
{
    const struct heal *h = g->h;

    g->entries = arena_array(g->arena, g->rows.count + (h->end - h->first) + 1, sizeof(*g->entries));
    if (!g->entries) {
        return g->arena->err;
    }
    for (size_t i = 0; i < g->rows.count; i++) {
        g->entries[g->count++] = (struct entry){ g->rows.rows[i].id, (int)i, 0 };
    }
    for (size_t i = h->first; i < h->end; i++) {
        if (heal_takes(h, h->d->records[i].record)) {
            g->entries[g->count++] = (struct entry){ h->d->records[i].record, -1, i };
        }
    }
    qsort_r(g->entries, g->count, sizeof(*g->entries), by_slot, g);
    return 0;
}

/* The newest look of those stored that showed a row from one moment on: a keyframe. until: it was over then. */
static uint64_t shown_at(const struct healing *g, const struct record *slot, uint64_t from, uint64_t until)
{
    uint64_t shown = from;

    for (size_t i = 0; i < g->keyframes_count; i++) {
        const struct keyframe_mark *k = &g->keyframes[i];

        if (k->at > shown && k->at < until && keyframe_covers(k, slot)) {
            shown = k->at;
        }
    }
    return shown;
}

/* Did a keyframe at that tick show it? An inferred end is a look that did, a seen end one that did not. */
static bool alive_at(const struct row *r, uint64_t at)
{
    return r->first <= at && (r->ended > at || (r->inferred && r->ended == at));
}

/* The moment when a row was known to be over is that of a keyframe, or that of the slot's next name or of a run. */
static uint64_t before_over(const struct healing *g, const struct stored_row *s)
{
    for (size_t i = 0; i < g->keyframes_count; i++) {
        if (g->keyframes[i].at == s->row.before && keyframe_covers(&g->keyframes[i], s->id)) {
            return g->keyframes[i].before;
        }
    }
    return s->row.before;
}

/*
 * The i-th name of a row was not shown any more at that moment. An inferred end says less: it is the last of the looks that
 * told nothing of it, and of one of them a part may still come.
 */
static uint64_t over_at(const struct row *r, unsigned i)
{
    if (i < r->names_count) {
        return r->names[i];
    }
    return !r->inferred ? r->ended : r->before ? r->before : ROW_OPEN;
}

/* A stored row as the names and looks that made it. */
static void facts_of_row(struct healing *g, int stored)
{
    const struct stored_row *s = &g->rows.rows[stored];
    const struct row *r = &s->row;

    for (unsigned i = 0; i <= r->names_count; i++) {
        bool last = i == r->names_count;
        uint64_t name = i == 0 ? r->first : r->names[i - 1];
        struct timeline_name n = { .name = name,
                                   .shown = shown_at(g, s->id, name, over_at(r, i)),
                                   .hash = r->hash,
                                   .unseen = i > 0 || r->unseen,
                                   .stored = stored };

        if (last && r->inferred) {
            n.over = r->before;
            n.over_before = before_over(g, s);
        } else if (last && r->ended != ROW_OPEN) {
            n.seen = true;
            n.ended = r->ended;
            n.last = r->last;
            n.source = r->source;
        }
        timeline_add(&g->t, &n);
    }
}

static void facts_of_record(struct healing *g, size_t rec)
{
    const struct decoded *d = g->h->d;
    const struct record *r = d->records[rec].record;
    struct timeline_name n = { .name = r->iv.first_seen,
                               .shown = r->iv.first_seen,
                               .hash = row_hash(r, &g->scratch),
                               .unseen = r->iv.start_unseen != 0,
                               .stored = -1 };

    if (r->verb == REC_START) {
        n.begin = r;
    } else if (r->verb == REC_SIGHT) {
        n.sight = r;
        n.shown = d->ticks[d->records[rec].tick].boot_us;
    } else {
        n.end = r;
        n.seen = true;
        n.ended = r->iv.ended;
        n.last = r->iv.last_seen;
        n.source = row_source_of(r->iv.end_source);
    }
    timeline_add(&g->t, &n);
}

static bool shown_by_record(const struct healing *g, const struct entry *e, size_t n, uint64_t at)
{
    const struct decoded *d = g->h->d;

    for (size_t j = 0; j < n; j++) {
        const struct decoded_record *r = e[j].row < 0 ? &d->records[e[j].rec] : NULL;

        if (r && r->record->verb == REC_SIGHT && d->ticks[r->tick].boot_us == at) {
            return true;
        }
    }
    return false;
}

static bool shown_by_row(const struct healing *g, const struct entry *e, size_t n, uint64_t at)
{
    for (size_t j = 0; j < n; j++) {
        if (e[j].row >= 0 && alive_at(&g->rows.rows[e[j].row].row, at)) {
            return true;
        }
    }
    return false;
}

static void none_of_keyframe(struct healing *g, const struct keyframe_mark *k)
{
    timeline_add_none(&g->t, &(struct timeline_none){ .at = k->at, .before = k->before, .over = k->at });
}

/* Keyframes that cover the slot and do not show it: the bundle's own, and stored ones after the gap that it lies in. */
static void nones_of_keyframes(struct healing *g, const struct entry *e, size_t n)
{
    for (size_t i = 0; i < g->own_count; i++) {
        if (keyframe_covers(&g->own[i], e->id) && !shown_by_record(g, e, n, g->own[i].at)) {
            none_of_keyframe(g, &g->own[i]);
        }
    }
    for (size_t i = 0; i < g->keyframes_count && g->h->late; i++) {
        const struct keyframe_mark *k = &g->keyframes[i];

        if (k->at > g->look_before && keyframe_covers(k, e->id) && !shown_by_row(g, e, n, k->at)) {
            none_of_keyframe(g, k);
        }
    }
}

/* Where a run begins, nothing of coverage goes on that the run before it had begun. */
static void nones_of_runs(struct healing *g)
{
    for (size_t i = 0; i < g->runs_count; i++) {
        const struct run_row *r = &g->runs[i];

        if (r->before_us > 0) {
            timeline_add_none(
                &g->t, &(struct timeline_none){ .at = r->before_us + 1, .before = r->before_us, .over = r->first_us });
        }
    }
}

/* --- 4: differences --------------------------------------------------------------------------------------- */

static bool same_row(const struct row *a, const struct row *b)
{
    return a->first == b->first && a->last == b->last && a->ended == b->ended && a->before == b->before &&
           a->hash == b->hash && a->source == b->source && a->inferred == b->inferred && a->unseen == b->unseen &&
           a->names_count == b->names_count &&
           (a->names_count == 0 || memcmp(a->names, b->names, a->names_count * sizeof(*a->names)) == 0);
}

/* Late changes of what is open: the sums of open_state do not hold any more. */
static void doubt(struct healing *g, unsigned entity, bool open_before, bool open_after)
{
    struct group_state *s = &g->h->boot->groups[group_of(entity)];

    if (g->h->late && (open_before || open_after) && s->clean) {
        s->clean = false;
        g->h->boot->changed = true;
    }
}

static void insert(struct healing *g, const struct timeline_row *r)
{
    struct change c = { .kind = CHANGE_INSERT, .boot = &g->h->boot->row, .record = r->any, .row = r->row };

    doubt(g, r->any->entity, false, r->row.ended == ROW_OPEN);
    changes_add(g->h->changes, &c);
}

/* The stored row becomes another. */
static void update(struct healing *g, const struct timeline_row *r, enum change_kind kind)
{
    const struct stored_row *s = &g->rows.rows[r->stored];
    struct change c = { .kind = kind,
                        .boot = &g->h->boot->row,
                        .record = s->id,
                        .key_first = s->key_first,
                        .key_ended = s->key_ended,
                        .row = r->row,
                        .volatiles = r->end                                                ? r->end
                                     : r->row.source == ROW_SOURCE_OPEN || r->row.inferred ? r->begin
                                                                                           : NULL };

    if (r->row.first != s->row.first || g->h->again) {
        c.fixed = r->first;
    }
    if (r->told && s->id->entity == REC_PROCESS && s->row.ended != ROW_OPEN && !s->row.inferred) {
        c.arguments = r->told; /* the row has those of an END */
    }
    if (kind != CHANGE_COPY && same_row(&s->row, &r->row) && !c.volatiles && !c.arguments &&
        !(g->h->again && c.fixed)) {
        return;
    }
    if (r->row.names_count > 0 && row_newest_name(&r->row) > g->h->boot->resumed_us) {
        g->h->boot->resumed_us = row_newest_name(&r->row); /* from now on a name may not be that of its row */
        g->h->boot->changed = true;
    }
    doubt(g, s->id->entity, s->row.ended == ROW_OPEN, r->row.ended == ROW_OPEN);
    changes_add(g->h->changes, &c);
}

static void remove_unclaimed(struct healing *g, const struct entry *e, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        bool claimed = e[j].row < 0;

        for (size_t i = 0; i < g->t.rows_count && !claimed; i++) {
            claimed = g->t.rows[i].stored == e[j].row;
        }
        if (!claimed) {
            const struct stored_row *s = &g->rows.rows[e[j].row];
            struct change c = { .kind = CHANGE_DELETE,
                                .boot = &g->h->boot->row,
                                .record = s->id,
                                .key_first = s->key_first,
                                .key_ended = s->key_ended };

            doubt(g, s->id->entity, s->row.ended == ROW_OPEN, false);
            changes_add(g->h->changes, &c);
        }
    }
}

/*
 * Read again, a record that tells all of a row may tell more than the worker knew that wrote it: the row is written anew. Not
 * where another bundle's END, or the record of an older name, has a part in it: what is new is in that bundle's replay.
 */
static bool is_told_anew(const struct healing *g, const struct timeline_row *r)
{
    return g->h->again && r->any && r->row.names_count == 0 &&
           (r->end || r->row.ended == ROW_OPEN || r->row.inferred) && !stripped_is(r->any);
}

/*
 * Order matters: copies read a row before it changes, and a row must be out of the way before another takes its
 * place (a primary key is slot, first_seen and ended): copies, deletions, updates, insertions.
 */
static void differences(struct healing *g, const struct entry *e, size_t n)
{
    struct timeline *t = &g->t;

    for (size_t i = 0; i < t->rows_count; i++) {
        if (is_told_anew(g, &t->rows[i])) {
            t->rows[i].stored = -1;
        }
        if (t->rows[i].stored >= 0 && !timeline_is_heir(t, i)) {
            if (t->rows[i].any) {
                t->rows[i].stored = -1;
            } else {
                update(g, &t->rows[i], CHANGE_COPY);
            }
        }
    }
    remove_unclaimed(g, e, n);
    for (size_t i = 0; i < t->rows_count; i++) {
        if (t->rows[i].stored >= 0 && timeline_is_heir(t, i)) {
            update(g, &t->rows[i], CHANGE_UPDATE);
        }
    }
    for (size_t i = 0; i < t->rows_count; i++) {
        if (t->rows[i].stored < 0) {
            insert(g, &t->rows[i]);
        }
    }
}

/* e: rows and records of one slot. */
static int heal_slot(struct healing *g, struct entry *e, size_t n)
{
    int code;

    timeline_reset(&g->t);
    for (size_t j = 0; j < n; j++) {
        if (e[j].row >= 0) {
            facts_of_row(g, e[j].row);
        } else {
            facts_of_record(g, e[j].rec);
        }
    }
    nones_of_keyframes(g, e, n);
    if (e->id->entity == REC_COVERAGE) {
        nones_of_runs(g);
    }
    code = timeline_fold(&g->t, &g->frame);
    if (code == 0) {
        differences(g, e, n);
        code = g->h->changes->err;
    }
    return code;
}

/* A row may have been read twice: by its slot and by its inferred end. */
static size_t without_repeats(const struct healing *g, struct entry *e, size_t n)
{
    size_t kept = 0;

    for (size_t j = 0; j < n; j++) {
        const struct row *a = kept > 0 && e[kept - 1].row >= 0 ? &g->rows.rows[e[kept - 1].row].row : NULL;
        const struct row *b = e[j].row >= 0 ? &g->rows.rows[e[j].row].row : NULL;

        if (!a || !b || a->first != b->first || a->ended != b->ended) {
            e[kept++] = e[j];
        }
    }
    return kept;
}

static int heal_all(struct healing *g)
{
    int code = 0;

    for (size_t i = 0, end; i < g->count && code == 0; i = end) {
        for (end = i + 1; end < g->count && rec_compare_id(g->entries[i].id, g->entries[end].id) == 0; end++) {
        }
        code = heal_slot(g, &g->entries[i], without_repeats(g, &g->entries[i], end - i));
    }
    return code;
}

/* --- the boot ------------------------------------------------------------------------------------------------- */

static uint64_t newer_before(uint64_t at, uint64_t look, uint64_t known)
{
    return look < at && look > known ? look : known;
}

/* The newest look before a keyframe, of those stored and of the bundle's. */
static void settle(const struct healing *g, struct keyframe_mark *k)
{
    const struct decoded *d = g->h->d;

    k->before = newer_before(k->at, g->look_before, k->before);
    for (size_t i = 0; i < d->ticks_count; i++) {
        k->before = newer_before(k->at, d->ticks[i].boot_us, k->before);
    }
}

/* Where the bundle's first tick began in the bundle before, that is not the newest look stored before it. */
static int read_look_before(struct healing *g)
{
    const struct heal *h = g->h;

    g->look_before = h->before;
    if (h->d->ticks_count == 0 || h->before != h->d->ticks[0].boot_us || (h->marks_count == 0 && !h->late)) {
        return 0;
    }
    return world_look_before(h->w, h->boot, h->sequence, h->before, &g->look_before);
}

static int read_boot(struct healing *g)
{
    const struct heal *h = g->h;
    struct blind *blinds = NULL;
    int code = gaps_blind(h->w, h->boot, &blinds, &g->frame.blinds_count);

    g->frame.blinds = blinds;
    g->frame.newest = h->boot->last_tick_us;
    g->frame.over = h->boot->closed == BOOT_REBOOT    ? ROW_SOURCE_REBOOT
                    : h->boot->closed == BOOT_RETIRED ? ROW_SOURCE_RETIRED
                                                      : ROW_SOURCE_OPEN;
    if (code == 0) {
        code = world_keyframes(h->w, h->boot, h->sequence, &g->keyframes, &g->keyframes_count);
    }
    if (code == 0) {
        code = world_runs_of_boot(h->w, h->boot, &g->runs, &g->runs_count);
    }
    if (code == 0) {
        code = read_look_before(g);
    }
    if (code) {
        return code;
    }
    g->own = arena_array(g->arena, h->marks_count + 1, sizeof(*g->own));
    if (!g->own) {
        return g->arena->err;
    }
    for (size_t i = 0; i < h->marks_count; i++) {
        if (h->marks[i].entity != REC_COVERAGE) {
            g->own[g->own_count] = h->marks[i];
            settle(g, &g->own[g->own_count++]);
        }
    }
    for (size_t i = 0; i < g->keyframes_count; i++) {
        settle(g, &g->keyframes[i]);
    }
    return 0;
}

int heal_slots(const struct heal *h)
{
    struct healing g = { .h = h, .arena = world_arena(h->w) };
    int code = world_flush_host(h->w, h->boot, h->only, h->changes);

    timeline_init(&g.t, g.arena);
    buf_init(&g.scratch, REC_BODY_MAX);
    if (code == 0) {
        code = read_boot(&g);
    }
    if (code == 0) {
        code = heal_read_rows(&g);
    }
    if (code == 0) {
        code = collect(&g);
    }
    if (code == 0) {
        code = heal_all(&g);
    }
    if (code == 0) {
        code = world_flush_host(h->w, h->boot, h->only, h->changes); /* what comes next must find these rows */
    }
    timeline_free(&g.t);
    buf_free(&g.scratch);
    return code;
}
