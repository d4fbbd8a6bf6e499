/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor/ask.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/err.h"
#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

struct server { /* answers one connection */
    int fd;
    pthread_t thread;
    const struct ipc_message *answers;
    unsigned count;
    struct slice raw; /* in place of answers */
    struct ipc_message asked;
};

static void *serve(void *arg)
{
    struct server *s = arg;
    static uint8_t packet[IPC_PACKET_MAX];
    int fd = accept(s->fd, NULL, NULL);
    struct buf b = BUF_INIT(IPC_PACKET_MAX);
    ssize_t n = s->count > 0 || s->raw.len > 0 ? recv(fd, packet, sizeof(packet), 0) : 0;

    if (n > 0 && ipc_get(slice_of(packet, (size_t)n), &s->asked) != 0) {
        s->asked.type = 0;
    }
    for (unsigned i = 0; i < s->count; i++) {
        buf_reset(&b);
        if (ipc_put(&s->answers[i], &b) != 0 || send(fd, b.data, b.len, MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    if (s->raw.len > 0) {
        (void)!send(fd, s->raw.data, s->raw.len, MSG_NOSIGNAL);
    }
    buf_free(&b);
    close(fd);
    return NULL;
}

static void start(struct server *s, const char *dir)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/%s", dir, IPC_SOCKET);
    s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->fd, 1), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void end(struct server *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    close(s->fd);
}

static int ask_status(const char *dir, struct buf *packet, struct ipc_message *answer)
{
    struct ipc_message q = { .type = IPC_STATUS };
    struct pofr_err err = { 0 };
    int rc;

    q.status.form = IPC_STATUS_METRICS;
    rc = ask_collector(dir, &q, IPC_TEXT, packet, answer, &err);
    assert_true(rc == 0 || err.text[0] != '\0');
    return rc;
}

static void an_answer_comes_back_whatever_stands_before_it(void **state)
{
    struct ipc_message answers[2] = { { .type = IPC_NEW }, { .type = IPC_TEXT } }, answer;
    struct server s = { .answers = answers, .count = 2 };
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);

    answers[1].text.text = slice_str("all is well\n");
    start(&s, *state);
    assert_int_equal(ask_status(*state, &packet, &answer), 0);
    assert_slice_str(answer.text.text, "all is well\n");
    end(&s);
    assert_int_equal(s.asked.type, IPC_STATUS);
    assert_int_equal(s.asked.status.form, IPC_STATUS_METRICS);
    buf_free(&packet);
}

static void who_has_no_rights_is_told(void **state)
{
    struct ipc_message refusal = { .type = IPC_ERROR }, answer;
    struct server s = { .answers = &refusal, .count = 1 };
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);

    refusal.error.code = IPC_ERROR_RIGHTS;
    start(&s, *state);
    assert_int_equal(ask_status(*state, &packet, &answer), POFR_EPERMISSION);
    end(&s);
    buf_free(&packet);
}

static void being_cut_off_means_no_rights(void **state)
{
    struct server s = { 0 };
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);
    struct ipc_message answer;

    start(&s, *state);
    assert_int_equal(ask_status(*state, &packet, &answer), POFR_EPERMISSION);
    end(&s);
    buf_free(&packet);
}

static void an_answer_that_is_none_is_an_error(void **state)
{
    struct server s = { .raw = slice_str("\xff\xff") };
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);
    struct ipc_message answer;

    start(&s, *state);
    assert_int_equal(ask_status(*state, &packet, &answer), POFR_EFORMAT);
    end(&s);
    buf_free(&packet);
}

static void without_a_collector_it_says_so(void **state)
{
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);
    struct ipc_message answer;
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd;

    assert_int_equal(ask_status(*state, &packet, &answer), POFR_ENOTFOUND);
    /* A socket that a dead one left. */
    snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/%s", (const char *)*state, IPC_SOCKET);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    close(fd);
    assert_int_equal(ask_status(*state, &packet, &answer), POFR_EPEER);
    buf_free(&packet);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(an_answer_comes_back_whatever_stands_before_it),
        IN_FOLDER(who_has_no_rights_is_told),
        IN_FOLDER(being_cut_off_means_no_rights),
        IN_FOLDER(an_answer_that_is_none_is_an_error),
        IN_FOLDER(without_a_collector_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
