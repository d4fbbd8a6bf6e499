/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"

static int connect_to(const char *runtime_dir, int *out_fd, struct pofr_err *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int n = snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", runtime_dir, IPC_SOCKET);
    int rc;

    if (n < 0 || (size_t)n >= sizeof(to.sun_path)) {
        return pofr_err_set(err, POFR_ECONFIG, "%s: too long for a socket", runtime_dir);
    }
    *out_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*out_fd < 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "socket");
    }
    if (connect(*out_fd, (const struct sockaddr *)&to, sizeof(to)) == 0) {
        return 0;
    }
    rc = errno == ECONNREFUSED ? POFR_EPEER : fsio_code(errno);
    return pofr_err_sys(err, rc, "no collector answers at %s", to.sun_path);
}

/* One packet, appended to packet. */
static int receive(int fd, int64_t until_us, struct buf *packet, struct pofr_err *err)
{
    uint8_t *room = buf_reserve(packet, IPC_PACKET_MAX);

    if (!room) {
        return pofr_err_set(err, packet->err, "no memory for an answer");
    }
    for (;;) {
        int64_t left_us = until_us - clock_mono_us();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n;

        if (left_us <= 0) {
            return pofr_err_set(err, POFR_ETIMEOUT, "the collector does not answer");
        }
        if (poll(&p, 1, (int)(left_us / 1000) + 1) < 0 && errno != EINTR) {
            return pofr_err_sys(err, POFR_ESYSTEM, "poll");
        }
        n = recv(fd, room, IPC_PACKET_MAX, MSG_DONTWAIT);
        if (n > 0) {
            buf_advance(packet, (size_t)n);
            return 0;
        }
        if (n == 0) { /* who may not ask is cut off */
            return pofr_err_set(err, POFR_EPERMISSION, "the collector does not talk to this user");
        }
        if (errno != EAGAIN && errno != EINTR) {
            return pofr_err_sys(err, errno == ECONNRESET ? POFR_EPERMISSION : POFR_ESYSTEM, "the collector");
        }
    }
}

static int exchange(int fd, const struct ipc_message *question, enum ipc_type answer, struct buf *packet,
                    struct ipc_message *out, struct pofr_err *err)
{
    int64_t until_us = clock_mono_us() + ASK_US;
    struct buf out_packet = BUF_INIT(IPC_PACKET_MAX);
    int rc = ipc_put(question, &out_packet);

    if (rc == 0 && send(fd, out_packet.data, out_packet.len, MSG_NOSIGNAL) < 0) {
        rc = errno == EPIPE ? POFR_EPERMISSION : POFR_ESYSTEM;
    }
    buf_free(&out_packet);
    if (rc != 0) {
        return pofr_err_set(err, rc, "the collector takes no question: %s", pofr_err_text(rc));
    }
    for (;;) {
        buf_reset(packet);
        rc = receive(fd, until_us, packet, err);
        if (rc != 0) {
            return rc;
        }
        rc = ipc_get(buf_slice(packet), out);
        if (rc != 0) {
            return pofr_err_set(err, POFR_EFORMAT, "the collector's answer is not to be understood");
        }
        if (out->type == answer) {
            return 0;
        }
        if (out->type == IPC_ERROR) {
            return pofr_err_set(err, out->error.code == IPC_ERROR_RIGHTS ? POFR_EPERMISSION : POFR_EREFUSED,
                                "the collector refuses (%llu)", (unsigned long long)out->error.code);
        }
    }
}

int ask_collector(const char *runtime_dir, const struct ipc_message *question, enum ipc_type answer, struct buf *packet,
                  struct ipc_message *out_answer, struct pofr_err *err)
{
    int fd = -1;
    int rc = connect_to(runtime_dir, &fd, err);

    if (rc == 0) {
        rc = exchange(fd, question, answer, packet, out_answer, err);
    }
    fsio_close(&fd);
    return rc;
}

int ask_shipping(const char *runtime_dir, struct shipping *out, struct pofr_err *err)
{
    struct ipc_message question = { .type = IPC_STATUS }, answer;
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);
    int rc;

    question.status.form = IPC_STATUS_JSON;
    rc = ask_collector(runtime_dir, &question, IPC_TEXT, &packet, &answer, err);
    if (rc == 0 && shipping_parse(answer.text.text, out) != 0) {
        rc = pofr_err_set(err, POFR_EFORMAT, "the collector's status is not to be understood");
    }
    buf_free(&packet);
    return rc;
}
