/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "gateway/sockets.h"

static uint16_t port_of(int fd)
{
    struct sockaddr_in at;
    socklen_t size = sizeof(at);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    return ntohs(at.sin_port);
}

static struct conf_list list(const char *const *items, size_t count)
{
    return (struct conf_list){ items, count };
}

static void each_lane_has_a_socket_on_the_same_port(void **state)
{
    static const char *const items[] = { "127.0.0.1:0", "127.0.0.2:0" };
    struct conf_list listen_on = list(items, 2);
    struct sockets s = { 0 };
    const int *first, *second;
    size_t n;

    (void)state;
    assert_int_equal(sockets_open(&listen_on, 2, &s, NULL), 0);
    first = sockets_of(&s, 0, &n);
    assert_int_equal(n, 2);
    second = sockets_of(&s, 1, &n);
    assert_int_not_equal(first[0], second[0]);
    assert_int_equal(port_of(first[0]), port_of(second[0]));
    assert_int_equal(port_of(first[1]), port_of(second[1]));
    sockets_close(&s);
}

static void a_port_that_is_taken_is_an_error_with_its_address(void **state)
{
    static const char *const items[] = { "127.0.0.1:0" };
    struct conf_list listen_on = list(items, 1);
    struct sockets s = { 0 }, other = { 0 };
    char text[32];
    const char *taken[] = { text };
    struct pofr_err err;
    size_t n;

    (void)state;
    assert_int_equal(sockets_open(&listen_on, 1, &s, NULL), 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u", port_of(*sockets_of(&s, 0, &n)));
    listen_on = list(taken, 1);
    assert_int_equal(sockets_open(&listen_on, 1, &other, &err), POFR_ESYSTEM);
    assert_non_null(strstr(err.text, text));
    sockets_close(&other);
    sockets_close(&s);
}

static void names_are_no_addresses(void **state)
{
    static const char *const items[] = { "localhost:0" };
    struct conf_list listen_on = list(items, 1);
    struct sockets s = { 0 };

    (void)state;
    assert_int_equal(sockets_open(&listen_on, 1, &s, NULL), POFR_ECONFIG);
    sockets_close(&s);
}

/* In a process of its own: the number of a passed socket is fixed. */
static int in_a_child(bool listens)
{
    static const char *const items[] = { "127.0.0.1:0" };
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        struct conf_list listen_on = list(items, 1);
        struct sockets s = { 0 };
        int fd = socket(AF_INET, SOCK_STREAM, 0), rc;
        char text[16];
        size_t n;

        if (fd < 0 || (listens && listen(fd, 5) != 0) || dup2(fd, 3) != 3) {
            _exit(100);
        }
        snprintf(text, sizeof(text), "%d", (int)getpid());
        setenv("LISTEN_PID", text, 1);
        setenv("LISTEN_FDS", "1", 1);
        rc = sockets_open(&listen_on, 2, &s, NULL);
        if (rc == 0 && (*sockets_of(&s, 0, &n) != 3 || *sockets_of(&s, 1, &n) != 3 || n != 1)) {
            rc = 1;
        }
        _exit(rc == 0 ? 0 : rc == POFR_ECONFIG ? 2 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void sockets_that_systemd_passed_are_shared_by_all_lanes(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(true), 0);
}

static void a_passed_socket_that_does_not_listen_is_refused(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(false), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_lane_has_a_socket_on_the_same_port),
        cmocka_unit_test(a_port_that_is_taken_is_an_error_with_its_address),
        cmocka_unit_test(names_are_no_addresses),
        cmocka_unit_test(sockets_that_systemd_passed_are_shared_by_all_lanes),
        cmocka_unit_test(a_passed_socket_that_does_not_listen_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
