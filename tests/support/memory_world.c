/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/memory_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

#define GROW(list, count, room)                                                                                        \
    do {                                                                                                               \
        if ((count) == (room)) {                                                                                       \
            (room) = (room) ? (room)*2 : 64;                                                                           \
            (list) = reallocarray((list), (room), sizeof(*(list)));                                                    \
            assert_non_null(list);                                                                                     \
        }                                                                                                              \
    } while (0)

struct world *memory_world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    arena_init(&w->arena, SIZE_MAX / 2);
    changes_init(&w->changes, 1000000);
    w->host.host_id = 1024 + 5;
    return w;
}

void memory_world_free(struct world *w)
{
    while (w->host.boots) {
        struct host_boot *next = w->host.boots->next;

        free(w->host.boots);
        w->host.boots = next;
    }
    changes_free(&w->changes);
    arena_free(&w->arena);
    free(w->rows);
    free(w->bundles);
    free(w->gaps);
    free(w->runs);
    free(w->findings);
    free(w);
}

struct arena *world_arena(struct world *w)
{
    return &w->arena;
}

/* --- the ledger ------------------------------------------------------------------------------------------- */

int world_ledger_at(struct world *w, const struct host *h, uint64_t sequence, struct ledger_row **out,
                    size_t *out_count)
{
    size_t n = 0;

    (void)h;
    *out = arena_array(&w->arena, w->bundles_count + 1, sizeof(**out));
    for (size_t i = 0; i < w->bundles_count; i++) {
        if (w->bundles[i].row.sequence == sequence) {
            (*out)[n++] = w->bundles[i].row;
        }
    }
    *out_count = n;
    return 0;
}

int world_ledger_near(struct world *w, const struct host_boot *b, uint64_t sequence, struct ledger_row **out_before,
                      struct ledger_row **out_after)
{
    *out_before = *out_after = NULL;
    for (size_t i = 0; i < w->bundles_count; i++) {
        struct ledger_row *r = &w->bundles[i].row;

        if (r->boot != b->row.number) {
            continue;
        }
        if (r->sequence < sequence && (!*out_before || r->sequence > (*out_before)->sequence)) {
            *out_before = r;
        }
        if (r->sequence > sequence && (!*out_after || r->sequence < (*out_after)->sequence)) {
            *out_after = r;
        }
    }
    return 0;
}

int world_look_before(struct world *w, const struct host_boot *b, uint64_t sequence, uint64_t at, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < w->bundles_count; i++) {
        const struct memory_bundle *m = &w->bundles[i];

        if (m->row.boot == b->row.number && m->row.sequence < sequence) {
            uint64_t look = m->row.to_us < at ? m->row.to_us : m->look_before;

            *out = look > *out ? look : *out;
        }
    }
    return 0;
}

static int by_sequence(const void *pa, const void *pb)
{
    const struct memory_bundle *const *a = pa, *const *b = pb;

    return ((*a)->row.sequence > (*b)->row.sequence) - ((*a)->row.sequence < (*b)->row.sequence);
}

int world_keyframes(struct world *w, const struct host_boot *b, uint64_t sequence, struct keyframe_mark **out,
                    size_t *out_count)
{
    struct memory_bundle **sorted;
    size_t n = 0;

    (void)sequence; /* all of them: a shard need not read so many */
    for (size_t i = 0; i < w->bundles_count; i++) {
        n += w->bundles[i].marks_count;
    }
    *out = arena_array(&w->arena, n + 1, sizeof(**out));
    *out_count = n = 0;
    sorted = arena_array(&w->arena, w->bundles_count + 1, sizeof(*sorted));
    for (size_t i = 0; i < w->bundles_count; i++) {
        if (w->bundles[i].row.boot == b->row.number) {
            sorted[n++] = &w->bundles[i];
        }
    }
    qsort(sorted, n, sizeof(*sorted), by_sequence);
    for (size_t i = 0; i < n; i++) {
        size_t first = *out_count;

        if (sorted[i]->marks_count) {
            uint64_t look = 0;

            memcpy(*out + *out_count, sorted[i]->marks, sorted[i]->marks_count * sizeof(**out));
            *out_count += sorted[i]->marks_count;
            assert_int_equal(world_look_before(w, b, sorted[i]->row.sequence, sorted[i]->row.from_us, &look), 0);
            keyframe_marks_settle(*out, first, *out_count, look);
        }
    }
    return 0;
}

