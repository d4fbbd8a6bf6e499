/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/gateway/session_check.h"

/* --- the first message -------------------------------------------------------------------------------- */

static void a_host_is_welcomed_when_it_has_its_claim(void **state)
{
    struct message m;

    (void)state;
    rig_open(&r, SESSION_HOST);
    assert_true(rig_put_hello(&r));
    assert_int_equal(r.claims, 1);
    expect_nothing();
    assert_int_equal(session_wants(r.session), 0);
    session_claimed(r.session);
    expect_next(MESSAGE_WELCOME, &m);
    assert_int_equal(m.welcome.version, 1);
    assert_int_equal(m.welcome.window, 4);
    assert_int_equal(m.welcome.bundle_max, BUNDLE_MAX);
    assert_slice_str(m.welcome.gateway, "rig");
    assert_int_equal(m.welcome.wall_us, clock_wall_us());
    assert_memory_equal(m.welcome.key, sshkey_public(r.key), 32);
    assert_int_equal(m.welcome.wanted_len, 0);
    assert_true(session_wants(r.session) > 0);
}

static void welcome_names_the_wanted_bundles_of_this_host(void **state)
{
    struct wanted_row *rows = (struct wanted_row *)calloc(4, sizeof(*rows));
    struct message m;

    (void)state;
    rows[0] = (struct wanted_row){ r.host_id - 1, { 1, 2 }, 1 };
    rows[1] = (struct wanted_row){ r.host_id, { 3, 4 }, 1 };
    rows[2] = (struct wanted_row){ r.host_id, { 9, 9 }, 2 };
    rows[3] = (struct wanted_row){ r.host_id + 1, { 5, 6 }, 3 };
    assert_true(wanted_replace(r.wanted, rows, 4));
    rig_open(&r, SESSION_HOST);
    assert_true(rig_put_hello(&r));
    session_claimed(r.session);
    expect_next(MESSAGE_WELCOME, &m);
    assert_int_equal(m.welcome.wanted_len, 2);
    assert_int_equal(m.welcome.wanted[0].first, 3);
    assert_int_equal(m.welcome.wanted[1].last, 9);
}

/* Only the answer to HELLO names them. */
static void what_is_wanted_since_the_welcome_ends_the_session(void **state)
{
    struct wanted_row *rows = (struct wanted_row *)calloc(2, sizeof(*rows));
    struct session_identity who;

    (void)state;
    rig_open_host(&r);
    who = *session_who(r.session);
    rows[0] = (struct wanted_row){ r.host_id - 1, { 1, 2 }, 7 };
    assert_true(wanted_replace(r.wanted, rows, 1));
    session_rejudge(r.session, &who);
    assert_false(session_is_over(r.session)); /* another's */
    rows = (struct wanted_row *)calloc(2, sizeof(*rows));
    rows[0] = (struct wanted_row){ r.host_id, { 1, 2 }, 8 };
    assert_true(wanted_replace(r.wanted, rows, 1));
    session_rejudge(r.session, &who);
    expect_refuse(0, MESSAGE_REFUSE_BUSY, false);
    expect_end(END_WANTED);
}

static void what_the_welcome_named_ends_no_session(void **state)
{
    struct wanted_row *rows = (struct wanted_row *)calloc(1, sizeof(*rows));
    struct session_identity who;

    (void)state;
    rows[0] = (struct wanted_row){ r.host_id, { 1, 2 }, 8 };
    assert_true(wanted_replace(r.wanted, rows, 1));
    rig_open_host(&r);
    who = *session_who(r.session);
    session_rejudge(r.session, &who);
    assert_false(session_is_over(r.session));
}

static void the_offset_is_of_the_middle_between_request_and_hello(void **state)
{
    const struct session_hello *h;

    (void)state;
    rig_open(&r, SESSION_HOST);
    fake_clock_advance(200000);
    assert_true(rig_put_hello(&r));
    h = session_hello_of(r.session);
    assert_int_equal(h->offset_us, clock_wall_us() - 100000 - 5000000);
    assert_int_equal(h->uncertainty_us, 100000);
    assert_int_equal(h->boot.b[0], 0x33);
}

static void a_fast_hello_is_still_a_millisecond_uncertain(void **state)
{
    (void)state;
    rig_open(&r, SESSION_HOST);
    assert_true(rig_put_hello(&r));
    assert_int_equal(session_hello_of(r.session)->uncertainty_us, 1000);
}

