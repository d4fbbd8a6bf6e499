/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/draft.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/err.h"

#define DECODE_MEMORY (64u << 20)

struct draft *draft_new(void)
{
    return calloc(1, sizeof(struct draft));
}

void draft_free(struct draft *d)
{
    if (d != NULL) {
        free(d->payload);
        free(d);
    }
}

bool draft_add_count(struct statement_count *counts, unsigned *len, unsigned max, uint32_t kind, uint64_t here,
                     uint64_t total)
{
    unsigned at = 0;

    while (at < *len && counts[at].kind < kind) {
        at++;
    }
    if (at == *len || counts[at].kind != kind) {
        if (*len == max) {
            return false;
        }
        memmove(&counts[at + 1], &counts[at], (*len - at) * sizeof(*counts));
        counts[at] = (struct statement_count){ .kind = kind };
        (*len)++;
    }
    counts[at].here += here;
    counts[at].total += total;
    return true;
}

void draft_lost(struct draft *d, enum statement_lost source, uint64_t n)
{
    if (n > 0) {
        (void)draft_add_count(d->lost, &d->lost_len, 64, (uint32_t)source, n, 0); /* there are 64 and 8 sources */
    }
}

uint64_t draft_records(const struct draft *d)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < d->counts_len; i++) {
        n += d->counts[i].here;
    }
    return n;
}

static bool is_counted(uint32_t kind)
{
    return kind != REC_STRING && kind != REC_TICK && kind != REC_KEYFRAME;
}

void draft_count(struct draft *d, const struct rec_encoder *e)
{
    static const uint32_t singles[] = {
#define SINGLE(number, lower, UPPER) (number),
        POFR_SINGLES(SINGLE)
#undef SINGLE
    };
    static const uint32_t entities[] = {
#define ENTITY(number, lower, UPPER) (number),
        POFR_ENTITIES(ENTITY)
#undef ENTITY
    };

    for (size_t i = 0; i < pofr_countof(singles); i++) {
        if (is_counted(singles[i]) && rec_encoder_count(e, singles[i]) > 0) {
            (void)draft_add_count(d->counts, &d->counts_len, STATEMENT_COUNTS_MAX, singles[i],
                                  rec_encoder_count(e, singles[i]), 0);
        }
    }
    for (size_t i = 0; i < pofr_countof(entities) * 3; i++) {
        uint32_t kind = REC_KIND(entities[i / 3], i % 3);

        if (rec_encoder_count(e, kind) > 0) {
            (void)draft_add_count(d->counts, &d->counts_len, STATEMENT_COUNTS_MAX, kind, rec_encoder_count(e, kind), 0);
        }
    }
}

static void read_tick(struct draft *d, const struct rec_tick *t)
{
    if (d->ticks == 0) {
        d->from_boot_us = t->boot_us;
        d->from_wall_us = t->wall_us;
    }
    d->to_boot_us = t->boot_us;
    d->to_wall_us = t->wall_us;
    d->ticks++;
}

static void read_keyframe(struct draft *d, const struct rec_keyframe *k)
{
    d->keyframe = k->last ? 2 : d->keyframe == 2 ? 2 : 1;
    if (k->hash_key.len == sizeof(d->hash_key)) {
        memcpy(d->hash_key, k->hash_key.data, sizeof(d->hash_key));
    }
}

int draft_read(struct draft *d, struct slice payload, size_t *out_len)
{
    struct rec_decoder dec;
    struct record r;
    struct arena arena;
    size_t good = 0;

    arena_init(&arena, DECODE_MEMORY);
    rec_decoder_init(&dec, payload, &arena);
    while (rec_next(&dec, &r) == 1) {
        good = dec.position;
        if (r.kind == REC_TICK) {
            read_tick(d, &r.tick);
        } else if (r.kind == REC_KEYFRAME) {
            read_keyframe(d, &r.keyframe);
        }
        if (is_counted(r.kind)) {
            (void)draft_add_count(d->counts, &d->counts_len, STATEMENT_COUNTS_MAX, r.kind, 1, 0);
        }
    }
    arena_free(&arena);
    if (d->ticks == 0) {
        return POFR_ENOTFOUND;
    }
    *out_len = good;
    return 0;
}
