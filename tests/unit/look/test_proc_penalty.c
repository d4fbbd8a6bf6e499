/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/proc_penalty.h"

#include "tests/support/check.h"

#define MINUTE INT64_C(60000000)

static void a_users_other_processes_are_spared_the_step_too(void **state)
{
    struct proc_penalties p = { 0 };

    (void)state;
    (void)proc_penalty_hung(&p, 100, 1000, 2, 0);
    proc_penalty_expire(&p, 1);
    assert_int_equal(proc_penalty_steps(&p, 100, UINT32_MAX), 2);
    assert_int_equal(proc_penalty_steps(&p, 101, 1000), 2);
    assert_int_equal(proc_penalty_steps(&p, 101, 1001), 0);
    assert_int_equal(proc_penalty_steps(&p, 101, UINT32_MAX), 0);
}

static void roots_other_processes_are_read_as_ever(void **state)
{
    struct proc_penalties p = { 0 };

    (void)state;
    (void)proc_penalty_hung(&p, 100, 0, 8, 0);
    proc_penalty_expire(&p, 1);
    assert_int_equal(proc_penalty_steps(&p, 100, 0), 8);
    assert_int_equal(proc_penalty_steps(&p, 101, 0), 0);
}

static void it_holds_while_a_thread_is_away_and_a_minute_longer(void **state)
{
    struct proc_penalties p = { 0 };
    uint32_t place = proc_penalty_hung(&p, 100, 1000, 2, 0);

    (void)state;
    proc_penalty_expire(&p, 100 * MINUTE);
    assert_int_equal(proc_penalty_steps(&p, 100, 1000), 2);
    proc_penalty_returned(&p, place, 100 * MINUTE);
    proc_penalty_expire(&p, 101 * MINUTE - 1);
    assert_int_equal(proc_penalty_steps(&p, 100, 1000), 2);
    proc_penalty_expire(&p, 101 * MINUTE);
    assert_int_equal(proc_penalty_steps(&p, 100, 1000), 0);
}

static void a_repetition_is_remembered_twice_as_long(void **state)
{
    struct proc_penalties p = { 0 };
    uint32_t place = proc_penalty_hung(&p, 100, 1000, 2, 0);

    (void)state;
    proc_penalty_returned(&p, place, 0);
    proc_penalty_expire(&p, MINUTE);
    assert_int_equal(proc_penalty_hung(&p, 200, 1000, 8, MINUTE), place);
    proc_penalty_returned(&p, place, MINUTE);
    proc_penalty_expire(&p, 3 * MINUTE - 1);
    assert_int_equal(proc_penalty_steps(&p, 300, 1000), 10);
    proc_penalty_expire(&p, 3 * MINUTE);
    assert_int_equal(proc_penalty_steps(&p, 300, 1000), 0);
}

static void the_place_is_free_again_in_the_end(void **state)
{
    struct proc_penalties p = { 0 };

    (void)state;
    for (uint32_t i = 0; i < 3 * PROC_PENALTIES; i++) {
        uint32_t place = proc_penalty_hung(&p, 100 + i, 1000 + i, 2, i);

        assert_true(place < PROC_PENALTIES);
        proc_penalty_returned(&p, place, i);
    }
    proc_penalty_expire(&p, 10 * MINUTE);
    for (uint32_t i = 0; i < PROC_PENALTIES; i++) {
        assert_int_equal(p.of[i].steps, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_users_other_processes_are_spared_the_step_too),
        cmocka_unit_test(roots_other_processes_are_read_as_ever),
        cmocka_unit_test(it_holds_while_a_thread_is_away_and_a_minute_longer),
        cmocka_unit_test(a_repetition_is_remembered_twice_as_long),
        cmocka_unit_test(the_place_is_free_again_in_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
