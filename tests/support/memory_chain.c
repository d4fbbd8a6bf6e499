/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memory_chain -- random hosts (tests/support/random_chain.h), their bundles in sequence, and the rows that these give in
 * memory: what store_chain's must be, which takes them in another order.
 *
 *   memory_chain FIRST COUNT
 */
#include <stdlib.h>

#include "tests/support/check.h"
#include "tests/support/chain_rows.h"
#include "tests/support/memory_world.h"
#include "workers/apply.h"

int chain_arguments_of(struct world *w, const struct host_boot *b, const struct stored_row *s,
                       struct chain_arguments *out)
{
    const struct memory_row *row = memory_world_find(w, &b->row, s->id, s->key_first, s->key_ended);

    *out = (struct chain_arguments){ row->record->process.arguments, row->record->process.arguments_cut,
                                     row->record->process.unreadable };
    return 0;
}

static void one(uint64_t number)
{
    struct world *w = memory_world_new();
    struct chain_case c;
    struct random_chain chain;
    struct chain_order order;

    chain_case_of(&c, number);
    random_chain_make(&chain, c.seed, c.bundles, c.size, c.fates);
    chain_order_make(&order, &chain, c.seed, c.drop, c.reach);
    chain_order_sort(&order);
    for (size_t i = 0; i < order.count; i++) {
        const struct chain_bundle *b = chain.bundles[order.list[i]];
        struct bundle_meta meta = { .view = &b->view, .received_us = (int64_t)b->view.statement.to_wall_us };
        struct apply_result result;

        if (apply_bundle(w, &w->host, &w->changes, &meta, &b->decoded, &result) != 0) {
            (void)fprintf(stderr, "memory_chain: bundle %zu of %llu\n", i, (unsigned long long)number);
            exit(1);
        }
    }
    if (world_flush(w, &w->changes) != 0 || chain_rows_print(w, &w->host, number, stdout) != 0) {
        (void)fprintf(stderr, "memory_chain: rows of %llu\n", (unsigned long long)number);
        exit(1);
    }
    chain_order_free(&order);
    random_chain_free(&chain);
    memory_world_free(w);
}

int main(int argc, char **argv)
{
    uint64_t first, count;

    if (argc != 3) {
        return 2;
    }
    first = strtoull(argv[1], NULL, 10);
    count = strtoull(argv[2], NULL, 10);
    for (uint64_t i = first; i < first + count; i++) {
        one(i);
    }
    return 0;
}
