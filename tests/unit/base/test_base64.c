/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/base64.h"

#include "tests/support/check.h"

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/err.h"

static void rfc_4648_samples_go_both_ways(void **state)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "+//+" },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        struct buf b = BUF_INIT(100);

        base64_encode(slice_str(cases[i][0]), 0, &b);
        assert_slice_str(buf_slice(&b), cases[i][1]);
        buf_reset(&b);
        assert_int_equal(base64_decode(slice_str(cases[i][1]), false, &b), 0);
        assert_slice_str(buf_slice(&b), cases[i][0]);
        buf_free(&b);
    }
}

static void wrapped_text_ends_each_line_and_comes_back(void **state)
{
    struct buf text = BUF_INIT(1000), back = BUF_INIT(1000);

    (void)state;
    base64_encode(slice_str("foobarfoo"), 4, &text);
    assert_slice_str(buf_slice(&text), "Zm9v\nYmFy\nZm9v\n");
    assert_int_equal(base64_decode(buf_slice(&text), true, &back), 0);
    assert_slice_str(buf_slice(&back), "foobarfoo");
    buf_reset(&text);
    base64_encode(slice_str("foob"), 5, &text);
    assert_slice_str(buf_slice(&text), "Zm9vY\ng==\n");
    buf_free(&text);
    buf_free(&back);
}

static void anything_but_the_one_encoding_is_refused(void **state)
{
    static const char *const cases[] = { "Zg",           "Zg=",  "Zh==", "Zm9=",   "Zm9v Zm9v",
                                         "Zm9vZg==Zm9v", "====", "Z===", "Zm9v\n", "=Zm9v",
                                         "Zg==\r",       "Zm-v", "Zm_v", "Zg=a",   "Zg==a" };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        struct buf b = BUF_INIT(100);

        buf_str(&b, "before");
        assert_int_equal(base64_decode(slice_str(cases[i]), false, &b), POFR_EFORMAT);
        assert_slice_str(buf_slice(&b), "before");
        buf_free(&b);
    }
}

static void a_lone_carriage_return_is_refused_even_with_newlines(void **state)
{
    struct buf b = BUF_INIT(100);

    (void)state;
    assert_int_equal(base64_decode(slice_str("Zm9v\r\nZm9v\r\n"), true, &b), 0);
    assert_slice_str(buf_slice(&b), "foofoo");
    assert_int_equal(base64_decode(slice_str("Zm9v\rZm9v"), true, &b), POFR_EFORMAT);
    buf_free(&b);
}

static void more_than_the_buffer_holds_is_too_big_and_leaves_nothing(void **state)
{
    struct buf b = BUF_INIT(5);

    (void)state;
    assert_int_equal(base64_decode(slice_str("Zm9vYmFy"), false, &b), POFR_ETOOBIG);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4648_samples_go_both_ways),
        cmocka_unit_test(wrapped_text_ends_each_line_and_comes_back),
        cmocka_unit_test(anything_but_the_one_encoding_is_refused),
        cmocka_unit_test(a_lone_carriage_return_is_refused_even_with_newlines),
        cmocka_unit_test(more_than_the_buffer_holds_is_too_big_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
