/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sources.h -- the looks and the events of one tick, in their order, into the state; and what each of them covered.
 * A source that can't be had is a coverage row, never an error. One owner.
 */
#pragma once

#include "agent/agent_conf.h"
#include "agent/collect/coverage.h"
#include "agent/collect/state.h"
#include "common/base/compiler.h"
#include "common/base/err.h"

struct sources;

struct sources_result { /* of one tick */
    uint64_t reconciled, blocked, vanished, unannounced, left_behind;
    uint64_t events_lost, arguments_lost;
};

/* Forks the child that asks NSS: with all rights still there, and before any thread. */
POFR_MUST_USE int sources_new(const struct agent_conf *options, struct sources **out_sources, struct pofr_err *err);
/* Opens the rest, which starts threads: after rights were given up. */
POFR_MUST_USE int sources_open(struct sources *s, struct pofr_err *err);
/* NULL is allowed. */
void sources_close(struct sources *s);
void sources_options(struct sources *s, const struct agent_conf *options);

/* Ids that occur: their names are facts. */
void sources_ids(struct sources *s, const struct rec_process *p);

/* Before the tick's clock is read: everything that was told since the last one. */
void sources_drain(struct sources *s, struct state *state, struct sources_result *out);
/* After state_tick_begin(). first: nothing is known of what was before. */
void sources_look(struct sources *s, struct state *state, struct coverage *coverage, bool first,
                  struct sources_result *out);
