/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which rows a bundle may change. */
#include <stdlib.h>

#include "workers/heal_parts.h"
#include "workers/stripped.h"

static const unsigned entities[] = {
#define ENTITY(number, lower, UPPER) number,
    POFR_ENTITIES(ENTITY)
#undef ENTITY
};

static bool compared(const struct heal *h, const struct record *r)
{
    for (size_t i = 0; i < h->marks_count; i++) {
        if (keyframe_covers(&h->marks[i], r)) {
            return true;
        }
    }
    return false;
}

bool heal_takes(const struct heal *h, const struct record *r)
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

        if (r->entity == entity && heal_takes(h, r) && !compared(h, r)) {
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

/*
 * A record of the bundle tells the arguments that a row's END lacked (stripped.h). Only now it shows whether that row goes
 * on what a run before its own had begun: that row, too, is read, however long it has been over.
 */
static int read_rows_before(struct healing *g)
{
    const struct heal *h = g->h;
    const struct record **tellers = NULL;
    size_t n = 0, count = g->rows.count;
    int code = stripped_tellers(h->d, g->arena, &tellers, &n);

    for (size_t i = 0; i < count && n > 0 && code == 0; i++) {
        const struct stored_row *s = &g->rows.rows[i];
        const struct row row = s->row;
        const struct record *teller = NULL;

        if (s->id->entity == REC_PROCESS && row.unseen && row.ended != ROW_OPEN && !row.inferred) {
            teller = stripped_teller(tellers, n, s->id, row.first);
        }
        if (teller && row_hash(teller, &g->scratch) != row.hash) {
            code = world_rows(h->w, h->boot, REC_PROCESS, &teller, 1, row.first - 1, &g->rows);
        }
    }
    return code;
}

/* Before all that the bundle ends, and not behind from. */
static uint64_t before_ends(const struct heal *h, uint64_t from)
{
    for (size_t i = h->first; i < h->end; i++) {
        const struct record *r = h->d->records[i].record;

        if (r->entity != 0 && r->verb == REC_END && r->iv.ended <= from) {
            from = r->iv.ended > 0 ? r->iv.ended - 1 : 0;
        }
    }
    return from;
}

int heal_read_rows(struct healing *g)
{
    const struct heal *h = g->h;
    uint64_t from = h->late ? g->look_before : ROW_OPEN;
    uint64_t named_from = h->again ? before_ends(h, from) : from;

    for (size_t e = 0; e < pofr_countof(entities); e++) {
        const struct record **slots = NULL;
        size_t n = 0;
        int code = named_slots(g, entities[e], &slots, &n);

        if (code == 0 && n > 0) {
            code = world_rows(h->w, h->boot, entities[e], slots, n, named_from, &g->rows);
        }
        for (size_t i = 0; i < h->marks_count && code == 0; i++) {
            if (keyframe_of_entity(&h->marks[i], entities[e])) {
                code = world_range(h->w, h->boot, entities[e], &h->marks[i], from, &g->rows);
            }
        }
        if (code == 0 && h->late) {
            code = world_inferred_at(h->w, h->boot, entities[e], h->before, &g->rows);
        }
        if (code) {
            return code;
        }
    }
    return h->late ? read_rows_before(g) : 0;
}
