/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <stdlib.h>

#include "gateway/wanted.h"

static struct wanted *wanted;

static int set_up(void **state)
{
    (void)state;
    return wanted_new(&wanted);
}

static int tear_down(void **state)
{
    (void)state;
    wanted_free(wanted);
    return 0;
}

/* Hosts 1, 3, 5 …, each with as many ranges as its number. */
static void fill(uint64_t hosts)
{
    struct wanted_row *rows = (struct wanted_row *)calloc((size_t)(hosts * hosts), sizeof(*rows));
    size_t n = 0;
    uint64_t h, i;

    assert_non_null(rows);
    for (h = 1; h <= hosts; h += 2) {
        for (i = 1; i <= h; i++) {
            rows[n++] = (struct wanted_row){ h, { i * 10, i * 10 + h }, (int64_t)(h * 100 + i) };
        }
    }
    (void)wanted_replace(wanted, rows, n);
}

static void each_host_finds_its_own_and_no_other(void **state)
{
    struct message_range ranges[64];
    uint64_t h;

    (void)state;
    fill(31);
    for (h = 0; h <= 33; h++) {
        int64_t since;
        unsigned n = wanted_of(wanted, h, ranges, 64, &since);

        assert_int_equal(n, h % 2 && h <= 31 ? h : 0);
        if (n > 0) {
            assert_int_equal(ranges[0].first, 10);
            assert_int_equal(ranges[n - 1].last, h * 10 + h);
            assert_int_equal(since, h * 100 + h);
        }
    }
}

static void the_oldest_come_first_where_there_are_too_many(void **state)
{
    struct message_range ranges[4];
    int64_t since;

    (void)state;
    fill(31);
    assert_int_equal(wanted_of(wanted, 31, ranges, 4, &since), 4);
    assert_int_equal(ranges[3].first, 40);
    assert_int_equal(since, 3104); /* of those that are told */
    assert_int_equal(wanted_of(wanted, 31, NULL, 4, &since), 4);
    assert_int_equal(since, 3104);
}

static void an_empty_list_is_empty(void **state)
{
    struct message_range ranges[4];
    int64_t since;

    (void)state;
    assert_int_equal(wanted_of(wanted, 1, ranges, 4, &since), 0);
    assert_int_equal(since, 0);
    fill(3);
    assert_false(wanted_replace(wanted, NULL, 0));
    assert_int_equal(wanted_of(wanted, 1, ranges, 4, &since), 0);
}

static struct wanted_row *one_row(int64_t since_us)
{
    struct wanted_row *row = (struct wanted_row *)calloc(1, sizeof(*row));

    assert_non_null(row);
    *row = (struct wanted_row){ 1, { 1, 1 }, since_us };
    return row;
}

static void only_what_is_newer_than_all_before_is_news(void **state)
{
    (void)state;
    assert_true(wanted_replace(wanted, one_row(5), 1));
    assert_false(wanted_replace(wanted, one_row(5), 1));
    assert_false(wanted_replace(wanted, NULL, 0));
    assert_false(wanted_replace(wanted, one_row(4), 1));
    assert_true(wanted_replace(wanted, one_row(6), 1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(each_host_finds_its_own_and_no_other),
        T(the_oldest_come_first_where_there_are_too_many),
        T(an_empty_list_is_empty),
        T(only_what_is_newer_than_all_before_is_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
