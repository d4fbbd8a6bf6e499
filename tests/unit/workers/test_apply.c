/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rule of CORRECTNESS 1.1: whatever bundles come, in whatever order, the rows are those that the same bundles would
 * have given in sequence.
 */
#include "workers/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/memory_world.h"
#include "tests/support/random.h"
#include "tests/support/random_chain.h"

static void give(struct world *w, const struct chain_bundle *b, struct apply_result *result)
{
    struct bundle_meta meta = { .view = &b->view, .received_us = (int64_t)b->view.statement.to_wall_us };

    assert_int_equal(apply_bundle(w, &w->host, &w->changes, &meta, &b->decoded, result), 0);
}

/* POFR_TEST_TRACE=TEXT: show the rows with that text after each bundle, for whoever looks for a fault. */
static void trace(struct world *w, const struct chain_bundle *b, const struct apply_result *r)
{
    const char *text = getenv("POFR_TEST_TRACE");
    struct buf rows = BUF_INIT(SIZE_MAX / 2);
    struct slice all, line;

    if (!text) {
        return;
    }
    if (r->kind != PLACE_DUPLICATE && world_flush(w, &w->changes) != 0) {
        return;
    }
    memory_world_print(w, &rows);
    print_message("bundle %llu kind %d slow %d: %llu to %llu, keyframes %zu\n",
                  (unsigned long long)b->view.statement.sequence, r->kind, r->slow,
                  (unsigned long long)b->view.statement.from_boot_us, (unsigned long long)b->view.statement.to_boot_us,
                  b->decoded.keyframes);
    for (all = buf_slice(&rows); all.len > 0;) {
        line = slice_split(&all, '\n');
        if (memmem(line.data, line.len, text, strlen(text))) {
            print_message("    %.*s\n", line.len > 260 ? 260 : (int)line.len, (const char *)line.data);
        }
    }
    buf_free(&rows);
}

/* The newest look before one moment, of the bundles that came. */
static uint64_t look_before(const struct random_chain *c, const struct chain_order *o, const struct world *w,
                            const struct row_boot *boot, uint64_t at)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < o->count; i++) {
        const struct decoded *d = &c->bundles[o->list[i]]->decoded;

        assert_memory_equal(w->bundles[i].row.digest, c->bundles[o->list[i]]->view.statement_digest, 32);
        for (size_t t = 0; t < d->ticks_count && w->bundles[i].row.boot == boot->number; t++) {
            uint64_t look = d->ticks[t].boot_us;

            newest = look < at && look > newest ? look : newest;
        }
    }
    return newest;
}

/* Was nothing seen for a while from then on: bundles missing, or no collector? */
static bool gap_begins(const struct world *w, const struct row_boot *boot, uint64_t at)
{
    for (size_t i = 0; i < w->gaps_count; i++) {
        if (w->gaps[i].boot == boot->number && !w->gaps[i].explained && w->gaps[i].from_us == row_wall(boot, at)) {
            return true;
        }
    }
    for (size_t i = 0; i < w->runs_count; i++) {
        if (w->runs[i].boot == boot->number && w->runs[i].before_us == at) {
            return true;
        }
    }
    return false;
}

/*
 * What a look did not show any more ended at the look before, or at the last one before nothing was seen for a while; what
 * made room for the next name ended there.
 */
static void check_inferred_ends(const struct random_chain *c, const struct chain_order *o, const struct world *w)
{
    for (size_t i = 0; i < w->rows_count; i++) {
        const struct row *r = &w->rows[i].row;

        if (r->inferred && r->before > 0 && r->ended != r->before && r->ended != row_newest_name(r) &&
            !gap_begins(w, w->rows[i].boot, r->ended)) {
            assert_int_equal(r->ended, look_before(c, o, w, w->rows[i].boot, r->before));
        }
    }
}

static bool is_named(const struct row *r, uint64_t name)
{
    bool named = r->first == name;

    for (unsigned i = 0; i < r->names_count && !named; i++) {
        named = r->names[i] == name;
    }
    return named;
}

/* The row of the interval that a record of some boot names. */
static const struct memory_row *row_of(const struct world *w, const struct uuid *boot, const struct record *r)
{
    for (size_t i = 0; i < w->rows_count; i++) {
        const struct host_boot *b = pofr_container_of(w->rows[i].boot, const struct host_boot, row);

        if (memcmp(&b->boot_id, boot, sizeof(*boot)) == 0 && rec_compare_id(w->rows[i].record, r) == 0 &&
            is_named(&w->rows[i].row, r->iv.first_seen)) {
            return &w->rows[i];
        }
    }
    return NULL;
}

