/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <stdio.h>

#include "workers/message.h"

#define NOW INT64_C(1800000000000000)
#define DAY INT64_C(86400000000)

static int64_t received(const char *header, int64_t appended_us)
{
    struct message *m = NULL;
    int64_t us;

    assert_int_equal(message_new(&m), 0);
    if (header) {
        message_put_header(m, slice_str("pofr-received"), slice_str(header));
    }
    message_settle(m, appended_us);
    assert_true(m->appended_us == appended_us);
    us = m->received_us;
    message_free(m);
    return us;
}

static int64_t received_at(int64_t us)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)us);
    return received(text, NOW);
}

static void a_gateway_says_when_it_received_a_bundle(void **state)
{
    (void)state;
    assert_true(received_at(NOW - 3000) == NOW - 3000);
    assert_true(received_at(NOW - DAY) == NOW - DAY);
    assert_true(received_at(NOW + DAY) == NOW + DAY);
}

static void what_no_gateway_can_mean_is_the_time_of_appending(void **state)
{
    (void)state;
    assert_true(received(NULL, NOW) == NOW);
    assert_true(received("yesterday", NOW) == NOW);
    assert_true(received("", NOW) == NOW);
    assert_true(received_at(0) == NOW);
    assert_true(received_at(1) == NOW);
    assert_true(received_at(NOW - DAY - 1) == NOW);
    assert_true(received_at(NOW + DAY + 1) == NOW);
    assert_true(received("2305843009213693951", NOW) == NOW);
    assert_true(received("-9223372036854775808", NOW) == NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_says_when_it_received_a_bundle),
        cmocka_unit_test(what_no_gateway_can_mean_is_the_time_of_appending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
