/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/watch/health.h"
#include "tests/support/check.h"

#define NOW_US  1767225600000000LL
#define WEEK_MS 604800000LL

/* A slot that is well: written, read, stored. */
static struct health_slot well(void)
{
    return (struct health_slot){
        .kafka = { .leader = 1, .replicas = 3, .in_sync = 3, .low = 10, .high = 100, .committed = 100 },
        .mapped = true,
        .known = true,
        .next_offset = 100
    };
}

/* The next message came to Kafka so long ago, and was looked at 4 s earlier. */
static struct health_slot behind(int64_t messages, int64_t seconds)
{
    struct health_slot s = well();

    s.next_offset -= messages;
    s.unread = (struct look_unread){ .found = true,
                                     .offset = s.next_offset,
                                     .appended_ms = NOW_US / 1000 - seconds * 1000,
                                     .captured_us = NOW_US - (seconds + 4) * 1000000 };
    return s;
}

static struct health_result judge(const struct health_slot *s)
{
    return health_of(s, WEEK_MS, 2, NOW_US);
}

static void nothing_is_wrong_with_a_slot_that_is_stored(void **state)
{
    struct health_slot s = well();
    struct health_result r = judge(&s);

    (void)state;
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.lag, 0);
    assert_int_equal(r.lag_seconds, 0);
    assert_int_equal(r.margin_seconds, WEEK_MS / 1000);
}

static void lag_is_the_age_of_the_first_message_that_is_not_stored(void **state)
{
    struct health_slot s = behind(7, 30);
    struct health_result r = judge(&s);

    (void)state;
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.lag, 7);
    assert_int_equal(r.lag_seconds, 34);
    assert_int_equal(r.kafka_seconds, 30);
    assert_int_equal(r.margin_seconds, WEEK_MS / 1000 - 30);
}

static void a_slot_is_stuck_only_where_a_message_waits_and_nothing_moves(void **state)
{
    struct health_slot s = behind(1, HEALTH_STUCK_S);

    (void)state;
    s.idle_s = HEALTH_STUCK_S - 1; /* something was stored meanwhile */
    assert_int_equal(judge(&s).problems, 0);
    s.idle_s = HEALTH_STUCK_S;
    assert_int_equal(judge(&s).problems, HEALTH_STUCK);
    s = behind(1, HEALTH_STUCK_S - 1); /* it came just now, to a slot that was silent for long */
    s.idle_s = 1000000;
    assert_int_equal(judge(&s).problems, 0);
    s = well();
    s.idle_s = 1000000;
    assert_int_equal(judge(&s).problems, 0);
}

static void what_is_deleted_soon_is_told_before_and_what_is_deleted_after(void **state)
{
    struct health_slot s = behind(5, WEEK_MS / 1000 - HEALTH_MARGIN_S + 1);

    (void)state;
    assert_int_equal(judge(&s).problems, HEALTH_RETENTION);
    assert_int_equal(judge(&s).margin_seconds, HEALTH_MARGIN_S - 1);
    s = behind(5, WEEK_MS / 1000 + 50);
    assert_int_equal(judge(&s).margin_seconds, 0);
    s = behind(95, 20);
    assert_int_equal(judge(&s).problems, HEALTH_LOST);
    assert_int_equal(health_of(&s, -1, 2, NOW_US).margin_seconds, -1);
}

static void replicas_are_compared_with_what_there_are_and_what_there_must_be(void **state)
{
    struct health_slot s = well();

    (void)state;
    s.kafka.in_sync = 2;
    assert_int_equal(judge(&s).problems, HEALTH_UNDER_REPLICATED);
    s.kafka.in_sync = 1;
    assert_int_equal(judge(&s).problems, HEALTH_UNDER_REPLICATED | HEALTH_BELOW_MIN_ISR);
    s.kafka.leader = -1;
    s.kafka.low = s.kafka.high = -1;
    assert_int_equal(judge(&s).problems, HEALTH_OFFLINE);
    assert_int_equal(judge(&s).lag, -1);
}

static void what_kafka_has_deleted_does_not_wait_any_more(void **state)
{
    struct health_slot s = behind(7, 30);

    (void)state;
    s.kafka.low = s.next_offset + 4;
    assert_int_equal(judge(&s).problems, HEALTH_LOST);
    assert_int_equal(judge(&s).lag, 3);
    s.kafka.low = s.kafka.high;
    s.unread.found = false;
    assert_int_equal(judge(&s).problems, HEALTH_LOST);
    assert_int_equal(judge(&s).lag, 0);
    assert_int_equal(judge(&s).lag_seconds, 0);
}

static void who_is_missing_is_told_apart(void **state)
{
    struct health_slot s = well();

    (void)state;
    s.kafka.owner = LOOK_NO_OWNER;
    assert_int_equal(judge(&s).problems, HEALTH_NO_OWNER);
    s.known = false;
    assert_int_equal(judge(&s).problems, HEALTH_NO_OWNER | HEALTH_SHARD_DOWN);
    s.mapped = false;
    assert_int_equal(judge(&s).problems, HEALTH_NO_OWNER | HEALTH_NO_SHARD);
    assert_int_equal(judge(&s).lag, -1);
}

static void a_pause_counts_while_its_worker_says_so(void **state)
{
    struct health_slot s = well();

    (void)state;
    memcpy(s.cause, "catalog", 8);
    s.cause_s = s.idle_s = HEALTH_STUCK_S;
    assert_int_equal(judge(&s).problems, HEALTH_PAUSED);
    s.told_s = HEALTH_TOLD_S; /* that worker is dead, or can't reach the catalog: others say that */
    assert_int_equal(judge(&s).problems, 0);
    s.told_s = -1;
    assert_int_equal(judge(&s).problems, 0);
    s.told_s = 0;
    s.idle_s = 1;
    assert_int_equal(judge(&s).problems, 0);
    s.known = false; /* its shard is down: that is why */
    assert_int_equal(judge(&s).problems, HEALTH_SHARD_DOWN | HEALTH_PAUSED);
}

static void every_problem_has_a_name_and_a_text(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HEALTH_PROBLEMS; i++) {
        assert_true(strlen(health_name(i)) > 0);
        assert_true(strlen(health_text(i)) > 0);
    }
    assert_string_equal(health_name(HEALTH_PROBLEMS), "");
    assert_string_equal(health_name(__builtin_ctz(HEALTH_RETENTION)), "retention");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wrong_with_a_slot_that_is_stored),
        cmocka_unit_test(lag_is_the_age_of_the_first_message_that_is_not_stored),
        cmocka_unit_test(what_kafka_has_deleted_does_not_wait_any_more),
        cmocka_unit_test(a_slot_is_stuck_only_where_a_message_waits_and_nothing_moves),
        cmocka_unit_test(what_is_deleted_soon_is_told_before_and_what_is_deleted_after),
        cmocka_unit_test(replicas_are_compared_with_what_there_are_and_what_there_must_be),
        cmocka_unit_test(who_is_missing_is_told_apart),
        cmocka_unit_test(a_pause_counts_while_its_worker_says_so),
        cmocka_unit_test(every_problem_has_a_name_and_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
