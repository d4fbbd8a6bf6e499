/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/hex.h"

#include "tests/support/check.h"

#include "common/base/err.h"

static void bytes_and_text_go_both_ways(void **state)
{
    static const uint8_t bytes[] = { 0x00, 0x0f, 0xa5, 0xff };
    char text[HEX_TEXT_SIZE(4)];
    uint8_t back[4];

    (void)state;
    assert_string_equal(hex_encode(slice_of(bytes, 4), text), "000fa5ff");
    assert_int_equal(hex_decode(slice_str(text), back, 4), 0);
    assert_memory_equal(back, bytes, 4);
    assert_int_equal(hex_decode(slice_str("000FA5FF"), back, 4), 0);
    assert_memory_equal(back, bytes, 4);
    assert_string_equal(hex_encode(SLICE_EMPTY, text), "");
    assert_int_equal(hex_decode(SLICE_EMPTY, back, 0), 0);
}

static void other_lengths_and_characters_are_refused(void **state)
{
    uint8_t out[2] = { 7, 7 };

    (void)state;
    assert_int_equal(hex_decode(slice_str("000"), out, 2), POFR_EFORMAT);
    assert_int_equal(hex_decode(slice_str("00000"), out, 2), POFR_EFORMAT);
    assert_int_equal(hex_decode(slice_str("000000"), out, 2), POFR_EFORMAT);
    assert_int_equal(hex_decode(slice_str("00g0"), out, 2), POFR_EFORMAT);
    assert_int_equal(hex_decode(slice_str("0x00"), out, 2), POFR_EFORMAT);
    assert_int_equal(hex_decode_lower(slice_str("00AB"), out, 2), POFR_EFORMAT);
    assert_int_equal(out[0] + out[1], 14);
    assert_int_equal(hex_decode_lower(slice_str("00ab"), out, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_and_text_go_both_ways),
        cmocka_unit_test(other_lengths_and_characters_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
