/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shipper's loop with a collector on the same loop and a gateway that is a real SSH server in a thread. The
 * gateway follows a plan per session; the test waits for what it has seen.
 */
#include "agent/ship/push.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ship/session.h"
#include "agent/ship/ssh_client.h"
#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "tests/support/check.h"
#include "tests/support/ssh_peer.h"
#include "tests/unit/agent_ship/fake_collector.h"

#define SEEN_MAX 4096

enum action {
    ACT_ACK,        /* all that comes */
    ACT_ACK_SOME,   /* acks n, then drops the connection */
    ACT_REFUSE_ODD, /* finally, those with an odd sequence */
    ACT_PENDING,    /* refuses the session */
    ACT_WRONG_ACK,  /* acks with another digest */
    ACT_SILENT,     /* WELCOME, then reads nothing until the other side closes */
    ACT_SLOW,       /* reads nothing until told, then acks */
    ACT_DROP,       /* closes at once */
    ACT_GARBAGE,    /* no message */
    ACT_LAST_WORDS, /* waits for n bundles, then acks all and closes, in one piece */
};

struct plan { /* of the gateway; the last one is repeated */
    enum action action;
    unsigned n, window;
};

struct world {
    struct loop *loop;
    struct fake_collector collector;
    struct ssh_peer *gateway;
    struct push *push;
    struct plan plan[8];
    unsigned plan_len;
    uint64_t rekey_bytes;
    bool stopped;
    pthread_mutex_t lock; /* protects what follows: the gateway's thread writes it */
    uint64_t seen[SEEN_MAX];
    unsigned seen_len;
    struct message hello;
    unsigned hellos;
    char user[64];
    uint64_t bad_blocks;
    unsigned wanted_len;
    struct message_range wanted[4];
    atomic_bool go;
};

/* --- the gateway ---------------------------------------------------------------------------------- */

static void answer(struct ssh_peer_session *s, uint64_t sequence, bool ack)
{
    struct message m = { .type = ack ? MESSAGE_ACK : MESSAGE_REFUSE };

    if (ack) {
        m.ack.sequence = sequence;
        fake_digest(sequence, m.ack.digest);
    } else {
        m.refuse.sequence = sequence;
        fake_digest(sequence, m.refuse.digest);
        m.refuse.final = true;
        m.refuse.code = MESSAGE_REFUSE_STATEMENT;
        m.refuse.reason = slice_str("odd");
    }
    ssh_peer_send(s, &m);
}

static void note(struct world *w, const struct message *m)
{
    pthread_mutex_lock(&w->lock);
    if (w->seen_len < SEEN_MAX) {
        w->seen[w->seen_len++] = m->bundle.sequence;
    }
    for (size_t i = 0; i < m->bundle.block.len; i++) {
        if (m->bundle.block.data[i] != (uint8_t)(i + m->bundle.sequence)) {
            w->bad_blocks++;
            break;
        }
    }
    pthread_mutex_unlock(&w->lock);
}

static bool greet(struct ssh_peer_session *s, struct world *w, const struct plan *plan)
{
    struct message m = { 0 };

    if (!ssh_peer_receive(s, &m) || m.type != MESSAGE_HELLO) {
        return false;
    }
    pthread_mutex_lock(&w->lock);
    w->hello = m;
    w->hellos++;
    snprintf(w->user, sizeof(w->user), "%s", ssh_peer_user(s));
    pthread_mutex_unlock(&w->lock);
    memset(&m, 0, sizeof(m));
    if (plan->action == ACT_PENDING) {
        m.type = MESSAGE_REFUSE;
        m.refuse.code = MESSAGE_REFUSE_PENDING;
        m.refuse.retry_ms = 1;
        ssh_peer_cork(s); /* so that REFUSE and the end of the connection come together */
        ssh_peer_send(s, &m);
        return false;
    }
    m.type = MESSAGE_WELCOME;
    m.welcome.version = 1;
    m.welcome.window = plan->window;
    m.welcome.gateway = slice_str("gw");
    memset(m.welcome.key, 7, sizeof(m.welcome.key));
    m.welcome.wanted_len = w->wanted_len;
    memcpy(m.welcome.wanted, w->wanted, sizeof(w->wanted));
    ssh_peer_send(s, &m);
    return true;
}

