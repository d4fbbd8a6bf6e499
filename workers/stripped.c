/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/stripped.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

bool stripped_is(const struct record *r)
{
    return r->kind == REC_KIND(REC_PROCESS, REC_END) && r->process.arguments.len == 0 &&
           (r->process.unreadable & REC_UNREADABLE_ARGUMENTS);
}

static int by_interval(const void *pa, const void *pb)
{
    const struct record *const *a = pa, *const *b = pb;
    int c = rec_compare_id(*a, *b);

    if (c != 0) {
        return c;
    }
    return ((*a)->iv.first_seen > (*b)->iv.first_seen) - ((*a)->iv.first_seen < (*b)->iv.first_seen);
}

static bool tells(const struct record *r)
{
    return r->entity == REC_PROCESS && (r->verb == REC_START || r->verb == REC_SIGHT);
}

/* All STARTs and SIGHTs of processes, sorted. */
static int tellers_of(const struct decoded *d, struct arena *arena, const struct record ***out, size_t *out_count)
{
    const struct record **list;
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++) {
        n += tells(d->records[i].record);
    }
    *out_count = n;
    if (n == 0) {
        return 0;
    }
    list = arena_array(arena, n, sizeof(*list));
    if (!list) {
        return arena->err;
    }
    *out = list;
    for (size_t i = 0; i < d->count; i++) {
        if (tells(d->records[i].record)) {
            *list++ = d->records[i].record;
        }
    }
    qsort(*out, n, sizeof(**out), by_interval);
    return 0;
}

static const struct record *mended(const struct record *end, const struct record *from, struct arena *arena)
{
    size_t size = offsetof(struct record, process) + sizeof(struct rec_process);
    struct record *r = arena_alloc(arena, size);

    if (r) {
        memcpy((void *)r, end, size);
        r->process.arguments = from->process.arguments;
        r->process.arguments_cut = from->process.arguments_cut;
        r->process.unreadable &= ~(uint64_t)REC_UNREADABLE_ARGUMENTS;
        r->process.unreadable |= from->process.unreadable & REC_UNREADABLE_ARGUMENTS;
    }
    return r;
}

int stripped_mend(struct decoded *d, struct arena *arena)
{
    const struct record **tellers = NULL;
    size_t n = 0, ends = d->stripped_ends;
    int code = ends > 0 ? tellers_of(d, arena, &tellers, &n) : 0;

    for (size_t i = 0; i < d->count && ends > 0 && code == 0; i++) {
        struct decoded_record *end = &d->records[i];
        const struct record **from = NULL;

        if (!stripped_is(end->record)) {
            continue;
        }
        from = tellers ? bsearch(&end->record, tellers, n, sizeof(*tellers), by_interval) : NULL;
        if (from) {
            end->record = mended(end->record, *from, arena);
            code = end->record ? 0 : arena->err;
            d->stripped_ends--;
        }
        ends--;
    }
    return code;
}
