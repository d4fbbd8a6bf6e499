/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/push.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/ship/ssh_client.h"
#include "common/base/cursor.h"
#include "tests/unit/agent_ship/push_world.h"

static void all_bundles_arrive_and_are_acked(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 16 } };
    struct world *w = world_begin(*state, plan, 1);
    char uuid[UUID_TEXT_SIZE];

    fake_collector_seal(&w->collector, 50, 20000);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 50);
    for (unsigned i = 1; i <= 20; i++) {
        fake_collector_seal(&w->collector, i % 3 == 0 ? 5 : 1, 5000);
        WAIT_UNTIL(w, w->collector.acked == w->collector.newest);
    }
    world_seen_in_order(w, 1, w->collector.newest);
    assert_int_equal(world_seen(w)->len, w->collector.newest); /* nothing went twice */
    assert_int_equal(world_seen(w)->hellos, 1);
    assert_string_equal(world_seen(w)->user, uuid_format(&w->collector.host, uuid));
    assert_int_equal(world_seen(w)->hello.hello.oldest, 1);
    assert_int_equal(world_seen(w)->hello.hello.newest, 50);
    assert_int_equal(world_seen(w)->hello.hello.boot.b[0], 0xb0);
    assert_true(world_seen(w)->hello.hello.boot_us > 0);
    assert_true(w->collector.connected);
    assert_int_equal(w->collector.entered, 1);
    assert_int_equal(w->collector.asked_wanted, 1);
    assert_int_equal(w->collector.asked_sign, 1);
    world_finish(w);
}

/* What the service manager hears: a state that should have ended by itself long ago is no progress. */
static void a_state_that_does_not_end_is_noticed(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 16 } };
    struct world *w = world_begin(*state, plan, 1);
    int64_t hour_us = 3600 * CLOCK_US_PER_S;

    w->collector.sign_later = 2;
    fake_collector_seal(&w->collector, 3, 300);
    world_start_gateway(w);
    world_start_push(w);
    assert_true(push_goes_on(w->push, clock_mono_us() + hour_us)); /* waits for a collector: for ever if need be */
    WAIT_UNTIL(w, w->collector.asked_sign == 1);
    assert_true(push_goes_on(w->push, clock_mono_us()));
    assert_false(push_goes_on(w->push, clock_mono_us() + hour_us)); /* no login lasts an hour */
    WAIT_UNTIL(w, w->collector.acked == 3);
    assert_true(push_goes_on(w->push, clock_mono_us() + hour_us)); /* a session ends itself when nothing is heard */
    world_finish(w);
}

static void large_bundles_go_through_a_small_window(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 2 } };
    struct world *w = world_begin(*state, plan, 1);

    fake_collector_seal(&w->collector, 3, 8 << 20); /* each much more than the channel's window */
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 3);
    world_seen_in_order(w, 1, 3);
    world_finish(w);
}

static void new_keys_in_the_middle_lose_nothing(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 16 } };
    struct world *w = world_begin(*state, plan, 1);

    w->rekey_bytes = 300000;
    fake_collector_seal(&w->collector, 60, 100000);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 60);
    assert_int_equal(world_seen(w)->len, 60);
    assert_int_equal(world_seen(w)->hellos, 1);
    world_finish(w);
}

static void a_lost_session_goes_on_at_the_first_unacked(void **state)
{
    const struct plan plan[] = {
        { ACT_ACK_SOME, 3, 8 }, { ACT_DROP, 0, 0 }, { ACT_ACK_SOME, 1, 1 }, { ACT_ACK, 0, 8 }
    };
    struct world *w = world_begin(*state, plan, 4);

    fake_collector_seal(&w->collector, 20, 3000);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 20);
    world_seen_in_order(w, 1, 20);
    assert_int_equal(world_seen(w)->hellos, 3);
    world_finish(w);
}

static void a_final_refusal_is_recorded_before_later_acks(void **state)
{
    const struct plan plan[] = { { ACT_REFUSE_ODD, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);

    w->collector.refuse_later = 2; /* its disk is busy */
    fake_collector_seal(&w->collector, 6, 300);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 6);
    assert_int_equal(w->collector.refused_len, 3);
    assert_int_equal(w->collector.refused[0], 1);
    assert_int_equal(w->collector.refused[1], 3);
    assert_int_equal(w->collector.refused[2], 5);
    assert_int_equal(world_seen(w)->len, 6);
    world_finish(w);
}

static void wanted_bundles_are_sent_again_and_first(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);

    fake_collector_seal(&w->collector, 10, 300);
    w->collector.acked = 8;
    w->wanted_len = 2;
    w->wanted[0] = (struct message_range){ 5, 6 };
    w->wanted[1] = (struct message_range){ 2, 2 };
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 10);
    assert_int_equal(world_seen(w)->len, 5);
    assert_memory_equal(world_seen(w)->bundles, ((uint64_t[]){ 2, 5, 6, 9, 10 }), 5 * sizeof(uint64_t));
    assert_int_equal(w->collector.wanted.wanted.len, 2);
    world_finish(w);
}

