/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/metrics_http.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/check.h"

#include "common/base/err.h"
#include "common/os/stat.h"

static const struct stat_def defs[] = { { STAT_TYPE_COUNTER, "test_bundles", "", NULL, NULL, "Seen." } };

static struct stat_set *stats;
static struct metrics_http *http;
static atomic_bool well;

static bool is_ready(void *arg, char *reason, size_t n)
{
    (void)arg;
    if (!well) {
        (void)snprintf(reason, n, "no broker since 12 s");
    }
    return well;
}

static int start(const char *address, struct pofr_err *err)
{
    const struct metrics_http_options o = { .address = address, .stats = stats, .ready = is_ready };

    return metrics_http_start(&o, &http, err);
}

static int setup(void **state)
{
    (void)state;
    well = true;
    return stat_new(defs, 1, &stats, NULL) == 0 ? start("127.0.0.1:0", NULL) : -1;
}

static int teardown(void **state)
{
    (void)state;
    metrics_http_stop(http);
    metrics_http_stop(NULL);
    stat_free(stats);
    return 0;
}

static int connect_to_it(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(metrics_http_port(http)) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* The whole answer to one request. */
static const char *ask(const char *request)
{
    static char answer[65536];
    int fd = connect_to_it();
    size_t len = 0;
    ssize_t n;

    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    while ((n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    answer[len] = '\0';
    (void)close(fd);
    return answer;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void metrics_are_openmetrics(void **state)
{
    const char *answer;

    (void)state;
    stat_add(stats, 0, 41);
    answer = ask(GET("/metrics"));
    assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(strstr(answer, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert_non_null(strstr(answer, "\npofr_test_bundles_total 41\n# EOF\n"));
}

static void ready_says_why_not(void **state)
{
    (void)state;
    assert_non_null(strstr(ask(GET("/readyz")), "\r\n\r\nok\n"));
    well = false;
    assert_memory_equal(ask(GET("/readyz")), "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(ask(GET("/readyz")), "\r\n\r\nno broker since 12 s\n"));
    assert_memory_equal(ask(GET("/healthz")), "HTTP/1.1 200 ", 13);
}

static void nothing_else_is_served(void **state)
{
    (void)state;
    assert_memory_equal(ask(GET("/")), "HTTP/1.1 404 ", 13);
    assert_memory_equal(ask(GET("/metrics/../../etc/passwd")), "HTTP/1.1 404 ", 13);
    assert_memory_equal(ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"),
                        "HTTP/1.1 405 ", 13);
    assert_memory_equal(ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200 ", 13);
}

static void silent_connections_do_not_keep_others_out_for_ever(void **state)
{
    int silent[12];

    (void)state;
    for (size_t i = 0; i < pofr_countof(silent); i++) {
        silent[i] = connect_to_it();
    }
    assert_memory_equal(ask(GET("/healthz")), "HTTP/1.1 200 ", 13);
    for (size_t i = 0; i < pofr_countof(silent); i++) {
        (void)close(silent[i]);
    }
}

static void bad_or_taken_addresses_are_told_apart(void **state)
{
    struct metrics_http *first = http;
    struct pofr_err err = { 0 };
    char taken[32];

    (void)state;
    assert_int_equal(start("localhost:9464", &err), POFR_ECONFIG);
    assert_int_equal(start("127.0.0.1", &err), POFR_ECONFIG);
    assert_int_equal(start("127.0.0.1:99999", &err), POFR_ECONFIG);
    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%u", metrics_http_port(first));
    assert_int_equal(start(taken, &err), POFR_ESYSTEM);
    assert_non_null(strstr(err.text, taken));
    assert_ptr_equal(http, first);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(metrics_are_openmetrics),
        SERVED(ready_says_why_not),
        SERVED(nothing_else_is_served),
        SERVED(silent_connections_do_not_keep_others_out_for_ever),
        SERVED(bad_or_taken_addresses_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
