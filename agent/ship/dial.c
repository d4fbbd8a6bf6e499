/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "agent/ship/resolve.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/loop.h"

#define PEER_SIZE 72

struct dial {
    struct loop *loop;
    struct hostport to;
    dial_fn fn;
    void *arg;
    struct resolve *resolve;
    struct loop_timer timer; /* of the address that is tried, or of the question */
    int64_t end_us;          /* of all of it */
    struct sockaddr_storage addresses[RESOLVE_MAX];
    size_t count, at;
    int fd;
    char peer[PEER_SIZE];
    int last_rc;
    struct pofr_err last;
};

static void next_address(struct dial *d);

static socklen_t length_of(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void name_peer(struct dial *d)
{
    const struct sockaddr_storage *a = &d->addresses[d->at];
    char host[56], port[8];

    if (getnameinfo((const struct sockaddr *)a, length_of(a), host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(host, sizeof(host), "?");
        snprintf(port, sizeof(port), "?");
    }
    snprintf(d->peer, sizeof(d->peer), a->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void stop(struct dial *d)
{
    resolve_cancel(d->resolve);
    d->resolve = NULL;
    loop_timer_cancel(d->loop, &d->timer);
    if (d->fd >= 0) {
        loop_fd_remove(d->loop, d->fd);
        fsio_close(&d->fd);
    }
}

static void finish(struct dial *d, int fd, int rc)
{
    struct dial over = *d;

    free(d);
    over.fn(over.arg, fd, over.peer, rc, &over.last);
}

static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        { IPPROTO_TCP, TCP_NODELAY, 1 },    { IPPROTO_TCP, TCP_USER_TIMEOUT, DIAL_USER_TIMEOUT_MS },
        { SOL_SOCKET, SO_KEEPALIVE, 1 },    { IPPROTO_TCP, TCP_KEEPIDLE, 30 },
        { IPPROTO_TCP, TCP_KEEPINTVL, 10 }, { IPPROTO_TCP, TCP_KEEPCNT, 3 },
    };

    for (size_t i = 0; i < pofr_countof(options); i++) {
        /* An old kernel without one of them still connects; the protocol's own deadlines stay. */
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(options[i].value));
    }
}

static void failed(struct dial *d, int rc)
{
    d->last_rc = rc;
    stop(d);
    d->at++;
    next_address(d);
}

static void connected(struct dial *d)
{
    int fd = d->fd;

    loop_fd_remove(d->loop, fd);
    d->fd = -1;
    stop(d);
    finish(d, fd, 0);
}

static void connect_ready(int fd, uint32_t events, void *arg)
{
    struct dial *d = arg;
    int sys = 0;
    socklen_t len = sizeof(sys);

    (void)events;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) != 0) {
        sys = errno;
    }
    if (sys != 0) {
        errno = sys;
        failed(d, pofr_err_sys(&d->last, POFR_EPEER, "%s:%u (%s)", d->to.host, (unsigned)d->to.port, d->peer));
    } else {
        connected(d);
    }
}

static void overdue(void *arg)
{
    struct dial *d = arg;

    if (d->resolve) {
        int rc = pofr_err_set(&d->last, POFR_ETIMEOUT, "%s: the name was not found in time", d->to.host);

        stop(d);
        finish(d, -1, rc);
        return;
    }
    failed(d, pofr_err_set(&d->last, POFR_ETIMEOUT, "%s:%u (%s): no connection in time", d->to.host,
                           (unsigned)d->to.port, d->peer));
}

static int try_address(struct dial *d, int64_t left_us)
{
    const struct sockaddr_storage *a = &d->addresses[d->at];
    int rc;

    d->fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0) {
        return pofr_err_sys(&d->last, POFR_ESYSTEM, "no socket for %s", d->peer);
    }
    set_options(d->fd);
    if (connect(d->fd, (const struct sockaddr *)a, length_of(a)) != 0 && errno != EINPROGRESS) {
        return pofr_err_sys(&d->last, POFR_EPEER, "%s:%u (%s)", d->to.host, (unsigned)d->to.port, d->peer);
    }
    rc = loop_fd_add(d->loop, d->fd, EPOLLOUT, connect_ready, d, &d->last);
    if (rc == 0) { /* what is left is shared by the addresses that are left */
        rc = loop_timer_after(d->loop, &d->timer, left_us / (int64_t)(d->count - d->at), overdue, d);
    }
    return rc;
}

static void next_address(struct dial *d)
{
    while (d->at < d->count) {
        int64_t left_us = d->end_us - clock_mono_us();

        if (left_us <= 0) {
            break;
        }
        name_peer(d);
        d->last_rc = try_address(d, left_us);
        if (d->last_rc == 0) {
            return;
        }
        stop(d);
        d->at++;
    }
    finish(d, -1, d->last_rc);
}

static void resolved(void *arg, const struct sockaddr_storage *addresses, size_t count, const char *error)
{
    struct dial *d = arg;

    d->resolve = NULL;
    loop_timer_cancel(d->loop, &d->timer);
    if (count == 0) {
        finish(d, -1, pofr_err_set(&d->last, POFR_EPEER, "%s: %s", d->to.host, error));
        return;
    }
    memcpy(d->addresses, addresses, count * sizeof(addresses[0]));
    d->count = count;
    d->last_rc = pofr_err_set(&d->last, POFR_ETIMEOUT, "%s: no time left", d->to.host);
    next_address(d);
}

int dial_start(struct loop *loop, const struct hostport *to, int64_t timeout_us, dial_fn fn, void *arg,
               struct dial **out, struct pofr_err *err)
{
    struct dial *d = calloc(1, sizeof(*d));
    int rc;

    if (!d) {
        return pofr_err_set(err, POFR_ENOMEM, "no memory to connect to %s", to->host);
    }
    d->loop = loop;
    d->to = *to;
    d->fn = fn;
    d->arg = arg;
    d->fd = -1;
    d->end_us = clock_mono_us() + timeout_us;
    rc = resolve_start(loop, to->host, to->port, resolved, d, &d->resolve, err);
    if (rc == 0) {
        rc = loop_timer_after(loop, &d->timer, timeout_us, overdue, d);
    }
    if (rc != 0) {
        stop(d);
        free(d);
        return rc;
    }
    *out = d;
    return 0;
}

void dial_cancel(struct dial *d)
{
    if (d) {
        stop(d);
        free(d);
    }
}
