/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/gate.h"

#include "tests/support/check.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/compiler.h"
#include "common/base/err.h"

static void check_order(const struct gate *g)
{
    for (size_t i = 1; i < g->count; i++) {
        assert_true(g->entries[i - 1]->pid < g->entries[i]->pid);
    }
}

static void a_merged_list_is_what_is_there(void **state)
{
    static const uint32_t first[] = { 5, 9, 20 }, more[] = { 1, 9, 21, 30 }, whole[] = { 1, 2, 30, 31 };
    struct gate g;
    uint32_t added, over;

    (void)state;
    gate_init(&g, 100);
    assert_int_equal(gate_merge(&g, first, 3, true, &added, &over), 0);
    assert_int_equal(added, 3);
    assert_int_equal(gate_merge(&g, more, 4, false, &added, &over), 0);
    assert_int_equal(added, 3);
    assert_int_equal(g.count, 6);
    check_order(&g);
    gate_find(&g, 30)->known = true;
    assert_int_equal(gate_merge(&g, whole, 4, true, &added, &over), 0);
    assert_int_equal(added, 2);
    assert_int_equal(g.count, 4);
    check_order(&g);
    assert_null(gate_find(&g, 9));
    assert_non_null(gate_find(&g, 31));
    assert_true(gate_find(&g, 30)->known);
    assert_int_equal(gate_merge(&g, NULL, 0, true, &added, &over), 0);
    assert_int_equal(g.count, 0);
    gate_fini(&g);
}

static void random_lists_merge_in_order(void **state)
{
    struct gate g;
    unsigned seed = 7;

    (void)state;
    gate_init(&g, 10000);
    for (int round = 0; round < 200; round++) {
        uint32_t pids[64], added, over, pid = 0;
        size_t count = (size_t)rand_r(&seed) % 64;
        bool whole = rand_r(&seed) % 4 == 0;

        for (size_t i = 0; i < count; i++) {
            pid += 1 + (uint32_t)rand_r(&seed) % 20;
            pids[i] = pid;
        }
        assert_int_equal(gate_merge(&g, pids, count, whole, &added, &over), 0);
        check_order(&g);
        for (size_t i = 0; i < count; i++) {
            assert_non_null(gate_find(&g, pids[i]));
        }
        assert_true(!whole || g.count == count);
    }
    gate_fini(&g);
}

static void beyond_the_maximum_is_counted(void **state)
{
    static const uint32_t pids[] = { 1, 2, 3, 4, 5 };
    struct gate g;
    uint32_t added, over;

    (void)state;
    gate_init(&g, 3);
    assert_int_equal(gate_merge(&g, pids, 5, true, &added, &over), 0);
    assert_int_equal(added, 3);
    assert_int_equal(over, 2);
    assert_int_equal(g.count, 3);
    assert_int_equal(gate_merge(&g, pids, 5, true, &added, &over), 0);
    assert_int_equal(added, 0);
    assert_int_equal(over, 2);
    gate_fini(&g);
}

