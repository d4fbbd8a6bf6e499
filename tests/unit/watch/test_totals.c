/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include "common/base/buf.h"
#include "common/evidence/statement.h"
#include "common/watch/totals.h"

static void add(struct totals *t, const struct statement *st)
{
    struct buf packed = BUF_INIT(4096);

    assert_int_equal(statement_pack_counts(st, &packed), 0);
    totals_add(t, buf_slice(&packed));
    buf_free(&packed);
}

static void what_hosts_recorded_and_lost_is_summed_by_kind(void **state)
{
    const struct statement one = { .counts_len = 2,
                                   .counts = { { 2, 1, 10 }, { 7, 1, 5 } },
                                   .lost_len = 1,
                                   .lost = { { STATEMENT_LOST_TICKS, 0, 3 } } };
    const struct statement other = { .counts_len = 1, .counts = { { 7, 0, 20 } } };
    struct totals t = { 0 };

    (void)state;
    add(&t, &one);
    add(&t, &other);
    assert_int_equal(t.hosts, 2);
    assert_int_equal(t.recorded[2], 10);
    assert_int_equal(t.recorded[7], 25);
    assert_int_equal(t.lost[STATEMENT_LOST_TICKS], 3);
    assert_string_equal(totals_kind_name(2), "tick");
    assert_string_equal(totals_source_name(STATEMENT_LOST_TICKS), "ticks");
}

static void what_only_later_versions_know_is_one_kind(void **state)
{
    const struct statement st = {
        .counts_len = 3,
        .counts = { { TOTALS_KINDS - 1, 0, 1 }, { TOTALS_KINDS, 0, 2 }, { UINT32_MAX, 0, 4 } },
        .lost_len = 1,
        .lost = { { 999, 0, 8 } }
    };
    struct totals t = { 0 };

    (void)state;
    add(&t, &st);
    assert_int_equal(t.recorded[0], 6);
    assert_int_equal(t.lost[0], 8);
    assert_string_equal(totals_kind_name(0), "other");
    assert_string_equal(totals_kind_name(TOTALS_KINDS - 1), "other");
    assert_string_equal(totals_source_name(TOTALS_SOURCES), "other");
}

static void no_hosts_word_makes_a_sum_that_begins_again(void **state)
{
    const struct statement most = { .counts_len = 1, .counts = { { 7, 0, UINT64_MAX } } };
    const struct statement little = { .counts_len = 1, .counts = { { 7, 0, 5 } } };
    struct totals t = { 0 };

    (void)state;
    add(&t, &little);
    add(&t, &most);
    assert_true(t.recorded[7] == UINT64_MAX);
}

static void what_can_not_be_read_is_left_out(void **state)
{
    struct totals t = { 0 };

    (void)state;
    totals_add(&t, SLICE_EMPTY);
    totals_add(&t, slice_str("\xff\xff\xff\xff"));
    assert_int_equal(t.hosts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_hosts_recorded_and_lost_is_summed_by_kind),
        cmocka_unit_test(what_only_later_versions_know_is_one_kind),
        cmocka_unit_test(no_hosts_word_makes_a_sum_that_begins_again),
        cmocka_unit_test(what_can_not_be_read_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
