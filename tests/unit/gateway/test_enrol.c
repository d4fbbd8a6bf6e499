/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/wire/token.h"
#include "gateway/enrol.h"

#define SECRET "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX" /* 24 bytes */

static const uint8_t key[32] = { 1, 2, 3 };

static struct message enrol(const char *token, const char *hostname)
{
    struct message m;

    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_ENROL;
    m.enrol.version = 1;
    m.enrol.token = slice_str(token);
    m.enrol.public_key = slice_of(key, 32);
    m.enrol.hostname = slice_str(hostname);
    m.enrol.os = slice_str("Debian");
    return m;
}

static void facts_are_what_the_procedure_wants(void **state)
{
    struct message m = enrol(SECRET, "web1");
    struct enrol_facts f;
    uint8_t hash[32];

    (void)state;
    assert_int_equal(enrol_facts_of(&m, "192.0.2.1:5", &f), 0);
    assert_int_equal(token_hash(slice_str(SECRET), hash), 0);
    assert_memory_equal(f.token_hash, hash, 32);
    assert_memory_equal(f.public_key, key, 32);
    assert_string_equal(f.hostname, "web1");
    assert_string_equal(f.os, "Debian");
    assert_string_equal(f.kernel, "");
    assert_string_equal(f.peer, "192.0.2.1:5");
}

static void what_a_stranger_says_is_made_printable_and_cut(void **state)
{
    char longest[400];
    struct message m = enrol(SECRET, "a\n\x1b[2J\xff\tb");
    struct enrol_facts f;

    (void)state;
    assert_int_equal(enrol_facts_of(&m, "p", &f), 0);
    assert_string_equal(f.hostname, "a??[2J??b");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    m = enrol(SECRET, longest);
    m.enrol.machine_id = slice_str(longest);
    assert_int_equal(enrol_facts_of(&m, "p", &f), 0);
    assert_int_equal(strlen(f.hostname), 255);
    assert_int_equal(strlen(f.machine_id), 64);
}

static void what_is_no_token_is_not_brought_to_the_catalog(void **state)
{
    static const char *const bad[] = { "", "short", "pofr1.127.0.0.1:22.x." SECRET, SECRET " ",
                                       "' OR 1=1 -- 0123456789012345" };
    struct enrol_facts f;
    struct message m;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        m = enrol(bad[i], "h");
        assert_int_equal(enrol_facts_of(&m, "p", &f), POFR_EFORMAT);
    }
    m = enrol(SECRET, "h");
    m.enrol.public_key.len = 31;
    assert_int_equal(enrol_facts_of(&m, "p", &f), POFR_EFORMAT);
}

static void each_result_has_its_answer(void **state)
{
    static const struct {
        enum enrolment what;
        enum message_refuse refuse;
    } cases[] = { { ENROLMENT_TOKEN, MESSAGE_REFUSE_TOKEN },
                  { ENROLMENT_MALFORMED, MESSAGE_REFUSE_TOKEN },
                  { ENROLMENT_KEY, MESSAGE_REFUSE_TOKEN },
                  { ENROLMENT_UNAVAILABLE, MESSAGE_REFUSE_UNAVAILABLE } };
    struct enrol_result result;
    struct message m;
    size_t i;

    (void)state;
    memset(&result, 0, sizeof(result));
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        result.what = cases[i].what;
        enrol_answer(&result, &m);
        assert_int_equal(m.type, MESSAGE_REFUSE);
        assert_int_equal(m.refuse.code, cases[i].refuse);
        assert_false(m.refuse.final);
        assert_true(m.refuse.reason.len > 0 && m.refuse.retry_ms > 0);
    }
    snprintf(result.name, sizeof(result.name), "web1");
    result.host.b[0] = 9;
    result.what = ENROLMENT_AGAIN;
    enrol_answer(&result, &m);
    assert_int_equal(m.type, MESSAGE_ENROLLED);
    assert_int_equal(m.enrolled.host.b[0], 9);
    assert_slice_str(m.enrolled.name, "web1");
    assert_true(m.enrolled.approved);
    result.pending = true;
    result.what = ENROLMENT_NEW;
    enrol_answer(&result, &m);
    assert_false(m.enrolled.approved);
    result.ended = true;
    enrol_answer(&result, &m);
    assert_int_equal(m.refuse.code, MESSAGE_REFUSE_REVOKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_what_the_procedure_wants),
        cmocka_unit_test(what_a_stranger_says_is_made_printable_and_cut),
        cmocka_unit_test(what_is_no_token_is_not_brought_to_the_catalog),
        cmocka_unit_test(each_result_has_its_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
