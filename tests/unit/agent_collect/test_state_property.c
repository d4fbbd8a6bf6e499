/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever happens on a machine: the records of all ticks, encoded and decoded, contradict nothing, and what a
 * reader has open after each tick is, byte for byte, what the state says is open; and so are counts and sums.
 */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "agent/collect/keyframe.h"
#include "agent/collect/pack.h"
#include "common/base/arena.h"
#include "common/record/snapshot.h"
#include "look_world.h"

struct rig {
    struct world world;
    struct state *state;
    struct pack *pack;
    struct snapshot *snap;
    uint8_t key[16];
    bool lose;        /* bundles that are closed now are lost */
    bool out_of_step; /* something was lost and no keyframe came since */
    bool lean;
    bool all_told; /* every fork and exit since the first tick */
    unsigned bundles, lost;
};

static int print_open(void *ctx, const struct record *r)
{
    struct buf text = BUF_INIT(65536);

    rec_print(r, &text);
    print_error("%s %s\n", (const char *)ctx, buf_cstr(&text));
    buf_free(&text);
    return 0;
}

static bool take_draft(void *ctx, struct draft *d)
{
    struct rig *g = ctx;
    struct rec_decoder dec;
    struct record r;
    struct arena arena;
    int rc;

    if (g->lose) {
        g->lost++;
        g->out_of_step = true;
        return false;
    }
    g->bundles++;
    arena_init(&arena, 64u << 20);
    rec_decoder_init(&dec, slice_of(d->payload, d->payload_len), &arena);
    while ((rc = rec_next(&dec, &r)) == 1) {
        snapshot_strict(g->snap, !g->out_of_step);
        rc = snapshot_apply(g->snap, &r);
        if (rc != 0) {
            struct buf text = BUF_INIT(65536);

            rec_print(&r, &text);
            print_error("tick %lu: %s contradicts: %s\n", (unsigned long)g->world.t, rec_kind_name(r.kind),
                        buf_cstr(&text));
            buf_free(&text);
        }
        assert_int_equal(rc, 0);
        if (g->all_told && r.kind == REC_KIND(REC_PROCESS, REC_END)) {
            assert_int_not_equal(r.process.iv.end_source, REC_END_GONE); /* one process taken for two */
        }
        if (r.kind == REC_KEYFRAME && r.keyframe.last) {
            g->out_of_step = false;
        }
    }
    assert_int_equal(rc, 0);
    arena_free(&arena);
    draft_free(d);
    return true;
}

struct listed {
    struct record *list;
    size_t len, cap;
};

static int take_open(void *ctx, const struct record *r)
{
    struct listed *l = ctx;

    if (l->len == l->cap) {
        l->cap = l->cap == 0 ? 256 : l->cap * 2;
        l->list = realloc(l->list, l->cap * sizeof(*l->list));
        assert_non_null(l->list);
    }
    l->list[l->len++] = *r;
    return 0;
}

static int id_cmp(const void *a, const void *b)
{
    return rec_compare_id(a, b);
}

static void state_bytes(struct state *s, struct buf *out)
{
    struct listed l = { 0 };

    assert_int_equal(state_each(s, take_open, &l), 0);
    qsort(l.list, l.len, sizeof(*l.list), id_cmp);
    for (size_t i = 0; i < l.len; i++) {
        rec_canonical(&l.list[i], REC_CANONICAL_ID | REC_CANONICAL_AT | REC_CANONICAL_FX | REC_CANONICAL_FIRST_SEEN,
                      out);
    }
    free(l.list);
}

static int print_snap(const struct record *r, void *ctx)
{
    return print_open(ctx, r);
}

static void compare(struct rig *g)
{
    struct buf a = BUF_INIT(16u << 20), b = BUF_INIT(16u << 20);
    const struct state_sum *sums = state_sums(g->state);
    uint64_t facts = 0;

    state_bytes(g->state, &a);
    assert_int_equal(snapshot_bytes(g->snap, &b), 0);
    if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0) {
        print_error("tick %lu\n", (unsigned long)g->world.t);
        (void)state_each(g->state, print_open, (void *)(uintptr_t) "state ");
        assert_int_equal(snapshot_each(g->snap, 0, print_snap, (void *)(uintptr_t) "reader"), 0);
    }
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_int_equal(sums[STATE_PROCESSES].count, snapshot_count(g->snap, REC_PROCESS));
    assert_int_equal(sums[STATE_FILES].count, snapshot_count(g->snap, REC_FILE));
    assert_int_equal(sums[STATE_SOCKETS].count, snapshot_count(g->snap, REC_SOCKET));
    assert_true(sums[STATE_PROCESSES].digest == snapshot_digest(g->snap, REC_PROCESS, g->key));
    assert_true(sums[STATE_FILES].digest == snapshot_digest(g->snap, REC_FILE, g->key));
    assert_true(sums[STATE_SOCKETS].digest == snapshot_digest(g->snap, REC_SOCKET, g->key));
    for (unsigned e = REC_USER; e <= REC_LOGIN; e++) {
        facts += snapshot_count(g->snap, e);
    }
    assert_int_equal(sums[STATE_FACTS].count, facts);
    buf_free(&a);
    buf_free(&b);
}

