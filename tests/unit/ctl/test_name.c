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

static void expect_database(const char *host, uint64_t host_id, const char *want)
{
    char name[NAME_DATABASE_SIZE];

    name_database(host, host_id, name);
    assert_string_equal(name, want);
    assert_true(name_is_database(name));
}

static void a_host_names_its_database(void **state)
{
    (void)state;
    expect_database("web1", 1027, "host_web1");
    expect_database("Web-1.example.org_2", 1027, "host_web_1_example_org_2");
    expect_database("7", 1027, "host_7");
}

static void a_long_name_is_cut_and_ends_with_the_number(void **state)
{
    char host[192];

    (void)state;
    memset(host, 'a', sizeof(host));
    host[59] = 0;
    expect_database(host, 1027, "host_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    host[59] = 'a';
    host[60] = 0;
    expect_database(host, 1027, "host_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_1027");
    host[60] = 'a';
    host[190] = 0;
    expect_database(host, UINT64_MAX, "host_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_18446744073709551615");
}

static void a_database_is_a_plain_word_and_nobody_elses(void **state)
{
    char name[67];

    (void)state;
    assert_true(name_is_database("4C4C4544004D4810805AB7C04F4A35321561079000"));
    assert_true(name_is_database("case_42"));
    assert_false(name_is_database(""));
    assert_false(name_is_database("a`b"));
    assert_false(name_is_database("a-b"));
    assert_false(name_is_database("a.b"));
    assert_false(name_is_database("a b"));
    assert_false(name_is_database("caf\xc3\xa9"));
    assert_false(name_is_database("pofr"));
    assert_false(name_is_database("POFR_catalog"));
    assert_false(name_is_database("mysql"));
    assert_false(name_is_database("Information_Schema"));
    memset(name, 'a', sizeof(name));
    name[65] = 0;
    assert_false(name_is_database(name));
    name[64] = 0;
    assert_true(name_is_database(name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_one_word_that_needs_no_quotes),
        cmocka_unit_test(a_name_begins_with_a_letter_or_a_digit),
        cmocka_unit_test(a_name_has_at_most_190_bytes),
        cmocka_unit_test(a_host_names_its_database),
        cmocka_unit_test(a_long_name_is_cut_and_ends_with_the_number),
        cmocka_unit_test(a_database_is_a_plain_word_and_nobody_elses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