int world_change_bundle(struct world *w, const struct host *h, const struct world_bundle *wb)
{
    (void)h;
    for (size_t i = 0; i < w->bundles_count; i++) {
        struct memory_bundle *b = &w->bundles[i];

        if (memcmp(b->row.digest, wb->meta->view->statement_digest, 32) == 0) {
            b->row.unknown = wb->unknown;
            return keyframe_marks_read(arena_dup(&w->arena, wb->marks), &w->arena, &b->marks, &b->marks_count);
        }
    }
    fail_msg("%s", "no such bundle");
    return 0;
}

int world_put_bundle(struct world *w, const struct host *h, const struct world_bundle *wb)
{
    const struct statement *st = &wb->meta->view->statement;
    struct memory_bundle *b;

    (void)h;
    for (size_t i = 0; i < w->bundles_count; i++) {
        assert_memory_not_equal(w->bundles[i].row.digest, wb->meta->view->statement_digest, 32);
    }
    GROW(w->bundles, w->bundles_count, w->bundles_room);
    b = &w->bundles[w->bundles_count++];
    memset(b, 0, sizeof(*b));
    b->row.sequence = st->sequence;
    memcpy(b->row.digest, wb->meta->view->statement_digest, 32);
    memcpy(b->row.previous, st->previous, 32);
    memcpy(b->row.run, st->run, 16);
    b->row.boot = wb->boot->row.number;
    b->row.from_us = st->from_boot_us;
    b->row.to_us = st->to_boot_us;
    b->row.records = statement_records(st);
    b->row.records_total = statement_records_total(st);
    b->row.unknown = wb->unknown;
    b->look_before = wb->look_before;
    b->last = st->keyframe == 2;
    assert_int_equal(keyframe_marks_read(arena_dup(&w->arena, wb->marks), &w->arena, &b->marks, &b->marks_count), 0);
    return 0;
}

/* --- runs, gaps, findings ------------------------------------------------------------------------------------ */

int world_runs_of_boot(struct world *w, const struct host_boot *b, struct run_row **out, size_t *out_count)
{
    *out = arena_array(&w->arena, w->runs_count + 1, sizeof(**out));
    *out_count = 0;
    for (size_t i = 0; i < w->runs_count; i++) {
        if (w->runs[i].boot == b->row.number) {
            (*out)[(*out_count)++] = w->runs[i];
        }
    }
    return 0;
}

int world_runs_of_run(struct world *w, const struct host *h, const uint8_t run[16], struct run_row **out,
                      size_t *out_count)
{
    (void)h;
    *out = arena_array(&w->arena, w->runs_count + 1, sizeof(**out));
    *out_count = 0;
    for (size_t i = 0; i < w->runs_count; i++) {
        if (memcmp(w->runs[i].run, run, 16) == 0) {
            (*out)[(*out_count)++] = w->runs[i];
        }
    }
    return 0;
}

int world_put_run(struct world *w, const struct host *h, const struct run_row *run)
{
    (void)h;
    for (size_t i = 0; i < w->runs_count; i++) {
        if (w->runs[i].boot == run->boot && memcmp(w->runs[i].run, run->run, 16) == 0) {
            w->runs[i] = *run;
            return 0;
        }
    }
    GROW(w->runs, w->runs_count, w->runs_room);
    w->runs[w->runs_count++] = *run;
    return 0;
}

int world_gaps_of_boot(struct world *w, const struct host_boot *b, struct gap_row **out, size_t *out_count)
{
    *out = arena_array(&w->arena, w->gaps_count + 1, sizeof(**out));
    *out_count = 0;
    for (size_t i = 0; i < w->gaps_count; i++) {
        if (w->gaps[i].boot == b->row.number && !w->gaps[i].explained && w->gaps[i].kind != GAP_KIND_TICKS) {
            (*out)[(*out_count)++] = w->gaps[i];
        }
    }
    return 0;
}

