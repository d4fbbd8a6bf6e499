/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * STEPS   1  carry out what is pending, so that reading shows it
 *         2  read the rows: all of a compared range, else those of the slots that records name
 *         3  sort rows and records by slot; for each slot turn rows into mentions, add the records, fold
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

struct entry { /* one row or one record of a slot */
    const struct record *id;
    int row;    /* index in rows, -1: a record */
    size_t rec; /* index in d->records */
};

struct healing {
    const struct heal *h;
    struct arena *arena;
    struct row_list rows;
    struct entry *entries;
    size_t count;
    struct blind *blinds;
    size_t blinds_count;
    struct keyframe_mark *keyframes; /* of the ledger */
    size_t keyframes_count;
    struct run_row *runs;
    size_t runs_count;
    struct timeline t;
    struct buf scratch;
};

static const unsigned entities[] = {
#define ENTITY(number, lower, UPPER) number,
    POFR_ENTITIES(ENTITY)
#undef ENTITY
};

/* --- 2: rows ------------------------------------------------------------------------------------------- */

static bool compared(const struct heal *h, const struct record *r)
{
    for (size_t i = 0; i < h->marks_count; i++) {
        if (keyframe_covers(&h->marks[i], r)) {
            return true;
        }
    }
    return false;
}

static bool taken(const struct heal *h, const struct record *r)
{
    return r->entity != 0 && (h->only == 0 || r->entity == h->only);
}

static int by_id(const void *pa, const void *pb)
{
    const struct record *const *a = pa, *const *b = pb;

    return rec_compare_id(*a, *b);
}

/* The slots that records of an entity name outside of compared ranges, each once. */
static int named_slots(struct healing *g, unsigned entity, const struct record ***out, size_t *out_count)
{
    const struct heal *h = g->h;
    const struct record **slots = NULL;
    size_t n = 0, unique = 0;

    for (size_t i = h->first; i < h->end; i++) {
        n += h->d->records[i].record->entity == entity;
    }
    *out_count = 0;
    if (n == 0) {
        return 0;
    }
    slots = arena_array(g->arena, n, sizeof(*slots));
    if (!slots) {
        return g->arena->err;
    }
    n = 0;
    for (size_t i = h->first; i < h->end; i++) {
        const struct record *r = h->d->records[i].record;

        if (r->entity == entity && taken(h, r) && !compared(h, r)) {
            slots[n++] = r;
        }
    }
    qsort(slots, n, sizeof(*slots), by_id);
    for (size_t i = 0; i < n; i++) {
        if (unique == 0 || rec_compare_id(slots[unique - 1], slots[i]) != 0) {
            slots[unique++] = slots[i];
        }
    }
    *out = slots;
    *out_count = unique;
    return 0;
}

static int read_rows(struct healing *g)
{
    const struct heal *h = g->h;
    uint64_t from = h->late ? h->from : ROW_OPEN;

    for (size_t e = 0; e < pofr_countof(entities); e++) {
        const struct record **slots = NULL;
        size_t n = 0;
        int code = named_slots(g, entities[e], &slots, &n);

        if (code == 0 && n > 0) {
            code = world_rows(h->w, h->boot, entities[e], slots, n, from, &g->rows);
        }
        for (size_t i = 0; i < h->marks_count && code == 0; i++) {
            if (keyframe_of_entity(&h->marks[i], entities[e])) {
                code = world_range(h->w, h->boot, entities[e], &h->marks[i], from, &g->rows);
            }
        }
        if (code == 0 && h->late) {
            code = world_inferred_at(h->w, h->boot, entities[e], h->from, &g->rows);
        }
        if (code) {
            return code;
        }
    }
    return 0;
}

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
        if (taken(h, h->d->records[i].record)) {
            g->entries[g->count++] = (struct entry){ h->d->records[i].record, -1, i };
        }
    }
    qsort_r(g->entries, g->count, sizeof(*g->entries), by_slot, g);
    return 0;
}

/* Would a keyframe at that tick have shown it? An inferred end is a look that did, a seen end one that did not. */
static bool alive_at(const struct row *r, uint64_t at)
{
    return r->first <= at && (r->ended == ROW_OPEN || r->ended > at || (r->inferred && r->ended == at));
}

/* The name that an interval has at a moment: a run that had lost its state may have named it anew. */
static uint64_t name_at(const struct row *r, uint64_t at, bool *unseen)
{
    bool renamed = r->renamed > r->first && r->renamed <= at;

    *unseen = renamed || r->unseen;
    return renamed ? r->renamed : r->first;
}

static void mention_row(struct healing *g, const struct row *r, int row, enum mention_kind kind, uint64_t at)
{
    struct mention m = { .kind = kind, .at = at, .told = r->first, .hash = r->hash, .row = row };

    m.name = kind == MENTION_START ? at : name_at(r, at, &m.unseen);
    if (kind == MENTION_START) {
        m.unseen = at == r->first ? r->unseen : true;
    } else if (kind == MENTION_END) {
        m.ended = r->ended;
        m.last = r->last;
        m.source = r->source;
    }
    timeline_add(&g->t, &m);
}

