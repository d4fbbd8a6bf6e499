/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/record/snapshot.h"

#include "tests/support/check.h"

#include <stdlib.h>

#include "common/base/err.h"
#include "tests/support/random_world.h"

/* A world, the snapshot that follows it, and what is done to the records on their way. */
struct follower {
    struct snapshot *snapshot;
    struct random lossy;
    unsigned lose_percent; /* of STARTs and ENDs */
    size_t records;
};

static int follow(const struct record *r, void *ctx)
{
    struct follower *f = ctx;
    bool sight = rec_kind_is_entity(r->kind) && r->kind % 4 == REC_SIGHT;

    f->records++;
    if (rec_kind_is_entity(r->kind) && !sight && r->kind / 4 != REC_COVERAGE &&
        random_chance(&f->lossy, f->lose_percent)) {
        return 0;
    }
    assert_int_equal(snapshot_apply(f->snapshot, r), 0);
    return 0;
}

static struct random_world *new_world(uint64_t seed, unsigned size)
{
    struct random_world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    random_world_init(w, seed, size);
    return w;
}

static struct snapshot *new_snapshot(bool strict)
{
    struct snapshot *s = NULL;

    assert_int_equal(snapshot_new(&s), 0);
    snapshot_strict(s, strict);
    return s;
}

static bool same(struct snapshot *s, struct random_world *w)
{
    struct buf want = BUF_INIT(1U << 24), got = BUF_INIT(1U << 24);
    bool equal;

    random_world_bytes(w, &want);
    assert_int_equal(want.err, 0);
    assert_int_equal(snapshot_bytes(s, &got), 0);
    equal = slice_eq(buf_slice(&want), buf_slice(&got));
    buf_free(&want);
    buf_free(&got);
    return equal;
}

static void equals_the_collectors_state_at_every_tick(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct random_world *w = new_world(seed, 1 + (unsigned)seed * 2);
        struct follower f = { .snapshot = new_snapshot(true) };

        assert_false(snapshot_complete(f.snapshot));
        for (int tick = 0; tick < 60; tick++) {
            assert_int_equal(random_world_tick(w, tick % 17 == 0, (unsigned)seed % 4, follow, &f), 0);
            assert_int_equal(snapshot_end_tick(f.snapshot), 0);
            assert_true(snapshot_complete(f.snapshot));
            assert_true(same(f.snapshot, w));
            if (tick == 20) {
                assert_int_equal(random_world_stop(w, follow, &f), 0);
                random_world_start(w, true);
            }
            if (tick == 40) {
                random_world_start(w, false); /* a crash, and the state on disk is gone */
            }
        }
        snapshot_free(f.snapshot);
        free(w);
    }
}

static void a_keyframe_heals_whatever_was_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct random_world *w = new_world(seed, 20);
        struct follower f = { .snapshot = new_snapshot(false), .lossy = { seed }, .lose_percent = 30 };

        for (int tick = 0; tick < 40; tick++) {
            bool keyframe = tick > 0 && tick % 13 == 0;

            f.lose_percent = tick == 0 || keyframe ? 0 : 30;
            assert_int_equal(random_world_tick(w, keyframe, 3, follow, &f), 0);
            assert_int_equal(snapshot_end_tick(f.snapshot), 0);
            if (keyframe) { /* coverage is in no keyframe, and was not lost here */
                assert_true(same(f.snapshot, w));
            }
        }
        snapshot_free(f.snapshot);
        free(w);
    }
}

static int count_one(const struct record *open, void *ctx)
{
    assert_int_equal(open->kind % 4, REC_SIGHT);
    (*(size_t *)ctx)++;
    return 0;
}

static int stop_at_third(const struct record *open, void *ctx)
{
    (void)open;
    return ++*(size_t *)ctx == 3 ? 77 : 0;
}