static void hello_of_another_host_than_the_login_ends_it(void **state)
{
    struct message m;

    (void)state;
    rig_open(&r, SESSION_HOST);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_HELLO;
    m.hello.version = 1;
    m.hello.host = r.other_host;
    memset(m.hello.boot.b, 1, sizeof(m.hello.boot.b));
    assert_true(rig_put(&r, &m));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
    expect_end(END_PROTOCOL);
    assert_int_equal(r.claims, 0);
}

static void hello_without_version_or_boot_or_with_a_clock_of_the_far_future_ends_it(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct message m;

        rig_open(&r, SESSION_HOST);
        memset(&m, 0, sizeof(m));
        m.type = MESSAGE_HELLO;
        m.hello.version = i == 0 ? 0 : 1;
        m.hello.host = r.host;
        memset(m.hello.boot.b, i == 1 ? 0 : 1, sizeof(m.hello.boot.b));
        m.hello.boot_us = i == 2 ? UINT64_MAX : 1;
        assert_true(rig_put(&r, &m));
        expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
        rig_close(&r);
    }
}

static void anything_before_hello_ends_it(void **state)
{
    static const enum message_type types[] = { MESSAGE_PING,     MESSAGE_ACK,       MESSAGE_WELCOME,
                                               MESSAGE_ENROLLED, MESSAGE_SLOW_DOWN, MESSAGE_IGNORABLE };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct message m;

        rig_open(&r, SESSION_HOST);
        memset(&m, 0, sizeof(m));
        m.type = types[i];
        assert_true(rig_put(&r, &m));
        expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
        expect_end(END_PROTOCOL);
        rig_close(&r);
    }
}

static void a_stranger_can_send_no_more_than_a_small_message(void **state)
{
    static const enum session_role roles[] = { SESSION_ENROL, SESSION_UNKNOWN, SESSION_HOST, SESSION_REFUSED };
    const uint8_t head[5] = { 0, 0, 0x10, 1, MESSAGE_HELLO }; /* 4,097 bytes follow */
    const uint8_t bundle[5] = { 0, 0, 0x10, 1, MESSAGE_BUNDLE };
    size_t i;

    (void)state;
    for (i = 0; i < 8; i++) {
        rig_open(&r, roles[i / 2]);
        (void)rig_feed(&r, slice_of(i % 2 ? bundle : head, 5));
        expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
        assert_int_equal(r.memory.used, 0);
        rig_close(&r);
    }
}

static void an_unknown_key_is_looked_up_and_then_let_in(void **state)
{
    struct session_identity who;

    (void)state;
    rig_open(&r, SESSION_UNKNOWN);
    assert_true(rig_put_hello(&r));
    assert_int_equal(r.lookups, 1);
    assert_int_equal(r.claims, 0);
    expect_nothing();
    who = *session_who(r.session);
    who.role = SESSION_HOST;
    session_judged(r.session, &who);
    assert_int_equal(r.claims, 1);
    session_claimed(r.session);
    assert_int_equal(rig_forget(&r), 1);
    assert_true(rig_put_bundle(&r, 1));
    assert_int_equal(r.published_count, 1);
}

static void an_unknown_key_that_nobody_knows_is_told_so(void **state)
{
    struct session_identity who;

    (void)state;
    rig_open(&r, SESSION_UNKNOWN);
    assert_true(rig_put_hello(&r));
    who = *session_who(r.session);
    who.role = SESSION_REFUSED;
    who.refuse = MESSAGE_REFUSE_REVOKED;
    who.reason = "unknown";
    session_judged(r.session, &who);
    expect_refuse(0, MESSAGE_REFUSE_REVOKED, false);
    expect_end(END_REFUSED);
}

static void with_the_catalog_down_an_unknown_key_comes_again_later(void **state)
{
    (void)state;
    rig_open(&r, SESSION_UNKNOWN);
    assert_true(rig_put_hello(&r));
    session_judged(r.session, NULL);
    expect_refuse(0, MESSAGE_REFUSE_UNAVAILABLE, false);
    rig_close(&r);
    r.lookup_code = POFR_EFULL;
    rig_open(&r, SESSION_UNKNOWN);
    assert_true(rig_put_hello(&r));
    expect_refuse(0, MESSAGE_REFUSE_UNAVAILABLE, false);
    expect_end(END_REFUSED);
}

static void a_refused_host_hears_why(void **state)
{
    (void)state;
    rig_open(&r, SESSION_REFUSED);
    assert_true(rig_put_hello(&r));
    expect_refuse(0, MESSAGE_REFUSE_REVOKED, false);
    expect_end(END_REFUSED);
    assert_int_equal(r.claims, 0);
}