static bool coverage(const struct stored_row *s)
{
    return s->id->entity == REC_COVERAGE;
}

/* A stored row as the mentions that it stands for. next_first: does another row of the slot begin where this one was over? */
static void mentions_of_row(struct healing *g, int row, bool next_first)
{
    const struct stored_row *s = &g->rows.rows[row];
    const struct row *r = &s->row;

    mention_row(g, r, row, MENTION_START, r->first);
    if (r->renamed > r->first) {
        mention_row(g, r, row, MENTION_START, r->renamed);
    }
    for (size_t i = 0; i < g->keyframes_count; i++) {
        const struct keyframe_mark *k = &g->keyframes[i];

        if (keyframe_covers(k, s->id) && alive_at(r, k->at)) {
            mention_row(g, r, row, MENTION_SIGHT, k->at);
        }
    }
    if (r->ended == ROW_OPEN) {
        return;
    }
    if (!r->inferred) {
        mention_row(g, r, row, MENTION_END, r->ended);
        return;
    }
    mention_row(g, r, row, MENTION_SIGHT, r->ended);
    if (r->before && !next_first && !coverage(s)) {
        struct mention none = { .kind = MENTION_NONE, .at = r->before, .over = r->before, .row = -1 };

        for (size_t i = 0; i < g->keyframes_count; i++) {
            if (g->keyframes[i].at == r->before && keyframe_covers(&g->keyframes[i], s->id)) {
                none.before = g->keyframes[i].before;
            }
        }
        timeline_add(&g->t, &none);
    } else if (!r->before) {
        struct mention gone = { .kind = MENTION_GONE, .at = ROW_OPEN, .source = r->source, .row = -1 };

        timeline_add(&g->t, &gone);
    }
}

static void mention_of_record(struct healing *g, size_t rec)
{
    const struct decoded *d = g->h->d;
    const struct record *r = d->records[rec].record;
    uint64_t tick = d->ticks[d->records[rec].tick].boot_us;
    struct mention m = { .at = r->iv.first_seen,
                         .told = tick,
                         .name = r->iv.first_seen,
                         .unseen = r->iv.start_unseen != 0,
                         .record = r,
                         .row = -1 };

    m.hash = row_hash(r, &g->scratch);
    if (r->verb == REC_START) {
        m.kind = MENTION_START;
    } else if (r->verb == REC_SIGHT) {
        m.kind = MENTION_SIGHT;
        m.at = tick;
    } else {
        m.kind = MENTION_END;
        m.at = m.ended = r->iv.ended;
        m.last = r->iv.last_seen;
        m.source = row_source_of(r->iv.end_source);
    }
    timeline_add(&g->t, &m);
}

static void mention_none(struct healing *g, const struct keyframe_mark *k)
{
    struct mention m = { .kind = MENTION_NONE,
                         .at = k->at,
                         .over = k->entity == REC_COVERAGE ? k->low : k->at,
                         .before = k->before,
                         .row = -1 };

    timeline_add(&g->t, &m);
}

/* The bundle's own keyframes that cover the slot and do not show it. */
static void own_keyframes(struct healing *g, const struct entry *e, size_t n)
{
    const struct heal *h = g->h;

    for (size_t i = 0; i < h->marks_count; i++) {
        const struct keyframe_mark *k = &h->marks[i];
        bool shown = false;

        if (!keyframe_covers(k, e->id)) {
            continue;
        }
        for (size_t j = 0; j < n && !shown; j++) {
            const struct decoded_record *r = e[j].row < 0 ? &h->d->records[e[j].rec] : NULL;

            shown = r && r->record->verb == REC_SIGHT && h->d->ticks[r->tick].boot_us == k->at;
        }
        if (!shown) {
            mention_none(g, k);
        }
    }
}

/* Later keyframes, and the beginnings of later runs for coverage, that do not show the slot. */
static void later_keyframes(struct healing *g, const struct entry *e, size_t n)
{
    for (size_t i = 0; i < g->keyframes_count; i++) {
        bool shown = !keyframe_covers(&g->keyframes[i], e->id);

        for (size_t j = 0; j < n && !shown; j++) {
            shown = e[j].row >= 0 && alive_at(&g->rows.rows[e[j].row].row, g->keyframes[i].at);
        }
        if (!shown) {
            mention_none(g, &g->keyframes[i]);
        }
    }
    for (size_t i = 0; i < g->runs_count && e->id->entity == REC_COVERAGE; i++) {
        struct keyframe_mark k = { .at = g->runs[i].before_us + 1,
                                   .before = g->runs[i].before_us,
                                   .entity = REC_COVERAGE,
                                   .low = g->runs[i].first_us };

        mention_none(g, &k);
    }
}

/* --- 4: differences --------------------------------------------------------------------------------------- */