static void serve(struct ssh_peer_session *s, void *arg)
{
    struct world *w = arg;
    unsigned at = ssh_peer_sessions(w->gateway) - 1;
    const struct plan *plan = &w->plan[at < w->plan_len ? at : w->plan_len - 1];
    unsigned acked = 0;
    struct message m;

    if (plan->action == ACT_DROP) {
        return;
    }
    if (plan->action == ACT_GARBAGE) {
        ssh_peer_send_bytes(s, slice_str("HTTP/1.1 400 Bad Request\r\n\r\n"));
        ssh_peer_wait_for_end(s);
        return;
    }
    if (!greet(s, w, plan)) {
        return;
    }
    if (plan->action == ACT_SILENT) {
        ssh_peer_wait_for_end(s);
        return;
    }
    while (plan->action == ACT_SLOW && !atomic_load(&w->go)) {
        struct timespec pause = { 0, 1000000 }; /* the test decides when; this only waits for it */

        nanosleep(&pause, NULL);
    }
    while (ssh_peer_receive(s, &m)) {
        if (m.type == MESSAGE_PING) {
            m.type = MESSAGE_PONG;
            ssh_peer_send(s, &m);
        } else if (m.type == MESSAGE_BUNDLE) {
            uint64_t sequence = m.bundle.sequence;

            note(w, &m);
            if (plan->action == ACT_LAST_WORDS) {
                if (++acked == plan->n) {
                    ssh_peer_cork(s);
                    for (uint64_t i = 1; i <= plan->n; i++) {
                        answer(s, i, true);
                    }
                    return;
                }
                continue;
            }
            if (plan->action == ACT_WRONG_ACK) {
                m = (struct message){ .type = MESSAGE_ACK, .ack.sequence = sequence };
                ssh_peer_send(s, &m);
                continue;
            }
            answer(s, sequence, plan->action != ACT_REFUSE_ODD || sequence % 2 == 0);
            if (plan->action == ACT_ACK_SOME && ++acked == plan->n) {
                return;
            }
        }
    }
}

/* --- the world ------------------------------------------------------------------------------------ */

static void on_stopped(void *arg)
{
    struct world *w = arg;

    w->stopped = true;
}

static void quiet(enum log_level level, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    if (getenv("POFR_TEST_VERBOSE")) {
        fprintf(stderr, "%s\n", line);
    }
}

static struct world *begin(const char *dir, const struct plan *plan, unsigned plan_len)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    log_set_sink(quiet, NULL);
    pthread_mutex_init(&w->lock, NULL);
    memcpy(w->plan, plan, plan_len * sizeof(plan[0]));
    w->plan_len = plan_len;
    assert_int_equal(loop_new(&w->loop, NULL), 0);
    fake_collector_open(&w->collector, w->loop, dir);
    return w;
}

static void start_gateway(struct world *w)
{
    struct ssh_peer_options o = {
        .key = sshkey_public(w->collector.key), .rekey_bytes = w->rekey_bytes, .serve = serve, .arg = w
    };

    w->gateway = ssh_peer_start(&o);
}

static void start_push(struct world *w)
{
    struct push_options o = {
        .spool_dir = w->collector.spool_dir, .socket_path = w->collector.socket_path, .stopped = on_stopped, .arg = w
    };
    struct pofr_err err;

    memcpy(o.fingerprint, ssh_peer_fingerprint(w->gateway), 32);
    o.settings.gateways.len = 1;
    snprintf(o.settings.gateways.list[0].host, HOSTPORT_HOST_SIZE, "127.0.0.1");
    o.settings.gateways.list[0].port = ssh_peer_port(w->gateway);
    o.settings.connect_us = 20 * CLOCK_US_PER_S;
    o.settings.retry_min_us = 1000;
    o.settings.retry_max_us = 20000;
    assert_int_equal(push_new(w->loop, &o, &w->push, &err), 0);
}

