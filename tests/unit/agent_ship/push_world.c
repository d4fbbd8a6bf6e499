/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/agent_ship/push_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/os/log.h"

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
    if (w->seen.len < SEEN_MAX) {
        w->seen.bundles[w->seen.len++] = m->bundle.sequence;
    }
    for (size_t i = 0; i < m->bundle.block.len; i++) {
        if (m->bundle.block.data[i] != (uint8_t)(i + m->bundle.sequence)) {
            w->seen.bad_blocks++;
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
    w->seen.hello = m;
    w->seen.hellos++;
    snprintf(w->seen.user, sizeof(w->seen.user), "%s", ssh_peer_user(s));
    pthread_mutex_unlock(&w->lock);
    memset(&m, 0, sizeof(m));
    if (plan->action == ACT_PENDING) {
        m.type = MESSAGE_REFUSE;
        m.refuse.code = MESSAGE_REFUSE_PENDING;
        m.refuse.retry_ms = plan->n;
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
        struct timespec pause = { 0, 1000000 };

        nanosleep(&pause, NULL); /* allowed: the test decides when; this only waits for it */
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

void world_read_pins(void *arg, struct pins *pins)
{
    (void)arg;
    (void)pins; /* they stay as they are */
}

void world_stopped(void *arg)
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

struct world *world_begin(const char *dir, const struct plan *plan, unsigned plan_len)
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

void world_start_gateway(struct world *w)
{
    struct ssh_peer_options o = {
        .key = sshkey_public(w->collector.key), .rekey_bytes = w->rekey_bytes, .serve = serve, .arg = w
    };

    w->gateway = ssh_peer_start(&o);
}

void world_start_push(struct world *w)
{
    struct push_options o = { .spool_dir = w->collector.spool_dir,
                              .socket_path = w->collector.socket_path,
                              .read_pins = world_read_pins,
                              .stopped = world_stopped,
                              .arg = w };
    struct pofr_err err;

    o.settings.pins = pins_of(ssh_peer_fingerprint(w->gateway));
    o.settings.gateways.len = 1;
    snprintf(o.settings.gateways.list[0].host, HOSTPORT_HOST_SIZE, "127.0.0.1");
    o.settings.gateways.list[0].port = ssh_peer_port(w->gateway);
    o.settings.connect_us = 20 * CLOCK_US_PER_S;
    o.settings.retry_min_us = 1000;
    o.settings.retry_max_us = 20000;
    w->settings = o.settings;
    assert_int_equal(push_new(w->loop, &o, &w->push, &err), 0);
}

void world_finish(struct world *w)
{
    push_free(w->push);
    ssh_peer_stop(w->gateway);
    assert_int_equal(w->seen.bad_blocks, 0); /* its thread has ended */
    assert_false(w->collector.ack_before_refusal);
    fake_collector_close(&w->collector);
    loop_free(w->loop);
    pthread_mutex_destroy(&w->lock);
    log_set_sink(NULL, NULL);
    free(w);
}

void world_seen_in_order(struct world *w, uint64_t first, uint64_t last)
{
    const struct seen *seen = world_seen(w);
    uint64_t next = first;

    for (unsigned i = 0; i < seen->len; i++) {
        assert_true(seen->bundles[i] <= next);
        next += seen->bundles[i] == next;
    }
    assert_int_equal(next, last + 1);
}

const struct seen *world_seen(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    w->copy = w->seen;
    pthread_mutex_unlock(&w->lock);
    return &w->copy;
}
