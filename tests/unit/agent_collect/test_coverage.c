/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "agent/collect/coverage.h"

#define HOUR UINT64_C(3600000000)

static struct record told[16];
static unsigned told_len;

static int emit(void *ctx, const struct record *r)
{
    (void)ctx;
    assert_true(told_len < 16);
    told[told_len++] = *r;
    return 0;
}

static void tick(struct coverage *c, uint64_t t, uint64_t before, bool closing)
{
    told_len = 0;
    assert_int_equal(coverage_tick(c, t, before, closing, emit, NULL), 0);
}

static void a_row_lasts_while_nothing_changes(void **state)
{
    struct coverage c = { 0 };

    (void)state;
    for (uint64_t t = 1000; t < 20000; t += 1000) {
        coverage_report(&c, "events", "connector", NULL, 10, 0, false);
        tick(&c, t, t - 1000, t % 5000 == 0);
        assert_int_equal(told_len, t == 1000);
    }
    told_len = 0;
    assert_int_equal(coverage_end(&c, 20000, emit, NULL), 0);
    assert_int_equal(told_len, 1);
    assert_int_equal(told[0].verb, REC_END);
    assert_int_equal(told[0].coverage.seen, 190);
    assert_int_equal(told[0].coverage.lost, 0);
    assert_int_equal(told[0].iv.ended, 20000);
}

static void a_loss_has_a_row_of_its_own_that_ends_with_the_bundle(void **state)
{
    struct coverage c = { 0 };

    (void)state;
    for (uint64_t t = 1000; t <= 3000; t += 1000) {
        coverage_report(&c, "events", "connector", NULL, 10, 0, false);
        tick(&c, t, t - 1000, false);
    }
    coverage_report(&c, "events", "connector", "full", 10, 7, true);
    tick(&c, 4000, 3000, false);
    assert_int_equal(told_len, 2);
    assert_int_equal(told[0].verb, REC_END); /* clean up to the tick before */
    assert_int_equal(told[0].iv.ended, 3000);
    assert_int_equal(told[0].coverage.seen, 30);
    assert_int_equal(told[0].coverage.lost, 0);
    assert_int_equal(told[1].verb, REC_START);
    assert_int_equal(told[1].iv.first_seen, 3000);
    assert_slice_str(told[1].coverage.reason, "full");
    coverage_report(&c, "events", "connector", "full", 1, 2, false);
    tick(&c, 5000, 4000, true);
    assert_int_equal(told_len, 2);
    assert_int_equal(told[0].coverage.seen, 11);
    assert_int_equal(told[0].coverage.lost, 9);
    assert_int_equal(told[0].coverage.lost_at_least, 1);
    assert_int_equal(told[0].iv.ended, 5000);
    assert_int_equal(told[1].iv.first_seen, 5000);
}

static void another_mode_is_another_row(void **state)
{
    struct coverage c = { 0 };

    (void)state;
    coverage_report(&c, "sockets", "sock_diag", NULL, 5, 0, false);
    tick(&c, 1000, 500, false);
    coverage_report(&c, "sockets", "text", NULL, 5, 0, false);
    tick(&c, 2000, 1000, false);
    assert_int_equal(told_len, 2);
    assert_slice_str(told[0].coverage.mode, "sock_diag");
    assert_slice_str(told[1].coverage.mode, "text");
    assert_true(told[0].iv.ended == told[1].iv.first_seen);
}

static void no_row_is_older_than_an_hour(void **state)
{
    struct coverage c = { 0 };

    (void)state;
    coverage_report(&c, "tick", "timer", NULL, 1, 0, false);
    tick(&c, 1000, 500, false);
    coverage_report(&c, "tick", "timer", NULL, 1, 0, false);
    tick(&c, 1000 + HOUR - 1, 1000, false);
    assert_int_equal(told_len, 0);
    coverage_report(&c, "tick", "timer", NULL, 1, 0, false);
    tick(&c, 1000 + HOUR, 1000 + HOUR - 1, false);
    assert_int_equal(told_len, 2);
    assert_int_equal(told[0].coverage.seen, 3);
}

static void a_source_that_is_not_asked_in_a_tick_goes_on(void **state)
{
    struct coverage c = { 0 };

    (void)state;
    coverage_report(&c, "facts", "files", NULL, 9, 0, false);
    tick(&c, 1000, 500, false);
    tick(&c, 2000, 1000, true);
    assert_int_equal(told_len, 0);
    coverage_report(&c, "facts", "files", NULL, 9, 0, false);
    tick(&c, 3000, 2000, true);
    assert_int_equal(told_len, 0);
    assert_int_equal(c.rows[0].seen, 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_lasts_while_nothing_changes),
        cmocka_unit_test(a_loss_has_a_row_of_its_own_that_ends_with_the_bundle),
        cmocka_unit_test(another_mode_is_another_row),
        cmocka_unit_test(no_row_is_older_than_an_hour),
        cmocka_unit_test(a_source_that_is_not_asked_in_a_tick_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
