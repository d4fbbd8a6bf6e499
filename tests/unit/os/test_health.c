/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/health.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/check.h"

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/metrics_http.h"
#include "common/os/stat.h"

#define LIMIT_MS 20000

static const struct stat_def defs[] = { { STAT_TYPE_COUNTER, "test_bundles", "", NULL, NULL, "Seen." } };

static struct stat_set *stats;
static struct metrics_http *http;
static struct buf text = BUF_INIT(1024);
static struct pofr_err err;
static atomic_bool well;

static bool is_well(void *arg, char *reason, size_t n)
{
    (void)arg;
    (void)snprintf(reason, n, "a thread stands still");
    return well;
}

static int setup(void **state)
{
    (void)state;
    well = true;
    err = (struct pofr_err){ 0 };
    buf_reset(&text);
    return stat_new(defs, 1, &stats, NULL);
}

static int teardown(void **state)
{
    (void)state;
    metrics_http_stop(http);
    http = NULL;
    stat_free(stats);
    buf_free(&text);
    return 0;
}

static void serve(const char *address)
{
    const struct metrics_http_options o = { .address = address, .stats = stats, .healthy = is_well };

    assert_int_equal(metrics_http_start(&o, &http, &err), 0);
}

/* Who listens on loopback, or (any) on every address, of the port that the kernel gave. */
static int ask_at(const char *host, int limit_ms)
{
    char address[64];

    (void)snprintf(address, sizeof(address), "%s:%u", host, metrics_http_port(http));
    return health_ask(address, limit_ms, &text, &err);
}

static void one_that_is_well_says_so(void **state)
{
    (void)state;
    serve("127.0.0.1:0");
    assert_int_equal(ask_at("127.0.0.1", LIMIT_MS), 0);
    assert_string_equal(buf_cstr(&text), "ok");
}

static void one_that_is_not_says_why(void **state)
{
    (void)state;
    serve("127.0.0.1:0");
    well = false;
    assert_int_equal(ask_at("127.0.0.1", LIMIT_MS), POFR_EREFUSED);
    assert_string_equal(err.text, "a thread stands still");
    assert_int_equal(text.len, 0);
}

static void one_that_listens_on_every_address_is_asked_on_loopback(void **state)
{
    (void)state;
    serve("0.0.0.0:0");
    assert_int_equal(ask_at("0.0.0.0", LIMIT_MS), 0);
}

static void an_address_that_is_none_is_told_from_one_where_nobody_is(void **state)
{
    (void)state;
    serve("127.0.0.1:0");
    assert_int_equal(health_ask("localhost:9464", LIMIT_MS, &text, &err), POFR_ECONFIG);
    assert_int_equal(health_ask("127.0.0.1", LIMIT_MS, &text, &err), POFR_ECONFIG);
    assert_int_equal(ask_at("127.0.0.2", LIMIT_MS), POFR_EPEER); /* of all of 127.0.0.0/8 it listens on one */
    assert_int_equal(text.len, 0);
}

/* --- a peer that is none of ours -------------------------------------------------------------------- */

static const char *peer_says;
static int peer_fd;

/* Takes one connection, says its line, and closes; or says nothing, and waits for the end of the other. */
static void *peer(void *arg)
{
    char request[512];
    int fd = accept4(peer_fd, NULL, NULL, SOCK_CLOEXEC);

    (void)arg;
    if (fd >= 0 && recv(fd, request, sizeof(request), 0) > 0) {
        if (*peer_says != '\0') {
            (void)send(fd, peer_says, strlen(peer_says), MSG_NOSIGNAL);
        } else {
            (void)recv(fd, request, sizeof(request), 0);
        }
    }
    (void)close(fd);
    return NULL;
}

static int ask_peer(const char *says, int limit_ms)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    char address[64];
    pthread_t thread;
    int rc;

    peer_says = says;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer_fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(peer_fd, 1), 0);
    assert_int_equal(getsockname(peer_fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, peer, NULL), 0);
    rc = health_ask(address, limit_ms, &text, &err);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(peer_fd);
    return rc;
}

static void one_that_does_not_answer_is_not_waited_for_long(void **state)
{
    (void)state;
    assert_int_equal(ask_peer("", 50), POFR_ETIMEOUT);
}

static void what_is_no_answer_of_ours_is_none(void **state)
{
    static char large[65536];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(ask_peer("SSH-2.0-libssh\r\n", LIMIT_MS), POFR_EPEER);
    assert_int_equal(ask_peer("HTTP/1.1 200 OK\r\n", LIMIT_MS), POFR_EPEER);
    assert_int_equal(ask_peer("HTTP/1.", LIMIT_MS), POFR_EPEER);
    assert_int_equal(ask_peer(large, LIMIT_MS), POFR_EPEER);
    assert_int_equal(text.len, 0);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(one_that_is_well_says_so),
        SERVED(one_that_is_not_says_why),
        SERVED(one_that_listens_on_every_address_is_asked_on_loopback),
        SERVED(an_address_that_is_none_is_told_from_one_where_nobody_is),
        SERVED(one_that_does_not_answer_is_not_waited_for_long),
        SERVED(what_is_no_answer_of_ours_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
