/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/hostport.h"

#include "tests/support/check.h"

#include "common/base/compiler.h"
#include "common/base/err.h"

static void names_and_addresses_are_split_from_their_port(void **state)
{
    static const struct {
        const char *text;
        int default_port;
        const char *host;
        unsigned port;
    } cases[] = {
        { "gw.example:2222", -1, "gw.example", 2222 },
        { "127.0.0.1:0", -1, "127.0.0.1", 0 },
        { "[2001:db8::1]:65535", -1, "2001:db8::1", 65535 },
        { "gw", 22, "gw", 22 },
        { "[::1]", 22, "::1", 22 },
        { "gw:23", 22, "gw", 23 },
    };

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        struct hostport hp;

        assert_int_equal(hostport_parse(slice_str(cases[i].text), cases[i].default_port, &hp), 0);
        assert_string_equal(hp.host, cases[i].host);
        assert_int_equal(hp.port, cases[i].port);
    }
}

static void anything_else_is_refused(void **state)
{
    static const char *const cases[] = { "",     "gw",      ":22",   "gw:",    "gw:65536", "gw:-1",  "gw:22x", "::1:22",
                                         "[::1", "[::1]22", "[]:22", "g w:22", "gw:22:23", "gw: 22", "g[w:22" };
    char text[400];
    struct hostport hp;

    (void)state;
    for (size_t i = 0; i < pofr_countof(cases); i++) {
        assert_int_equal(hostport_parse(slice_str(cases[i]), -1, &hp), POFR_EFORMAT);
    }
    memset(text, 'a', sizeof(text));
    assert_int_equal(hostport_parse(slice_of(text, HOSTPORT_HOST_SIZE), 1, &hp), POFR_EFORMAT);
    assert_int_equal(hostport_parse(slice_of(text, HOSTPORT_HOST_SIZE - 1), 1, &hp), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_addresses_are_split_from_their_port),
        cmocka_unit_test(anything_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
