/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/name.h"

static void a_name_is_one_word_that_needs_no_quotes(void **state)
{
    (void)state;
    assert_true(name_is_host("web1"));
    assert_true(name_is_host("Web-1.example.org_2"));
    assert_true(name_is_host("7"));
    assert_false(name_is_host("bad/name"));
    assert_false(name_is_host("two\nlines"));
    assert_false(name_is_host("line\n"));
    assert_false(name_is_host("two words"));
    assert_false(name_is_host("caf\xc3\xa9"));
}

static void a_name_begins_with_a_letter_or_a_digit(void **state)
{
    (void)state;
    assert_false(name_is_host(""));
    assert_false(name_is_host("-rf"));
    assert_false(name_is_host(".."));
    assert_false(name_is_host("_x"));
}

static void a_name_has_at_most_190_bytes(void **state)
{
    char name[192];

    (void)state;
    memset(name, 'a', sizeof(name));
    name[191] = 0;
    assert_false(name_is_host(name));
    name[190] = 0;
    assert_true(name_is_host(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_one_word_that_needs_no_quotes),
        cmocka_unit_test(a_name_begins_with_a_letter_or_a_digit),
        cmocka_unit_test(a_name_has_at_most_190_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
