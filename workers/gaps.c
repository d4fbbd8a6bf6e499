/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/gaps.h"

#include "common/base/buf.h"

static int64_t wall(const struct host_boot *b, uint64_t boot_us)
{
    return row_wall(&b->row, boot_us);
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* What the sequences first to last held: the totals around them, without what is set aside. */
static int count_lost(struct world *w, const struct host *h, uint64_t before_total, uint64_t until_total,
                      uint64_t first, uint64_t last, uint64_t *out)
{
    uint64_t aside = 0;
    int code = world_set_aside_records(w, h, first, last, &aside);

    if (code == 0) {
        *out = minus(minus(until_total, before_total), aside);
    }
    return code;
}

/* Running total behind the bundle of that sequence; 0 for sequence 0. *known false: it is not stored. */
static int total_at(struct world *w, const struct host *h, uint64_t sequence, uint32_t boot, uint64_t *total,
                    bool *known, uint64_t *total_before)
{
    struct ledger_row *rows = NULL;
    size_t n = 0;
    int code;

    *total = *total_before = 0;
    *known = sequence == 0;
    if (sequence == 0) {
        return 0;
    }
    code = world_ledger_at(w, h, sequence, &rows, &n);
    for (size_t i = 0; i < n && code == 0; i++) {
        if (!*known || rows[i].boot == boot) { /* of several histories the one that is meant */
            *known = true;
            *total = rows[i].records_total;
            *total_before = minus(rows[i].records_total, rows[i].records);
        }
    }
    return code;
}

int gaps_missing(struct world *w, const struct host *h, const struct place *p, const struct gap_bundle *b)
{
    const struct statement *st = b->st;
    uint64_t total = 0, unused;
    bool known = false;
    struct gap_row g = { .kind = GAP_KIND_SEQUENCE, .first_sequence = p->gap_first, .last_sequence = p->gap_last };
    int code = total_at(w, h, p->gap_first - 1, p->gap_after ? p->gap_after->row.number : 0, &total, &known, &unused);

    g.boot = p->gap_after ? p->gap_after->row.number : b->boot->row.number;
    g.to_us = wall(b->boot, st->from_boot_us);
    g.from_us = p->gap_after ? wall(p->gap_after, p->gap_after->last_tick_us) : g.to_us;
    if (code == 0 && known) {
        g.lost_known = true;
        code = count_lost(w, h, total, minus(statement_records_total(st), statement_records(st)), g.first_sequence,
                          g.last_sequence, &g.lost);
    }
    return code ? code : world_put_gap(w, h, &g);
}

/* The part of g before the bundle, and the part behind it, as gaps of their own. */
static int put_left(struct world *w, const struct host *h, const struct gap_row *g, const struct gap_bundle *b)
{
    struct gap_row left = *g;
    uint64_t total, unused;
    bool known;
    int code = total_at(w, h, g->first_sequence - 1, g->boot, &total, &known, &unused);

    left.gap_id = 0;
    left.last_sequence = b->st->sequence - 1;
    left.to_us = wall(b->boot, b->st->from_boot_us);
    if (g->first_sequence == 1) {
        left.from_us = left.to_us; /* nothing was before it */
    }
    left.lost_known = known;
    if (code == 0 && known) {
        code = count_lost(w, h, total, minus(statement_records_total(b->st), statement_records(b->st)),
                          left.first_sequence, left.last_sequence, &left.lost);
    }
    return code ? code : world_put_gap(w, h, &left);
}

static int put_right(struct world *w, const struct host *h, const struct gap_row *g, const struct gap_bundle *b)
{
    struct gap_row right = *g;
    uint64_t total, before;
    bool known;
    int code = total_at(w, h, g->last_sequence + 1, b->boot->row.number, &total, &known, &before);

    right.gap_id = 0;
    right.boot = b->boot->row.number;
    right.first_sequence = b->st->sequence + 1;
    right.from_us = wall(b->boot, b->st->to_boot_us);
    right.lost_known = known;
    if (code == 0 && known) {
        code = count_lost(w, h, statement_records_total(b->st), before, right.first_sequence, right.last_sequence,
                          &right.lost);
    }
    return code ? code : world_put_gap(w, h, &right);
}

int gaps_fill(struct world *w, const struct host *h, const struct gap_bundle *b, bool *out_found)
{
    uint64_t s = b->st->sequence;
    struct gap_row *found = NULL;
    struct gap_row g;
    int code = world_gap_of_sequence(w, h, b->boot->row.number, s, &found);

    if (code == 0 && !found) {
        code = world_gap_of_sequence(w, h, 0, s, &found);
    }
    *out_found = found != NULL;
    if (code || !found) {
        return code;
    }
    g = *found;
    if (s > g.first_sequence) {
        code = put_left(w, h, &g, b);
    }
    if (code == 0 && s < g.last_sequence) {
        code = put_right(w, h, &g, b);
    }
    if (s > g.first_sequence) {
        g.from_us = wall(b->boot, b->st->from_boot_us);
    }
    if (s < g.last_sequence) {
        g.to_us = wall(b->boot, b->st->to_boot_us);
    }
    g.first_sequence = g.last_sequence = s;
    g.lost_known = true;
    g.lost = 0;
    g.explained = true;
    return code ? code : world_put_gap(w, h, &g);
}

/* That bundle will not come: its part of a gap gets the reason. */
static int refused(struct world *w, const struct host *h, const struct host_boot *b, const struct gap_row *told)
{
    struct gap_row *found = NULL;
    struct gap_row g, part;
    uint64_t s = told->first_sequence;
    int code = world_gap_of_sequence(w, h, b->row.number, s, &found);

    if (code == 0 && !found) {
        code = world_gap_of_sequence(w, h, 0, s, &found);
    }
    if (code || !found) {
        return code ? code : world_put_gap(w, h, told);
    }
    g = *found;
    part = *told;
    part.gap_id = g.gap_id;
    part.boot = g.boot;
    part.from_us = g.from_us;
    part.to_us = g.to_us;
    if (g.first_sequence == g.last_sequence && g.lost_known) {
        part.lost = g.lost;
        part.lost_known = true;
    }
    code = world_put_gap(w, h, &part);
    if (code == 0 && s > g.first_sequence) {
        struct gap_row left = g;

        left.gap_id = 0;
        left.last_sequence = s - 1;
        left.lost = minus(g.lost, part.lost);
        code = world_put_gap(w, h, &left);
    }
    if (code == 0 && s < g.last_sequence) {
        struct gap_row right = g;

        right.gap_id = 0;
        right.first_sequence = s + 1;
        right.lost = s > g.first_sequence ? 0 : minus(g.lost, part.lost);
        right.lost_known = s == g.first_sequence && g.lost_known; /* the sum is in the left one */
        code = world_put_gap(w, h, &right);
    }
    return code;
}

int gaps_told(struct world *w, const struct host *h, const struct host_boot *b, const struct record *r)
{
    const struct rec_gap *told = &r->gap;
    struct gap_row g = { .boot = b->row.number, .from_us = wall(b, told->from), .to_us = wall(b, told->to) };

    if (told->kind < GAP_KIND_STOPPED || told->kind > GAP_KIND_STATE) {
        return 0; /* a kind of a later version: counted as unknown by the decoder's caller */
    }
    g.kind = (enum gap_kind)told->kind;
    if (told->from_boot.len > 0 || told->from_wall_us > 0) {
        g.from_us = told->from_wall_us > 0 && told->from_wall_us < INT64_MAX ? (int64_t)told->from_wall_us : g.to_us;
        if (g.from_us > g.to_us) {
            g.from_us = g.to_us;
        }
    }
    g.lost = told->lost;
    g.lost_known = told->lost > 0;
    g.digest = told->digest;
    g.detail = told->reason;
    if (g.kind == GAP_KIND_REFUSED && told->sequence > 0) {
        g.first_sequence = g.last_sequence = told->sequence;
        return refused(w, h, b, &g);
    }
    return world_put_gap(w, h, &g);
}

int gaps_set_aside(struct world *w, const struct host *h, uint64_t sequence)
{
    struct gap_row *found = NULL;
    struct gap_row g;
    uint64_t before, after_total, after_before, unused;
    bool known_before, known_after;
    int code = world_gap_of_sequence(w, h, 0, sequence, &found);

    if (code || !found || !found->lost_known) {
        return code;
    }
    g = *found;
    code = total_at(w, h, g.first_sequence - 1, g.boot, &before, &known_before, &unused);
    if (code == 0) {
        code = total_at(w, h, g.last_sequence + 1, g.boot, &after_total, &known_after, &after_before);
    }
    if (code || !known_before || !known_after) {
        return code;
    }
    code = count_lost(w, h, before, after_before, g.first_sequence, g.last_sequence, &g.lost);
    return code ? code : world_put_gap(w, h, &g);
}

int gaps_blind(struct world *w, const struct host_boot *b, struct blind **out, size_t *out_count)
{
    struct gap_row *gaps = NULL;
    struct run_row *runs = NULL;
    struct blind *blinds;
    size_t n = 0, runs_count = 0, count = 0;
    int code = world_gaps_of_boot(w, b, &gaps, &n);

    if (code == 0) {
        code = world_runs_of_boot(w, b, &runs, &runs_count);
    }
    if (code) {
        return code;
    }
    blinds = arena_array(world_arena(w), n + runs_count + 1, sizeof(*blinds));
    if (!blinds) {
        return world_arena(w)->err;
    }
    for (size_t i = 0; i < n; i++) {
        bool leads = gaps[i].kind == GAP_KIND_SEQUENCE && gaps[i].first_sequence == 1; /* no look was before it */

        if (gaps[i].from_us >= b->row.anchor_us && !leads) { /* else it began in another boot */
            blinds[count++] = (struct blind){ (uint64_t)(gaps[i].from_us - b->row.anchor_us),
                                              (uint64_t)(gaps[i].to_us - b->row.anchor_us) };
        }
    }
    for (size_t i = 0; i < runs_count; i++) {
        if (runs[i].before_us > 0) {
            blinds[count++] = (struct blind){ runs[i].before_us, runs[i].first_us };
        }
    }
    *out = blinds;
    *out_count = count;
    return 0;
}
