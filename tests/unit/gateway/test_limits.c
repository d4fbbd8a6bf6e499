/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "gateway/limits.h"
#include "tests/support/fake_clock.h"

static struct limits *limits;
static struct gateway_conf conf;

static int set_up(void **state)
{
    (void)state;
    fake_clock_reset();
    conf = (struct gateway_conf){
        .sessions = 6, .sessions_per_address = 4, .unauthenticated = 3, .unauthenticated_per_address = 2, .window = 1
    };
    return limits_new(&conf, &limits, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    limits_free(limits);
    return 0;
}

static struct limit_address at(const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct limit_address a;

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        limit_address_of((struct sockaddr *)&v4, &a);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        limit_address_of((struct sockaddr *)&v6, &a);
    }
    return a;
}

static int enter(const char *text)
{
    struct limit_address a = at(text);

    return limits_enter(limits, &a);
}

static void log_in(const char *text)
{
    struct limit_address a = at(text);

    limits_authenticated(limits, &a);
}

static void leave(const char *text, bool known)
{
    struct limit_address a = at(text);

    limits_leave(limits, &a, known);
}

static void one_address_can_not_take_all_places_of_strangers(void **state)
{
    (void)state;
    assert_int_equal(enter("192.0.2.1"), 0);
    assert_int_equal(enter("192.0.2.1"), 0);
    assert_int_equal(enter("192.0.2.1"), REFUSAL_ADDRESS + 1);
    assert_int_equal(enter("192.0.2.2"), 0);
    assert_int_equal(enter("192.0.2.3"), REFUSAL_UNAUTHENTICATED + 1);
    log_in("192.0.2.1");
    assert_int_equal(enter("192.0.2.3"), 0);
}

static void sessions_are_limited_in_all_and_per_address(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 4; i++) {
        assert_int_equal(enter("192.0.2.1"), 0);
        log_in("192.0.2.1");
    }
    assert_int_equal(enter("192.0.2.1"), REFUSAL_ADDRESS + 1);
    assert_int_equal(enter("192.0.2.2"), 0);
    log_in("192.0.2.2");
    assert_int_equal(enter("192.0.2.3"), 0);
    log_in("192.0.2.3");
    assert_int_equal(enter("192.0.2.4"), REFUSAL_SESSIONS + 1);
    leave("192.0.2.1", true);
    assert_int_equal(enter("192.0.2.4"), 0);
}

static void who_leaves_gives_back_what_he_had(void **state)
{
    (void)state;
    assert_int_equal(enter("192.0.2.1"), 0);
    assert_int_equal(enter("192.0.2.1"), 0);
    log_in("192.0.2.1");
    leave("192.0.2.1", true);
    assert_int_equal(limits_sessions(limits), 1);
    assert_int_equal(limits_unauthenticated(limits), 1);
    leave("192.0.2.1", false);
    assert_int_equal(limits_sessions(limits), 0);
    assert_int_equal(limits_unauthenticated(limits), 0);
    leave("192.0.2.1", false); /* never came */
    assert_int_equal(limits_sessions(limits), 0);
}

static void a_whole_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4(void **state)
{
    (void)state;
    assert_int_equal(enter("2001:db8:1:2::1"), 0);
    assert_int_equal(enter("2001:db8:1:2:ffff::9"), 0);
    assert_int_equal(enter("2001:db8:1:2:3::4"), REFUSAL_ADDRESS + 1);
    assert_int_equal(enter("2001:db8:1:3::1"), 0);
    leave("2001:db8:1:3::1", false);
    leave("2001:db8:1:2::1", false);
    leave("2001:db8:1:2::1", false);
    assert_int_equal(enter("::ffff:192.0.2.1"), 0);
    assert_int_equal(enter("192.0.2.1"), 0);
    assert_int_equal(enter("::ffff:192.0.2.1"), REFUSAL_ADDRESS + 1);
}

static void new_limits_hold_from_the_next_connection_on(void **state)
{
    (void)state;
    assert_int_equal(enter("192.0.2.1"), 0);
    assert_int_equal(enter("192.0.2.1"), 0);
    conf.unauthenticated_per_address = 3;
    conf.window = 9;
    limits_set(limits, &conf, UINT64_MAX);
    assert_int_equal(enter("192.0.2.1"), 0);
    assert_int_equal(atomic_load(&limits_values(limits)->window), 9);
}

static void a_stranger_is_held_to_a_rate_and_known_hosts_behind_the_same_address_are_not(void **state)
{
    int i;

    (void)state;
    conf.connects_per_address = 10;
    conf.connects_burst = 100;
    limits_set(limits, &conf, UINT64_MAX);
    for (i = 0; i < 1000; i++) { /* they all come again within a moment */
        assert_int_equal(enter("192.0.2.1"), 0);
        log_in("192.0.2.1");
        leave("192.0.2.1", true);
    }
    for (i = 0; i < 100; i++) {
        assert_int_equal(enter("192.0.2.2"), 0);
        leave("192.0.2.2", false);
    }
    assert_int_equal(enter("192.0.2.2"), REFUSAL_RATE + 1);
    assert_int_equal(enter("192.0.2.3"), 0);
    fake_clock_advance(100000);
    assert_int_equal(enter("192.0.2.2"), 0);
    assert_int_equal(enter("192.0.2.2"), REFUSAL_RATE + 1);
    assert_int_equal(limits_sessions(limits), 2);
}

static void it_is_known_when_a_stranger_more_would_be_refused(void **state)
{
    (void)state;
    assert_int_equal(enter("192.0.2.1"), 0);
    assert_int_equal(enter("192.0.2.2"), 0);
    assert_true(limits_has_room_for_strangers(limits));
    assert_int_equal(enter("192.0.2.3"), 0);
    assert_false(limits_has_room_for_strangers(limits));
    log_in("192.0.2.1");
    assert_true(limits_has_room_for_strangers(limits));
}

static void there_are_never_more_sessions_than_open_files_allow(void **state)
{
    (void)state;
    conf.sessions = 100000;
    limits_set(limits, &conf, 1024);
    assert_true(atomic_load(&limits_values(limits)->sessions) < 1024);
    limits_set(limits, &conf, 10);
    assert_int_equal(atomic_load(&limits_values(limits)->sessions), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(one_address_can_not_take_all_places_of_strangers),
        T(sessions_are_limited_in_all_and_per_address),
        T(who_leaves_gives_back_what_he_had),
        T(a_whole_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4),
        T(new_limits_hold_from_the_next_connection_on),
        T(a_stranger_is_held_to_a_rate_and_known_hosts_behind_the_same_address_are_not),
        T(it_is_known_when_a_stranger_more_would_be_refused),
        T(there_are_never_more_sessions_than_open_files_allow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
