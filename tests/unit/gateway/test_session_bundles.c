/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/gateway/session_check.h"

/* --- bundles ------------------------------------------------------------------------------------------ */

static void a_bundle_is_acked_only_on_kafkas_report(void **state)
{
    struct message m;

    (void)state;
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 5)); /* a session may begin anywhere */
    assert_int_equal(r.published_count, 1);
    assert_int_equal(r.published[0]->sequence, 5);
    expect_nothing();
    rig_report(&r, 0, true);
    expect_next(MESSAGE_ACK, &m);
    assert_int_equal(m.ack.sequence, 5);
    assert_memory_equal(m.ack.digest, r.last_digest, 32);
    assert_int_equal(r.memory.used, 0);
}

static void acks_come_in_the_order_of_the_bundles(void **state)
{
    (void)state;
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 1) && rig_put_bundle(&r, 2) && rig_put_bundle(&r, 3));
    rig_report(&r, 2, true);
    rig_report(&r, 1, true);
    expect_nothing();
    rig_report(&r, 0, true);
    expect_ack(1);
    expect_ack(2);
    expect_ack(3);
}

static void a_bad_bundle_is_refused_in_its_turn_and_the_next_goes_on(void **state)
{
    struct message m;

    (void)state;
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 1));
    assert_true(put_bundle_of(&r.host, 2, 2, r.foreign_key));
    assert_true(rig_put_bundle(&r, 3));
    assert_int_equal(r.published_count, 2);
    assert_false(r.published[1]->doubt); /* it names the refused one */
    expect_nothing();
    rig_report(&r, 1, true);
    rig_report(&r, 0, true);
    expect_ack(1);
    expect_next(MESSAGE_REFUSE, &m);
    assert_int_equal(m.refuse.sequence, 2);
    assert_int_equal(m.refuse.code, MESSAGE_REFUSE_SIGNATURE);
    assert_true(m.refuse.final);
    expect_ack(3);
    assert_false(session_is_over(r.session));
}

static void a_bundle_may_be_signed_by_a_key_that_has_ended(void **state)
{
    (void)state;
    rig_open_host(&r);
    assert_true(put_bundle_of(&r.host, 1, 1, r.old_key));
    assert_int_equal(r.published_count, 1);
}

static void a_bundle_that_does_not_follow_is_published_with_doubt(void **state)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    const uint8_t nobody[32] = { 1 };
    struct message m;

    (void)state;
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 1));
    rig_seal(&r, &r.host, 2, nobody, r.key, &block);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.sequence = 2;
    m.bundle.block = buf_slice(&block);
    assert_true(rig_put(&r, &m));
    buf_free(&block);
    assert_true(rig_put_bundle(&r, 9)); /* nothing to compare it with */
    assert_int_equal(r.published_count, 3);
    assert_false(r.published[0]->doubt);
    assert_true(r.published[1]->doubt);
    assert_false(r.published[2]->doubt);
    assert_int_equal(stat_get(r.stats, STAT_gateway_doubts), 1);
    assert_int_equal(stat_get(r.stats, STAT_gateway_skips), 1);
}

static void a_bundle_that_goes_back_ends_the_session(void **state)
{
    static const uint64_t sequences[] = { 5, 4 };
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        rig_open_host(&r);
        assert_true(rig_put_bundle(&r, 5));
        (void)rig_put_bundle(&r, sequences[i]);
        assert_int_equal(r.published_count, 1);
        expect_refuse(0, MESSAGE_REFUSE_ORDER, false);
        expect_end(END_ORDER);
        rig_close(&r);
    }
}

static void a_bundle_without_sequence_or_block_ends_the_session(void **state)
{
    struct message m;

    (void)state;
    rig_open_host(&r);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.block = slice_str("x");
    assert_true(rig_put(&r, &m));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
    rig_close(&r);
    rig_open_host(&r);
    m.bundle.sequence = 1;
    m.bundle.block = SLICE_EMPTY;
    assert_true(rig_put(&r, &m));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
}

static void bytes_may_come_one_by_one(void **state)
{
    struct buf block = BUF_INIT(BUNDLE_MAX), frame = BUF_INIT(BUNDLE_MAX);
    struct message m;
    size_t i;

    (void)state;
    rig_open_host(&r);
    rig_seal(&r, &r.host, 1, NULL, r.key, &block);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.sequence = 1;
    m.bundle.block = buf_slice(&block);
    assert_int_equal(message_put(&m, &frame), 0);
    for (i = 0; i < frame.len; i++) {
        assert_int_equal(rig_feed(&r, slice_of(frame.data + i, 1)), 1);
    }
    assert_int_equal(r.published_count, 1);
    assert_true(slice_eq(r.published[0]->block, buf_slice(&block)));
    buf_free(&block);
    buf_free(&frame);
}

