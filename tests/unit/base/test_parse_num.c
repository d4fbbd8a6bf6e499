/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/parse_num.h"

#include "tests/support/check.h"

#include "common/base/compiler.h"
#include "common/base/err.h"

static void whole_numbers_up_to_the_bound_are_taken(void **state)
{
    uint64_t v = 1;
    uint32_t w = 1;

    (void)state;
    assert_int_equal(parse_u64(slice_str("0"), 0, &v), 0);
    assert_true(v == 0);
    assert_int_equal(parse_u64(slice_str("18446744073709551615"), UINT64_MAX, &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(parse_u64(slice_str("0000000000000000000000000000007"), 7, &v), 0);
    assert_true(v == 7);
    assert_int_equal(parse_u32(slice_str("4294967295"), UINT32_MAX, &w), 0);
    assert_true(w == UINT32_MAX);
    assert_int_equal(parse_hex_u64(slice_str("FFffFFffFFffFFff"), UINT64_MAX, &v), 0);
    assert_true(v == UINT64_MAX);
}

static void beyond_the_bound_is_too_big_and_writes_nothing(void **state)
{
    uint64_t v = 42;
    uint32_t w = 42;

    (void)state;
    assert_int_equal(parse_u64(slice_str("8"), 7, &v), POFR_ETOOBIG);
    assert_int_equal(parse_u64(slice_str("18446744073709551616"), UINT64_MAX, &v), POFR_ETOOBIG);
    assert_int_equal(parse_u64(slice_str("99999999999999999999999"), UINT64_MAX, &v), POFR_ETOOBIG);
    assert_int_equal(parse_hex_u64(slice_str("10000000000000000"), UINT64_MAX, &v), POFR_ETOOBIG);
    assert_int_equal(parse_u32(slice_str("4294967296"), UINT32_MAX, &w), POFR_ETOOBIG);
    assert_true(v == 42 && w == 42);
}

static void anything_but_digits_is_refused(void **state)
{
    static const char *const cases[] = { "", " 1", "1 ", "+1", "-1", "1.0", "0x1", "1e3", "a", "\xd9\xa1" };
    uint64_t v;

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        assert_int_equal(parse_u64(slice_str(cases[i]), UINT64_MAX, &v), POFR_EFORMAT);
    }
    assert_int_equal(parse_u64(slice_of("1\0", 2), UINT64_MAX, &v), POFR_EFORMAT);
    assert_int_equal(parse_hex_u64(slice_str("0x1"), UINT64_MAX, &v), POFR_EFORMAT);
    assert_int_equal(parse_u64(slice_str("99999999999999999999999x"), UINT64_MAX, &v), POFR_EFORMAT);
}

static void signed_numbers_reach_both_ends(void **state)
{
    int64_t v = 42;

    (void)state;
    assert_int_equal(parse_i64(slice_str("-9223372036854775808"), INT64_MIN, INT64_MAX, &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(parse_i64(slice_str("9223372036854775807"), INT64_MIN, INT64_MAX, &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(parse_i64(slice_str("-0"), -5, 5, &v), 0);
    assert_true(v == 0);
    assert_int_equal(parse_i64(slice_str("-9223372036854775809"), INT64_MIN, INT64_MAX, &v), POFR_ETOOBIG);
    assert_int_equal(parse_i64(slice_str("9223372036854775808"), INT64_MIN, INT64_MAX, &v), POFR_ETOOBIG);
    assert_int_equal(parse_i64(slice_str("-6"), -5, 5, &v), POFR_ETOOBIG);
    assert_int_equal(parse_i64(slice_str("6"), -5, 5, &v), POFR_ETOOBIG);
    assert_int_equal(parse_i64(slice_str("--1"), -5, 5, &v), POFR_EFORMAT);
    assert_int_equal(parse_i64(slice_str("-"), -5, 5, &v), POFR_EFORMAT);
    assert_true(v == 0);
}

static void canonical_numbers_have_one_form(void **state)
{
    uint64_t v = 1;

    (void)state;
    assert_int_equal(parse_canonical_u64(slice_str("0"), 10, &v), 0);
    assert_true(v == 0);
    assert_int_equal(parse_canonical_u64(slice_str("00"), 10, &v), POFR_EFORMAT);
    assert_int_equal(parse_canonical_u64(slice_str("07"), 10, &v), POFR_EFORMAT);
    assert_int_equal(parse_canonical_u64(slice_str("10"), 10, &v), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_up_to_the_bound_are_taken),
        cmocka_unit_test(beyond_the_bound_is_too_big_and_writes_nothing),
        cmocka_unit_test(anything_but_digits_is_refused),
        cmocka_unit_test(signed_numbers_reach_both_ends),
        cmocka_unit_test(canonical_numbers_have_one_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