static void a_process_that_sleeps_keeps_its_clock(void **state)
{
    int ends[2]; /* 0 is ours, 1 the child's */
    uint64_t before, after;
    pid_t child;
    char byte;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    child = fork();
    if (child == 0) {
        if (write(ends[1], "x", 1) == 1 && read(ends[1], &byte, 1) == 1) {
            (void)pause();
        }
        _exit(0);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    do { /* it has gone to sleep when its clock stands */
        assert_int_equal(gate_clock((uint32_t)child, &before), 0);
        (void)sched_yield();
        assert_int_equal(gate_clock((uint32_t)child, &after), 0);
    } while (before != after);
    assert_true(before > 0);
    assert_int_equal(write(ends[0], "y", 1), 1); /* now it runs */
    do {
        assert_int_equal(gate_clock((uint32_t)child, &after), 0);
    } while (before == after);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    assert_int_equal(gate_clock((uint32_t)child, &after), POFR_ENOTFOUND);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static struct gate_entry *known(struct gate *g, uint32_t pid)
{
    struct gate_entry *e = gate_find(g, pid);

    e->known = e->has_clock = true;
    return e;
}

static void a_member_that_moved_has_its_group_read(void **state)
{
    uint32_t self = (uint32_t)getpid(), parent = (uint32_t)getppid();
    uint32_t pids[2] = { self < parent ? self : parent, self < parent ? parent : self }, added, over;
    struct gate g;
    struct gate_entry *still, *moves;

    (void)state;
    gate_init(&g, 10);
    assert_int_equal(gate_merge(&g, pids, 2, true, &added, &over), 0);
    still = known(&g, parent);
    moves = known(&g, self);
    still->group = moves->group = 4;
    assert_int_equal(gate_clock(parent, &still->clock_ns), 0); /* ctest, or a shell: it waits for us */
    gate_read_clocks(&g);
    assert_true(moves->moved);
    if (!still->moved) {
        assert_int_equal(gate_why(still, false), LOOK_WHY_GROUP);
    }
    assert_int_equal(gate_why(moves, false), LOOK_WHY_CLOCK);
    gate_fini(&g);
}

static void the_session_of_a_leader_that_ended_is_read(void **state)
{
    static const uint32_t pids[] = { 10, 11, 12 }, left[] = { 11, 12 };
    uint32_t added, over;
    struct gate g;

    (void)state;
    gate_init(&g, 10);
    assert_int_equal(gate_merge(&g, pids, 3, true, &added, &over), 0);
    known(&g, 10)->session = 10;
    known(&g, 11)->session = 10;
    known(&g, 12)->session = 12;
    assert_int_equal(gate_merge(&g, left, 2, true, &added, &over), 0);
    assert_int_equal(gate_why(gate_find(&g, 11), false), LOOK_WHY_HINT);
    assert_int_equal(gate_why(gate_find(&g, 12), false), 0);
    gate_fini(&g);
}

static unsigned turns_of(struct gate *g, uint32_t part, int64_t now_us)
{
    unsigned turns = 0;

    for (size_t i = 0; i < g->count; i++) {
        g->entries[i]->reconcile = false;
    }
    gate_give_turns(g, part, 30000000, now_us);
    for (size_t i = 0; i < g->count; i++) {
        turns += g->entries[i]->reconcile;
    }
    return turns;
}

static void everyone_has_a_turn_within_the_time(void **state)
{
    uint32_t pids[250], added, over, had[250] = { 0 };
    struct gate g;

    (void)state;
    for (uint32_t i = 0; i < 250; i++) {
        pids[i] = 100 + 3 * i;
    }
    gate_init(&g, 1000);
    assert_int_equal(gate_merge(&g, pids, 250, true, &added, &over), 0);
    for (int64_t at = 0; at < 100; at++) { /* 300 ms apart: 30 s */
        assert_in_range(turns_of(&g, 100, 1000000 + at * 300000), 2, 3);
        for (size_t i = 0; i < 250; i++) {
            had[i] += g.entries[i]->reconcile;
        }
    }
    for (size_t i = 0; i < 250; i++) {
        assert_int_equal(had[i], 1);
    }
    /* looks that come late make up for it */
    assert_in_range(turns_of(&g, 100, 1000000 + 100 * 300000 + 3000000), 25, 28);
    assert_int_equal(turns_of(&g, 1, 1000000 + 110 * 300000), 250);
    gate_fini(&g);
}

static void looks_at_shorter_distance_give_no_more_turns(void **state)
{
    uint32_t pids[250], added, over;
    unsigned turns = 0;
    struct gate g;

    (void)state;
    for (uint32_t i = 0; i < 250; i++) {
        pids[i] = 100 + i;
    }
    gate_init(&g, 1000);
    assert_int_equal(gate_merge(&g, pids, 250, true, &added, &over), 0);
    (void)turns_of(&g, 100, 1000000);
    for (int64_t at = 1; at <= 600; at++) { /* 50 ms apart: 30 s */
        turns += turns_of(&g, 100, 1000000 + at * 50000);
    }
    assert_in_range(turns, 249, 251);
    gate_fini(&g);
}

static void files_are_replaced_a_slice_at_a_time(void **state)
{
    static const struct gate_file first[] = { { 0, 0, 10 }, { 1, 0, 11 }, { 2, 0, 12 }, { 9, 0, 19 } };
    static const struct gate_file slice[] = { { 1, 0, 21 }, { 3, 0, 23 }, { 4, 0, 24 } };
    static const uint32_t want_fd[] = { 0, 1, 3, 4, 9 };
    static const uint64_t want_id[] = { 10, 21, 23, 24, 19 };
    struct gate_entry e = { .pid = 1 };
    const struct gate_table *t;

    (void)state;
    assert_int_equal(gate_set_files(&e, 0, first, 4, 0, UINT32_MAX), 0);
    assert_int_equal(gate_set_files(&e, 77, first, 1, 0, UINT32_MAX), 0);
    assert_int_equal(gate_set_files(&e, 0, slice, 3, 1, 5), 0);
    t = gate_table(&e, 0);
    assert_int_equal(t->count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(t->files[i].fd, want_fd[i]);
        assert_true(t->files[i].id == want_id[i]);
    }
    assert_int_equal(gate_table(&e, 77)->count, 1);
    assert_int_equal(gate_set_files(&e, 0, NULL, 0, 0, UINT32_MAX), 0);
    assert_int_equal(gate_table(&e, 0)->count, 0);
    gate_drop_table(&e, 77);
    assert_null(gate_table(&e, 77));
    gate_drop_tables(&e);
    assert_null(e.tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_merged_list_is_what_is_there),
        cmocka_unit_test(random_lists_merge_in_order),
        cmocka_unit_test(beyond_the_maximum_is_counted),
        cmocka_unit_test(a_process_that_sleeps_keeps_its_clock),
        cmocka_unit_test(a_member_that_moved_has_its_group_read),
        cmocka_unit_test(the_session_of_a_leader_that_ended_is_read),
        cmocka_unit_test(everyone_has_a_turn_within_the_time),
        cmocka_unit_test(looks_at_shorter_distance_give_no_more_turns),
        cmocka_unit_test(files_are_replaced_a_slice_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
