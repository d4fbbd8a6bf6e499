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

/* What a worker makes of a bundle that knows nothing of an entity. */
static struct decoded without(const struct decoded *d, unsigned entity)
{
    struct decoded older = *d;

    older.records = calloc(d->count + 1, sizeof(*older.records));
    assert_non_null(older.records);
    older.count = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct record *r = d->records[i].record;

        if (r->entity == entity || (r->kind == REC_KEYFRAME && r->keyframe.entity == entity)) {
            older.unknown_kinds++;
        } else {
            older.records[older.count++] = d->records[i];
        }
    }
    return older;
}

/* Workers that do not know sockets store some of the bundles; a newer one reads these again, in any order. */
static void try_older_worker(uint64_t seed, unsigned fates, size_t reach)
{
    struct random random = { ~seed };
    struct random_chain c;
    struct chain_order arrival, sequence, again;
    struct world *want, *have;

    random_chain_make(&c, seed, 30, 5, fates);
    chain_order_make(&arrival, &c, seed, 0, reach);
    chain_order_make(&again, &c, seed + 1, 0, 1000);
    chain_order_make(&sequence, &c, seed, 0, reach);
    chain_order_sort(&sequence);
    want = in_order(&c, &sequence);
    have = memory_world_new();
    for (size_t i = 0; i < arrival.count; i++) {
        const struct chain_bundle *b = c.bundles[arrival.list[i]];
        struct chain_bundle older = *b;
        struct apply_result r;

        if (random_chance(&random, 40)) {
            give(have, b, &r);
            trace(have, b, &r);
            continue;
        }
        older.decoded = without(&b->decoded, REC_SOCKET);
        give(have, &older, &r);
        assert_int_not_equal(r.kind, PLACE_DUPLICATE);
        trace(have, &older, &r);
        free(older.decoded.records);
    }
    for (size_t i = 0; i < again.count; i++) {
        const struct chain_bundle *b = c.bundles[again.list[i]];
        struct bundle_meta meta = { .view = &b->view, .replayed = true };
        struct apply_result r;

        for (int times = 0; times < 2; times++) {
            assert_int_equal(apply_bundle(have, &have->host, &have->changes, &meta, &b->decoded, &r), 0);
            assert_int_equal(r.kind, PLACE_DUPLICATE);
            assert_true(times == 0 || !r.again);
            trace(have, b, &r);
        }
    }
    assert_int_equal(world_flush(have, &have->changes), 0);
    compare(want, have, seed, "some stored by older workers");
    memory_world_free(want);
    memory_world_free(have);
    chain_order_free(&arrival);
    chain_order_free(&again);
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

static void what_older_workers_did_not_know_is_read_again(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < seeds(); i++) {
        uint64_t s = seed(i);

        try_older_worker(s, CHAIN_RESTARTS | (s % 2 ? CHAIN_FULL : 0), s % 3 ? 1 : 6);
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

        cmocka_unit_test(what_older_workers_did_not_know_is_read_again),
    };

    cmocka_set_test_filter(
        getenv("POFR_TEST_FILTER")); /* for a search by hand, as POFR_TEST_SEED and POFR_TEST_SEEDS */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
