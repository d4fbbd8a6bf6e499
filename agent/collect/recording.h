/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recording.h -- one run of the collector: sources -> state -> records -> bundles, tick by tick. It knows no
 * timer and no signal: tick.h calls it.
 *
 * One owner: the capture thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent_conf.h"
#include "agent/collect/pack.h"
#include "agent/collect/sources.h"
#include "agent/collect/spool.h"
#include "agent/collect/state.h"
#include "agent/collect/writer.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/record/snapshot.h"

struct recording;

struct recording_conf {
    const struct agent_conf *options; /* borrowed; recording_options() changes them */
    struct sources *sources;          /* open; the recording's from recording_new() on, whatever that returns */
    struct writer *writer;
    uint8_t run[16];
    struct uuid boot;
    struct spool_start start; /* what the spool held */
    struct snapshot *before;  /* the last state of this boot, or NULL; borrowed for recording_new() */
    uint8_t hash_key[16];     /* of this boot */
};

POFR_MUST_USE int recording_new(const struct recording_conf *conf, struct recording **out_recording,
                                struct pofr_err *err);
void recording_free(struct recording *c);

/* One tick; skipped: those that were due and not made since the last one. */
POFR_MUST_USE int recording_tick(struct recording *c, uint64_t skipped, struct pofr_err *err);
/* The last one: ends coverage and closes the bundle. */
POFR_MUST_USE int recording_end(struct recording *c, struct pofr_err *err);

void recording_options(struct recording *c, const struct agent_conf *options);

/* The shipper's process: it belongs to the recorder. Any thread. */
void recording_shipper(struct recording *c, uint32_t pid);
/* A key that shall follow the present one: told once in each run. Any thread. */
void recording_next_key(struct recording *c, const uint8_t public_key[32]);

struct recording_figures {
    struct state_figures state;
    struct pack_figures pack;
    uint64_t ticks, skipped, overruns, keyframes, reconciled, blocked_looks, look_us, look_us_max, tick_boot_us;
    uint64_t vanished, unannounced, left_behind;
    bool lean;
};
/* Any thread: as of the last tick. */
void recording_figures(struct recording *c, struct recording_figures *out);