int world_gap_of_sequence(struct world *w, const struct host *h, uint32_t boot, uint64_t sequence, struct gap_row **out)
{
    (void)h;
    *out = NULL;
    for (size_t i = 0; i < w->gaps_count && !*out; i++) {
        struct gap_row *g = &w->gaps[i];

        if (g->kind == GAP_KIND_SEQUENCE && !g->explained && g->first_sequence <= sequence &&
            sequence <= g->last_sequence && (boot == 0 || g->boot == boot)) {
            *out = g;
        }
    }
    return 0;
}

int world_put_gap(struct world *w, const struct host *h, const struct gap_row *gap)
{
    struct gap_row copy = *gap; /* it may be one of ours */

    (void)h;
    if (copy.gap_id == 0) {
        GROW(w->gaps, w->gaps_count, w->gaps_room);
        copy.gap_id = w->gaps_count + 1;
        w->gaps_count++;
    }
    w->gaps[copy.gap_id - 1] = copy;
    return 0;
}

int world_set_aside_records(struct world *w, const struct host *h, uint64_t first, uint64_t last, uint64_t *out_records)
{
    (void)h;
    *out_records = w->aside_first >= first && w->aside_last <= last ? w->aside_records : 0;
    return 0;
}

int world_put_finding(struct world *w, const struct host *h, uint32_t boot, int64_t at_us, struct slice kind,
                      struct slice detail)
{
    (void)h;
    (void)at_us;
    (void)detail;
    GROW(w->findings, w->findings_count, w->findings_room);
    w->findings[w->findings_count].boot = boot;
    (void)snprintf(w->findings[w->findings_count++].kind, 64, "%.*s", (int)kind.len, (const char *)kind.data);
    return 0;
}

int world_put_key(struct world *w, const struct host *h, const uint8_t public_key[32])
{
    (void)w;
    (void)h;
    (void)public_key;
    return 0;
}

int world_new_boot(struct world *w, struct host_boot **out)
{
    (void)w;
    *out = calloc(1, sizeof(**out));
    assert_non_null(*out);
    return 0;
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

static int64_t key_of(const struct row_boot *b, uint64_t us)
{
    return us == ROW_OPEN ? ROW_KEY_OPEN : row_wall(b, us);
}

struct memory_row *memory_world_find(struct world *w, const struct row_boot *b, const struct record *slot,
                                     int64_t first, int64_t ended)
{
    for (size_t i = 0; i < w->rows_count; i++) {
        struct memory_row *r = &w->rows[i];

        if (r->boot == b && key_of(b, r->row.first) == first && key_of(b, r->row.ended) == ended &&
            rec_compare_id(r->record, slot) == 0) {
            return r;
        }
    }
    return NULL;
}

static void insert(struct world *w, const struct memory_row *row)
{
    assert_null(memory_world_find(w, row->boot, row->record, key_of(row->boot, row->row.first),
                                  key_of(row->boot, row->row.ended)));
    GROW(w->rows, w->rows_count, w->rows_room);
    w->rows[w->rows_count++] = *row;
}

static void remove_row(struct world *w, struct memory_row *r)
{
    *r = w->rows[--w->rows_count];
}

/* A copy, a deletion or an update. */
static void carry_out(struct world *w, const struct change *c)
{
    struct memory_row *old = memory_world_find(w, c->boot, c->record, c->key_first, c->key_ended);
    struct memory_row new;

    assert_non_null(old);
    new = *old;
    new.row = c->row;
    if (c->kind != CHANGE_COPY) {
        remove_row(w, old);
    }
    if (c->kind == CHANGE_DELETE) {
        return;
    }
    if (c->volatiles) {
        new.volatiles = c->volatiles;
    }
    if (c->fixed) {
        new.fixed = c->fixed;
    }
    if (c->arguments) { /* all else of it is what the row has */
        new.record = c->arguments;
    }
    insert(w, &new);
}

/* In the order that rows.c keeps. */
int world_flush(struct world *w, struct changes *c)
{
    static const enum change_kind order[] = { CHANGE_COPY, CHANGE_DELETE, CHANGE_UPDATE };

    assert_int_equal(c->err, 0);
    for (size_t k = 0; k < pofr_countof(order); k++) {
        for (size_t i = 0; i < c->count; i++) {
            if (c->list[i].kind == order[k]) {
                carry_out(w, &c->list[i]);
            }
        }
        if (order[k] == CHANGE_DELETE) { /* and what ENDs take away */
            for (size_t i = 0; i < c->count; i++) {
                struct memory_row *old =
                    c->list[i].kind == CHANGE_END
                        ? memory_world_find(w, c->list[i].boot, c->list[i].record,
                                            row_wall(c->list[i].boot, c->list[i].row.first), ROW_KEY_OPEN)
                        : NULL;

                if (old) {
                    remove_row(w, old);
                }
            }
        }
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].kind == CHANGE_INSERT || c->list[i].kind == CHANGE_END) {
            struct memory_row new = { c->list[i].boot, c->list[i].record, c->list[i].record, c->list[i].record,
                                      c->list[i].row };

            insert(w, &new);
        }
    }
    changes_reset(c);
    return 0;
}

