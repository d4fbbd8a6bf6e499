/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/arena.h"

#include "tests/support/check.h"

#include "common/base/err.h"

static void pieces_are_aligned_and_do_not_overlap(void **state)
{
    struct arena a;
    uint8_t *pieces[200];

    (void)state;
    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_alloc(&a, i * 7 + 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)i, i * 7 + 1);
    }
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(pieces[i][0], i);
        assert_int_equal(pieces[i][i * 7], i);
    }
    arena_free(&a);
    assert_int_equal(a.used, 0);
}

static void the_maximum_holds_and_the_error_sticks(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 100);
    assert_non_null(arena_alloc(&a, 96));
    assert_null(arena_alloc(&a, 16));
    assert_int_equal(a.err, POFR_ETOOBIG);
    assert_null(arena_alloc(&a, 1));
    arena_reset(&a);
    assert_int_equal(a.err, 0);
    assert_non_null(arena_alloc(&a, 96));
    arena_free(&a);
}

static void sizes_that_overflow_are_too_big(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_int_equal(a.err, POFR_ETOOBIG);
    arena_reset(&a);
    assert_null(arena_alloc(&a, SIZE_MAX - 3));
    arena_reset(&a);
    assert_null(arena_strdup(&a, (struct slice){ (const uint8_t *)"", SIZE_MAX }));
    assert_int_equal(a.err, POFR_ETOOBIG);
    arena_free(&a);
}

static void a_piece_larger_than_a_chunk_is_served(void **state)
{
    struct arena a;
    uint8_t *big, *small;

    (void)state;
    arena_init(&a, 4 << 20);
    small = arena_zalloc(&a, 10);
    big = arena_zalloc(&a, 1 << 20);
    assert_non_null(big);
    assert_int_equal(big[(1 << 20) - 1], 0);
    assert_int_equal(small[9], 0);
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_alloc(&a, 10));
    arena_free(&a);
}

static void copies_are_independent_of_their_source(void **state)
{
    struct arena a;
    char text[] = "abc";
    struct slice copy;
    char *cstr;

    (void)state;
    arena_init(&a, 1000);
    copy = arena_dup(&a, slice_str(text));
    cstr = arena_strdup(&a, slice_str(text));
    text[0] = 'x';
    assert_slice_str(copy, "abc");
    assert_string_equal(cstr, "abc");
    assert_true(slice_empty(arena_dup(&a, SLICE_EMPTY)));
    assert_string_equal(arena_strdup(&a, SLICE_EMPTY), "");
    assert_int_equal(a.err, 0);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_do_not_overlap),
        cmocka_unit_test(the_maximum_holds_and_the_error_sticks),
        cmocka_unit_test(sizes_that_overflow_are_too_big),
        cmocka_unit_test(a_piece_larger_than_a_chunk_is_served),
        cmocka_unit_test(copies_are_independent_of_their_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
