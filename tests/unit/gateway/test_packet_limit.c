/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <pthread.h>

#include <openssl/rand.h>

#include "gateway/packet_limit.h"

static uint8_t bytes[16];

static void after_so_many_packets_the_next_fails(void **state)
{
    int i;

    (void)state;
    packet_limit_set(3);
    for (i = 0; i < 3; i++) {
        assert_int_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
    }
    assert_int_not_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
    assert_int_not_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
    assert_true(packet_limit_clear());
    assert_int_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
}

static void a_limit_that_was_not_reached_says_so(void **state)
{
    (void)state;
    packet_limit_set(3);
    assert_int_equal(RAND_bytes(bytes, sizeof(bytes)), 1);
    assert_false(packet_limit_clear());
}

static void *take_many(void *arg)
{
    int i;

    for (i = 0; i < 100; i++) {
        *(bool *)arg &= RAND_bytes(bytes, sizeof(bytes)) == 1;
    }
    return NULL;
}

static void another_thread_has_no_limit(void **state)
{
    bool all = true;
    pthread_t thread;

    (void)state;
    packet_limit_set(1);
    assert_int_equal(pthread_create(&thread, NULL, take_many, &all), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(all);
    assert_false(packet_limit_clear());
}

static int open_it(void **state)
{
    (void)state;
    return packet_limit_open();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_so_many_packets_the_next_fails),
        cmocka_unit_test(a_limit_that_was_not_reached_says_so),
        cmocka_unit_test(another_thread_has_no_limit),
    };

    return cmocka_run_group_tests(tests, open_it, NULL);
}