static void counts_and_digests_are_those_of_the_keyframe(void **state)
{
    struct random_world *w = new_world(5, 40);
    struct follower f = { .snapshot = new_snapshot(true) };
    struct buf scratch = BUF_INIT(REC_BODY_MAX);
    size_t all = 0, stopped = 0;

    (void)state;
    for (int tick = 0; tick < 30; tick++) {
        assert_int_equal(random_world_tick(w, false, 0, follow, &f), 0);
    }
    for (unsigned entity = REC_PROCESS; entity <= REC_COVERAGE; entity++) {
        uint64_t digest = 0;
        size_t count = 0, seen = 0;

        for (size_t i = 0; i < w->open_len; i++) {
            if (w->open[i].entity == entity) {
                digest += rec_hash(&w->open[i], w->key, &scratch);
                count++;
            }
        }
        assert_true(count > 0);
        assert_int_equal(snapshot_count(f.snapshot, entity), count);
        assert_true(snapshot_digest(f.snapshot, entity, w->key) == digest);
        assert_int_equal(snapshot_each(f.snapshot, entity, count_one, &seen), 0);
        assert_int_equal(seen, count);
        all += count;
    }
    assert_int_equal(all, w->open_len);
    assert_int_equal(snapshot_each(f.snapshot, 0, stop_at_third, &stopped), 77);
    assert_int_equal(stopped, 3);
    assert_int_equal(snapshot_count(f.snapshot, 9999), 0);
    buf_free(&scratch);
    snapshot_free(f.snapshot);
    free(w);
}

static struct record file(uint32_t verb, uint64_t pid, uint64_t fd, uint64_t first_seen)
{
    struct record r = { .kind = REC_KIND(REC_FILE, verb) };

    r.file.iv.first_seen = first_seen;
    r.file.iv.last_seen = r.file.iv.ended = first_seen;
    r.file.pid = pid;
    r.file.fd = fd;
    r.file.path = slice_str("/etc/passwd");
    return r;
}

static int apply(struct snapshot *s, struct record r)
{
    return snapshot_apply(s, &r);
}

static struct record tick(uint64_t boot_us)
{
    return (struct record){ .kind = REC_TICK, .tick = { .boot_us = boot_us } };
}

static struct record part(uint64_t number, uint64_t low, uint64_t high, bool last)
{
    return (
        struct record){ .kind = REC_KEYFRAME,
                        .keyframe = { .part = number, .entity = REC_PROCESS, .low = low, .high = high, .last = last } };
}

static void strict_refuses_what_contradicts_the_state(void **state)
{
    struct snapshot *s = new_snapshot(true);
    struct record again = file(REC_START, 1, 2, 20);

    (void)state;
    assert_int_equal(apply(s, tick(10)), 0);
    assert_int_equal(apply(s, file(REC_END, 1, 2, 10)), POFR_EFORMAT);
    assert_int_equal(apply(s, file(REC_START, 1, 2, 10)), 0);
    assert_int_equal(apply(s, again), POFR_EFORMAT);
    assert_int_equal(apply(s, file(REC_END, 1, 2, 11)), POFR_EFORMAT);
    again.iv.start_unseen = 1;
    assert_int_equal(apply(s, again), 0);
    assert_int_equal(apply(s, file(REC_END, 1, 2, 20)), 0);
    assert_int_equal(snapshot_count(s, REC_FILE), 0);

    snapshot_strict(s, false);
    assert_int_equal(apply(s, file(REC_START, 1, 2, 30)), 0);
    assert_int_equal(apply(s, file(REC_END, 1, 2, 29)), 0); /* of an interval before */
    assert_int_equal(snapshot_count(s, REC_FILE), 1);
    assert_int_equal(apply(s, file(REC_END, 1, 2, 31)), 0); /* its START was lost */
    assert_int_equal(snapshot_count(s, REC_FILE), 0);
    snapshot_free(s);
}