static void a_signature_that_comes_later_is_waited_for(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);

    w->collector.sign_later = 3;
    fake_collector_seal(&w->collector, 1, 300);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 1);
    assert_int_equal(w->collector.asked_sign, 4);
    assert_int_equal(world_seen(w)->hellos, 1);
    world_finish(w);
}

static void a_signature_that_is_denied_is_asked_for_again(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);

    w->collector.sign_refuse = true;
    fake_collector_seal(&w->collector, 1, 300);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.asked_sign == 2);
    w->collector.sign_refuse = false;
    WAIT_UNTIL(w, w->collector.acked == 1);
    world_finish(w);
}

static void the_blob_to_sign_is_the_whole_login(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);
    struct buf expected = BUF_INIT(1024);
    struct cursor c;
    struct slice session_id;
    uint8_t key[51];
    char uuid[UUID_TEXT_SIZE];

    fake_collector_seal(&w->collector, 1, 300);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 1);
    c = cursor_of(slice_of(w->collector.blob, w->collector.blob_len));
    session_id = cursor_str32be(&c, 64);
    assert_true(session_id.len >= 20);
    buf_u8(&expected, 50);
    buf_str32be(&expected, slice_str(uuid_format(&w->collector.host, uuid)));
    buf_str32be(&expected, slice_str("ssh-connection"));
    buf_str32be(&expected, slice_str("publickey"));
    buf_u8(&expected, 1);
    buf_str32be(&expected, slice_str("ssh-ed25519"));
    sshkey_public_blob(sshkey_public(w->collector.key), key);
    buf_str32be(&expected, slice_of(key, sizeof(key)));
    assert_true(slice_eq(cursor_rest(&c), buf_slice(&expected)));
    buf_free(&expected);
    world_finish(w);
}

static void a_gateway_that_breaks_the_protocol_loses_nothing(void **state)
{
    const struct plan plan[] = {
        { ACT_WRONG_ACK, 0, 8 }, { ACT_GARBAGE, 0, 0 }, { ACT_PENDING, 0, 0 }, { ACT_ACK, 0, 8 }
    };
    struct world *w = world_begin(*state, plan, 4);

    fake_collector_seal(&w->collector, 5, 3000);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 5);
    world_seen_in_order(w, 1, 5);
    world_finish(w);
}

static void a_gateways_last_words_are_heard(void **state)
{
    const struct plan plan[] = { { ACT_LAST_WORDS, 8, 8 }, { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 2);

    fake_collector_seal(&w->collector, 8, 3000);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 8);
    WAIT_UNTIL(w, ssh_peer_sessions(w->gateway) == 2);
    assert_int_equal(world_seen(w)->len,
                     8); /* nothing was sent twice, though the acks came with the end of the connection */
    world_finish(w);
}

static void a_collector_that_restarts_is_found_again(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);

    fake_collector_seal(&w->collector, 2, 300);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 2);
    fake_collector_cut(&w->collector);
    fake_collector_seal(&w->collector, 2, 300);
    WAIT_UNTIL(w, w->collector.acked == 4);
    assert_int_equal(w->collector.connections, 2);
    world_seen_in_order(w, 1, 4);
    world_finish(w);
}

static void a_gateway_with_another_key_gets_nothing(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);
    struct push_options o = { .spool_dir = w->collector.spool_dir,
                              .socket_path = w->collector.socket_path,
                              .read_pins = world_read_pins,
                              .stopped = world_stopped,
                              .arg = w };

    fake_collector_seal(&w->collector, 2, 300);
    world_start_gateway(w);
    o.settings.pins.len = 2; /* of zeroes, both of them */
    o.settings.gateways.len = 1;
    snprintf(o.settings.gateways.list[0].host, HOSTPORT_HOST_SIZE, "127.0.0.1");
    o.settings.gateways.list[0].port = ssh_peer_port(w->gateway);
    o.settings.connect_us = 20 * CLOCK_US_PER_S;
    o.settings.retry_min_us = 1000;
    o.settings.retry_max_us = 2000;
    assert_int_equal(push_new(w->loop, &o, &w->push, NULL), 0);
    WAIT_UNTIL(w, w->collector.asked_state >= 4);
    assert_int_equal(w->collector.asked_sign, 0); /* not even a login */
    assert_int_equal(world_seen(w)->hellos, 0);
    world_finish(w);
}

static void a_reload_ends_the_wait_and_may_name_other_gateways(void **state)
{
    const struct plan plan[] = { { ACT_PENDING, 600000, 0 }, { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 2);
    struct push_settings settings;

    fake_collector_seal(&w->collector, 1, 300);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.failures == 1); /* told to wait ten minutes */
    settings = w->settings;
    push_change(w->push, &settings);
    WAIT_UNTIL(w, w->collector.acked == 1);
    settings.gateways.list[0].port = 1; /* nobody there; and the session was with another */
    push_change(w->push, &settings);
    WAIT_UNTIL(w, w->collector.failures >= 2);
    fake_collector_seal(&w->collector, 1, 300);
    push_change(w->push, &w->settings);
    WAIT_UNTIL(w, w->collector.acked == 2);
    world_finish(w);
}

