/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include "agent/collect/tick.h"

static void ticks_keep_their_beat_whatever_a_look_takes(void **state)
{
    struct tick t;

    (void)state;
    tick_init(&t, 300000, 1000);
    assert_int_equal(tick_begin(&t, 1000), 0);
    assert_int_equal(t.due_us, 301000);
    assert_int_equal(tick_begin(&t, 301200), 0); /* a little late: the next is not */
    assert_int_equal(t.due_us, 601000);
}

static void late_ticks_are_counted_and_not_made_up_for(void **state)
{
    struct tick t;

    (void)state;
    tick_init(&t, 300000, 0);
    assert_int_equal(tick_begin(&t, 0), 0);
    assert_int_equal(tick_begin(&t, 300000 + 299999), 0);
    assert_int_equal(tick_begin(&t, 600000 + 3 * 300000 + 5), 3);
    assert_int_equal(t.due_us, 1800000);
}

static void another_period_holds_from_now_on(void **state)
{
    struct tick t;

    (void)state;
    tick_init(&t, 300000, 0);
    (void)tick_begin(&t, 0);
    tick_period(&t, 50000, 100000);
    assert_int_equal(t.due_us, 150000);
    tick_period(&t, 50000, 120000); /* the same: the beat stays */
    assert_int_equal(t.due_us, 150000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_keep_their_beat_whatever_a_look_takes),
        cmocka_unit_test(late_ticks_are_counted_and_not_made_up_for),
        cmocka_unit_test(another_period_holds_from_now_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