static void finish(struct world *w)
{
    push_free(w->push);
    ssh_peer_stop(w->gateway);
    assert_int_equal(w->bad_blocks, 0);
    assert_false(w->collector.ack_before_refusal);
    fake_collector_close(&w->collector);
    loop_free(w->loop);
    pthread_mutex_destroy(&w->lock);
    log_set_sink(NULL, NULL);
    free(w);
}

#define WAIT_UNTIL(w, what)                                                                                            \
    do {                                                                                                               \
        int64_t pofr_end_ = clock_mono_us() + 60 * CLOCK_US_PER_S;                                                     \
        while (!(what)) {                                                                                              \
            assert_true(clock_mono_us() < pofr_end_);                                                                  \
            assert_int_equal(loop_once((w)->loop, 2000, NULL), 0);                                                     \
        }                                                                                                              \
    } while (0)

/* Every sequence from first to last was seen, and each first sighting came in order. */
static void assert_seen_in_order(struct world *w, uint64_t first, uint64_t last)
{
    uint64_t next = first;

    pthread_mutex_lock(&w->lock);
    for (unsigned i = 0; i < w->seen_len; i++) {
        assert_true(w->seen[i] <= next);
        next += w->seen[i] == next;
    }
    pthread_mutex_unlock(&w->lock);
    assert_int_equal(next, last + 1);
}

/* --- tests ---------------------------------------------------------------------------------------- */

static void all_bundles_arrive_and_are_acked(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 16 } };
    struct world *w = begin(*state, plan, 1);
    char uuid[UUID_TEXT_SIZE];

    fake_collector_seal(&w->collector, 50, 20000);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 50);
    for (unsigned i = 1; i <= 20; i++) {
        fake_collector_seal(&w->collector, i % 3 == 0 ? 5 : 1, 5000);
        WAIT_UNTIL(w, w->collector.acked == w->collector.newest);
    }
    assert_seen_in_order(w, 1, w->collector.newest);
    assert_int_equal(w->seen_len, w->collector.newest); /* nothing went twice */
    assert_int_equal(w->hellos, 1);
    assert_string_equal(w->user, uuid_format(&w->collector.host, uuid));
    assert_int_equal(w->hello.hello.oldest, 1);
    assert_int_equal(w->hello.hello.newest, 50);
    assert_int_equal(w->hello.hello.boot.b[0], 0xb0);
    assert_true(w->hello.hello.boot_us > 0);
    assert_true(w->collector.connected);
    assert_int_equal(w->collector.entered, 1);
    assert_int_equal(w->collector.asked_wanted, 1);
    assert_int_equal(w->collector.asked_sign, 1);
    finish(w);
}

static void large_bundles_go_through_a_small_window(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 2 } };
    struct world *w = begin(*state, plan, 1);

    fake_collector_seal(&w->collector, 3, 8 << 20); /* each much more than the channel's window */
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 3);
    assert_seen_in_order(w, 1, 3);
    finish(w);
}

static void new_keys_in_the_middle_lose_nothing(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 16 } };
    struct world *w = begin(*state, plan, 1);

    w->rekey_bytes = 300000;
    fake_collector_seal(&w->collector, 60, 100000);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 60);
    assert_int_equal(w->seen_len, 60);
    assert_int_equal(w->hellos, 1);
    finish(w);
}