int world_flush_host(struct world *w, const struct host_boot *b, unsigned entity, struct changes *c)
{
    struct changes taken;
    int code;

    changes_init(&taken, 1000000);
    changes_take(c, b->row.host_id, entity, &taken);
    code = world_flush(w, &taken);
    changes_free(&taken);
    return code;
}

static void append(struct world *w, struct row_list *out, const struct memory_row *r)
{
    struct stored_row *rows = arena_array(&w->arena, out->count + 1, sizeof(*rows));

    assert_non_null(rows);
    if (out->count) {
        memcpy(rows, out->rows, out->count * sizeof(*rows));
    }
    rows[out->count++] =
        (struct stored_row){ r->record, key_of(r->boot, r->row.first), key_of(r->boot, r->row.ended), r->row };
    out->rows = rows;
}

static bool in_time(const struct memory_row *r, const struct host_boot *b, unsigned entity, uint64_t from)
{
    return r->boot == &b->row && r->record->entity == entity &&
           (r->row.ended >= from ||
            (from < ROW_OPEN && r->row.inferred && (r->row.before == 0 || r->row.before > from)));
}

int world_rows(struct world *w, const struct host_boot *b, unsigned entity, const struct record *const *slots,
               size_t count, uint64_t from, struct row_list *out)
{
    w->reads++;
    for (size_t i = 0; i < w->rows_count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (in_time(&w->rows[i], b, entity, from) && rec_compare_id(w->rows[i].record, slots[k]) == 0) {
                append(w, out, &w->rows[i]);
            }
        }
    }
    return 0;
}

int world_range(struct world *w, const struct host_boot *b, unsigned entity, const struct keyframe_mark *range,
                uint64_t from, struct row_list *out)
{
    w->reads++;
    for (size_t i = 0; i < w->rows_count; i++) {
        if (in_time(&w->rows[i], b, entity, from) && keyframe_covers(range, w->rows[i].record)) {
            append(w, out, &w->rows[i]);
        }
    }
    return 0;
}

int world_inferred_at(struct world *w, const struct host_boot *b, unsigned entity, uint64_t ended, struct row_list *out)
{
    for (size_t i = 0; i < w->rows_count; i++) {
        const struct memory_row *r = &w->rows[i];

        if (in_time(r, b, entity, 0) && r->row.ended == ended && r->row.inferred && r->row.before) {
            append(w, out, r);
        }
    }
    return 0;
}

int world_close_open(struct world *w, const struct host_boot *b, unsigned entity, uint64_t shown, uint64_t ended,
                     enum row_source source)
{
    for (size_t i = 0; i < w->rows_count; i++) {
        struct row *r = &w->rows[i].row;

        if (in_time(&w->rows[i], b, entity, 0) && r->ended == ROW_OPEN && r->first <= shown) {
            r->ended = r->last = ended;
            r->source = source;
            r->inferred = true;
            r->before = 0;
        }
    }
    return 0;
}

int world_move_gone(struct world *w, const struct host_boot *b, unsigned entity, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < w->rows_count; i++) {
        struct row *r = &w->rows[i].row;

        if (in_time(&w->rows[i], b, entity, 0) && r->inferred && r->before == 0 && r->ended == from) {
            r->ended = r->last = to;
        }
    }
    return 0;
}