static bool same_row(const struct row *a, const struct row *b)
{
    return a->first == b->first && a->last == b->last && a->ended == b->ended && a->before == b->before &&
           a->hash == b->hash && a->renamed == b->renamed && a->source == b->source && a->inferred == b->inferred &&
           a->unseen == b->unseen;
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
    struct change c = { .kind = CHANGE_INSERT, .boot = &g->h->boot->row, .record = r->record, .row = r->row };

    doubt(g, r->record->entity, false, r->row.ended == ROW_OPEN);
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
                        .row = r->row };

    if (r->record && r->record->verb == REC_END) {
        c.volatiles = r->record;
    }
    if (r->began && r->row.first < s->row.first) {
        c.fixed = r->began;
    }
    if (kind != CHANGE_COPY && same_row(&s->row, &r->row) && !c.volatiles) {
        return;
    }
    if (r->row.renamed > g->h->boot->resumed_us) { /* from now on a name may not be that of its row */
        g->h->boot->resumed_us = r->row.renamed;
        g->h->boot->changed = true;
    }
    doubt(g, s->id->entity, s->row.ended == ROW_OPEN, r->row.ended == ROW_OPEN);
    changes_add(g->h->changes, &c);
}

/* Is there a later row that the same stored row becomes? */
static bool claimed_again(const struct timeline *t, size_t i)
{
    for (size_t j = i + 1; j < t->rows_count; j++) {
        if (t->rows[j].stored == t->rows[i].stored) {
            return true;
        }
    }
    return false;
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
 * Order matters: copies read a row before it changes, and a row must be out of the way before another takes its
 * place (a primary key is slot, first_seen and ended): copies, deletions, updates, insertions.
 */
static void differences(struct healing *g, const struct entry *e, size_t n)
{
    struct timeline *t = &g->t;

    for (size_t i = 0; i < t->rows_count; i++) {
        if (t->rows[i].stored >= 0 && claimed_again(t, i)) {
            if (t->rows[i].record) {
                t->rows[i].stored = -1;
            } else {
                update(g, &t->rows[i], CHANGE_COPY);
            }
        }
    }
    remove_unclaimed(g, e, n);
    for (size_t i = 0; i < t->rows_count; i++) {
        if (t->rows[i].stored >= 0 && !claimed_again(t, i)) {
            update(g, &t->rows[i], CHANGE_UPDATE);
        }
    }
    for (size_t i = 0; i < t->rows_count; i++) {
        if (t->rows[i].stored < 0) {
            insert(g, &t->rows[i]);
        }
    }
}

static bool begins_at(const struct healing *g, const struct entry *e, size_t n, uint64_t first)
{
    for (size_t j = 0; j < n; j++) {
        if (e[j].row >= 0 && g->rows.rows[e[j].row].row.first == first) {
            return true;
        }
    }
    return false;
}

/* e: rows and records of one slot. */
static int heal_slot(struct healing *g, struct entry *e, size_t n)
{
    const struct heal *h = g->h;
    int code;

    timeline_reset(&g->t);
    for (size_t j = 0; j < n; j++) {
        if (e[j].row >= 0) {
            mentions_of_row(g, e[j].row, begins_at(g, e, n, g->rows.rows[e[j].row].row.before));
        } else {
            mention_of_record(g, e[j].rec);
        }
    }
    own_keyframes(g, e, n);
    if (h->late) {
        later_keyframes(g, e, n);
    }
    if (h->boot->closed != BOOT_RUNNING) {
        struct mention gone = { .kind = MENTION_GONE,
                                .at = ROW_OPEN,
                                .row = -1,
                                .source = h->boot->closed == BOOT_REBOOT ? ROW_SOURCE_REBOOT : ROW_SOURCE_RETIRED };

        timeline_add(&g->t, &gone);
    }
    code = timeline_fold(&g->t, g->blinds, g->blinds_count, h->boot->last_tick_us);
    if (code == 0) {
        differences(g, e, n);
        code = h->changes->err;
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

/* The bundle at hand is not in the ledger yet: its last look may be the one before a keyframe. */
static void settle_keyframes(struct healing *g)
{
    for (size_t i = 0; i < g->keyframes_count; i++) {
        struct keyframe_mark *k = &g->keyframes[i];

        if (g->h->to < k->at && k->before < g->h->to) {
            k->before = g->h->to;
        }
    }
}

int heal_slots(const struct heal *h)
{
    struct healing g = { .h = h, .arena = world_arena(h->w) };
    int code = world_flush(h->w, h->changes);

    timeline_init(&g.t);
    buf_init(&g.scratch, REC_BODY_MAX);
    if (code == 0) {
        code = gaps_blind(h->w, h->boot, &g.blinds, &g.blinds_count);
    }
    if (code == 0) {
        code = world_keyframes(h->w, h->boot, h->sequence, &g.keyframes, &g.keyframes_count);
    }
    settle_keyframes(&g);
    if (code == 0) {
        code = world_runs_of_boot(h->w, h->boot, &g.runs, &g.runs_count);
    }
    if (code == 0) {
        code = read_rows(&g);
    }
    if (code == 0) {
        code = collect(&g);
    }
    if (code == 0) {
        code = heal_all(&g);
    }
    if (code == 0) {
        code = world_flush(h->w, h->changes); /* what comes next must find these rows */
    }
    timeline_free(&g.t);
    buf_free(&g.scratch);
    return code;
}