static bool put_enrol(const uint8_t *key)
{
    struct message m;

    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_ENROL;
    m.enrol.version = 1;
    m.enrol.token = slice_str("secret");
    m.enrol.public_key = slice_of(key, 32);
    return rig_put(&r, &m);
}

static void an_enrolment_is_answered_once_and_over(void **state)
{
    struct message m;

    (void)state;
    rig_open(&r, SESSION_ENROL);
    assert_true(put_enrol(sshkey_public(r.key)));
    assert_int_equal(r.enrols, 1);
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_ENROLLED;
    m.enrolled.version = 1;
    m.enrolled.host = r.host;
    session_enrolled(r.session, &m);
    expect_next(MESSAGE_ENROLLED, &m);
    expect_end(END_DONE);
    assert_false(put_enrol(sshkey_public(r.key)));
    assert_int_equal(r.enrols, 1);
}

static void an_enrolment_of_another_key_than_the_logins_is_refused(void **state)
{
    (void)state;
    rig_open(&r, SESSION_ENROL);
    assert_true(put_enrol(sshkey_public(r.foreign_key)));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
    assert_int_equal(r.enrols, 0);
}

static void an_enroller_may_not_say_hello_and_a_host_may_not_enrol(void **state)
{
    (void)state;
    rig_open(&r, SESSION_ENROL);
    assert_true(rig_put_hello(&r));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
    rig_close(&r);
    rig_open(&r, SESSION_HOST);
    assert_true(put_enrol(sshkey_public(r.key)));
    expect_refuse(0, MESSAGE_REFUSE_PROTOCOL, false);
}

static void nobody_waits_for_ever(void **state)
{
    (void)state;
    rig_open(&r, SESSION_HOST); /* silent */
    assert_int_equal(session_tick(r.session, clock_mono_us()), clock_mono_us() + r.conf.auth_us);
    fake_clock_advance(r.conf.auth_us);
    (void)session_tick(r.session, clock_mono_us());
    expect_end(END_SLOW);
    rig_close(&r);

    rig_open(&r, SESSION_HOST); /* its claim is never granted */
    assert_true(rig_put_hello(&r));
    fake_clock_advance(16 * CLOCK_US_PER_S);
    (void)session_tick(r.session, clock_mono_us());
    expect_refuse(0, MESSAGE_REFUSE_UNAVAILABLE, false);
    rig_close(&r);

    rig_open(&r, SESSION_ENROL); /* the catalog never answers */
    assert_true(put_enrol(sshkey_public(r.key)));
    fake_clock_advance(16 * CLOCK_US_PER_S);
    (void)session_tick(r.session, clock_mono_us());
    expect_refuse(0, MESSAGE_REFUSE_UNAVAILABLE, false);
}

/* --- ends --------------------------------------------------------------------------------------------- */

static void after_a_failed_delivery_nothing_more_is_acked(void **state)
{
    (void)state;
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 1) && rig_put_bundle(&r, 2) && rig_put_bundle(&r, 3));
    rig_report(&r, 0, false);
    expect_refuse(0, MESSAGE_REFUSE_UNAVAILABLE, false);
    expect_end(END_DELIVERY);
    assert_false(session_is_idle(r.session)); /* the host stays taken */
    rig_report(&r, 0, true);
    assert_false(session_is_idle(r.session));
    rig_report(&r, 0, true);
    assert_true(session_is_idle(r.session));
    expect_nothing();
    assert_int_equal(stat_get_by(r.stats, STAT_gateway_bundles, BUNDLE_UNDELIVERED), 1);
    assert_int_equal(stat_get_by(r.stats, STAT_gateway_bundles, BUNDLE_UNASKED), 2);
}

static void a_lost_connection_leaves_what_kafka_has(void **state)
{
    (void)state;
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 1));
    r.publish_code = POFR_EFULL;
    assert_true(rig_put_bundle(&r, 2));
    session_end(r.session, END_PEER);
    assert_false(session_is_idle(r.session));
    assert_int_equal(r.published_count, 1);
    rig_report(&r, 0, true);
    assert_true(session_is_idle(r.session));
    assert_int_equal(r.memory.used, 0);
}

