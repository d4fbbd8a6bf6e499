/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two histories of one host: which of them are two machines at once, and which are not. */
#include "workers/apply.h"

#include <string.h>

#include "tests/support/check.h"
#include "tests/support/memory_world.h"
#include "tests/support/random.h"
#include "tests/support/random_chain.h"

#define SEEDS     37u
#define SECOND_US INT64_C(1000000)

static void receive(struct world *w, const struct chain_bundle *b, int64_t received_us)
{
    struct bundle_meta meta = { .view = &b->view, .received_us = received_us, .peer = slice_str("192.0.2.7:1234") };
    struct apply_result r;

    assert_int_equal(apply_bundle(w, &w->host, &w->changes, &meta, &b->decoded, &r), 0);
    assert_int_not_equal(r.kind, PLACE_DUPLICATE);
}

static size_t findings(const struct world *w, const char *kind)
{
    size_t n = 0;

    for (size_t i = 0; i < w->findings_count; i++) {
        n += strcmp(w->findings[i].kind, kind) == 0;
    }
    return n;
}

/* A chain that forks: both histories go on from [first] on, one up to [second], the other from there to the end. */
struct forked {
    struct random_chain c;
    size_t first, second;
};

static void forked_make(struct forked *f, uint64_t s)
{
    random_chain_make(&f->c, s, 36, 6, CHAIN_FORKS | CHAIN_RESTARTS);
    f->second = 1;
    while (f->c.bundles[f->second]->view.statement.sequence > f->c.bundles[f->second - 1]->view.statement.sequence) {
        f->second++;
        assert_true(f->second < f->c.count);
    }
    f->first = (size_t)f->c.bundles[f->second]->view.statement.sequence - 1;
}

/* [first] bundles, then one of each history in turn, every step_us. */
static struct world *in_turns(const struct forked *f, int64_t step_us)
{
    struct world *w = memory_world_new();
    int64_t now = (int64_t)f->c.bundles[0]->view.statement.to_wall_us;
    size_t left = f->second - f->first, right = f->c.count - f->second;

    for (size_t i = 0; i < f->first; i++) {
        receive(w, f->c.bundles[i], now += SECOND_US);
    }
    for (size_t i = 0; i < left || i < right; i++) {
        if (i < left) {
            receive(w, f->c.bundles[f->first + i], now += step_us);
        }
        if (i < right) {
            receive(w, f->c.bundles[f->second + i], now += step_us);
        }
    }
    assert_int_equal(world_flush(w, &w->changes), 0);
    memory_world_check(w);
    return w;
}

static void a_key_at_work_on_two_machines_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct forked f;
        struct world *w;

        forked_make(&f, seed);
        w = in_turns(&f, SECOND_US); /* all within the hour: said once of each */
        assert_int_equal(findings(w, "clone"), 2);
        assert_true(findings(w, "branch") > 0);
        memory_world_free(w);
        w = in_turns(&f, 1900 * SECOND_US);
        assert_true(findings(w, "clone") > 2);
        memory_world_free(w);
        random_chain_free(&f.c);
    }
}

/* One history after the other is a branch, also where a bundle of the first is found and replayed later. */
static void a_disk_that_was_put_back_is_no_clone(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *w = memory_world_new();
        struct forked f;
        int64_t now, then = 0;
        size_t held;

        forked_make(&f, seed);
        now = (int64_t)f.c.bundles[0]->view.statement.to_wall_us;
        held = f.first + (f.second - f.first) / 2;
        for (size_t k = 0; k < f.c.count; k++) {
            now += SECOND_US;
            if (k == held) {
                then = now;
            } else {
                receive(w, f.c.bundles[k], now);
            }
            if (k == f.second + 2) {
                receive(w, f.c.bundles[held], then);
            }
        }
        assert_int_equal(findings(w, "clone"), 0);
        assert_true(findings(w, "branch") > 0);
        assert_int_equal(world_flush(w, &w->changes), 0);
        memory_world_free(w);
        random_chain_free(&f.c);
    }
}

/* One history, whatever comes late: its boots have no sequence in common. */
static void one_history_is_no_clone_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *w = memory_world_new();
        struct random_chain c;
        struct chain_order arrival;
        int64_t now;

        random_chain_make(&c, seed, 40, 4, CHAIN_ALL);
        chain_order_make(&arrival, &c, seed, 10, seed % 2 ? 6 : 1000);
        now = (int64_t)c.bundles[c.count - 1]->view.statement.to_wall_us;
        for (size_t k = 0; k < arrival.count; k++) {
            receive(w, c.bundles[arrival.list[k]], now += SECOND_US);
        }
        assert_int_equal(findings(w, "clone"), 0);
        assert_int_equal(world_flush(w, &w->changes), 0);
        memory_world_free(w);
        chain_order_free(&arrival);
        random_chain_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_at_work_on_two_machines_is_found),
        cmocka_unit_test(a_disk_that_was_put_back_is_no_clone),
        cmocka_unit_test(one_history_is_no_clone_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
