/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor/probe.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/ship/ssh_client.h"
#include "common/base/err.h"
#include "tests/support/check.h"
#include "tests/support/ssh_peer.h"

enum plan {
    SAYS_WELCOME,
    SAYS_RETIRED,
    SAYS_BUSY,
    SAYS_NOTHING,
};

static const uint8_t our_key[32] = { 0x1b, 1, 2, 3 };
static const uint8_t other_key[32] = { 0x1b, 9 };

static void serve(struct ssh_peer_session *s, void *arg)
{
    const enum plan *plan = arg;
    struct message m;

    if (!plan || *plan == SAYS_NOTHING || !ssh_peer_receive(s, &m) || m.type != MESSAGE_HELLO || m.hello.version == 0 ||
        uuid_is_zero(&m.hello.boot) || m.hello.host.b[0] != 0x42) {
        return;
    }
    memset(&m, 0, sizeof(m));
    m.type = *plan == SAYS_WELCOME ? MESSAGE_WELCOME : MESSAGE_REFUSE;
    if (*plan == SAYS_WELCOME) {
        m.welcome.version = MESSAGE_VERSION;
    } else {
        m.refuse.code = *plan == SAYS_RETIRED ? MESSAGE_REFUSE_REVOKED : MESSAGE_REFUSE_BUSY;
        m.refuse.reason = slice_str("so it is");
    }
    ssh_peer_send(s, &m);
}

static struct probe probe_of(const struct ssh_peer *gateway)
{
    struct probe p = { .connect_us = 20000000 };

    snprintf(p.gateway.host, sizeof(p.gateway.host), "127.0.0.1");
    p.gateway.port = ssh_peer_port(gateway);
    memcpy(p.public_key, our_key, 32);
    p.pins = pins_of(ssh_peer_fingerprint(gateway));
    return p;
}

static void a_gateway_that_knows_us_is_well(void **state)
{
    struct ssh_peer *gateway = ssh_peer_start(&(struct ssh_peer_options){ .key = our_key, .serve = serve });
    struct probe p = probe_of(gateway);
    struct probe_answer answer;
    struct pofr_err err = { 0 };
    char expected[72];

    (void)state;
    assert_int_equal(probe_gateway(&p, &answer, &err), 0);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", (unsigned)p.gateway.port);
    assert_string_equal(answer.peer, expected);
    assert_int_equal(ssh_peer_sessions(gateway), 0); /* nothing was signed, nobody logged in */
    ssh_peer_stop(gateway);
}

static void one_that_does_not_know_us_is_told_apart(void **state)
{
    struct ssh_peer *gateway = ssh_peer_start(&(struct ssh_peer_options){ .key = other_key, .serve = serve });
    struct probe p = probe_of(gateway);
    struct probe_answer answer;
    struct pofr_err err;

    (void)state;
    assert_int_equal(probe_gateway(&p, &answer, &err), POFR_EREFUSED);
    assert_true(answer.peer[0] != '\0');
    assert_false(answer.refused);
    ssh_peer_stop(gateway);
}

static void so_is_one_with_another_key(void **state)
{
    struct ssh_peer *gateway = ssh_peer_start(&(struct ssh_peer_options){ .key = our_key, .serve = serve });
    struct probe p = probe_of(gateway);
    struct probe_answer answer;
    struct pofr_err err;

    (void)state;
    p.pins.list[0][0] ^= 1;
    assert_int_equal(probe_gateway(&p, &answer, &err), POFR_ECONFLICT);
    ssh_peer_stop(gateway);
}

static void one_that_hangs_up_is_not_one_that_refuses(void **state)
{
    struct ssh_peer *gateway = ssh_peer_start(&(struct ssh_peer_options){ .drop_at_login = true, .serve = serve });
    struct probe p = probe_of(gateway);
    struct probe_answer answer;
    struct pofr_err err;

    (void)state;
    assert_int_equal(probe_gateway(&p, &answer, &err), POFR_EPEER);
    ssh_peer_stop(gateway);
    assert_int_equal(probe_gateway(&p, &answer, &err), POFR_EPEER);
    assert_string_equal(answer.peer, "");
}

static void a_name_that_is_none_is_told(void **state)
{
    struct probe p = { .connect_us = 20000000, .gateway = { "no-such-host.invalid", 22 } };
    struct probe_answer answer;
    struct pofr_err err;

    (void)state;
    assert_true(probe_gateway(&p, &answer, &err) < 0);
    assert_non_null(strstr(err.text, "no-such-host.invalid"));
}

/* With the key, as the shipper asks: what the gateway says to HELLO is what counts. */
static int probe_with_key(enum plan plan, struct probe_answer *answer, struct pofr_err *err)
{
    struct ssh_peer_options options = { .serve = serve, .arg = &plan };
    struct sshkey *key = NULL;
    struct ssh_peer *gateway;
    struct probe p;
    int rc;

    assert_int_equal(sshkey_generate(&key), 0);
    options.key = sshkey_public(key);
    gateway = ssh_peer_start(&options);
    p = probe_of(gateway);
    p.key = key;
    memset(&p.host, 0x42, sizeof(p.host));
    rc = probe_gateway(&p, answer, err);
    assert_int_equal(ssh_peer_sessions(gateway), 1);
    ssh_peer_stop(gateway);
    sshkey_free(key);
    return rc;
}

static void a_gateway_that_welcomes_us_takes_us(void **state)
{
    struct probe_answer answer;
    struct pofr_err err = { 0 };

    (void)state;
    assert_int_equal(probe_with_key(SAYS_WELCOME, &answer, &err), 0);
    assert_true(answer.peer[0] != '\0');
    assert_false(answer.refused);
}

static void a_retired_host_is_told_after_its_login(void **state)
{
    struct probe_answer answer;
    struct pofr_err err = { 0 };

    (void)state;
    assert_int_equal(probe_with_key(SAYS_RETIRED, &answer, &err), POFR_EREFUSED);
    assert_true(probe_is_ended(&answer));
    assert_string_equal(err.text, "the gateway refuses: revoked: so it is");
}

static void a_gateway_that_can_not_now_is_told_apart(void **state)
{
    struct probe_answer answer;
    struct pofr_err err = { 0 };

    (void)state;
    assert_int_equal(probe_with_key(SAYS_BUSY, &answer, &err), POFR_EBUSY);
    assert_true(answer.refused);
    assert_false(probe_is_ended(&answer));
    assert_int_equal(probe_with_key(SAYS_NOTHING, &answer, &err), POFR_EPEER);
    assert_false(answer.refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_that_knows_us_is_well),
        cmocka_unit_test(one_that_does_not_know_us_is_told_apart),
        cmocka_unit_test(so_is_one_with_another_key),
        cmocka_unit_test(one_that_hangs_up_is_not_one_that_refuses),
        cmocka_unit_test(a_name_that_is_none_is_told),
        cmocka_unit_test(a_gateway_that_welcomes_us_takes_us),
        cmocka_unit_test(a_retired_host_is_told_after_its_login),
        cmocka_unit_test(a_gateway_that_can_not_now_is_told_apart),
    };

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(ssh_client_library_init(NULL), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
