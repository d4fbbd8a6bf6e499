/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random_chain.h -- the bundles of a made-up host in memory, decoded and chained, without signatures: for tests of apply.
 * The same seed gives the same chain.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/evidence/bundle.h"
#include "workers/decode.h"

struct chain_bundle {
    struct bundle_view view; /* statement and its digest */
    struct decoded decoded;
    struct arena arena;
    bool last_of_run;
};

struct random_chain {
    struct chain_bundle **bundles;
    size_t count;
};

enum chain_fate {          /* what may happen to the host, or'ed */
    CHAIN_RESTARTS = 1,    /* the collector stops and starts, and knows what was open */
    CHAIN_CRASHES = 2,     /* it ends without a word */
    CHAIN_LOSES_STATE = 4, /* ... and has forgotten all */
    CHAIN_REBOOTS = 8,
    CHAIN_FORKS = 16, /* the machine is put back to an older state: its history branches */
    CHAIN_FULL = 32,  /* its spool is nearly full now and then: ENDs come without arguments */
    CHAIN_ALL = 15 | CHAIN_FULL,
};

/* size: about how many processes live. */
void random_chain_make(struct random_chain *c, uint64_t seed, size_t bundles, unsigned size, unsigned fates);
void random_chain_free(struct random_chain *c);

/* An order of arrival: indexes of the bundles that come. drop: percent that never do; reach: how far one may be out of place. */
struct chain_order {
    size_t *list;
    size_t count;
};
void chain_order_make(struct chain_order *o, const struct random_chain *c, uint64_t seed, unsigned drop, size_t reach);
/* The same bundles in sequence. */
void chain_order_sort(struct chain_order *o);
void chain_order_free(struct chain_order *o);
