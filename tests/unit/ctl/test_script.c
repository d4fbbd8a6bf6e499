/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/script.h"

static void take(struct slice *text, const char *want)
{
    struct slice got;

    assert_true(script_next(text, &got));
    if (!slice_eq_str(got, want)) {
        fail_msg("got \"%.*s\", wanted \"%s\"", SLICE_FMT(got), want);
    }
}

static void comments_and_blank_lines_between_statements_are_dropped(void **state)
{
    struct slice text = slice_str("-- head\n\n  \nSELECT 1;\n-- more\nSELECT\n  2;\n\n");
    struct slice got;

    (void)state;
    take(&text, "SELECT 1");
    take(&text, "SELECT\n  2");
    assert_false(script_next(&text, &got));
}

static void a_semicolon_inside_a_line_ends_nothing(void **state)
{
    struct slice text = slice_str("INSERT INTO t VALUES ('a;b');\nSELECT ';' AS x,\n 1;\n");

    (void)state;
    take(&text, "INSERT INTO t VALUES ('a;b')");
    take(&text, "SELECT ';' AS x,\n 1");
}

static void a_procedure_goes_to_its_own_end(void **state)
{
    struct slice text = slice_str("CREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND\n-- end\nSELECT 3;\n");

    (void)state;
    take(&text, "CREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\n  SELECT 2;\nEND");
    take(&text, "SELECT 3");
}

static void the_last_statement_needs_no_newline(void **state)
{
    struct slice text = slice_str("SELECT 1;");

    (void)state;
    take(&text, "SELECT 1");
}

static void an_empty_file_has_no_statement(void **state)
{
    struct slice text = slice_str("-- nothing\n\n");
    struct slice got;

    (void)state;
    assert_false(script_next(&text, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_and_blank_lines_between_statements_are_dropped),
        cmocka_unit_test(a_semicolon_inside_a_line_ends_nothing),
        cmocka_unit_test(a_procedure_goes_to_its_own_end),
        cmocka_unit_test(the_last_statement_needs_no_newline),
        cmocka_unit_test(an_empty_file_has_no_statement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