static void a_lost_session_goes_on_at_the_first_unacked(void **state)
{
    const struct plan plan[] = {
        { ACT_ACK_SOME, 3, 8 }, { ACT_DROP, 0, 0 }, { ACT_ACK_SOME, 1, 1 }, { ACT_ACK, 0, 8 }
    };
    struct world *w = begin(*state, plan, 4);

    fake_collector_seal(&w->collector, 20, 3000);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 20);
    assert_seen_in_order(w, 1, 20);
    assert_int_equal(w->hellos, 3);
    finish(w);
}

static void a_final_refusal_is_recorded_before_later_acks(void **state)
{
    const struct plan plan[] = { { ACT_REFUSE_ODD, 0, 8 } };
    struct world *w = begin(*state, plan, 1);

    w->collector.refuse_later = 2; /* its disk is busy */
    fake_collector_seal(&w->collector, 6, 300);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 6);
    assert_int_equal(w->collector.refused_len, 3);
    assert_int_equal(w->collector.refused[0], 1);
    assert_int_equal(w->collector.refused[1], 3);
    assert_int_equal(w->collector.refused[2], 5);
    assert_int_equal(w->seen_len, 6);
    finish(w);
}

static void wanted_bundles_are_sent_again_and_first(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = begin(*state, plan, 1);

    fake_collector_seal(&w->collector, 10, 300);
    w->collector.acked = 8;
    w->wanted_len = 2;
    w->wanted[0] = (struct message_range){ 5, 6 };
    w->wanted[1] = (struct message_range){ 2, 2 };
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 10);
    assert_int_equal(w->seen_len, 5);
    assert_memory_equal(w->seen, ((uint64_t[]){ 2, 5, 6, 9, 10 }), 5 * sizeof(uint64_t));
    assert_int_equal(w->collector.wanted.wanted.len, 2);
    finish(w);
}

static void a_signature_that_comes_later_is_waited_for(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = begin(*state, plan, 1);

    w->collector.sign_later = 3;
    fake_collector_seal(&w->collector, 1, 300);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 1);
    assert_int_equal(w->collector.asked_sign, 4);
    assert_int_equal(w->hellos, 1);
    finish(w);
}

static void a_signature_that_is_denied_is_asked_for_again(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = begin(*state, plan, 1);

    w->collector.sign_refuse = true;
    fake_collector_seal(&w->collector, 1, 300);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.asked_sign == 2);
    w->collector.sign_refuse = false;
    WAIT_UNTIL(w, w->collector.acked == 1);
    finish(w);
}

static void the_blob_to_sign_is_the_whole_login(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = begin(*state, plan, 1);
    struct buf expected = BUF_INIT(1024);
    struct cursor c;
    struct slice session_id;
    uint8_t key[51];
    char uuid[UUID_TEXT_SIZE];

    fake_collector_seal(&w->collector, 1, 300);
    start_gateway(w);
    start_push(w);
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
    finish(w);
}

static void a_gateway_that_breaks_the_protocol_loses_nothing(void **state)
{
    const struct plan plan[] = {
        { ACT_WRONG_ACK, 0, 8 }, { ACT_GARBAGE, 0, 0 }, { ACT_PENDING, 0, 0 }, { ACT_ACK, 0, 8 }
    };
    struct world *w = begin(*state, plan, 4);

    fake_collector_seal(&w->collector, 5, 3000);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 5);
    assert_seen_in_order(w, 1, 5);
    finish(w);
}

static void a_gateways_last_words_are_heard(void **state)
{
    const struct plan plan[] = { { ACT_LAST_WORDS, 8, 8 }, { ACT_ACK, 0, 8 } };
    struct world *w = begin(*state, plan, 2);

    fake_collector_seal(&w->collector, 8, 3000);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 8);
    WAIT_UNTIL(w, ssh_peer_sessions(w->gateway) == 2);
    assert_int_equal(w->seen_len, 8); /* nothing was sent twice, though the acks came with the end of the connection */
    finish(w);
}