static void make_state(struct rig *g)
{
    struct pack_conf pc = { .sink = take_draft,
                            .ctx = g,
                            .close_bytes = 2000 + random_below(&g->world.random, 60000),
                            .close_us = 1 + random_below(&g->world.random, 2000) };
    struct state_conf sc = { .exec_grace_us = g->world.events_work && !g->world.never_races ? 300 : 0 };

    memcpy(pc.hash_key, g->key, 16);
    memcpy(sc.hash_key, g->key, 16);
    assert_int_equal(pack_new(&pc, &g->pack), 0);
    sc.emit = pack_put;
    sc.ctx = g->pack;
    assert_int_equal(state_new(&sc, &g->state), 0);
}

static int restore_one(const struct record *open, void *ctx)
{
    return state_restore(ctx, open);
}

static void restart(struct rig *g)
{
    state_free(g->state);
    pack_free(g->pack);
    make_state(g);
    g->all_told = false;
    assert_int_equal(snapshot_each(g->snap, 0, restore_one, g->state), 0);
    state_restored(g->state, g->world.t);
    compare(g);
    g->world.told = g->world.events_len; /* what happened meanwhile was told to nobody */
    g->world.seens_told = g->world.seens_len;
}

static void tick(struct rig *g, bool first)
{
    bool was_lean = g->lean;
    bool lean = !first && random_chance(&g->world.random, was_lean ? 70 : 2);
    bool keyframe = !lean && (first || was_lean || g->out_of_step || random_chance(&g->world.random, 10));
    struct pack_figures f;
    struct keyframe_left left;

    g->lose = !first && !was_lean && random_chance(&g->world.random, 5);
    g->lean = lean;
    g->out_of_step |= lean;
    pack_tick(g->pack, world_next(&g->world), 5, 0);
    state_tick_begin(g->state, g->world.t, lean);
    world_tick(&g->world, g->state, first);
    state_settle(g->state, keyframe);
    if (keyframe && !g->lose) {
        assert_int_equal(keyframe_put(g->state, g->pack, g->key, REC_KEYFRAME_PERIOD,
                                      300 + random_below(&g->world.random, 20000), &left),
                         0);
    }
    assert_int_equal(pack_tick_end(g->pack, 1), 0);
    assert_int_equal(state_tick_end(g->state), 0);
    assert_int_equal(pack_close(g->pack), 0);
    assert_int_equal(snapshot_end_tick(g->snap), 0);
    pack_figures(g->pack, &f);
    assert_int_equal(f.unsound, 0);
    if (!g->out_of_step) {
        compare(g);
    }
}

static void run(uint64_t seed, bool events, bool never_races, unsigned busy, unsigned ticks)
{
    struct rig *g = calloc(1, sizeof(*g));

    assert_non_null(g);
    memset(g->key, (int)seed, 16);
    world_init(&g->world, seed, events, never_races, busy);
    assert_int_equal(snapshot_new(&g->snap), 0);
    make_state(g);
    for (unsigned i = 0; i < ticks; i++) {
        g->all_told |= never_races && events && i == 0;
        tick(g, i == 0);
        if (random_chance(&g->world.random, 2) && !g->out_of_step) {
            restart(g);
        }
        if (never_races) {
            struct state_figures f;
            size_t processes, files;

            state_figures(g->state, &f);
            world_counts(&g->world, &processes, &files);
            assert_int_equal(f.processes, processes);
            if (events && !g->lean) {
                assert_int_equal(f.files, files);
            }
        }
    }
    assert_true(g->bundles > ticks / 2);
    snapshot_free(g->snap);
    state_free(g->state);
    pack_free(g->pack);
    free(g);
}

static void a_reader_of_all_records_has_open_what_the_state_has(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run(seed, true, false, 1 + (unsigned)seed * 2, 120);
    }
}

static void so_it_is_without_events(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed <= 109; seed++) {
        run(seed, false, false, 1 + (unsigned)seed % 40, 120);
    }
}

static void without_races_the_state_is_the_machine(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed <= 209; seed++) {
        run(seed, true, true, 1 + (unsigned)seed % 40, 120);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_of_all_records_has_open_what_the_state_has),
        cmocka_unit_test(so_it_is_without_events),
        cmocka_unit_test(without_races_the_state_is_the_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
