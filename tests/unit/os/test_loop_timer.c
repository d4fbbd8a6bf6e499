/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Timers of loop.c, with a clock that only the test moves. */
#include "common/os/loop.h"

#include <stdlib.h>

#include "tests/support/check.h"
#include "tests/support/fake_clock.h"

#include "common/os/clock.h"

#define MANY 500

static struct loop *loop;
static int order[MANY * 2];
static size_t fired;

static int setup(void **state)
{
    (void)state;
    fake_clock_reset();
    fired = 0;
    return loop_new(&loop, NULL);
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void remember(void *arg)
{
    order[fired++] = *(int *)arg;
}

static void turn(void)
{
    assert_int_equal(loop_once(loop, 0, NULL), 0);
}

static void timers_run_when_due_in_order_and_once(void **state)
{
    struct loop_timer t[3] = { 0 };
    int ids[3] = { 0, 1, 2 };

    (void)state;
    assert_int_equal(loop_timer_after(loop, &t[0], 300, remember, &ids[0]), 0);
    assert_int_equal(loop_timer_after(loop, &t[1], 100, remember, &ids[1]), 0);
    assert_int_equal(loop_timer_after(loop, &t[2], 200, remember, &ids[2]), 0);
    turn();
    assert_int_equal(fired, 0);
    fake_clock_advance(99);
    turn();
    assert_int_equal(fired, 0);
    fake_clock_advance(1);
    turn();
    assert_int_equal(fired, 1);
    assert_false(loop_timer_is_set(&t[1]));
    assert_true(loop_timer_is_set(&t[0]));
    fake_clock_advance(1000);
    turn();
    turn();
    assert_int_equal(fired, 3);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 0);
}

static void many_timers_moved_and_cancelled_keep_their_order(void **state)
{
    static struct loop_timer t[MANY];
    static int ids[MANY];
    int last = -1;

    (void)state;
    memset(t, 0, sizeof(t));
    srand(1);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(loop_timer_after(loop, &t[i], rand() % 100000, remember, &ids[i]), 0);
    }
    for (int i = 0; i < MANY; i++) { /* set again: moved, up or down */
        ids[i] = rand() % 100000;
        assert_int_equal(loop_timer_after(loop, &t[i], ids[i], remember, &ids[i]), 0);
    }
    for (int i = 0; i < MANY; i += 3) {
        loop_timer_cancel(loop, &t[i]);
        loop_timer_cancel(loop, &t[i]);
    }
    fake_clock_advance(100000);
    turn();
    assert_int_equal(fired, MANY - (MANY + 2) / 3);
    for (size_t i = 0; i < fired; i++) {
        assert_true(order[i] >= last);
        last = order[i];
    }
}

static struct loop_timer chain;

static void set_again(void *arg)
{
    fired++;
    assert_int_equal(loop_timer_after(loop, &chain, 0, set_again, arg), 0);
}

static void a_timer_that_sets_itself_for_now_lets_others_run(void **state)
{
    (void)state;
    memset(&chain, 0, sizeof(chain));
    assert_int_equal(loop_timer_after(loop, &chain, 0, set_again, NULL), 0);
    turn();
    assert_int_equal(fired, 1);
    turn();
    assert_int_equal(fired, 2);
    loop_timer_cancel(loop, &chain);
}

static void cancel_other(void *arg)
{
    fired++;
    loop_timer_cancel(loop, arg);
}

static void a_timer_cancelled_in_the_same_round_does_not_run(void **state)
{
    struct loop_timer a = { 0 }, b = { 0 };

    (void)state;
    assert_int_equal(loop_timer_after(loop, &a, 10, cancel_other, &b), 0);
    assert_int_equal(loop_timer_after(loop, &b, 20, cancel_other, &a), 0);
    fake_clock_advance(100);
    turn();
    turn();
    assert_int_equal(fired, 1);
}

#define WITH_LOOP(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(timers_run_when_due_in_order_and_once),
        WITH_LOOP(many_timers_moved_and_cancelled_keep_their_order),
        WITH_LOOP(a_timer_that_sets_itself_for_now_lets_others_run),
        WITH_LOOP(a_timer_cancelled_in_the_same_round_does_not_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
