/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/look_sock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

#include "agent/look/parse_sock.h"
#include "common/base/buf.h"

#define ANSWER_MAX  65536
#define ANSWERS_MAX 1000000u
#define TEXT_MAX    (64u * 1024u * 1024u)
#define SEEN_MAX    4096u
#define TCP_SKIPPED (1u << 6) /* TIME_WAIT: without owner, and tens of thousands after a storm */
#define SOCKETS_MAX 1048576u

struct seen {
    uint64_t inode;
    int64_t looked_us; /* CLOCK_MONOTONIC; 0: never */
};

struct look_sock {
    struct look_sock_conf conf;
    uint64_t own;
    int64_t own_us; /* when it was looked at last */
    int fd;         /* sock_diag in our own namespace; -1: refused */
    struct seen seen[SEEN_MAX];
    size_t seen_count;
    struct buf text;
};

/* One namespace under way. */
struct pass {
    struct look_sock *look;
    const struct look_sock_sink *sink;
    void *ctx;
    struct look_netns_result result;
    int fd;
    uint32_t pid; /* for the text; 0: our own */
};

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void deliver(struct pass *p, const struct rec_socket *s)
{
    if (p->result.sockets >= p->look->conf.sockets_max) {
        p->result.over_limit++;
        return;
    }
    p->result.sockets++;
    p->sink->socket(p->ctx, s);
}

/* --- sock_diag -------------------------------------------------------------------------------------------- */

