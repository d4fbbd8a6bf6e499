/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/table.h"

static void expect(const char *bytes, size_t len, const char *want)
{
    struct buf out = BUF_INIT(4096);

    table_json_string(slice_of(bytes, len), &out);
    assert_string_equal(buf_cstr(&out), want);
    buf_free(&out);
}

static void text_is_quoted_and_what_json_forbids_is_escaped(void **state)
{
    (void)state;
    expect("a\"b\\c\n\t\x01", 8, "\"a\\\"b\\\\c\\u000a\\u0009\\u0001\"");
    expect("", 0, "\"\"");
    expect("x\0y", 3, "\"x\\u0000y\"");
}

static void utf8_goes_through(void **state)
{
    (void)state;
    expect("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

static void what_a_terminal_obeys_is_escaped(void **state)
{
    (void)state;
    expect("a\x1b[2J\x7f", 6, "\"a\\u001b[2J\\u007f\"");
    expect("\xc2\x9b"
           "2J\xc2\x80\xc2\x9f",
           8, "\"\\u009b2J\\u0080\\u009f\"");
    expect("\xc2\xa0\xc3\x9b", 4, "\"\xc2\xa0\xc3\x9b\"");
}

static void bytes_that_are_no_utf8_come_as_base64(void **state)
{
    (void)state;
    expect("\xff\x00\xfe", 3, "{\"base64\":\"/wD+\"}");
    expect("\xc0\x80", 2, "{\"base64\":\"wIA=\"}");             /* overlong */
    expect("\xed\xa0\x80", 3, "{\"base64\":\"7aCA\"}");         /* surrogate */
    expect("\xe2\x82", 2, "{\"base64\":\"4oI=\"}");             /* cut */
    expect("\xf4\x90\x80\x80", 4, "{\"base64\":\"9JCAgA==\"}"); /* above U+10FFFF */
}

static void quotes_in_a_cell_have_no_backslash(void **state)
{
    char object[] = "{\\\"a\\\":1}";
    char other[] = "a\\\\\\\"b\\x0a\\\\";

    (void)state;
    table_unquote(object);
    assert_string_equal(object, "{\"a\":1}");
    table_unquote(other);
    assert_string_equal(other, "a\\\\\"b\\x0a\\\\");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_quoted_and_what_json_forbids_is_escaped),
        cmocka_unit_test(utf8_goes_through),
        cmocka_unit_test(what_a_terminal_obeys_is_escaped),
        cmocka_unit_test(bytes_that_are_no_utf8_come_as_base64),
        cmocka_unit_test(quotes_in_a_cell_have_no_backslash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
