/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one text can swell to: many processes with the same 128 KiB of arguments are many rows of 128 KiB on a shard. */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "agent/collect/keyframe.h"
#include "agent/collect/pack.h"
#include "common/base/arena.h"
#include "common/record/limits.h"

#define PROCESSES 400u

struct rig {
    struct pack *pack;
    struct state *state;
    uint64_t bundles, most_text, starts, sights;
    uint64_t file_starts, file_sights;
    uint64_t covered[4], held[4]; /* by pid: in the range of so many parts; sighted so often */
    uint64_t keyframe;            /* as the newest bundle's statement has it */
};

static bool take(void *ctx, struct draft *d)
{
    struct rig *g = ctx;
    struct rec_decoder dec;
    struct record r;
    struct arena arena;
    int rc;

    arena_init(&arena, REC_ARENA_MAX);
    rec_decoder_init(&dec, slice_of(d->payload, d->payload_len), &arena);
    while ((rc = rec_next(&dec, &r)) == 1) {
        g->starts += r.kind == REC_KIND(REC_PROCESS, REC_START);
        g->sights += r.kind == REC_KIND(REC_PROCESS, REC_SIGHT);
        g->file_starts += r.kind == REC_KIND(REC_FILE, REC_START);
        g->file_sights += r.kind == REC_KIND(REC_FILE, REC_SIGHT);
        for (uint64_t pid = 0; pid < 4; pid++) {
            g->covered[pid] += r.kind == REC_KEYFRAME && r.keyframe.entity == REC_PROCESS && r.keyframe.low <= pid &&
                               pid <= r.keyframe.high;
            g->held[pid] += r.kind == REC_KIND(REC_PROCESS, REC_SIGHT) && r.process.pid == pid;
        }
    }
    assert_int_equal(rc, 0);
    g->most_text = dec.text > g->most_text ? dec.text : g->most_text;
    g->bundles++;
    g->keyframe = d->keyframe;
    arena_free(&arena);
    draft_free(d);
    return true;
}

static void look(struct state *s, const uint8_t *arguments)
{
    state_look_begin(s, true);
    for (uint32_t pid = 1; pid <= PROCESSES; pid++) {
        struct rec_process p = { .pid = pid,
                                 .start_jiffies = pid,
                                 .command = slice_str("x"),
                                 .arguments = slice_of(arguments, REC_ARGUMENTS_MAX) };
        struct look_how how = { .why = LOOK_WHY_FIRST };

        state_look_sink.process(s, &p, &how);
        state_look_sink.files_end(s, 0, 0, UINT32_MAX);
        how.whole = true;
        state_look_sink.process_end(s, &how);
    }
    state_look_end(s, true);
}

static void no_bundle_swells_to_more_than_its_share(void **state)
{
    struct rig g = { 0 };
    struct pack_conf pc = { .sink = take, .ctx = &g, .close_bytes = REC_CLOSE_BYTES, .close_us = REC_CLOSE_US };
    struct state_conf sc = { .emit = pack_put };
    uint8_t *arguments = malloc(REC_ARGUMENTS_MAX), key[16] = { 1 };
    struct keyframe_left left;

    (void)state;
    assert_non_null(arguments);
    memset(arguments, 'a', REC_ARGUMENTS_MAX);
    assert_int_equal(pack_new(&pc, &g.pack), 0);
    sc.ctx = g.pack;
    assert_int_equal(state_new(&sc, &g.state), 0);
    pack_tick(g.pack, 1000000, 1000000, 0);
    state_tick_begin(g.state, 1000000, false);
    state_events_apply(g.state, false);
    look(g.state, arguments);
    state_settle(g.state, true);
    assert_int_equal(keyframe_put(g.state, g.pack, key, REC_KEYFRAME_START, 160u << 10, &left), 0);
    assert_int_equal(pack_tick_end(g.pack, 1), 0);
    assert_int_equal(state_tick_end(g.state), 0);
    assert_int_equal(pack_close(g.pack), 0);
    assert_int_equal(left.processes, 0);
    assert_int_equal(g.starts, PROCESSES);
    assert_int_equal(g.sights, PROCESSES);
    assert_int_equal(g.keyframe, 2);
    assert_true(g.most_text <= REC_CLOSE_TEXT + REC_BODY_MAX);
    assert_true(g.bundles >= 2 * PROCESSES * (uint64_t)REC_ARGUMENTS_MAX / REC_CLOSE_TEXT);
    state_free(g.state);
    pack_free(g.pack);
    free(arguments);
}

