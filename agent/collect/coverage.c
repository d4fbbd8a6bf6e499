/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/coverage.h"

#include <string.h>

#define ROW_MAX_US UINT64_C(3600000000)

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void coverage_report(struct coverage *c, const char *source, const char *mode, const char *reason, uint64_t seen,
                     uint64_t lost, bool at_least)
{
    struct coverage_row *row = NULL;

    for (unsigned i = 0; i < c->len && row == NULL; i++) {
        row = same(c->rows[i].source, source) ? &c->rows[i] : NULL;
    }
    if (row == NULL) {
        if (c->len == COVERAGE_SOURCES) {
            return; /* there are fewer sources than that */
        }
        row = &c->rows[c->len++];
        *row = (struct coverage_row){ .source = source };
    }
    row->next_mode = mode;
    row->next_reason = reason;
    row->tick_seen += seen;
    row->tick_lost += lost;
    row->tick_at_least |= at_least;
    row->reported = true;
}

static struct record record_of(const struct coverage_row *row, unsigned verb)
{
    struct record r;

    memset(&r, 0, sizeof(r));
    r.kind = REC_KIND(REC_COVERAGE, verb);
    r.entity = REC_COVERAGE;
    r.verb = (uint8_t)verb;
    r.coverage = (struct rec_coverage){
        .iv = { .first_seen = row->first_us },
        .source = slice_str(row->source),
        .mode = slice_str(row->mode),
        .reason = slice_str(row->reason),
    };
    return r;
}

static int row_start(struct coverage_row *row, uint64_t at_us, state_emit_fn emit, void *ctx)
{
    struct record r;

    row->mode = row->next_mode;
    row->reason = row->next_reason;
    row->first_us = at_us;
    row->seen = row->lost = 0;
    row->at_least = false;
    row->open = true;
    r = record_of(row, REC_START);
    return emit(ctx, &r);
}

static int row_end(struct coverage_row *row, uint64_t at_us, state_emit_fn emit, void *ctx)
{
    struct record r = record_of(row, REC_END);

    r.coverage.iv.ended = at_us;
    r.coverage.iv.last_seen = row->last_us > at_us           ? at_us
                              : row->last_us < row->first_us ? row->first_us
                                                             : row->last_us;
    r.coverage.iv.end_source = REC_END_CHANGE;
    r.coverage.seen = row->seen;
    r.coverage.lost = row->lost;
    r.coverage.lost_at_least = row->at_least;
    row->open = false;
    return emit(ctx, &r);
}

static int row_tick(struct coverage_row *row, uint64_t t, uint64_t t_before, bool closing, state_emit_fn emit,
                    void *ctx)
{
    bool other =
        row->open && row->reported && (!same(row->mode, row->next_mode) || !same(row->reason, row->next_reason));
    bool loss_begins = row->open && row->tick_lost > 0 && row->lost == 0 && row->first_us < t_before;
    int rc = 0;

    if (other || loss_begins) { /* what this tick brought happened since the tick before */
        uint64_t at = row->first_us < t_before ? t_before : t;

        rc = row_end(row, at, emit, ctx);
        if (rc == 0) {
            rc = row_start(row, at, emit, ctx);
        }
    } else if (!row->open && row->reported) {
        rc = row_start(row, t, emit, ctx);
    }
    row->seen += row->tick_seen;
    row->lost += row->tick_lost;
    row->at_least |= row->tick_at_least;
    if (row->reported) {
        row->last_us = t;
    }
    row->tick_seen = row->tick_lost = 0;
    row->tick_at_least = row->reported = false;
    if (rc == 0 && row->open && row->first_us < t && ((row->lost > 0 && closing) || t - row->first_us >= ROW_MAX_US)) {
        rc = row_end(row, t, emit, ctx);
        if (rc == 0) {
            rc = row_start(row, t, emit, ctx);
        }
    }
    return rc;
}

int coverage_tick(struct coverage *c, uint64_t t, uint64_t t_before, bool closing, state_emit_fn emit, void *ctx)
{
    int rc = 0;

    for (unsigned i = 0; i < c->len && rc == 0; i++) {
        rc = row_tick(&c->rows[i], t, t_before, closing, emit, ctx);
    }
    return rc;
}

int coverage_end(struct coverage *c, uint64_t t, state_emit_fn emit, void *ctx)
{
    int rc = 0;

    for (unsigned i = 0; i < c->len && rc == 0; i++) {
        if (c->rows[i].open && c->rows[i].first_us < t) {
            rc = row_end(&c->rows[i], t, emit, ctx);
        }
    }
    return rc;
}