static void a_collector_that_restarts_is_found_again(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = begin(*state, plan, 1);

    fake_collector_seal(&w->collector, 2, 300);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.acked == 2);
    fake_collector_cut(&w->collector);
    fake_collector_seal(&w->collector, 2, 300);
    WAIT_UNTIL(w, w->collector.acked == 4);
    assert_int_equal(w->collector.connections, 2);
    assert_seen_in_order(w, 1, 4);
    finish(w);
}

static void a_gateway_with_another_key_gets_nothing(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = begin(*state, plan, 1);
    struct push_options o = {
        .spool_dir = w->collector.spool_dir, .socket_path = w->collector.socket_path, .stopped = on_stopped, .arg = w
    };

    fake_collector_seal(&w->collector, 2, 300);
    start_gateway(w);
    memset(o.fingerprint, 9, 32);
    o.settings.gateways.len = 1;
    snprintf(o.settings.gateways.list[0].host, HOSTPORT_HOST_SIZE, "127.0.0.1");
    o.settings.gateways.list[0].port = ssh_peer_port(w->gateway);
    o.settings.connect_us = 20 * CLOCK_US_PER_S;
    o.settings.retry_min_us = 1000;
    o.settings.retry_max_us = 2000;
    assert_int_equal(push_new(w->loop, &o, &w->push, NULL), 0);
    WAIT_UNTIL(w, w->collector.asked_state >= 4);
    assert_int_equal(w->collector.asked_sign, 0); /* not even a login */
    assert_int_equal(w->hellos, 0);
    finish(w);
}

static void a_stop_waits_for_what_is_under_way(void **state)
{
    const struct plan plan[] = { { ACT_SLOW, 0, 8 } };
    struct world *w = begin(*state, plan, 1);

    fake_collector_seal(&w->collector, 3, 300);
    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.connected);
    for (int i = 0; i < 20; i++) { /* let them go out */
        assert_int_equal(loop_once(w->loop, 1000, NULL), 0);
    }
    push_stop(w->push);
    assert_false(w->stopped);
    atomic_store(&w->go, true);
    WAIT_UNTIL(w, w->stopped);
    WAIT_UNTIL(w, w->collector.acked == 3);
    finish(w);
}

static void a_stop_without_a_session_is_at_once(void **state)
{
    const struct plan plan[] = { { ACT_ACK, 0, 8 } };
    struct world *w = begin(*state, plan, 1);

    start_gateway(w);
    start_push(w);
    push_stop(w->push);
    assert_true(w->stopped);
    finish(w);
}

static void an_idle_session_with_a_silent_gateway_stays_quiet(void **state)
{
    const struct plan plan[] = { { ACT_SILENT, 0, 8 } };
    struct world *w = begin(*state, plan, 1);
    int64_t cpu;

    start_gateway(w);
    start_push(w);
    WAIT_UNTIL(w, w->collector.connected);
    cpu = clock_thread_cpu_us();
    for (int i = 0; i < 200; i++) {
        assert_int_equal(loop_once(w->loop, 1000, NULL), 0);
    }
    assert_true(clock_thread_cpu_us() - cpu < 150000); /* no busy loop */
    finish(w);
}

static void a_gateway_that_reads_nothing_holds_us_without_cpu(void **state)
{
    const struct plan plan[] = { { ACT_SLOW, 0, 64 } };
    struct world *w = begin(*state, plan, 1);
    int64_t cpu, wall;

    fake_collector_seal(&w->collector, 8, 1 << 20);
    start_gateway(w);
    start_push(w);
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
    assert_seen_in_order(w, 1, 8);
    finish(w);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(all_bundles_arrive_and_are_acked),
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
        IN_FOLDER(a_stop_waits_for_what_is_under_way),
        IN_FOLDER(a_stop_without_a_session_is_at_once),
        IN_FOLDER(an_idle_session_with_a_silent_gateway_stays_quiet),
        IN_FOLDER(a_gateway_that_reads_nothing_holds_us_without_cpu),
    };

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(ssh_client_library_init(NULL), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