#define FILES 50000u /* of pid 2: more than a part can hold */

static void look_at_files(struct state *s)
{
    state_look_begin(s, true);
    for (uint32_t pid = 1; pid <= 3; pid++) {
        struct rec_process p = { .pid = pid, .start_jiffies = pid, .command = slice_str("x") };
        struct look_how how = { .why = LOOK_WHY_FIRST };

        state_look_sink.process(s, &p, &how);
        for (uint32_t fd = 0; fd < (pid == 2 ? FILES : 1); fd++) {
            struct rec_file f = {
                .pid = pid, .start_jiffies = pid, .fd = fd, .path = slice_str("/x"), .kind = REC_FILE_REGULAR
            };

            state_look_sink.file(s, &f);
        }
        state_look_sink.files_end(s, 0, 0, UINT32_MAX);
        how.whole = true;
        state_look_sink.process_end(s, &how);
    }
    state_look_end(s, true);
}

static void a_process_too_large_for_a_keyframe_is_in_no_part_and_named(void **state)
{
    struct rig g = { 0 };
    struct pack_conf pc = { .sink = take, .ctx = &g, .close_bytes = REC_CLOSE_BYTES, .close_us = REC_CLOSE_US };
    struct state_conf sc = { .emit = pack_put, .files_max = 1u << 20 };
    struct keyframe_left left;
    uint8_t key[16] = { 1 };
    char text[512];

    (void)state;
    assert_int_equal(pack_new(&pc, &g.pack), 0);
    sc.ctx = g.pack;
    assert_int_equal(state_new(&sc, &g.state), 0);
    pack_tick(g.pack, 1000000, 1000000, 0);
    state_tick_begin(g.state, 1000000, false);
    state_events_apply(g.state, false);
    look_at_files(g.state);
    state_settle(g.state, true);
    assert_int_equal(keyframe_put(g.state, g.pack, key, REC_KEYFRAME_START, 160u << 10, &left), 0);
    assert_int_equal(pack_tick_end(g.pack, 1), 0);
    assert_int_equal(state_tick_end(g.state), 0);
    assert_int_equal(pack_close(g.pack), 0);
    assert_int_equal(g.file_starts, FILES + 2); /* told when they began, all of them */
    assert_int_equal(g.sights, 2);
    assert_int_equal(g.file_sights, 2);
    for (uint64_t pid = 0; pid < 4; pid++) {
        assert_int_equal(g.covered[pid], pid != 2);
        assert_int_equal(g.held[pid], pid == 1 || pid == 3);
    }
    assert_int_equal(left.processes, 1);
    assert_int_equal(left.files, FILES);
    keyframe_left_text(&left, text, sizeof(text));
    assert_string_equal(text, "pid 2 has 50000 open files: 1 processes with 50000 are in no part of the keyframe");
    left.processes = 1000;
    left.files = UINT64_MAX;
    for (unsigned i = 0; i < KEYFRAME_NAMED; i++) {
        left.named[i].pid = UINT32_MAX;
        left.named[i].files = 1u << 20;
    }
    keyframe_left_text(&left, text, sizeof(text)); /* it is never longer than that */
    assert_non_null(strstr(text, ": 1000 processes with 18446744073709551615 are in no part of the keyframe"));
    state_free(g.state);
    pack_free(g.pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_too_large_for_a_keyframe_is_in_no_part_and_named),
        cmocka_unit_test(no_bundle_swells_to_more_than_its_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
