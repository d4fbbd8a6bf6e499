/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/uuid.h"

#include "tests/support/check.h"

#include "common/base/compiler.h"
#include "common/base/err.h"

static void text_and_bytes_go_both_ways(void **state)
{
    struct uuid u;
    char text[UUID_TEXT_SIZE];

    (void)state;
    assert_int_equal(uuid_parse(slice_str("00112233-4455-6677-8899-AABBccddeeff"), &u), 0);
    assert_memory_equal(u.b, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
    assert_string_equal(uuid_format(&u, text), "00112233-4455-6677-8899-aabbccddeeff");
}

static void other_forms_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "00112233445566778899aabbccddeeff",
        "{00112233-4455-6677-8899-aabbccddeeff}",
        "00112233-4455-6677-8899-aabbccddeef",
        "00112233-4455-6677-8899-aabbccddeeff0",
        "00112233-4455-6677-8899_aabbccddeeff",
        "0011223-34455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeefg",
    };
    struct uuid u = { { 1 } };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        assert_int_equal(uuid_parse(slice_str(cases[i]), &u), POFR_EFORMAT);
    }
    assert_int_equal(u.b[0], 1);
}

static void random_ones_differ_and_say_what_they_are(void **state)
{
    struct uuid a, b;

    (void)state;
    assert_int_equal(uuid_random(&a), 0);
    assert_int_equal(uuid_random(&b), 0);
    assert_false(uuid_eq(&a, &b));
    assert_true(uuid_eq(&a, &a));
    assert_int_equal(a.b[6] >> 4, 4);
    assert_int_equal(a.b[8] >> 6, 2);
    assert_false(uuid_is_zero(&a));
    assert_true(uuid_is_zero(&(struct uuid){ { 0 } }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_bytes_go_both_ways),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(random_ones_differ_and_say_what_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