static void a_retired_host_is_cut_off(void **state)
{
    struct session_identity who;

    (void)state;
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 1));
    who = *session_who(r.session);
    session_rejudge(r.session, &who);
    assert_false(session_is_over(r.session));
    who.role = SESSION_REFUSED;
    who.refuse = MESSAGE_REFUSE_REVOKED;
    who.reason = "this host was retired";
    session_rejudge(r.session, &who);
    expect_refuse(0, MESSAGE_REFUSE_REVOKED, false);
    expect_end(END_REFUSED);
    assert_int_equal(stat_get(r.stats, STAT_gateway_revocations), 1);
}

static void draining_waits_for_reports_and_takes_nothing_more(void **state)
{
    struct message m;

    (void)state;
    rig_open_host(&r);
    assert_true(rig_put_bundle(&r, 1));
    session_drain(r.session);
    expect_next(MESSAGE_SLOW_DOWN, &m);
    assert_false(session_is_over(r.session));
    assert_false(rig_put_bundle(&r, 2));
    rig_report(&r, 0, true);
    expect_ack(1);
    expect_end(END_DRAIN);
}

static void draining_ends_an_idle_session_at_once(void **state)
{
    (void)state;
    rig_open_host(&r);
    session_drain(r.session);
    expect_end(END_DRAIN);
}

static void silence_is_answered_by_a_ping_and_then_by_the_end(void **state)
{
    struct message m;
    int64_t due;

    (void)state;
    rig_open_host(&r);
    due = session_tick(r.session, clock_mono_us());
    assert_int_equal(due, clock_mono_us() + 30 * CLOCK_US_PER_S);
    fake_clock_advance(30 * CLOCK_US_PER_S);
    due = session_tick(r.session, clock_mono_us());
    expect_next(MESSAGE_PING, &m);
    assert_int_equal(due, clock_mono_us() + 60 * CLOCK_US_PER_S);
    fake_clock_advance(20 * CLOCK_US_PER_S);
    m.type = MESSAGE_PONG;
    assert_true(rig_put(&r, &m));
    due = session_tick(r.session, clock_mono_us());
    assert_int_equal(due, clock_mono_us() + 30 * CLOCK_US_PER_S);
    fake_clock_advance(90 * CLOCK_US_PER_S);
    (void)session_tick(r.session, clock_mono_us());
    expect_end(END_SILENCE);
}

static void a_session_that_waits_for_us_is_told_so_again_and_not_cut_for_silence(void **state)
{
    struct message m;

    (void)state;
    rig_open_host(&r);
    r.publish_code = POFR_EFULL;
    assert_true(rig_put_bundle(&r, 1));
    expect_next(MESSAGE_SLOW_DOWN, &m);
    fake_clock_advance(300 * CLOCK_US_PER_S);
    (void)session_tick(r.session, clock_mono_us());
    expect_next(MESSAGE_SLOW_DOWN, &m);
    assert_false(session_is_over(r.session));
    r.publish_code = 0;
    assert_true(session_retry(r.session));
    (void)session_tick(r.session, clock_mono_us());
    assert_false(session_is_over(r.session));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, session_set_up, session_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_host_is_welcomed_when_it_has_its_claim),
        T(welcome_names_the_wanted_bundles_of_this_host),
        T(what_is_wanted_since_the_welcome_ends_the_session),
        T(what_the_welcome_named_ends_no_session),
        T(the_offset_is_of_the_middle_between_request_and_hello),
        T(a_fast_hello_is_still_a_millisecond_uncertain),
        T(hello_of_another_host_than_the_login_ends_it),
        T(hello_without_version_or_boot_or_with_a_clock_of_the_far_future_ends_it),
        T(anything_before_hello_ends_it),
        T(a_stranger_can_send_no_more_than_a_small_message),
        T(an_unknown_key_is_looked_up_and_then_let_in),
        T(an_unknown_key_that_nobody_knows_is_told_so),
        T(with_the_catalog_down_an_unknown_key_comes_again_later),
        T(a_refused_host_hears_why),
        T(an_enrolment_is_answered_once_and_over),
        T(an_enrolment_of_another_key_than_the_logins_is_refused),
        T(an_enroller_may_not_say_hello_and_a_host_may_not_enrol),
        T(nobody_waits_for_ever),
        T(after_a_failed_delivery_nothing_more_is_acked),
        T(a_lost_connection_leaves_what_kafka_has),
        T(a_retired_host_is_cut_off),
        T(draining_waits_for_reports_and_takes_nothing_more),
        T(draining_ends_an_idle_session_at_once),
        T(silence_is_answered_by_a_ping_and_then_by_the_end),
        T(a_session_that_waits_for_us_is_told_so_again_and_not_cut_for_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
