/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/hostport.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"

#define ANSWER_MAX 8192U
#define REQUEST    "GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Who listens on any address is asked on loopback. */
static int read_address(const char *text, union address *out, socklen_t *out_len, struct pofr_err *err)
{
    union address a = { .v6 = { .sin6_family = AF_UNSPEC } };
    struct hostport hp;
    int rc = hostport_parse(slice_str(text), -1, &hp);

    if (rc == 0 && inet_pton(AF_INET, hp.host, &a.v4.sin_addr) == 1) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(hp.port);
        a.v4.sin_addr.s_addr =
            a.v4.sin_addr.s_addr == htonl(INADDR_ANY) ? htonl(INADDR_LOOPBACK) : a.v4.sin_addr.s_addr;
        *out_len = sizeof(a.v4);
    } else if (rc == 0 && inet_pton(AF_INET6, hp.host, &a.v6.sin6_addr) == 1) {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons(hp.port);
        a.v6.sin6_addr = IN6_IS_ADDR_UNSPECIFIED(&a.v6.sin6_addr) ? in6addr_loopback : a.v6.sin6_addr;
        *out_len = sizeof(a.v6);
    } else {
        return pofr_err_set(err, POFR_ECONFIG, "\"%s\" is no address:port", text);
    }
    *out = a;
    return 0;
}

static int fail(const char *address, struct pofr_err *err)
{
    return errno == EAGAIN || errno == EINPROGRESS || errno == EWOULDBLOCK
               ? pofr_err_set(err, POFR_ETIMEOUT, "%s does not answer", address)
               : pofr_err_sys(err, POFR_EPEER, "%s", address);
}

/* Until there is no more, room, or time. */
static int read_answer(int fd, const char *address, int64_t until_us, char answer[ANSWER_MAX + 1], struct pofr_err *err)
{
    size_t len = 0;
    ssize_t n;

    while (len < ANSWER_MAX && (n = recv(fd, answer + len, ANSWER_MAX - len, 0)) != 0) {
        if (n < 0) {
            return fail(address, err);
        }
        len += (size_t)n;
        if (clock_mono_us() > until_us) { /* one that sends a byte now and then */
            return pofr_err_set(err, POFR_ETIMEOUT, "%s does not answer", address);
        }
    }
    answer[len] = '\0';
    return 0;
}

static int ask(int fd, const union address *to, socklen_t len, const char *address, int timeout_ms,
               char answer[ANSWER_MAX + 1], struct pofr_err *err)
{
    const struct timeval limit = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
    int64_t until_us = clock_mono_us() + (int64_t)timeout_ms * 1000;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "socket");
    }
    if (connect(fd, &to->any, len) != 0 ||
        send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL) != (ssize_t)strlen(REQUEST)) {
        return fail(address, err);
    }
    return read_answer(fd, address, until_us, answer, err);
}

/* "HTTP/1.1 200 OK", header lines, an empty one, the text. */
static int judge(const char *answer, const char *address, struct buf *out_text, struct pofr_err *err)
{
    const char *body = strstr(answer, "\r\n\r\n");
    struct slice text;

    if (strncmp(answer, "HTTP/1.", 7) != 0 || strlen(answer) < 12 || body == NULL) {
        return pofr_err_set(err, POFR_EPEER, "%s: this is no answer of ours", address);
    }
    text = slice_trim(slice_str(body + 4));
    if (strncmp(answer + 8, " 200", 4) != 0) {
        return pofr_err_set(err, POFR_EREFUSED, "%.*s", SLICE_FMT(text));
    }
    buf_append(out_text, text);
    return out_text->err;
}

int health_ask(const char *address, int timeout_ms, struct buf *out_text, struct pofr_err *err)
{
    char answer[ANSWER_MAX + 1];
    union address to;
    socklen_t len = 0;
    int fd = -1;
    int rc = read_address(address, &to, &len, err);

    if (rc != 0) {
        return rc;
    }
    fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "socket");
    }
    rc = ask(fd, &to, len, address, timeout_ms, answer, err);
    if (rc == 0) {
        rc = judge(answer, address, out_text, err);
    }
    fsio_close(&fd);
    return rc;
}
