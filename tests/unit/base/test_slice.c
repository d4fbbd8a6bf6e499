/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/slice.h"

#include "tests/support/check.h"

static void empty_slices_are_equal_whatever_they_point_at(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE_EMPTY, slice_str("")));
    assert_true(slice_eq(slice_str(NULL), SLICE_EMPTY));
    assert_int_equal(slice_cmp(SLICE_EMPTY, slice_str("")), 0);
    assert_true(slice_empty(slice_trim(slice_str(" \t\r\n"))));
}

static void order_is_by_bytes_then_length(void **state)
{
    (void)state;
    assert_true(slice_cmp(slice_str("a"), slice_str("b")) < 0);
    assert_true(slice_cmp(slice_str("a"), slice_str("ab")) < 0);
    assert_true(slice_cmp(slice_str("ab"), slice_str("a")) > 0);
    assert_true(slice_cmp(slice_str("\xff"), slice_str("a")) > 0);
    assert_int_equal(slice_cmp(slice_str("ab"), slice_str("ab")), 0);
    assert_false(slice_eq(slice_str("a"), slice_str("ab")));
    assert_true(slice_eq_str(slice_of("a\0b", 1), "a"));
}

static void parts_never_reach_beyond(void **state)
{
    struct slice s = slice_str("hello");

    (void)state;
    assert_slice_str(slice_sub(s, 1, 3), "ell");
    assert_slice_str(slice_sub(s, 4, SIZE_MAX), "o");
    assert_true(slice_empty(slice_sub(s, 5, 1)));
    assert_true(slice_empty(slice_sub(s, SIZE_MAX, SIZE_MAX)));
    assert_int_equal(slice_find(s, 'l'), 2);
    assert_int_equal(slice_find(s, 'x'), 5);
    assert_int_equal(slice_find(SLICE_EMPTY, 'x'), 0);
    assert_true(slice_starts_with(s, slice_str("he")));
    assert_true(slice_starts_with(s, SLICE_EMPTY));
    assert_false(slice_starts_with(slice_str("h"), s));
}

static void split_takes_words_from_the_front(void **state)
{
    struct slice s = slice_str("a,,b");

    (void)state;
    assert_slice_str(slice_split(&s, ','), "a");
    assert_slice_str(slice_split(&s, ','), "");
    assert_slice_str(slice_split(&s, ','), "b");
    assert_true(slice_empty(s));
    assert_true(slice_empty(slice_split(&s, ',')));
}

static void a_literal_initialises_a_static(void **state)
{
    static const struct slice name = SLICE_LITERAL("pofr");

    (void)state;
    assert_slice_str(name, "pofr");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_slices_are_equal_whatever_they_point_at),
        cmocka_unit_test(order_is_by_bytes_then_length),
        cmocka_unit_test(parts_never_reach_beyond),
        cmocka_unit_test(split_takes_words_from_the_front),
        cmocka_unit_test(a_literal_initialises_a_static),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