static void every_truncation_of_a_bundle_leaves_the_session_in_wait(void **state)
{
    struct buf frame = BUF_INIT(BUNDLE_MAX), block = BUF_INIT(BUNDLE_MAX);
    struct message m;
    size_t i;

    (void)state;
    rig_seal(&r, &r.host, 1, NULL, r.key, &block);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.sequence = 1;
    m.bundle.block = buf_slice(&block);
    assert_int_equal(message_put(&m, &frame), 0);
    for (i = 0; i < frame.len; i += 13) {
        rig_open_host(&r);
        assert_int_equal(rig_feed(&r, slice_of(frame.data, i)), i);
        assert_int_equal(r.published_count, 0);
        expect_nothing();
        rig_close(&r);
        assert_int_equal(r.memory.used, 0);
    }
    buf_free(&block);
    buf_free(&frame);
}

static void a_message_that_does_not_end_in_time_ends_the_session(void **state)
{
    const uint8_t head[6] = { 0, 0, 0x20, 0, MESSAGE_BUNDLE, 4 };

    (void)state;
    rig_open_host(&r);
    assert_int_equal(rig_feed(&r, slice_of(head, 6)), 6);
    fake_clock_advance(r.conf.message_us - 1);
    (void)session_tick(r.session, clock_mono_us());
    rig_forget(&r);
    assert_false(session_is_over(r.session));
    fake_clock_advance(1);
    (void)session_tick(r.session, clock_mono_us());
    expect_end(END_SLOW);
}

static void garbage_ends_the_session(void **state)
{
    const uint8_t zero[5] = { 0 }, unknown[6] = { 0, 0, 0, 2, 77, 0 }, huge[5] = { 0xff, 0xff, 0xff, 0xff, 5 };
    const uint8_t body[7] = { 0, 0, 0, 3, MESSAGE_BUNDLE, 0xff, 0xff };

    (void)state;
    rig_open_host(&r);
    (void)rig_feed(&r, slice_of(zero, 5));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
    rig_close(&r);
    rig_open_host(&r);
    (void)rig_feed(&r, slice_of(unknown, 6));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
    rig_close(&r);
    rig_open_host(&r);
    (void)rig_feed(&r, slice_of(huge, 5));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
    rig_close(&r);
    rig_open_host(&r);
    (void)rig_feed(&r, slice_of(body, 7));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
}

static void messages_of_later_versions_are_skipped(void **state)
{
    const uint8_t later[8] = { 0, 0, 0, 4, 200, 1, 2, 3 };

    (void)state;
    rig_open_host(&r);
    assert_int_equal(rig_feed(&r, slice_of(later, 8)), 8);
    expect_nothing();
    assert_false(session_is_over(r.session));
}

/* --- room --------------------------------------------------------------------------------------------- */

static void when_kafkas_client_is_full_the_session_is_not_read(void **state)
{
    struct message m;

    (void)state;
    rig_open_host(&r);
    r.publish_code = POFR_EFULL;
    assert_true(rig_put_bundle(&r, 1));
    expect_next(MESSAGE_SLOW_DOWN, &m);
    assert_true(session_is_blocked(r.session));
    assert_int_equal(session_wants(r.session), 0);
    assert_false(rig_put_bundle(&r, 2));
    assert_false(session_retry(r.session));
    fake_clock_advance(2000000);
    r.publish_code = 0;
    assert_true(session_retry(r.session));
    assert_int_equal(r.published_count, 1);
    assert_true(session_wants(r.session) > 0);
    assert_int_equal(stat_get(r.stats, STAT_gateway_backpressure), 2000000);
    rig_report(&r, 0, true);
    expect_ack(1);
}

static void when_kafkas_client_is_lost_the_agent_comes_again_later(void **state)
{
    (void)state;
    rig_open_host(&r);
    r.publish_code = POFR_EREFUSED;
    assert_true(rig_put_bundle(&r, 1));
    expect_refuse(0, MESSAGE_REFUSE_UNAVAILABLE, false);
    expect_end(END_DELIVERY);
    assert_true(session_is_idle(r.session));
    assert_int_equal(r.memory.used, 0);
}

