/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/retry.h"

#include "tests/support/check.h"

static void each_wait_is_between_base_and_three_times_the_last(void **state)
{
    struct retry r;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        int64_t last = 100;

        retry_init(&r, 100, 10000, seed);
        for (uint32_t i = 1; i <= 50; i++) {
            int64_t wait = retry_next_us(&r);

            assert_true(wait >= 100 && wait <= 10000 && wait <= 3 * last);
            assert_int_equal(r.attempts, i);
            last = wait;
        }
    }
}

static void it_reaches_the_cap_and_begins_anew_after_success(void **state)
{
    struct retry r;
    int64_t largest = 0;

    (void)state;
    retry_init(&r, 100, 10000, 1);
    for (int i = 0; i < 100; i++) {
        int64_t wait = retry_next_us(&r);

        largest = wait > largest ? wait : largest;
    }
    assert_int_equal(largest, 10000);
    retry_reset(&r);
    assert_int_equal(r.attempts, 0);
    assert_true(retry_next_us(&r) <= 300);
}

static void processes_that_failed_together_come_back_apart(void **state)
{
    struct retry a, b;
    int same = 0;

    (void)state;
    retry_init(&a, 1000, INT64_MAX / 4, 1);
    retry_init(&b, 1000, INT64_MAX / 4, 2);
    for (int i = 0; i < 20; i++) {
        same += retry_next_us(&a) == retry_next_us(&b);
    }
    assert_true(same < 3);
    for (int i = 0; i < 1000; i++) {
        assert_true(retry_next_us(&a) > 0); /* no overflow at the largest cap */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wait_is_between_base_and_three_times_the_last),
        cmocka_unit_test(it_reaches_the_cap_and_begins_anew_after_success),
        cmocka_unit_test(processes_that_failed_together_come_back_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
