/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "common/os/clock.h"
#include "gateway/rate.h"

#define NOW INT64_C(1000000000)

static struct rate *rate;

static int set_up(void **state)
{
    (void)state;
    return rate_new(&rate, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    rate_free(rate);
    return 0;
}

static bool take(uint32_t number, int64_t now_us)
{
    uint8_t address[RATE_ADDRESS_SIZE] = { 0 };

    memcpy(address, &number, sizeof(number));
    return rate_take(rate, address, now_us);
}

static void give_back(uint32_t number)
{
    uint8_t address[RATE_ADDRESS_SIZE] = { 0 };

    memcpy(address, &number, sizeof(number));
    rate_give_back(rate, address);
}

static void a_burst_goes_through_and_then_the_rate_holds(void **state)
{
    int i;

    (void)state;
    rate_set(rate, 10, 5);
    for (i = 0; i < 5; i++) {
        assert_true(take(1, NOW));
    }
    assert_false(take(1, NOW));
    assert_false(take(1, NOW + 99999)); /* being refused costs nothing more */
    assert_true(take(1, NOW + 100000));
    assert_false(take(1, NOW + 100000));
    for (i = 0; i < 5; i++) {
        assert_true(take(1, NOW + 100000 + CLOCK_US_PER_S));
    }
    assert_false(take(1, NOW + 100000 + CLOCK_US_PER_S)); /* never more than the burst */
}

static void each_address_has_its_own(void **state)
{
    (void)state;
    rate_set(rate, 1, 1);
    assert_true(take(1, NOW));
    assert_true(take(2, NOW));
    assert_false(take(1, NOW));
    assert_false(take(2, NOW));
}

static void who_shows_a_known_key_counts_a_sixteenth(void **state)
{
    int i;

    (void)state;
    rate_set(rate, 1, 4);
    for (i = 0; i < 48; i++) {
        assert_true(take(1, NOW));
        give_back(1);
    }
    assert_true(take(1, NOW)); /* three tokens are gone: this is the last one */
    assert_false(take(1, NOW));
    give_back(2); /* never came */
    assert_int_equal(rate_addresses(rate), 1);
}

static void no_limit_remembers_nobody(void **state)
{
    int i;

    (void)state;
    rate_set(rate, 0, 1);
    for (i = 0; i < 1000; i++) {
        assert_true(take(1, NOW));
    }
    assert_int_equal(rate_addresses(rate), 0);
}

static void addresses_are_forgotten_when_their_bucket_is_full_again(void **state)
{
    uint32_t i;

    (void)state;
    rate_set(rate, 10, 5);
    for (i = 0; i < 100; i++) {
        assert_true(take(i, NOW));
    }
    assert_int_equal(rate_addresses(rate), 100);
    for (i = 0; i < 100; i++) {
        assert_true(take(1000, NOW + CLOCK_US_PER_S * (int64_t)(i + 1)));
    }
    assert_int_equal(rate_addresses(rate), 1);
}

static void the_table_has_an_end_and_the_one_seen_longest_ago_goes_first(void **state)
{
    uint32_t i;

    (void)state;
    rate_set(rate, 1, 1);
    for (i = 0; i < RATE_ADDRESSES_MAX; i++) {
        assert_true(take(i, NOW));
    }
    assert_false(take(0, NOW)); /* seen again: so 1 is the oldest */
    assert_true(take(RATE_ADDRESSES_MAX, NOW));
    assert_int_equal(rate_addresses(rate), RATE_ADDRESSES_MAX);
    assert_false(take(0, NOW));
    assert_false(take(2, NOW));
    assert_true(take(1, NOW));
}

static void a_new_rate_holds_at_once(void **state)
{
    (void)state;
    rate_set(rate, 1, 1);
    assert_true(take(1, NOW));
    assert_false(take(1, NOW));
    rate_set(rate, 1, 2);
    assert_true(take(1, NOW));
    rate_set(rate, 1000000, 1);
    assert_true(take(1, NOW + 2 * CLOCK_US_PER_S));
    assert_true(take(1, NOW + 2 * CLOCK_US_PER_S + 1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_burst_goes_through_and_then_the_rate_holds),
        T(each_address_has_its_own),
        T(who_shows_a_known_key_counts_a_sixteenth),
        T(no_limit_remembers_nobody),
        T(addresses_are_forgotten_when_their_bucket_is_full_again),
        T(the_table_has_an_end_and_the_one_seen_longest_ago_goes_first),
        T(a_new_rate_holds_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
