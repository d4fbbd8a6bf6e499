/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <string.h>

#include "workers/slots.h"

static const uint8_t before[32] = { 7 }, other[32] = { 8 };

/* At offset next, in a log of low to high. */
static struct slot_action begin(struct slot *s, int64_t next, int64_t low, int64_t high)
{
    struct store_position at = { .owned = true, .generation = 1, .next_offset = next };

    *s = (struct slot){ .shard_id = 1, .generation = 1 };
    memcpy(at.before_digest, before, sizeof(before));
    assert_int_equal(slot_assigned(s).what, SLOT_DO_LOAD);
    assert_int_equal(slot_loaded(s, &at).what, SLOT_DO_ASK_LIMITS);
    return slot_limits(s, low, high);
}

static void expect(struct slot_action got, enum slot_do what, int64_t offset)
{
    assert_int_equal(got.what, what);
    assert_int_equal(got.offset, offset);
}

static void the_message_before_ours_is_compared_before_anything_is_stored(void **state)
{
    struct slot s;

    (void)state;
    expect(begin(&s, 5, 0, 9), SLOT_DO_SEEK, 4);
    expect(slot_message(&s, 4, before), SLOT_DO_DROP, 0);
    expect(slot_message(&s, 5, other), SLOT_DO_ENQUEUE, 0);
    expect(slot_message(&s, 6, other), SLOT_DO_ENQUEUE, 0);
    expect(begin(&s, 5, 0, 9), SLOT_DO_SEEK, 4);
    expect(slot_message(&s, 4, other), SLOT_DO_REINCARNATE, 0);
}

static void none_but_the_next_message_is_taken_wherever_fetching_jumped(void **state)
{
    static const int64_t jumps[] = { 0, 4, 6, 100 };
    struct slot s;

    (void)state;
    for (size_t i = 0; i < pofr_countof(jumps); i++) {
        expect(begin(&s, 5, 0, 9), SLOT_DO_SEEK, 4);
        expect(slot_message(&s, 4, before), SLOT_DO_DROP, 0);
        for (unsigned n = 0; n < SLOT_SEEKS_MAX; n++) {
            expect(slot_message(&s, jumps[i], other), SLOT_DO_SEEK, 5);
        }
        expect(slot_message(&s, jumps[i], other), SLOT_DO_LOAD, 0);
        expect(slot_message(&s, 5, other), SLOT_DO_DROP, 0); /* it is being loaded */
    }
}

static void a_message_that_came_after_all_ends_the_count_of_seeks(void **state)
{
    struct slot s;

    (void)state;
    expect(begin(&s, 0, 0, 9), SLOT_DO_SEEK, 0);
    for (int64_t at = 0; at < 20; at++) {
        expect(slot_message(&s, at + 1, other), SLOT_DO_SEEK, at);
        expect(slot_message(&s, at, other), SLOT_DO_ENQUEUE, 0);
    }
}

static void a_log_that_begins_behind_us_is_skipped_to(void **state)
{
    struct slot s;

    (void)state;
    expect(begin(&s, 5, 7, 9), SLOT_DO_SKIP, 7);
    expect(slot_message(&s, 7, other), SLOT_DO_DROP, 0); /* not before the shard has gone there */
}

static void a_log_that_ends_before_us_is_another_one(void **state)
{
    struct slot s;

    (void)state;
    expect(begin(&s, 5, 0, 4), SLOT_DO_REINCARNATE, 0);
}

static void a_slot_from_which_nothing_comes_is_loaded_again(void **state)
{
    struct slot s;
    uint64_t epoch;

    (void)state;
    (void)begin(&s, 5, 0, 9);
    epoch = s.epoch;
    expect(slot_stalled(&s), SLOT_DO_LOAD, 0);
    assert_true(s.epoch > epoch);
    expect(slot_stalled(&s), SLOT_DO_NOTHING, 0); /* it is being loaded */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message_before_ours_is_compared_before_anything_is_stored),
        cmocka_unit_test(none_but_the_next_message_is_taken_wherever_fetching_jumped),
        cmocka_unit_test(a_message_that_came_after_all_ends_the_count_of_seeks),
        cmocka_unit_test(a_log_that_begins_behind_us_is_skipped_to),
        cmocka_unit_test(a_log_that_ends_before_us_is_another_one),
        cmocka_unit_test(a_slot_from_which_nothing_comes_is_loaded_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