static int diag_open(void)
{
    struct timeval limit = { .tv_sec = 1 };
    int size = 1 << 20;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

    if (fd >= 0) {
        POFR_IGNORE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
        POFR_IGNORE(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
    }
    return fd;
}

typedef bool (*take_fn)(struct slice body, uint64_t netns, uint64_t protocol, struct rec_socket *out);

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

/* One datagram. 1: more to come; 0: done; negative: -errno of the kernel, or -EPROTO. */
static int take_answer(struct pass *p, struct slice in, take_fn take, uint64_t protocol, bool *interrupted)
{
    while (in.len >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr n;

        memcpy(&n, in.data, sizeof(n));
        if (n.nlmsg_len < sizeof(n) || n.nlmsg_len > in.len) {
            return -EPROTO;
        }
        *interrupted = *interrupted || (n.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (n.nlmsg_type == NLMSG_DONE) {
            return 0;
        }
        if (n.nlmsg_type == NLMSG_ERROR) {
            int error = -EPROTO;

            if (n.nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
                memcpy(&error, in.data + NLMSG_HDRLEN, sizeof(error));
            }
            return error < 0 ? error : -EPROTO;
        }
        struct rec_socket s;

        if (take(slice_sub(in, NLMSG_HDRLEN, n.nlmsg_len - NLMSG_HDRLEN), p->result.inode, protocol, &s)) {
            deliver(p, &s);
        }
        in = slice_sub(in, NLMSG_ALIGN(n.nlmsg_len), SIZE_MAX);
    }
    return 1;
}

static int diag_dump(struct pass *p, uint16_t type, const void *request, size_t len, take_fn take, uint64_t protocol)
{
    _Alignas(struct nlmsghdr) static _Thread_local char bytes[ANSWER_MAX];
    struct nlmsghdr head = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(len),
                             .nlmsg_type = type,
                             .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                             .nlmsg_seq = 1 };
    struct iovec out[2] = { { &head, sizeof(head) }, { (void *)request, len } };
    struct msghdr msg = { .msg_iov = out, .msg_iovlen = 2 };
    bool interrupted = false;
    int rc = 1;

    if (sendmsg(p->fd, &msg, 0) < 0) {
        return -errno;
    }
    for (unsigned i = 0; rc == 1; i++) {
        ssize_t n = recv(p->fd, bytes, sizeof(bytes), 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0 || i == ANSWERS_MAX) {
            return n < 0 ? -errno : -EPROTO;
        }
        rc = take_answer(p, slice_of(bytes, (size_t)n), take, protocol, &interrupted);
    }
    if (interrupted) {
        p->result.interrupted = true;
    }
    return rc;
}

/* TCP of both families in one walk of the table: the old request, which every kernel with inet_diag has. */
static int diag_tcp(struct pass *p)
{
    const struct inet_diag_req r = { .idiag_family = AF_INET,
                                     .idiag_ext = 1u << (INET_DIAG_INFO - 1),
                                     .idiag_states = ~TCP_SKIPPED };

    return diag_dump(p, TCPDIAG_GETSOCK, &r, sizeof(r), parse_sock_inet, IPPROTO_TCP);
}

static int diag_inet(struct pass *p, uint8_t family, uint8_t protocol)
{
    const struct inet_diag_req_v2 r = { .sdiag_family = family, .sdiag_protocol = protocol, .idiag_states = ~0u };

    return diag_dump(p, SOCK_DIAG_BY_FAMILY, &r, sizeof(r), parse_sock_inet, protocol);
}

static int diag_both(struct pass *p, uint8_t protocol)
{
    int rc = diag_inet(p, AF_INET, protocol);

    return rc ? rc : diag_inet(p, AF_INET6, protocol);
}

static int diag_unix(struct pass *p)
{
    const struct unix_diag_req r = { .sdiag_family = AF_UNIX,
                                     .udiag_states = ~0u,
                                     .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER
#ifdef UDIAG_SHOW_UID
                                                   | UDIAG_SHOW_UID
#endif
    };

    return diag_dump(p, SOCK_DIAG_BY_FAMILY, &r, sizeof(r), take_unix, 0);
}

static int diag_packet(struct pass *p)
{
    const struct packet_diag_req r = { .sdiag_family = AF_PACKET, .pdiag_show = PACKET_SHOW_INFO };

    return diag_dump(p, SOCK_DIAG_BY_FAMILY, &r, sizeof(r), take_packet, 0);
}

static int diag_netlink(struct pass *p)
{
    const struct netlink_diag_req r = { .sdiag_family = AF_NETLINK, .sdiag_protocol = NDIAG_PROTO_ALL };

    return diag_dump(p, SOCK_DIAG_BY_FAMILY, &r, sizeof(r), take_netlink, 0);
}

static int diag(struct pass *p, enum look_sock_family family)
{
    if (p->fd < 0 || p->look->conf.text_only) {
        return -EACCES;
    }
    switch (family) {
    case LOOK_SOCK_TCP:
        return diag_tcp(p);
    case LOOK_SOCK_UDP:
        return diag_both(p, IPPROTO_UDP);
    case LOOK_SOCK_UDPLITE:
        return diag_both(p, IPPROTO_UDPLITE);
    case LOOK_SOCK_RAW:
        return diag_both(p, IPPROTO_RAW);
    case LOOK_SOCK_UNIX:
        return diag_unix(p);
    case LOOK_SOCK_PACKET:
        return diag_packet(p);
    case LOOK_SOCK_NETLINK:
        return diag_netlink(p);
    case LOOK_SOCK_FAMILIES:
        break;
    }
    return -EINVAL;
}

/* --- text of procfs ------------------------------------------------------------------------------------ */

/* 0; -ENOENT: the kernel has no such family; other: refused. */
static int text_file(struct pass *p, const char *name, uint64_t protocol)
{
    struct buf *b = &p->look->text;
    char path[PATH_MAX];
    struct slice text;
    bool first = true;
    int fd;

    if (p->pid) {
        snprintf(path, sizeof(path), "%s/%u/net/%s", p->look->conf.root, p->pid, name);
    } else {
        snprintf(path, sizeof(path), "%s/self/net/%s", p->look->conf.root, name);
    }
    buf_reset(b);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    for (;;) {
        uint8_t *to = buf_reserve(b, 65536);
        ssize_t n = to ? read(fd, to, 65536) : 0;

        if (n <= 0) {
            break;
        }
        buf_advance(b, (size_t)n);
    }
    close(fd);
    text = buf_slice(b);
    while (!slice_empty(text)) {
        struct slice line = slice_split(&text, '\n');
        struct sock_scratch scratch;
        struct rec_socket s;
        bool ok = !first && (protocol ? parse_sock_inet_line(line, p->result.inode, protocol, &scratch, &s)
                                      : parse_sock_unix_line(line, p->result.inode, &s));

        first = false;
        if (ok && !(protocol == IPPROTO_TCP && s.state == 6)) {
            deliver(p, &s);
        }
    }
    p->result.text = true;
    return b->err ? -E2BIG : 0;
}

static int text_both(struct pass *p, const char *v4, const char *v6, uint64_t protocol)
{
    int rc = text_file(p, v4, protocol);
    int rc6 = rc ? rc : text_file(p, v6, protocol);

    return rc6 == -ENOENT ? rc : rc6; /* no IPv6 here */
}

static int text(struct pass *p, enum look_sock_family family)
{
    switch (family) {
    case LOOK_SOCK_TCP:
        return text_both(p, "tcp", "tcp6", IPPROTO_TCP);
    case LOOK_SOCK_UDP:
        return text_both(p, "udp", "udp6", IPPROTO_UDP);
    case LOOK_SOCK_UDPLITE:
        return text_both(p, "udplite", "udplite6", IPPROTO_UDPLITE);
    case LOOK_SOCK_RAW:
        return text_both(p, "raw", "raw6", IPPROTO_RAW);
    case LOOK_SOCK_UNIX:
        return text_file(p, "unix", 0);
    case LOOK_SOCK_PACKET: /* their text names no addresses and is not worth a parser: counted as refused */
    case LOOK_SOCK_NETLINK:
    case LOOK_SOCK_FAMILIES:
        break;
    }
    return -EOPNOTSUPP;
}

/* --- one namespace ------------------------------------------------------------------------------------ */

/* No module for it: nobody can have such a socket. Asking does not load modules where we lack the right. */
static bool kernel_lacks(int rc)
{
    return rc == -ENOENT || rc == -EPROTONOSUPPORT;
}

static void look_families(struct pass *p)
{
    for (int f = 0; f < LOOK_SOCK_FAMILIES; f++) {
        int rc = diag(p, (enum look_sock_family)f);

        if (rc && f <= LOOK_SOCK_UNIX) {
            int text_rc = text(p, (enum look_sock_family)f);

            rc = kernel_lacks(text_rc) && kernel_lacks(rc) ? 0 : text_rc;
        }
        if (rc && !kernel_lacks(rc)) {
            p->result.refused |= 1u << f;
        }
    }
    p->result.complete = !p->result.refused && !p->result.interrupted && !p->result.over_limit;
    p->result.reason = p->result.refused       ? LOOK_SOCK_REFUSED
                       : p->result.over_limit  ? LOOK_SOCK_LIMIT
                       : p->result.interrupted ? LOOK_SOCK_INTERRUPTED
                       : p->result.text        ? LOOK_SOCK_TEXT
                                               : NULL;
    p->sink->netns_end(p->ctx, &p->result);
}

static void mark_seen(struct look_sock *l, uint64_t inode)
{
    for (size_t i = 0; i < l->seen_count; i++) {
        if (l->seen[i].inode == inode) {
            l->seen[i].looked_us = now_us();
            return;
        }
    }
    if (l->seen_count < SEEN_MAX) {
        l->seen[l->seen_count++] = (struct seen){ inode, now_us() };
    }
}

static int64_t looked_at(const struct look_sock *l, uint64_t inode)
{
    for (size_t i = 0; i < l->seen_count; i++) {
        if (l->seen[i].inode == inode) {
            return l->seen[i].looked_us;
        }
    }
    return 0;
}

/* Namespaces that are not in the list any more are forgotten. */
static void forget(struct look_sock *l, const struct look_netns *list, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->seen_count; i++) {
        bool there = false;

        for (size_t k = 0; k < count && !there; k++) {
            there = list[k].inode == l->seen[i].inode;
        }
        if (there) {
            l->seen[kept++] = l->seen[i];
        }
    }
    l->seen_count = kept;
}