static void a_part_heals_its_own_range_and_no_other(void **state)
{
    struct snapshot *s = new_snapshot(false);

    (void)state;
    assert_int_equal(apply(s, tick(10)), 0);
    for (uint64_t pid = 1; pid <= 9; pid++) {
        assert_int_equal(apply(s, file(REC_START, pid, 0, 10)), 0);
    }
    assert_int_equal(apply(s, tick(20)), 0);
    assert_int_equal(apply(s, part(0, 3, 5, false)), 0);
    assert_int_equal(apply(s, file(REC_SIGHT, 4, 0, 10)), 0);
    assert_int_equal(snapshot_count(s, REC_FILE), 9); /* the part is not over */
    assert_int_equal(snapshot_end_tick(s), 0);
    assert_int_equal(snapshot_count(s, REC_FILE), 7); /* 3 and 5 went */
    assert_int_equal(snapshot_end_tick(s), 0);
    assert_int_equal(snapshot_count(s, REC_FILE), 7);
    snapshot_free(s);
}

static void a_keyframe_is_whole_only_with_all_its_parts_of_one_tick(void **state)
{
    struct snapshot *s = new_snapshot(false);

    (void)state;
    assert_int_equal(apply(s, tick(10)), 0);
    assert_int_equal(apply(s, part(1, 6, UINT32_MAX, true)), 0); /* part 0 is missing */
    assert_int_equal(snapshot_end_tick(s), 0);
    assert_false(snapshot_complete(s));

    assert_int_equal(apply(s, tick(20)), 0);
    assert_int_equal(apply(s, part(0, 0, 5, false)), 0);
    assert_int_equal(apply(s, tick(30)), 0);
    assert_int_equal(apply(s, part(1, 6, UINT32_MAX, true)), 0); /* of another tick */
    assert_int_equal(snapshot_end_tick(s), 0);
    assert_false(snapshot_complete(s));

    assert_int_equal(apply(s, tick(40)), 0);
    assert_int_equal(apply(s, part(0, 0, 5, false)), 0);
    assert_int_equal(apply(s, tick(40)), 0); /* the next bundle, same tick */
    assert_int_equal(apply(s, part(1, 6, UINT32_MAX, true)), 0);
    assert_false(snapshot_complete(s));
    assert_int_equal(snapshot_end_tick(s), 0);
    assert_true(snapshot_complete(s));
    snapshot_free(s);
}

static void volatile_fields_follow_the_last_sight_and_texts_are_owned(void **state)
{
    struct snapshot *s = new_snapshot(true);
    char path[] = "/tmp/borrowed";
    struct record r = { .kind = REC_KIND(REC_SOCKET, REC_START) };
    struct buf bytes = BUF_INIT(4096);
    struct buf later = BUF_INIT(4096);

    (void)state;
    r.socket.cookie = 7;
    r.socket.state = 1;
    r.socket.local_address = slice_str(path);
    assert_int_equal(apply(s, tick(10)), 0);
    assert_int_equal(apply(s, r), 0);
    assert_int_equal(snapshot_bytes(s, &bytes), 0);
    r.kind = REC_KIND(REC_SOCKET, REC_SIGHT);
    r.socket.state = 10;
    assert_int_equal(apply(s, r), 0);
    memset(path, 'x', sizeof(path) - 1);
    assert_int_equal(snapshot_bytes(s, &later), 0);
    assert_true(slice_eq(buf_slice(&bytes), buf_slice(&later)));
    assert_int_equal(snapshot_count(s, REC_SOCKET), 1);
    buf_free(&bytes);
    buf_free(&later);
    snapshot_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_collectors_state_at_every_tick),
        cmocka_unit_test(a_keyframe_heals_whatever_was_lost),
        cmocka_unit_test(counts_and_digests_are_those_of_the_keyframe),
        cmocka_unit_test(strict_refuses_what_contradicts_the_state),
        cmocka_unit_test(a_part_heals_its_own_range_and_no_other),
        cmocka_unit_test(a_keyframe_is_whole_only_with_all_its_parts_of_one_tick),
        cmocka_unit_test(volatile_fields_follow_the_last_sight_and_texts_are_owned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
