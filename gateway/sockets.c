/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/hostport.h"
#include "common/base/parse_num.h"
#include "common/os/fsio.h"
#include "common/os/log.h"

#define BACKLOG         4096
#define USER_TIMEOUT_MS 60000
#define SEND_BYTES      65536 /* the kernel doubles it */
#define PASSED_FIRST    3     /* sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, and the sockets from here on */

/*
 * For the connections, which inherit it: acks leave at once, a peer that vanished is noticed within a minute or two, also
 * while we only send, and one that reads nothing does not fill megabytes of the kernel with answers.
 */
static void set_peer_options(int fd)
{
    int one = 1, idle = 60, every = 20, count = 3, user_ms = USER_TIMEOUT_MS, send_bytes = SEND_BYTES;

    /* none of these is needed for correctness */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof(user_ms));
}

static int set_options(int fd, int family, bool reuse)
{
    int one = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        (reuse && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0) ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) != 0)) {
        return -1;
    }
    set_peer_options(fd);
    return 0;
}

static int open_at(const struct addrinfo *at, bool reuse, const char *text, int *out_fd, struct pofr_err *err)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc;

    if (fd < 0 || set_options(fd, at->ai_family, reuse) != 0 || bind(fd, at->ai_addr, at->ai_addrlen) != 0 ||
        listen(fd, BACKLOG) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "listen on %s", text);
        fsio_close(&fd);
        return rc;
    }
    *out_fd = fd;
    return 0;
}

/* Port 0 is the kernel's choice for the first lane; the others take the same. */
static int port_of(int fd, char *out, size_t size)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } at = { 0 };
    socklen_t len = sizeof(at);

    if (getsockname(fd, &at.any, &len) != 0) {
        return -1;
    }
    snprintf(out, size, "%u", ntohs(at.any.sa_family == AF_INET6 ? at.in6.sin6_port : at.in.sin_port));
    return 0;
}

static int open_address(struct sockets *s, size_t number, const char *text, struct pofr_err *err)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct hostport at;
    char port[8];
    unsigned lane;
    int rc = 0;

    if (hostport_parse(slice_str(text), -1, &at) != 0) {
        return pofr_err_set(err, POFR_ECONFIG, "listen: %s is not address:port", text);
    }
    snprintf(port, sizeof(port), "%u", at.port);
    for (lane = 0; lane < s->lanes && rc == 0; lane++) {
        int *fd = &s->fds[lane * s->addresses + number];
        struct addrinfo *info = NULL;

        if (getaddrinfo(at.host, port, &hints, &info) != 0) {
            return pofr_err_set(err, POFR_ECONFIG, "listen: %s is not a numeric address", text);
        }
        rc = open_at(info, s->lanes > 1, text, fd, err);
        freeaddrinfo(info);
        if (rc == 0 && lane == 0 && port_of(*fd, port, sizeof(port)) != 0) {
            rc = pofr_err_sys(err, POFR_ESYSTEM, "port of %s", text);
        }
    }
    if (rc == 0) {
        log_info("gateway", "listens", "address=%s port=%s", at.host, port);
    }
    return rc;
}

/* How many sockets systemd passed to this process. */
static size_t count_passed(void)
{
    uint32_t pid, count;

    if (parse_u32(slice_str(getenv("LISTEN_PID")), UINT32_MAX, &pid) != 0 || pid != (uint32_t)getpid() ||
        parse_u32(slice_str(getenv("LISTEN_FDS")), 1024, &count) != 0) {
        return 0;
    }
    return count;
}

static bool does_listen(int fd)
{
    int type = 0, listens = 0;
    socklen_t size = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

static int take_passed(struct sockets *s, struct pofr_err *err)
{
    size_t i;
    int fd;

    s->shared = true;
    for (i = 0; i < s->addresses; i++) {
        fd = PASSED_FIRST + (int)i;
        if (!does_listen(fd) || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            return pofr_err_set(err, POFR_ECONFIG, "the socket number %zu that was passed does not listen", i);
        }
        set_peer_options(fd);
        s->fds[i] = fd;
    }
    log_info("gateway", "listens", "passed=%zu", s->addresses);
    return 0;
}

int sockets_open(const struct conf_list *listen, unsigned lanes, struct sockets *out, struct pofr_err *err)
{
    size_t passed = count_passed(), count = passed > 0 ? passed : listen->count, i;
    int rc = 0;

    if (count > SOCKETS_MAX) {
        return pofr_err_set(err, POFR_ECONFIG, "more than %u sockets to listen on", SOCKETS_MAX);
    }
    out->lanes = lanes;
    out->addresses = count;
    out->fds = (int *)malloc(lanes * count * sizeof(*out->fds));
    if (!out->fds) {
        return pofr_err_set(err, POFR_ENOMEM, "sockets: out of memory");
    }
    for (i = 0; i < lanes * count; i++) {
        out->fds[i] = -1;
    }
    if (passed > 0) {
        return take_passed(out, err);
    }
    for (i = 0; i < count && rc == 0; i++) {
        rc = open_address(out, i, listen->items[i], err);
    }
    return rc;
}

const int *sockets_of(const struct sockets *s, unsigned lane, size_t *out_count)
{
    *out_count = s->addresses;
    return s->fds + (s->shared ? 0 : lane * s->addresses);
}

/* Not close(): lanes still have the numbers. */
void sockets_refuse(const struct sockets *s)
{
    size_t i;

    for (i = 0; !s->shared && i < s->lanes * s->addresses; i++) {
        (void)shutdown(s->fds[i], SHUT_RD); /* a socket that was never opened is refused anyway */
    }
}

void sockets_close(struct sockets *s)
{
    size_t i;

    for (i = 0; s->fds && i < s->lanes * s->addresses; i++) {
        fsio_close(&s->fds[i]);
    }
    free(s->fds);
    s->fds = NULL;
}