/* Does a START or a SIGHT that came tell of the interval? */
static bool is_told(const struct random_chain *c, const struct chain_order *o, const struct uuid *boot,
                    const struct record *r)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct chain_bundle *b = c->bundles[o->list[i]];

        for (size_t k = 0; k < b->decoded.count && memcmp(&b->view.statement.boot, boot, sizeof(*boot)) == 0; k++) {
            const struct record *t = b->decoded.records[k].record;

            if (t->entity == REC_PROCESS && t->verb != REC_END && t->iv.first_seen == r->iv.first_seen &&
                rec_compare_id(t, r) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* A row has the arguments that a START or a SIGHT told; without these those of the END, which may have none and say so. */
static void check_arguments(const struct random_chain *c, const struct chain_order *o, const struct world *w)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct chain_bundle *b = c->bundles[o->list[i]];
        const struct uuid *boot = &b->view.statement.boot;

        for (size_t k = 0; k < b->decoded.count; k++) {
            const struct record *r = b->decoded.records[k].record;
            const struct memory_row *row;

            if (r->entity != REC_PROCESS || (r->verb == REC_END && is_told(c, o, boot, r))) {
                continue;
            }
            row = row_of(w, boot, r);
            assert_non_null(row);
            assert_true(slice_eq(row->record->process.arguments, r->process.arguments));
            assert_int_equal(row->record->process.unreadable, r->process.unreadable);
        }
    }
}

static struct world *in_order(const struct random_chain *c, const struct chain_order *o)
{
    struct world *w = memory_world_new();

    for (size_t i = 0; i < o->count; i++) {
        struct apply_result r;

        give(w, c->bundles[o->list[i]], &r);
        assert_int_not_equal(r.kind, PLACE_DUPLICATE);
        assert_int_equal(r.keyframes.wrong, 0);
    }
    assert_int_equal(world_flush(w, &w->changes), 0);
    memory_world_check(w);
    check_inferred_ends(c, o, w);
    check_arguments(c, o, w);
    return w;
}

static void compare(struct world *a, struct world *b, uint64_t seed, const char *what)
{
    struct buf x = BUF_INIT(SIZE_MAX / 2), y = BUF_INIT(SIZE_MAX / 2);

    memory_world_print(a, &x);
    memory_world_print(b, &y);
    if (!slice_eq(buf_slice(&x), buf_slice(&y))) {
        FILE *f = fopen("/tmp/pofr-apply-want", "w");

        if (f) {
            (void)fwrite(x.data, 1, x.len, f);
            (void)fclose(f);
        }
        f = fopen("/tmp/pofr-apply-have", "w");
        if (f) {
            (void)fwrite(y.data, 1, y.len, f);
            (void)fclose(f);
        }
        if (getenv("POFR_TEST_TRACE")) {
            exit(1);
        }
        fail_msg("seed %llu, %s: rows differ: diff /tmp/pofr-apply-want /tmp/pofr-apply-have", (unsigned long long)seed,
                 what);
    }
    buf_reset(&x);
    buf_reset(&y);
    memory_world_print_gaps(a, &x);
    memory_world_print_gaps(b, &y);
    if (!slice_eq(buf_slice(&x), buf_slice(&y))) {
        fail_msg("seed %llu, %s: gaps differ:\n%.*s\n%.*s", (unsigned long long)seed, what, (int)x.len,
                 (const char *)x.data, (int)y.len, (const char *)y.data);
    }
    buf_free(&x);
    buf_free(&y);
}

/* drop: percent of bundles that never come; reach: how far one may be out of its place. */
static void try_order(uint64_t seed, size_t bundles, unsigned size, unsigned fates, unsigned drop, size_t reach)
{
    struct random random = { ~seed };
    struct random_chain c;
    struct chain_order arrival, sequence;
    struct world *want, *have;
    char what[64];

    random_chain_make(&c, seed, bundles, size, fates);
    chain_order_make(&arrival, &c, seed, drop, reach);
    chain_order_make(&sequence, &c, seed, drop, reach);
    chain_order_sort(&sequence);
    want = in_order(&c, &sequence);
    have = memory_world_new();
    for (size_t i = 0; i < arrival.count; i++) {
        const struct chain_bundle *b = c.bundles[arrival.list[i]];
        struct apply_result r;

        give(have, b, &r);
        assert_int_not_equal(r.kind, PLACE_DUPLICATE);
        trace(have, b, &r);
        if (random_chance(&random, 10)) { /* sent twice */
            give(have, b, &r);
            assert_int_equal(r.kind, PLACE_DUPLICATE);
        }
    }
    assert_int_equal(world_flush(have, &have->changes), 0);
    memory_world_check(have);
    check_arguments(&c, &arrival, have);
    (void)snprintf(what, sizeof(what), "drop %u, reach %zu", drop, reach);
    compare(want, have, seed, what);
    memory_world_free(want);
    memory_world_free(have);
    chain_order_free(&arrival);
    chain_order_free(&sequence);
    random_chain_free(&c);
}

