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

int stripped_tellers(const struct decoded *d, struct arena *arena, const struct record ***out, size_t *out_count)
{
    const struct record **list;
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++) {
        n += tells(d->records[i].record);
    }
    *out = NULL;
    *out_count = 0;
    if (n == 0) {
        return 0;
    }
    list = arena_array(arena, n, sizeof(*list));
    if (!list) {
        return arena->err;
    }
    *out = list;
    *out_count = n;
    for (size_t i = 0; i < d->count; i++) {
        if (tells(d->records[i].record)) {
            *list++ = d->records[i].record;
        }
    }
    qsort(*out, n, sizeof(**out), by_interval);
    return 0;
}

struct interval { /* what is looked for */
    const struct record *slot;
    uint64_t first_seen;
};

static int of_interval(const void *pkey, const void *pteller)
{
    const struct interval *key = pkey;
    const struct record *const *teller = pteller;
    int c = rec_compare_id(key->slot, *teller);

    return c != 0 ? c : (key->first_seen > (*teller)->iv.first_seen) - (key->first_seen < (*teller)->iv.first_seen);
}

const struct record *stripped_teller(const struct record *const *tellers, size_t n, const struct record *slot,
                                     uint64_t first_seen)
{
    const struct interval key = { slot, first_seen };
    const struct record *const *at = tellers ? bsearch(&key, tellers, n, sizeof(*tellers), of_interval) : NULL;

    return at ? *at : NULL;
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
    int code = ends > 0 ? stripped_tellers(d, arena, &tellers, &n) : 0;

    for (size_t i = 0; i < d->count && ends > 0 && code == 0; i++) {
        struct decoded_record *end = &d->records[i];
        const struct record *from;

        if (!stripped_is(end->record)) {
            continue;
        }
        from = stripped_teller(tellers, n, end->record, end->record->iv.first_seen);
        if (from) {
            end->record = mended(end->record, from, arena);
            code = end->record ? 0 : arena->err;
            d->stripped_ends--;
        }
        ends--;
    }
    return code;
}
