/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor/probe.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/ship/ssh_client.h"
#include "common/base/err.h"
#include "tests/support/check.h"
#include "tests/support/ssh_peer.h"

static const uint8_t our_key[32] = { 0x1b, 1, 2, 3 };
static const uint8_t other_key[32] = { 0x1b, 9 };

static void serve(struct ssh_peer_session *s, void *arg)
{
    (void)s;
    (void)arg;
}

static struct probe probe_of(const struct ssh_peer *gateway)
{
    struct probe p = { .connect_us = 20000000 };

    snprintf(p.gateway.host, sizeof(p.gateway.host), "127.0.0.1");
    p.gateway.port = ssh_peer_port(gateway);
    memcpy(p.public_key, our_key, 32);
    memcpy(p.fingerprint, ssh_peer_fingerprint(gateway), 32);
    return p;
}

static void a_gateway_that_knows_us_is_well(void **state)
{
    struct ssh_peer *gateway = ssh_peer_start(&(struct ssh_peer_options){ .key = our_key, .serve = serve });
    struct probe p = probe_of(gateway);
    struct pofr_err err = { 0 };
    char peer[72], expected[72];

    (void)state;
    assert_int_equal(probe_gateway(&p, peer, &err), 0);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", (unsigned)p.gateway.port);
    assert_string_equal(peer, expected);
    assert_int_equal(ssh_peer_sessions(gateway), 0); /* nothing was signed, nobody logged in */
    ssh_peer_stop(gateway);
}

static void one_that_does_not_know_us_is_told_apart(void **state)
{
    struct ssh_peer *gateway = ssh_peer_start(&(struct ssh_peer_options){ .key = other_key, .serve = serve });
    struct probe p = probe_of(gateway);
    struct pofr_err err;
    char peer[72];

    (void)state;
    assert_int_equal(probe_gateway(&p, peer, &err), POFR_EREFUSED);
    assert_true(peer[0] != '\0');
    ssh_peer_stop(gateway);
}

static void so_is_one_with_another_key(void **state)
{
    struct ssh_peer *gateway = ssh_peer_start(&(struct ssh_peer_options){ .key = our_key, .serve = serve });
    struct probe p = probe_of(gateway);
    struct pofr_err err;
    char peer[72];

    (void)state;
    p.fingerprint[0] ^= 1;
    assert_int_equal(probe_gateway(&p, peer, &err), POFR_ECONFLICT);
    ssh_peer_stop(gateway);
}

static void one_that_hangs_up_is_not_one_that_refuses(void **state)
{
    struct ssh_peer *gateway = ssh_peer_start(&(struct ssh_peer_options){ .drop_at_login = true, .serve = serve });
    struct probe p = probe_of(gateway);
    struct pofr_err err;
    char peer[72];

    (void)state;
    assert_int_equal(probe_gateway(&p, peer, &err), POFR_EPEER);
    ssh_peer_stop(gateway);
    assert_int_equal(probe_gateway(&p, peer, &err), POFR_EPEER);
    assert_string_equal(peer, "");
}

static void a_name_that_is_none_is_told(void **state)
{
    struct probe p = { .connect_us = 20000000, .gateway = { "no-such-host.invalid", 22 } };
    struct pofr_err err;
    char peer[72];

    (void)state;
    assert_true(probe_gateway(&p, peer, &err) < 0);
    assert_non_null(strstr(err.text, "no-such-host.invalid"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_that_knows_us_is_well), cmocka_unit_test(one_that_does_not_know_us_is_told_apart),
        cmocka_unit_test(so_is_one_with_another_key),      cmocka_unit_test(one_that_hangs_up_is_not_one_that_refuses),
        cmocka_unit_test(a_name_that_is_none_is_told),
    };

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(ssh_client_library_init(NULL), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