static void a_window_that_is_full_is_read_again_after_an_ack(void **state)
{
    uint64_t n;

    (void)state;
    rig_open_host(&r);
    for (n = 1; n <= 5; n++) { /* one more than the window: a ping must still come through */
        assert_true(rig_put_bundle(&r, n));
    }
    assert_int_equal(session_wants(r.session), 0);
    assert_false(session_is_blocked(r.session)); /* nothing that the lane must lift */
    rig_report(&r, 0, true);
    assert_true(session_wants(r.session) > 0);
    expect_ack(1);
    expect_nothing(); /* and no SLOW_DOWN */
}

static void bytes_of_one_session_are_limited_but_one_bundle_is_always_taken(void **state)
{
    (void)state;
    r.conf.session_memory = 10;
    limits_set(r.limits, &r.conf, UINT64_MAX);
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 1));
    assert_int_equal(session_wants(r.session), 0);
    rig_report(&r, 0, true);
    assert_true(session_wants(r.session) > 0);
}

/* A bundle of some size, not signed: only its room is of interest. */
static bool put_large(size_t size)
{
    struct buf block = BUF_INIT(BUNDLE_MAX);
    struct message m;
    bool all;

    memset(buf_reserve(&block, size), 'x', size);
    buf_advance(&block, size);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_BUNDLE;
    m.bundle.sequence = 1;
    m.bundle.block = buf_slice(&block);
    all = rig_put(&r, &m);
    buf_free(&block);
    return all;
}

static void a_lane_without_memory_takes_no_bundle_but_still_a_ping(void **state)
{
    struct message m;

    (void)state;
    rig_open_host(&r);
    r.memory.used = r.memory.max; /* others have it */
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_PING;
    m.ping.token = 7;
    assert_true(rig_put(&r, &m));
    expect_next(MESSAGE_PONG, &m);
    assert_int_equal(m.ping.token, 7);
    assert_false(put_large(100000));
    assert_true(session_is_blocked(r.session));
    expect_next(MESSAGE_SLOW_DOWN, &m);
    assert_false(session_retry(r.session));
    r.memory.used = 0;
    assert_true(session_retry(r.session));
    assert_true(session_wants(r.session) > 90000);
    rig_close(&r);
    assert_int_equal(r.memory.used, 0);
}

static void a_bundle_larger_than_the_gateway_takes_is_refused_finally(void **state)
{
    (void)state;
    r.conf.bundle_max = 50000;
    limits_set(r.limits, &r.conf, UINT64_MAX);
    rig_open_host(&r);
    assert_true(put_large(50001));
    expect_refuse(1, MESSAGE_REFUSE_SIZE, true);
    assert_false(session_is_over(r.session));
}

static void a_peer_that_does_not_read_its_answers_is_cut(void **state)
{
    struct message m;
    int i;

    (void)state;
    rig_open_host(&r);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_PING;
    m.ping.token = UINT64_MAX;
    for (i = 0; i < 100000 && !session_is_over(r.session); i++) {
        (void)rig_put(&r, &m);
    }
    expect_end(END_STUCK);
    assert_true(session_output(r.session).len <= 65536);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, session_set_up, session_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_bundle_is_acked_only_on_kafkas_report),
        T(acks_come_in_the_order_of_the_bundles),
        T(a_bad_bundle_is_refused_in_its_turn_and_the_next_goes_on),
        T(a_bundle_may_be_signed_by_a_key_that_has_ended),
        T(a_bundle_that_does_not_follow_is_published_with_doubt),
        T(a_bundle_that_goes_back_ends_the_session),
        T(a_bundle_without_sequence_or_block_ends_the_session),
        T(bytes_may_come_one_by_one),
        T(every_truncation_of_a_bundle_leaves_the_session_in_wait),
        T(a_message_that_does_not_end_in_time_ends_the_session),
        T(garbage_ends_the_session),
        T(messages_of_later_versions_are_skipped),
        T(when_kafkas_client_is_full_the_session_is_not_read),
        T(when_kafkas_client_is_lost_the_agent_comes_again_later),
        T(a_window_that_is_full_is_read_again_after_an_ack),
        T(bytes_of_one_session_are_limited_but_one_bundle_is_always_taken),
        T(a_lane_without_memory_takes_no_bundle_but_still_a_ping),
        T(a_bundle_larger_than_the_gateway_takes_is_refused_finally),
        T(a_peer_that_does_not_read_its_answers_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
