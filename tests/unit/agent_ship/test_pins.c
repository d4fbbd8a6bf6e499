/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/ship/pins.h"
#include "common/base/err.h"
#include "common/os/fsio.h"
#include "tests/support/tmpdir.h"

#define ZEROES "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OTHER  "SHA256:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const uint8_t zeroes[32] = { 0 };
static const uint8_t other[32] = { 4 };

static void one_or_more_stand_below_each_other(void **state)
{
    struct pins p;

    (void)state;
    assert_int_equal(pins_parse(slice_str(ZEROES), &p, NULL), 0);
    assert_int_equal(p.len, 1);
    assert_true(pins_hold(&p, zeroes));
    assert_false(pins_hold(&p, other));
    assert_int_equal(pins_parse(slice_str("# until May\r\n" ZEROES "\r\n\n  " OTHER "\n" ZEROES), &p, NULL), 0);
    assert_int_equal(p.len, 2); /* the same one twice is one */
    assert_true(pins_hold(&p, zeroes));
    assert_true(pins_hold(&p, other));
}

static void what_is_no_list_of_fingerprints_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "", "no fingerprint" },
        { "# none\n\n", "no fingerprint" },
        { ZEROES "\nMD5:00\n", "line 2" },
        { ZEROES " host\n", "line 1" },
        { ZEROES "A\n", "line 1" },
        { "SHA256:AAAA\n", "line 1" },
        { "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-\n", "line 1" },
        { ZEROES "," OTHER, "line 1" },
    };
    struct pins p = { .len = 7 };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pofr_err err;

        assert_int_equal(pins_parse(slice_str(cases[i].text), &p, &err), POFR_EFORMAT);
        assert_non_null(strstr(err.text, cases[i].said));
        assert_int_equal(p.len, 7);
    }
}

static void more_than_a_few_are_too_many(void **state)
{
    char text[(PINS_MAX + 1) * PINS_TEXT_SIZE] = "", one[PINS_TEXT_SIZE];
    struct pins p;
    struct pofr_err err;
    size_t len = 0;

    (void)state;
    for (uint8_t i = 0; i <= PINS_MAX; i++) {
        const uint8_t fingerprint[32] = { i };

        assert_int_equal(pins_parse(slice_of(text, len), &p, &err), i == 0 ? POFR_EFORMAT : 0);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n", pins_format(fingerprint, one));
    }
    assert_int_equal(pins_parse(slice_of(text, len), &p, &err), POFR_ETOOBIG);
}

static void what_was_stored_is_loaded(void **state)
{
    const char *dir = *state;
    struct pins p = pins_of(other), again;
    struct pofr_err err;
    char path[TMPDIR_PATH_SIZE];

    p.len = 2; /* and zeroes */
    assert_int_equal(pins_load(dir, &again, &err), POFR_ENOTFOUND);
    assert_int_equal(pins_store(dir, &p, &err), 0);
    assert_int_equal(pins_load(dir, &again, &err), 0);
    assert_int_equal(again.len, 2);
    assert_true(pins_hold(&again, zeroes) && pins_hold(&again, other));
    tmpdir_join(dir, PINS_FILE, path);
    assert_int_equal(fsio_replace(path, slice_str("x"), 0644, &err), 0);
    assert_int_equal(pins_load(dir, &again, &err), POFR_EFORMAT);
    assert_non_null(strstr(err.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_or_more_stand_below_each_other),
        cmocka_unit_test(what_is_no_list_of_fingerprints_is_refused_with_its_line),
        cmocka_unit_test(more_than_a_few_are_too_many),
        cmocka_unit_test_setup_teardown(what_was_stored_is_loaded, tmpdir_setup, tmpdir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