/* Random hosts that found a fault, among thousands of others. */
static const uint64_t found[] = { 438, 440, 544, 991, 1265, 1306, 1340 };

#define SEEDS 30u

static uint64_t seeds(void)
{
    const char *text = getenv("POFR_TEST_SEEDS");

    return text ? strtoull(text, NULL, 10) : SEEDS + pofr_countof(found);
}

static uint64_t seed(uint64_t i)
{
    const char *first = getenv("POFR_TEST_SEED");

    if (first || getenv("POFR_TEST_SEEDS")) {
        return (first ? strtoull(first, NULL, 10) : 1) + i;
    }
    return i < SEEDS ? 1 + i : found[i - SEEDS];
}

static void neighbours_may_change_places(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_order(s, 30, 6, CHAIN_RESTARTS | (s % 2 ? CHAIN_FULL : 0), 0, 3);
    }
}

static void bundles_may_be_missing(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_order(s, 30, 6, CHAIN_RESTARTS, 20, 1);
    }
}

static void missing_and_late_at_once(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_order(s, 30, 6, CHAIN_RESTARTS | CHAIN_FULL, 15, 6);
    }
}

static void crashes_without_a_word(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_order(s, 30, 6, CHAIN_RESTARTS | CHAIN_CRASHES, 15, 6);
    }
}

static void runs_that_lost_their_state(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_order(s, 30, 6, CHAIN_RESTARTS | CHAIN_CRASHES | CHAIN_LOSES_STATE | CHAIN_FULL, 15, 6);
    }
}

static void reboots(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_order(s, 40, 6, CHAIN_ALL, 15, 6);
    }
}

static void any_order_at_all(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_order(s, 30, 4, CHAIN_ALL, 10, 1000);
    }
}

static void most_is_missing(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_order(s, 60, 4, CHAIN_ALL, 50, 1000);
    }
}

/*
 * But for a first look that is larger than a bundle: its keyframe comes with the key of the sums, and is compared. (One
 * whose first bundle has not even pid 1 in it, 256 KiB on, is no host's.)
 */
static void without_loss_nothing_is_read(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);
        struct world *w = memory_world_new();
        uint64_t reads = 0;
        struct random_chain c;

        random_chain_make(&c, s, 60, 8, 0);
        for (size_t k = 0; k < c.count; k++) {
            struct apply_result r;

            give(w, c.bundles[k], &r);
            assert_int_equal(r.keyframes.wrong, 0);
            if (!c.bundles[0]->decoded.stateless ||
                c.bundles[k]->view.statement.from_boot_us == c.bundles[0]->view.statement.from_boot_us) {
                reads = w->reads;
            }
        }
        assert_int_equal(w->reads, reads);
        memory_world_free(w);
        random_chain_free(&c);
    }
}

/* --- two histories at once -------------------------------------------------------------------------------- */

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
    for (uint64_t i = 0; i < seeds(); i++) {
        struct forked f;
        struct world *w;

        forked_make(&f, seed(i));
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
    for (uint64_t i = 0; i < seeds(); i++) {
        struct world *w = memory_world_new();
        struct forked f;
        int64_t now, then = 0;
        size_t held;

        forked_make(&f, seed(i));
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
    for (uint64_t i = 0; i < seeds(); i++) {
        struct world *w = memory_world_new();
        struct random_chain c;
        struct chain_order arrival;
        int64_t now;

        random_chain_make(&c, seed(i), 40, 4, CHAIN_ALL);
        chain_order_make(&arrival, &c, seed(i), 10, i % 2 ? 6 : 1000);
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
        cmocka_unit_test(without_loss_nothing_is_read),
        cmocka_unit_test(neighbours_may_change_places),
        cmocka_unit_test(bundles_may_be_missing),
        cmocka_unit_test(missing_and_late_at_once),
        cmocka_unit_test(crashes_without_a_word),
        cmocka_unit_test(runs_that_lost_their_state),
        cmocka_unit_test(reboots),
        cmocka_unit_test(any_order_at_all),
        cmocka_unit_test(most_is_missing),
        cmocka_unit_test(a_key_at_work_on_two_machines_is_found),
        cmocka_unit_test(a_disk_that_was_put_back_is_no_clone),
        cmocka_unit_test(one_history_is_no_clone_in_any_order),
    };

    cmocka_set_test_filter(
        getenv("POFR_TEST_FILTER")); /* for a search by hand, as POFR_TEST_SEED and POFR_TEST_SEEDS */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
