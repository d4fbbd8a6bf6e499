/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * coverage.h -- per source: how it was used, what it saw, what it lost. A row lasts while mode, reason and loss stay as
 * they are: closed where a loss begins, at the bundle's end while something is being lost, and after an hour.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/state.h"

#define COVERAGE_SOURCES 16

struct coverage_row {
    const char *source;
    const char *mode, *reason;           /* of the open row; static texts */
    const char *next_mode, *next_reason; /* reported */
    uint64_t first_us, last_us;          /* last_us: the last tick it was reported at */
    uint64_t seen, lost;
    uint64_t tick_seen, tick_lost;
    bool at_least, tick_at_least, open, reported;
};

struct coverage {
    struct coverage_row rows[COVERAGE_SOURCES];
    unsigned len;
};

/*
 * In this tick, source was used so. Texts must be static (records point to them). seen and lost are of this tick; reason NULL: nothing to
 * say. May be called several times a tick: the last mode and reason count.
 */
void coverage_report(struct coverage *c, const char *source, const char *mode, const char *reason, uint64_t seen,
                     uint64_t lost, bool at_least);

/* Emit what changed. t_before: the tick before this one. closing: this tick closes its bundle. */
int coverage_tick(struct coverage *c, uint64_t t, uint64_t t_before, bool closing, state_emit_fn emit, void *ctx);
/* The run ends: so do all rows. */
int coverage_end(struct coverage *c, uint64_t t, state_emit_fn emit, void *ctx);
