/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/lane_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"

#define ACCEPTS  8 /* of one round: who is in already goes before */
#define AGAIN_US (100 * CLOCK_US_PER_MS)
#define PAUSE_US (10 * CLOCK_US_PER_MS)

void listener_text(const struct sockaddr_storage *at, char out[PEER_TEXT_SIZE])
{
    char address[INET6_ADDRSTRLEN] = "?";

    if (at->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)at;

        (void)inet_ntop(AF_INET, &in->sin_addr, address, sizeof(address)); /* "?" stays */
        snprintf(out, PEER_TEXT_SIZE, "%s:%u", address, ntohs(in->sin_port));
    } else if (at->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)at;

        (void)inet_ntop(AF_INET6, &in->sin6_addr, address, sizeof(address)); /* "?" stays */
        snprintf(out, PEER_TEXT_SIZE, "[%s]:%u", address, ntohs(in->sin6_port));
    } else {
        snprintf(out, PEER_TEXT_SIZE, "unknown");
    }
}

static void listen_again(void *arg)
{
    struct lane_listener *ls = (struct lane_listener *)arg;

    if (loop_fd_change(ls->lane->loop, ls->fd, EPOLLIN, NULL) != 0) {
        log_error("listener", "deaf", "lane=%u", ls->lane->o.number);
    }
}

static void rest(struct lane_listener *ls, int64_t us)
{
    if (loop_timer_after(ls->lane->loop, &ls->again, us, listen_again, ls) == 0 &&
        loop_fd_change(ls->lane->loop, ls->fd, 0, NULL) != 0) {
        loop_timer_cancel(ls->lane->loop, &ls->again); /* it goes on trying, which only costs CPU */
    }
}

/* No file left: accept() would fail again at once, and for ever. Others close meanwhile. */
static void rest_without_files(struct lane_listener *ls)
{
    struct pofr_err err;

    pofr_err_sys(&err, POFR_ESYSTEM, "accept");
    stat_add_by(ls->lane->o.stats, STAT_gateway_connections_refused, REFUSAL_FILES, 1);
    log_warn("listener", "no_files", "error=\"%s\"", err.text);
    rest(ls, AGAIN_US);
}

/*
 * As many as may be have not shown a key yet. An agent that is refused comes again after seconds, and at each refusal
 * later: ten thousand took minutes to get in. One that waits with the kernel is served when its turn comes.
 */
static bool must_wait(struct lane_listener *ls)
{
    if (limits_has_room_for_strangers(ls->lane->o.limits)) {
        return false;
    }
    stat_add(ls->lane->o.stats, STAT_gateway_accept_pauses, 1);
    rest(ls, PAUSE_US);
    return true;
}

/* False: enough for this round. */
static bool accept_one(struct lane_listener *ls)
{
    struct lane *l = ls->lane;
    struct sockaddr_storage from;
    socklen_t size = sizeof(from);
    int fd;

    memset(&from, 0, sizeof(from));
    fd = accept4(ls->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        stat_add(l->o.stats, STAT_gateway_connections, 1);
        peer_open(l, fd, &from);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        rest_without_files(ls);
        return false;
    }
    return errno == EINTR || errno == ECONNABORTED || errno == EPROTO;
}

static void on_connection(int fd, uint32_t events, void *arg)
{
    struct lane_listener *ls = (struct lane_listener *)arg;
    int i;

    (void)fd;
    (void)events;
    for (i = 0; i < ACCEPTS && !must_wait(ls) && accept_one(ls); i++) {
    }
}

int listener_start(struct lane *l, struct pofr_err *err)
{
    size_t i;
    int rc = 0;

    l->listeners = (struct lane_listener *)calloc(l->o.listeners_count, sizeof(*l->listeners));
    if (!l->listeners) {
        return pofr_err_set(err, POFR_ENOMEM, "listeners: out of memory");
    }
    for (i = 0; i < l->o.listeners_count && rc == 0; i++) {
        l->listeners[i].lane = l;
        l->listeners[i].fd = l->o.listeners[i];
        rc = loop_fd_add(l->loop, l->listeners[i].fd, EPOLLIN, on_connection, &l->listeners[i], err);
    }
    return rc;
}

void listener_stop(struct lane *l)
{
    size_t i;

    for (i = 0; l->listeners && i < l->o.listeners_count; i++) {
        loop_fd_remove(l->loop, l->listeners[i].fd);
        loop_timer_cancel(l->loop, &l->listeners[i].again);
    }
    free(l->listeners);
    l->listeners = NULL;
}
