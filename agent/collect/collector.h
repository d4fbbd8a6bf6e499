/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * collector.h -- one run of the collector: sources -> state -> records -> bundles, tick by tick. It knows no
 * timer and no signal: tick.h calls it.
 *
 * One owner: the capture thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent_conf.h"
#include "agent/collect/pack.h"
#include "agent/collect/spool.h"
#include "agent/collect/state.h"
#include "agent/collect/writer.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/record/snapshot.h"

struct collector;

struct collector_conf {
    const struct agent_conf *options; /* borrowed; collector_options() changes them */
    struct writer *writer;
    uint8_t run[16];
    struct uuid boot;
    struct spool_start start;       /* what the spool held */
    struct snapshot *before;        /* the last state of this boot, or NULL; borrowed for collector_new() */
    uint8_t hash_key[16];           /* of this boot */
};

POFR_MUST_USE int collector_new(const struct collector_conf *conf, struct collector **out_collector,
                                struct pofr_err *err);
void collector_free(struct collector *c);

/* One tick; skipped: those that were due and not made since the last one. */
POFR_MUST_USE int collector_tick(struct collector *c, uint64_t skipped, struct pofr_err *err);
/* The last one: ends coverage and closes the bundle. */
POFR_MUST_USE int collector_end(struct collector *c, struct pofr_err *err);

void collector_options(struct collector *c, const struct agent_conf *options);

/* Processes that belong to the recorder: told by others (the shipper). Any thread. */
void collector_recorder(struct collector *c, uint32_t pid);

struct collector_figures {
    struct state_figures state;
    struct pack_figures pack;
    uint64_t ticks, skipped, overruns, keyframes, reconciled, blocked_looks, look_us, look_us_max, tick_boot_us;
    uint64_t vanished, unannounced, left_behind;
    bool lean;
};
/* Any thread: as of the last tick. */
void collector_figures(struct collector *c, struct collector_figures *out);
