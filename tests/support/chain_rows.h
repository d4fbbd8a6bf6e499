/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain_rows.h -- what memory_chain and store_chain share: the same random hosts, given to a world in memory in sequence and
 * to a shard in any order, and all rows of it as text that must be the same.
 */
#pragma once

#include <stdio.h>

#include "tests/support/random_chain.h"
#include "workers/world.h"

struct chain_case {
    uint64_t seed;
    size_t bundles, reach;
    unsigned size, fates, drop;
};

/* The case of a number; each is of another kind. */
void chain_case_of(struct chain_case *c, uint64_t number);

/* What a process's row says of its arguments: memory_chain and store_chain have a function each. Bytes live until the next call. */
struct chain_arguments {
    struct slice text;
    uint64_t cut, unreadable;
};
int chain_arguments_of(struct world *w, const struct host_boot *b, const struct stored_row *s,
                       struct chain_arguments *out);

/* Every row of every boot, every fact of it that apply rests on, a line each, in no order. 0 or a negative code. */
int chain_rows_print(struct world *w, const struct host *h, uint64_t seed, FILE *out);