static void a_session_ends_when_its_key_is_pinned_no_longer(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 }, { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 2);
    struct push_settings settings;

    fake_collector_seal(&w->collector, 1, 300);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 1);
    settings = w->settings;
    settings.pins.len = 2; /* another beside it: nothing changes */
    push_change(w->push, &settings);
    fake_collector_seal(&w->collector, 1, 300);
    WAIT_UNTIL(w, w->collector.acked == 2);
    assert_int_equal(world_seen(w)->hellos, 1);
    memset(settings.pins.list, 0, sizeof(settings.pins.list)); /* the other one alone */
    push_change(w->push, &settings);
    WAIT_UNTIL(w, w->collector.failures >= 1);
    assert_int_equal(world_seen(w)->hellos, 1);
    fake_collector_seal(&w->collector, 1, 300);
    push_change(w->push, &w->settings);
    WAIT_UNTIL(w, w->collector.acked == 3);
    world_finish(w);
}

static void a_stop_waits_for_what_is_under_way(void **state)
{
    const struct plan plan[] = { { ACT_SLOW, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);

    fake_collector_seal(&w->collector, 3, 300);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.connected);
    for (int i = 0; i < 20; i++) { /* let them go out */
        assert_int_equal(loop_once(w->loop, 1000, NULL), 0);
    }
    push_stop(w->push);
    assert_false(w->stopped);
    atomic_store(&w->go, true);
    WAIT_UNTIL(w, w->stopped);
    WAIT_UNTIL(w, w->collector.acked == 3);
    world_finish(w);
}

static void a_stop_without_a_session_is_at_once(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);

    world_start_gateway(w);
    world_start_push(w);
    push_stop(w->push);
    assert_true(w->stopped);
    world_finish(w);
}

static void an_idle_session_with_a_silent_gateway_stays_quiet(void **state)
{
    const struct plan plan[] = { { ACT_SILENT, 0, 8 } };
    struct world *w = world_begin(*state, plan, 1);
    int64_t cpu;

    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.connected);
    cpu = clock_thread_cpu_us();
    for (int i = 0; i < 200; i++) {
        assert_int_equal(loop_once(w->loop, 1000, NULL), 0);
    }
    assert_true(clock_thread_cpu_us() - cpu < 150000); /* no busy loop */
    world_finish(w);
}

static void a_gateway_that_reads_nothing_holds_us_without_cpu(void **state)
{
    const struct plan plan[] = { { ACT_SLOW, 0, 64 } };
    struct world *w = world_begin(*state, plan, 1);
    int64_t cpu, wall;

    fake_collector_seal(&w->collector, 8, 1 << 20);
    world_start_gateway(w);
    world_start_push(w);
    WAIT_UNTIL(w, w->collector.connected);
    wall = clock_mono_us();
    while (clock_mono_us() - wall < 300000) { /* until everything in between is full */
        assert_int_equal(loop_once(w->loop, 5000, NULL), 0);
    }
    cpu = clock_thread_cpu_us();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(loop_once(w->loop, 1000, NULL), 0);
    }
    assert_true(clock_thread_cpu_us() - cpu < 80000);
    atomic_store(&w->go, true);
    WAIT_UNTIL(w, w->collector.acked == 8);
    world_seen_in_order(w, 1, 8);
    world_finish(w);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(all_bundles_arrive_and_are_acked),
        IN_FOLDER(a_state_that_does_not_end_is_noticed),
        IN_FOLDER(large_bundles_go_through_a_small_window),
        IN_FOLDER(new_keys_in_the_middle_lose_nothing),
        IN_FOLDER(a_lost_session_goes_on_at_the_first_unacked),
        IN_FOLDER(a_final_refusal_is_recorded_before_later_acks),
        IN_FOLDER(wanted_bundles_are_sent_again_and_first),
        IN_FOLDER(a_signature_that_comes_later_is_waited_for),
        IN_FOLDER(a_signature_that_is_denied_is_asked_for_again),
        IN_FOLDER(the_blob_to_sign_is_the_whole_login),
        IN_FOLDER(a_gateway_that_breaks_the_protocol_loses_nothing),
        IN_FOLDER(a_gateways_last_words_are_heard),
        IN_FOLDER(a_collector_that_restarts_is_found_again),
        IN_FOLDER(a_gateway_with_another_key_gets_nothing),
        IN_FOLDER(a_reload_ends_the_wait_and_may_name_other_gateways),
        IN_FOLDER(a_session_ends_when_its_key_is_pinned_no_longer),
        IN_FOLDER(a_stop_waits_for_what_is_under_way),
        IN_FOLDER(a_stop_without_a_session_is_at_once),
        IN_FOLDER(an_idle_session_with_a_silent_gateway_stays_quiet),
        IN_FOLDER(a_gateway_that_reads_nothing_holds_us_without_cpu),
    };

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(ssh_client_library_init(NULL), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
