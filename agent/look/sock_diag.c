/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/sock_diag.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#include "agent/look/parse_sock.h"

#define ANSWER_MAX  65536
#define ANSWERS_MAX 1000000u
#define TRIES       2
#define TCP_SKIPPED (1u << 6) /* TIME_WAIT: without owner, and tens of thousands after a storm */

typedef bool (*take_fn)(struct slice body, uint64_t netns, uint64_t protocol, struct rec_socket *out);

/* One dump. */
struct dump {
    struct sock_diag *diag;
    take_fn take;
    uint64_t netns, protocol;
    sock_diag_fn fn;
    void *ctx;
    bool *interrupted;
    bool broken; /* it came to no end: the socket is of no use any more */
};

void sock_diag_open(struct sock_diag *d)
{
    struct timeval limit = { .tv_sec = 1 };
    int size = 1 << 20;

    d->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (d->fd >= 0) {
        POFR_IGNORE(setsockopt(d->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
        POFR_IGNORE(setsockopt(d->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
    }
}

void sock_diag_close(struct sock_diag *d)
{
    if (d->fd >= 0) {
        (void)close(d->fd); /* was only read */
    }
    d->fd = -1;
}

static bool take_unix(struct slice body, uint64_t netns, uint64_t protocol, struct rec_socket *out)
{
    (void)protocol;
    return parse_sock_unix(body, netns, out);
}

static bool take_packet(struct slice body, uint64_t netns, uint64_t protocol, struct rec_socket *out)
{
    (void)protocol;
    return parse_sock_packet(body, netns, out);
}

static bool take_netlink(struct slice body, uint64_t netns, uint64_t protocol, struct rec_socket *out)
{
    (void)protocol;
    return parse_sock_netlink(body, netns, out);
}

/* What DONE and ERROR carry: 0 or -errno. */
static int code_of(struct slice in, const struct nlmsghdr *n, size_t least)
{
    int code = 0;

    if (n->nlmsg_len >= least) {
        memcpy(&code, in.data + NLMSG_HDRLEN, sizeof(code));
    }
    return code;
}

/* One datagram. 1: more to come; 0: done; negative: -errno of the kernel, or it broke off. */
static int take_answer(struct dump *d, struct slice in)
{
    while (in.len >= sizeof(struct nlmsghdr)) {
        struct rec_socket s;
        struct nlmsghdr n;
        int code;

        memcpy(&n, in.data, sizeof(n));
        if (n.nlmsg_len < sizeof(n) || n.nlmsg_len > in.len) {
            d->broken = true;
            return -EPROTO;
        }
        if (n.nlmsg_seq != d->diag->sequence) { /* of an earlier question */
            in = slice_sub(in, NLMSG_ALIGN(n.nlmsg_len), SIZE_MAX);
            continue;
        }
        *d->interrupted = *d->interrupted || (n.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (n.nlmsg_type == NLMSG_DONE) { /* with what stopped it: "there is no such module" comes so too */
            code = code_of(in, &n, NLMSG_LENGTH(sizeof(int)));
            return code < 0 ? code : 0;
        }
        if (n.nlmsg_type == NLMSG_ERROR) {
            code = code_of(in, &n, NLMSG_LENGTH(sizeof(struct nlmsgerr)));
            return code < 0 ? code : -EPROTO;
        }
        if (d->take(slice_sub(in, NLMSG_HDRLEN, n.nlmsg_len - NLMSG_HDRLEN), d->netns, d->protocol, &s)) {
            d->fn(d->ctx, &s);
        }
        in = slice_sub(in, NLMSG_ALIGN(n.nlmsg_len), SIZE_MAX);
    }
    return 1;
}

static int ask(struct dump *d, uint16_t type, const void *request, size_t len)
{
    struct nlmsghdr head = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(len),
                             .nlmsg_type = type,
                             .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                             .nlmsg_seq = ++d->diag->sequence };
    struct iovec out[2] = { { &head, sizeof(head) }, { (void *)(uintptr_t)request, len } };
    struct msghdr msg = { .msg_iov = out, .msg_iovlen = 2 };

    return sendmsg(d->diag->fd, &msg, 0) < 0 ? -errno : 0;
}

static int answer(struct dump *d)
{
    _Alignas(struct nlmsghdr) static _Thread_local char bytes[ANSWER_MAX];
    int rc = 1;

    for (unsigned i = 0; rc == 1; i++) {
        struct sockaddr_nl from = { 0 };
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(d->diag->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)(void *)&from, &from_len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0 || i == ANSWERS_MAX) {
            d->broken = true;
            return n < 0 ? -errno : -EPROTO;
        }
        if (from.nl_pid == 0) { /* of the kernel: root of a namespace of users can send to us too */
            rc = take_answer(d, slice_of(bytes, (size_t)n));
        }
    }
    return rc;
}

static int dump(struct dump *d, uint16_t type, const void *request, size_t len, take_fn take, uint64_t protocol)
{
    int rc = -EACCES;

    d->take = take;
    d->protocol = protocol;
    for (int tries = 0; tries < TRIES && d->diag->fd >= 0; tries++) {
        d->broken = false;
        rc = ask(d, type, request, len);
        rc = rc != 0 ? rc : answer(d);
        if (!d->broken) {
            return rc;
        }
        sock_diag_close(d->diag);
        sock_diag_open(d->diag);
    }
    return rc;
}

/* TCP of both families in one walk of the table: the old request, which every kernel with inet_diag has. */
static int dump_tcp(struct dump *d)
{
    const struct inet_diag_req r = { .idiag_family = AF_INET,
                                     .idiag_ext = 1u << (INET_DIAG_INFO - 1),
                                     .idiag_states = ~TCP_SKIPPED };

    return dump(d, TCPDIAG_GETSOCK, &r, sizeof(r), parse_sock_inet, IPPROTO_TCP);
}

static int dump_inet(struct dump *d, uint8_t family, uint8_t protocol)
{
    const struct inet_diag_req_v2 r = { .sdiag_family = family, .sdiag_protocol = protocol, .idiag_states = ~0u };

    return dump(d, SOCK_DIAG_BY_FAMILY, &r, sizeof(r), parse_sock_inet, protocol);
}

static int dump_both(struct dump *d, uint8_t protocol)
{
    int rc = dump_inet(d, AF_INET, protocol);

    return rc ? rc : dump_inet(d, AF_INET6, protocol);
}

static int dump_unix(struct dump *d)
{
    const struct unix_diag_req r = { .sdiag_family = AF_UNIX,
                                     .udiag_states = ~0u,
                                     .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER
#ifdef UDIAG_SHOW_UID
                                                   | UDIAG_SHOW_UID
#endif
    };

    return dump(d, SOCK_DIAG_BY_FAMILY, &r, sizeof(r), take_unix, 0);
}

static int dump_packet(struct dump *d)
{
    const struct packet_diag_req r = { .sdiag_family = AF_PACKET, .pdiag_show = PACKET_SHOW_INFO };

    return dump(d, SOCK_DIAG_BY_FAMILY, &r, sizeof(r), take_packet, 0);
}

static int dump_netlink(struct dump *d)
{
    const struct netlink_diag_req r = { .sdiag_family = AF_NETLINK, .sdiag_protocol = NDIAG_PROTO_ALL };

    return dump(d, SOCK_DIAG_BY_FAMILY, &r, sizeof(r), take_netlink, 0);
}

int sock_diag_dump(struct sock_diag *diag, enum look_sock_family family, uint64_t netns, sock_diag_fn fn, void *ctx,
                   bool *interrupted)
{
    struct dump d = { .diag = diag, .netns = netns, .fn = fn, .ctx = ctx, .interrupted = interrupted };

    switch (family) {
    case LOOK_SOCK_TCP:
        return dump_tcp(&d);
    case LOOK_SOCK_UDP:
        return dump_both(&d, IPPROTO_UDP);
    case LOOK_SOCK_UDPLITE:
        return dump_both(&d, IPPROTO_UDPLITE);
    case LOOK_SOCK_RAW:
        return dump_both(&d, IPPROTO_RAW);
    case LOOK_SOCK_UNIX:
        return dump_unix(&d);
    case LOOK_SOCK_PACKET:
        return dump_packet(&d);
    case LOOK_SOCK_NETLINK:
        return dump_netlink(&d);
    case LOOK_SOCK_FAMILIES:
        break;
    }
    return -EINVAL;
}
