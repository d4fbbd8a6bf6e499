/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "merger/plan.h"

static void every_day_of_two_centuries_has_the_name_that_the_c_library_gives_it(void **state)
{
    (void)state;
    for (int32_t day = 0; day < 73000; day++) {
        time_t t = (time_t)day * 86400;
        struct tm tm;
        char want[16];
        char got[10];
        int32_t back = -1;

        gmtime_r(&t, &tm);
        strftime(want, sizeof(want), "p%Y%m%d", &tm);
        plan_name_of_day(day, got);
        assert_string_equal(got, want);
        assert_true(plan_day_of_name(slice_str(got), &back));
        assert_int_equal(back, day);
    }
}

static void names_that_are_no_days_are_refused(void **state)
{
    static const char *const names[] = { "future",    "open",      "p20260231", "p2026022", "p202602011",
                                         "P20260201", "p2026x201", "",          "p19691231" };
    int32_t day;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_false(plan_day_of_name(slice_str(names[i]), &day));
    }
}

static void a_table_without_days_gets_today_and_the_days_ahead(void **state)
{
    const struct plan_policy policy = { .today = 20000, .ahead_days = 7, .keep_days = 30 };
    struct plan p;

    (void)state;
    plan_make(NULL, 0, &policy, &p);
    assert_int_equal(p.add_from, 20000);
    assert_int_equal(p.add_to, 20007);
    assert_int_equal(p.drop_count, 0);
}

static void days_that_are_there_are_not_made_again(void **state)
{
    const struct plan_policy policy = { .today = 20000, .ahead_days = 2, .keep_days = 30 };
    const int32_t days[] = { 19999, 20000, 20001, 20002 };
    struct plan p;

    (void)state;
    plan_make(days, 4, &policy, &p);
    assert_true(p.add_from > p.add_to);
    plan_make(days, 3, &policy, &p);
    assert_int_equal(p.add_from, 20002);
    assert_int_equal(p.add_to, 20002);
}

static void days_past_retention_are_dropped_and_the_edge_is_kept(void **state)
{
    const struct plan_policy policy = { .today = 20000, .ahead_days = 2, .keep_days = 3 };
    const int32_t days[] = { 19990, 19996, 19997, 20000 };
    struct plan p;

    (void)state;
    plan_make(days, 4, &policy, &p);
    assert_int_equal(p.drop_count, 2); /* 19997 = today - 3 is kept */
}

static void the_last_day_that_is_left_is_never_dropped(void **state)
{
    const struct plan_policy policy = { .today = 20000, .ahead_days = 2, .keep_days = 3 };
    const int32_t days[] = { 19000 };
    struct plan p;

    (void)state;
    plan_make(days, 1, &policy, &p);
    assert_int_equal(p.drop_count, 0);
}

static void days_missed_in_a_long_pause_are_made_one_by_one(void **state)
{
    const struct plan_policy policy = { .today = 20000, .ahead_days = 2, .keep_days = 365 };
    const int32_t days[] = { 19950 };
    struct plan p;

    (void)state;
    plan_make(days, 1, &policy, &p);
    assert_int_equal(p.add_from, 19951);
    assert_int_equal(p.add_to, 20002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_two_centuries_has_the_name_that_the_c_library_gives_it),
        cmocka_unit_test(names_that_are_no_days_are_refused),
        cmocka_unit_test(a_table_without_days_gets_today_and_the_days_ahead),
        cmocka_unit_test(days_that_are_there_are_not_made_again),
        cmocka_unit_test(days_past_retention_are_dropped_and_the_edge_is_kept),
        cmocka_unit_test(the_last_day_that_is_left_is_never_dropped),
        cmocka_unit_test(days_missed_in_a_long_pause_are_made_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
