/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/buf.h"

#include "tests/support/check.h"

#include "common/base/err.h"

static void bytes_stand_in_the_order_asked_for(void **state)
{
    static const uint8_t expected[] = { 0x01, 0x02, 0x01, 0x04, 0x03, 0x02, 0x01, 8, 7, 6, 5, 4, 3, 2, 1,
                                        0x01, 0x02, 0x01, 0x02, 0x03, 0x04, 1,    2, 3, 4, 5, 6, 7, 8 };
    struct buf b = BUF_INIT(100);

    (void)state;
    buf_u8(&b, 1);
    buf_u16le(&b, 0x0102);
    buf_u32le(&b, 0x01020304);
    buf_u64le(&b, UINT64_C(0x0102030405060708));
    buf_u16be(&b, 0x0102);
    buf_u32be(&b, 0x01020304);
    buf_u64be(&b, UINT64_C(0x0102030405060708));
    assert_int_equal(b.len, sizeof(expected));
    assert_memory_equal(b.data, expected, sizeof(expected));
    buf_free(&b);
}

static void after_the_maximum_nothing_is_appended_any_more(void **state)
{
    struct buf b = BUF_INIT(4);

    (void)state;
    buf_str(&b, "abc");
    buf_u16le(&b, 1);
    assert_int_equal(b.err, POFR_ETOOBIG);
    buf_u8(&b, 'd');
    buf_printf(&b, "%d", 1);
    buf_varint(&b, 1);
    assert_slice_str(buf_slice(&b), "abc");
    buf_reset(&b);
    buf_str(&b, "abcd");
    assert_int_equal(b.err, 0);
    assert_slice_str(buf_slice(&b), "abcd");
    buf_free(&b);
    assert_int_equal(b.max, 4);
}

static void a_length_and_its_bytes_come_together_or_not_at_all(void **state)
{
    struct buf b = BUF_INIT(6);

    (void)state;
    buf_varbytes(&b, slice_str("1234567"));
    assert_int_equal(b.err, POFR_ETOOBIG);
    assert_int_equal(b.len, 0);
    buf_reset(&b);
    buf_str32be(&b, slice_str("123"));
    assert_int_equal(b.err, POFR_ETOOBIG);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void numbers_are_written_as_decimals(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 32);
    buf_decimal(&b, 0);
    buf_u8(&b, ' ');
    buf_decimal(&b, 10);
    buf_u8(&b, ' ');
    buf_decimal(&b, UINT64_MAX);
    assert_string_equal(buf_cstr(&b), "0 10 18446744073709551615");
    buf_free(&b);
}

static void printf_fills_to_the_last_byte(void **state)
{
    struct buf b = BUF_INIT(5);

    (void)state;
    buf_printf(&b, "%s-%d", "ab", 12);
    assert_int_equal(b.err, 0);
    assert_slice_str(buf_slice(&b), "ab-12");
    assert_string_equal(buf_cstr(&b), "ab-12");
    buf_printf(&b, "%s", "");
    assert_int_equal(b.err, 0);
    buf_printf(&b, "x");
    assert_int_equal(b.err, POFR_ETOOBIG);
    assert_null(buf_cstr(&b));
    buf_free(&b);
}

static void a_length_known_later_is_patched_in(void **state)
{
    struct buf b = BUF_INIT(16);

    (void)state;
    buf_u32be(&b, 0);
    buf_u32le(&b, 0);
    buf_patch_u32be(&b, 0, 0x01020304);
    buf_patch_u32le(&b, 4, 0x01020304);
    assert_memory_equal(b.data, "\1\2\3\4\4\3\2\1", 8);
    buf_free(&b);
}

static void consumed_bytes_make_room(void **state)
{
    struct buf b = BUF_INIT(4);

    (void)state;
    buf_str(&b, "abcd");
    buf_consume(&b, 3);
    buf_str(&b, "xyz");
    assert_int_equal(b.err, 0);
    assert_slice_str(buf_slice(&b), "dxyz");
    buf_truncate(&b, 1);
    assert_slice_str(buf_slice(&b), "d");
    buf_consume(&b, 1);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

static void reserve_gives_room_that_is_counted_only_by_advance(void **state)
{
    struct buf b = BUF_INIT(8);
    uint8_t *to = buf_reserve(&b, 8);

    (void)state;
    assert_non_null(to);
    memset(to, '1', 8);
    assert_int_equal(b.len, 0);
    buf_advance(&b, 3);
    assert_slice_str(buf_slice(&b), "111");
    assert_null(buf_reserve(&b, 6));
    assert_int_equal(b.err, POFR_ETOOBIG);
    buf_free(&b);
}

static void it_grows_in_place_of_what_it_held(void **state)
{
    struct buf b = BUF_INIT(100000);

    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        buf_u32le(&b, i);
    }
    assert_int_equal(b.err, 0);
    assert_int_equal(b.len, 80000);
    assert_true(b.cap <= b.max);
    for (uint32_t i = 0; i < 20000; i++) {
        assert_int_equal(b.data[4 * i] | b.data[4 * i + 1] << 8, i);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_stand_in_the_order_asked_for),
        cmocka_unit_test(after_the_maximum_nothing_is_appended_any_more),
        cmocka_unit_test(a_length_and_its_bytes_come_together_or_not_at_all),
        cmocka_unit_test(numbers_are_written_as_decimals),
        cmocka_unit_test(printf_fills_to_the_last_byte),
        cmocka_unit_test(a_length_known_later_is_patched_in),
        cmocka_unit_test(consumed_bytes_make_room),
        cmocka_unit_test(reserve_gives_room_that_is_counted_only_by_advance),
        cmocka_unit_test(it_grows_in_place_of_what_it_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