/* --- other namespaces: a thread that goes in and ends there ------------------------------------------------ */

struct visit {
    struct look_sock *look;
    const struct look_netns *netns;
    const struct look_sock_sink *sink;
    void *ctx;
};

static bool enter(const struct look_sock *l, const struct look_netns *n)
{
    char path[PATH_MAX];
    struct stat st;
    bool in;
    int fd;

    snprintf(path, sizeof(path), "%s/%u/ns/net", l->conf.root, n->pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    in = fstat(fd, &st) == 0 && st.st_ino == n->inode && setns(fd, CLONE_NEWNET) == 0;
    close(fd);
    return in;
}

static void *visit_run(void *arg)
{
    const struct visit *v = arg;
    struct pass p = { .look = v->look, .sink = v->sink, .ctx = v->ctx, .fd = -1, .pid = v->netns->pid };

    p.result.inode = v->netns->inode;
    if (enter(v->look, v->netns)) {
        p.fd = diag_open();
    }
    look_families(&p);
    if (p.fd >= 0) {
        close(p.fd);
    }
    return NULL;
}

static bool visit(struct look_sock *l, const struct look_netns *n, const struct look_sock_sink *sink, void *ctx)
{
    struct visit v = { l, n, sink, ctx };
    pthread_t thread;

    if (pthread_create(&thread, NULL, visit_run, &v)) {
        return false;
    }
    pthread_join(thread, NULL);
    return true;
}

/* --- public --------------------------------------------------------------------------------------------- */

int look_sock_new(const struct look_sock_conf *conf, struct look_sock **out_look, struct pofr_err *err)
{
    struct look_sock *l = calloc(1, sizeof(*l));
    struct stat st;

    if (!l) {
        return pofr_err_set(err, POFR_ENOMEM, "look at sockets");
    }
    if (conf) {
        l->conf = *conf;
    }
    l->conf.root = l->conf.root ? l->conf.root : "/proc";
    l->conf.sockets_max = l->conf.sockets_max ? l->conf.sockets_max : SOCKETS_MAX;
    buf_init(&l->text, TEXT_MAX);
    l->fd = diag_open();
    if (stat("/proc/self/ns/net", &st) == 0) {
        l->own = st.st_ino;
    }
    *out_look = l;
    return 0;
}

void look_sock_free(struct look_sock *l)
{
    if (!l) {
        return;
    }
    if (l->fd >= 0) {
        close(l->fd);
    }
    buf_free(&l->text);
    free(l);
}

uint64_t look_sock_own(const struct look_sock *l)
{
    return l->own;
}

static const struct look_netns *oldest(const struct look_sock *l, const struct look_netns *list, size_t count,
                                       int64_t before_us)
{
    const struct look_netns *best = NULL;
    int64_t best_us = before_us;

    for (size_t i = 0; i < count; i++) {
        int64_t us = looked_at(l, list[i].inode);

        if (list[i].inode != l->own && list[i].inode != 0 && us < best_us) {
            best = &list[i];
            best_us = us;
        }
    }
    return best;
}

int look_sock_run(struct look_sock *l, const struct look_netns *list, size_t count, int64_t budget_us,
                  const struct look_sock_sink *sink, void *ctx, struct pofr_err *err)
{
    int64_t begin = now_us();
    struct pass p = { .look = l, .sink = sink, .ctx = ctx, .fd = l->fd };
    const struct look_netns *n;

    p.result.inode = l->own;
    if (l->own_us == 0 || begin - l->own_us >= l->conf.own_apart_us) {
        l->own_us = begin;
        look_families(&p);
    }
    forget(l, list, count);
    while ((n = oldest(l, list, count, begin)) != NULL) {
        if (!visit(l, n, sink, ctx)) {
            return pofr_err_set(err, POFR_ENOMEM, "thread for another network namespace");
        }
        mark_seen(l, n->inode);
        if (now_us() - begin >= budget_us) {
            break;
        }
    }
    return 0;
}
