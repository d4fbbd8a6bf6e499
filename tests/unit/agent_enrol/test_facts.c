/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/enrol/facts.h"

#include <string.h>

#include "common/base/compiler.h"
#include "tests/support/check.h"
#include "tests/support/mutate.h"

static void a_pretty_name_is_found_and_unquoted(void **state)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        { "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n", "Debian GNU/Linux 12 (bookworm)" },
        { "PRETTY_NAME='single \\ quoted'", "single \\ quoted" },
        { "PRETTY_NAME=bare\r\n", "bare" },
        { "PRETTY_NAME=\"with \\\"quotes\\\" and \\$\"\n", "with \"quotes\" and $" },
        { "PRETTY_NAME=\"never closed\n", "never closed" },
        { "PRETTY_NAME=\"bell \007 inside\"\n", "bell  inside" },
        { "PRETTY_NAME=\n", "" },
        { "PRETTY_NAME\n", "" },
        { "XPRETTY_NAME=no\n", "" },
        { "", "" },
    };
    char out[FACTS_SIZE];

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        facts_os_release(slice_str(cases[i].text), "PRETTY_NAME", out, sizeof(out));
        assert_string_equal(out, cases[i].name);
    }
}

static void a_long_value_is_cut(void **state)
{
    char out[8];

    (void)state;
    facts_os_release(slice_str("A=\"0123456789\""), "A", out, sizeof(out));
    assert_string_equal(out, "0123456");
}

static void try_it(struct slice mutant, const char *what, size_t at, void *arg)
{
    char out[16];

    (void)what;
    (void)at;
    (void)arg;
    memset(out, 'x', sizeof(out));
    facts_os_release(mutant, "A", out, sizeof(out));
    assert_non_null(memchr(out, 0, sizeof(out)));
}

static void no_damage_breaks_it(void **state)
{
    (void)state;
    mutate_each(slice_str("B=1\nA=\"a\\\"b\\\\c\"\nC='x'\n"), try_it, NULL);
}

static void a_machine_id_is_32_hex_digits(void **state)
{
    (void)state;
    assert_true(facts_is_machine_id(slice_str("0123456789abcdef0123456789abcdef")));
    assert_false(facts_is_machine_id(slice_str("uninitialized")));
    assert_false(facts_is_machine_id(slice_str("0123456789ABCDEF0123456789abcdef")));
    assert_false(facts_is_machine_id(slice_str("")));
}

static void this_host_has_a_name_and_a_kernel(void **state)
{
    struct facts f;

    (void)state;
    facts_read("", &f);
    assert_true(f.hostname[0] != '\0' && f.kernel[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pretty_name_is_found_and_unquoted),
        cmocka_unit_test(a_long_value_is_cut),
        cmocka_unit_test(no_damage_breaks_it),
        cmocka_unit_test(a_machine_id_is_32_hex_digits),
        cmocka_unit_test(this_host_has_a_name_and_a_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
