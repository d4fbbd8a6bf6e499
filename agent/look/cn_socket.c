/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/cn_socket.h"

#include <errno.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/err.h"

#define LISTEN_OP 1u /* PROC_CN_MCAST_LISTEN */
#define AT_ONCE   64u
#define DATAGRAM  256u /* the largest event has 76 bytes */
#define GROUP     CN_IDX_PROC

/* What is asked: nlmsghdr, cn_msg, then the operation, and the filter where there is one. */
static int subscribe(int fd, uint32_t filter)
{
    uint8_t message[16 + 20 + 8] = { 0 };
    struct nlmsghdr head = { .nlmsg_type = NLMSG_DONE, .nlmsg_pid = 0 };
    struct cn_msg cn = { .id = { .idx = CN_IDX_PROC, .val = CN_VAL_PROC } };
    uint32_t operation[2] = { LISTEN_OP, filter };

    cn.len = filter != 0 ? 8 : 4;
    head.nlmsg_len = (uint32_t)(sizeof(head) + 20u + cn.len);
    memcpy(message, &head, sizeof(head));
    memcpy(message + 16, &cn, 20);
    memcpy(message + 36, operation, cn.len);
    return send(fd, message, head.nlmsg_len, 0) == (ssize_t)head.nlmsg_len ? 0 : -errno;
}

static uint64_t drops(int fd, bool *out_counts)
{
    uint32_t info[SK_MEMINFO_VARS] = { 0 };
    socklen_t size = sizeof(info);

    *out_counts = getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) == 0 && size > SK_MEMINFO_DROPS * sizeof(info[0]);
    return *out_counts ? info[SK_MEMINFO_DROPS] : 0;
}

int cn_socket_open(struct cn_socket *s, uint32_t buffer_bytes, uint32_t filter, const char **out_reason)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = GROUP };
    int size = buffer_bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)(buffer_bytes / 2); /* the kernel doubles it */
    int code;

    *s = (struct cn_socket)CN_SOCKET_NONE;
    s->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (s->fd < 0) {
        *out_reason = "this kernel has no connector";
        return POFR_ESYSTEM;
    }
    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0) {
        (void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)); /* as far as it may; loss is counted */
    }
    if (bind(s->fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) != 0) {
        *out_reason = "no right to listen to the connector (CAP_NET_ADMIN)";
        code = errno == EPERM || errno == EACCES ? POFR_EPERMISSION : POFR_ESYSTEM;
        cn_socket_close(s);
        return code;
    }
    s->dropped = drops(s->fd, &s->counts);
    if (subscribe(s->fd, filter) != 0) {
        *out_reason = "the connector takes no subscription";
        cn_socket_close(s);
        return POFR_ESYSTEM;
    }
    s->filtered = filter != 0;
    return 0;
}

void cn_socket_close(struct cn_socket *s)
{
    if (s->fd >= 0) {
        (void)close(s->fd); /* was only read */
    }
    s->fd = -1;
}

/* One round of recvmmsg. Returns messages received; 0: none. *out_taken: those given to fn. */
static unsigned receive_some(struct cn_socket *s, unsigned limit, cn_message_fn fn, void *ctx)
{
    uint8_t bytes[AT_ONCE][DATAGRAM];
    struct iovec parts[AT_ONCE];
    struct sockaddr_nl from[AT_ONCE];
    struct mmsghdr messages[AT_ONCE];
    int n;

    memset(messages, 0, sizeof(messages));
    for (unsigned i = 0; i < limit; i++) {
        parts[i] = (struct iovec){ .iov_base = bytes[i], .iov_len = sizeof(bytes[i]) };
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &parts[i], .msg_iovlen = 1
        };
    }
    do {
        n = recvmmsg(s->fd, messages, limit, MSG_DONTWAIT, NULL);
        s->overruns += n < 0 && errno == ENOBUFS; /* told once; then the queue can be read */
    } while (n < 0 && (errno == EINTR || errno == ENOBUFS));
    for (int i = 0; i < n; i++) {
        struct cn_message m;

        /* another process may send to us: only the kernel has port 0 */
        if (from[i].nl_pid != 0 || messages[i].msg_hdr.msg_flags & MSG_TRUNC ||
            cn_parse(slice_of(bytes[i], messages[i].msg_len), &m) != 0) {
            s->malformed++;
            continue;
        }
        fn(ctx, &m);
    }
    return n > 0 ? (unsigned)n : 0;
}

uint32_t cn_socket_receive(struct cn_socket *s, uint32_t limit, cn_message_fn fn, void *ctx)
{
    uint32_t received = 0;

    while (received < limit) {
        unsigned at_once = limit - received < AT_ONCE ? limit - received : AT_ONCE;
        unsigned n = receive_some(s, at_once, fn, ctx);

        received += n;
        if (n < at_once) {
            break;
        }
    }
    return received;
}

bool cn_socket_wait(const struct cn_socket *s, int timeout_ms)
{
    struct pollfd p = { .fd = s->fd, .events = POLLIN };

    return poll(&p, 1, timeout_ms) > 0;
}

uint64_t cn_socket_lost(struct cn_socket *s, bool *out_exact)
{
    uint64_t now, lost;

    *out_exact = s->counts;
    if (!s->counts) {
        lost = s->overruns;
        s->overruns = 0;
        return lost;
    }
    now = drops(s->fd, &s->counts);
    lost = (uint32_t)(now - s->dropped); /* the counter has 32 bits */
    s->dropped = now;
    return lost;
}
