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
#include <time.h>
#include <unistd.h>

#include "agent/look/netns_turns.h"
#include "agent/look/parse_sock.h"
#include "agent/look/sock_diag.h"
#include "common/base/buf.h"

#define TEXT_MAX      (64u * 1024u * 1024u)
#define NETNS_MAX     65536u
#define NETNS_WAIT_US INT64_C(10000000)
#define SOCKETS_MAX   1048576u

struct look_sock {
    struct look_sock_conf conf;
    uint64_t own;
    int64_t own_us;        /* when it was looked at last */
    struct sock_diag diag; /* in our own namespace */
    struct netns_turns turns;
    struct buf text;
};

/* One namespace under way. */
struct pass {
    struct look_sock *look;
    const struct look_sock_sink *sink;
    void *ctx;
    struct look_netns_result result;
    struct sock_diag *diag;
    uint32_t pid; /* for the text; 0: our own */
};

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void deliver(void *ctx, const struct rec_socket *s)
{
    struct pass *p = ctx;

    if (p->result.sockets >= p->look->conf.sockets_max) {
        p->result.over_limit++;
        return;
    }
    p->result.sockets++;
    p->sink->socket(p->ctx, s);
}

/* --- text of procfs ------------------------------------------------------------------------------------ */

static void inet_rows(struct pass *p, struct slice text, uint64_t protocol)
{
    while (!slice_empty(text)) {
        struct slice line = slice_split(&text, '\n');
        struct sock_scratch scratch;
        struct rec_socket s;

        if (parse_sock_inet_line(line, p->result.inode, protocol, &scratch, &s) &&
            !(protocol == IPPROTO_TCP && s.state == 6)) {
            deliver(p, &s);
        }
    }
}

static void unix_rows(struct pass *p, struct slice text)
{
    struct sock_unix_rows rows = { .rest = text };
    struct rec_socket s;

    while (parse_sock_unix_next(&rows, p->result.inode, &s)) {
        deliver(p, &s);
    }
    p->result.doubtful += (uint32_t)rows.doubtful;
}

static int text_open(const struct pass *p, const char *name)
{
    char path[PATH_MAX];
    int fd;

    if (p->pid) {
        snprintf(path, sizeof(path), "%s/%u/net/%s", p->look->conf.root, p->pid, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT) {
            return fd < 0 ? -errno : fd;
        }
    }
    snprintf(path, sizeof(path), "%s/self/net/%s", p->look->conf.root, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || p->pid == 0) {
        return fd < 0 ? -errno : fd;
    }
    close(fd);
    return -ESRCH; /* the kernel has it, so the process is gone that was to show it */
}

/* 0; -ENOENT: the kernel has no such family; other: refused. */
static int text_file(struct pass *p, const char *name, uint64_t protocol)
{
    struct buf *b = &p->look->text;
    struct slice text;
    ssize_t n = 1;
    int fd = text_open(p, name);
    int rc;

    if (fd < 0) {
        return fd;
    }
    buf_reset(b);
    while (n > 0) {
        uint8_t *to = buf_reserve(b, 65536);

        n = to ? read(fd, to, 65536) : 0;
        if (n > 0) {
            buf_advance(b, (size_t)n);
        }
    }
    rc = n < 0 ? -errno : b->err ? -E2BIG : 0;
    close(fd);
    text = buf_slice(b);
    while (text.len > 0 && text.data[text.len - 1] != '\n') { /* a row that was cut off is none */
        text.len--;
    }
    (void)slice_split(&text, '\n'); /* the head line */
    if (protocol) {
        inet_rows(p, text, protocol);
    } else {
        unix_rows(p, text);
    }
    return rc;
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

static int diag(struct pass *p, enum look_sock_family family)
{
    bool interrupted = false;
    int rc =
        p->look->conf.text_only ? -EACCES : sock_diag_dump(p->diag, family, p->result.inode, deliver, p, &interrupted);

    p->result.interrupted |= interrupted ? 1u << family : 0;
    return rc;
}

/* No module for it: nobody can have such a socket. Asking does not load modules where we lack the right. */
static bool kernel_lacks(int rc)
{
    return rc == -ENOENT || rc == -EPROTONOSUPPORT;
}

static void look_families(struct pass *p)
{
    for (int f = 0; f < LOOK_SOCK_FAMILIES; f++) {
        uint32_t before = p->result.sockets + p->result.over_limit;
        int rc = diag(p, (enum look_sock_family)f);

        /* of what the kernel has begun to tell the text would make the same sockets once more, by other names */
        if (rc && f <= LOOK_SOCK_UNIX && before == p->result.sockets + p->result.over_limit) {
            int text_rc = text(p, (enum look_sock_family)f);

            p->result.texts |= text_rc == 0 ? 1u << f : 0;
            rc = kernel_lacks(text_rc) && kernel_lacks(rc) ? 0 : text_rc;
        }
        if (rc && !kernel_lacks(rc)) {
            p->result.refused |= 1u << f;
        }
    }
    if (!p->result.over_limit) { /* else nobody knows whose sockets were left out */
        p->result.whole = LOOK_SOCK_ALL & ~p->result.refused & ~p->result.interrupted;
        p->result.whole &= p->result.doubtful ? ~(1u << LOOK_SOCK_UNIX) : LOOK_SOCK_ALL;
    }
    p->result.reason = p->result.refused       ? p->result.doubtful ? LOOK_SOCK_DOUBTFUL : LOOK_SOCK_REFUSED
                       : p->result.over_limit  ? LOOK_SOCK_LIMIT
                       : p->result.interrupted ? LOOK_SOCK_INTERRUPTED
                       : p->result.doubtful    ? LOOK_SOCK_DOUBTFUL
                       : p->result.texts & 1u << LOOK_SOCK_TCP ? LOOK_SOCK_TEXT
                       : p->result.texts                       ? LOOK_SOCK_SOME_TEXT
                                                               : NULL;
    p->sink->netns_end(p->ctx, &p->result);
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
    struct sock_diag diag = SOCK_DIAG_NONE;
    struct pass p = { .look = v->look, .sink = v->sink, .ctx = v->ctx, .diag = &diag, .pid = v->netns->pid };

    p.result.inode = v->netns->inode;
    if (enter(v->look, v->netns)) {
        sock_diag_open(&diag);
    }
    look_families(&p);
    sock_diag_close(&diag);
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
    l->conf.netns_max = l->conf.netns_max ? l->conf.netns_max : NETNS_MAX;
    l->conf.netns_wait_us = l->conf.netns_wait_us ? l->conf.netns_wait_us : NETNS_WAIT_US;
    netns_turns_init(&l->turns, l->conf.netns_max);
    buf_init(&l->text, TEXT_MAX);
    sock_diag_open(&l->diag);
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
    sock_diag_close(&l->diag);
    netns_turns_fini(&l->turns);
    buf_free(&l->text);
    free(l);
}

enum look_sock_family look_sock_family(uint64_t family, uint64_t protocol, uint64_t type)
{
    switch (family) {
    case AF_INET:
    case AF_INET6: /* a raw socket's protocol is any */
        return type == SOCK_RAW              ? LOOK_SOCK_RAW
               : protocol == IPPROTO_TCP     ? LOOK_SOCK_TCP
               : protocol == IPPROTO_UDP     ? LOOK_SOCK_UDP
               : protocol == IPPROTO_UDPLITE ? LOOK_SOCK_UDPLITE
                                             : LOOK_SOCK_FAMILIES;
    case AF_UNIX:
        return LOOK_SOCK_UNIX;
    case AF_PACKET:
        return LOOK_SOCK_PACKET;
    case AF_NETLINK:
        return LOOK_SOCK_NETLINK;
    default:
        return LOOK_SOCK_FAMILIES;
    }
}

uint64_t look_sock_own(const struct look_sock *l)
{
    return l->own;
}

void look_sock_unseen(const struct look_sock *l, struct look_sock_unseen *out)
{
    *out = (struct look_sock_unseen){ .over_limit = l->turns.over,
                                      .waiting = netns_turns_waiting(&l->turns, now_us() - l->conf.netns_wait_us) };
}

int look_sock_run(struct look_sock *l, const struct look_netns *list, size_t count, int64_t budget_us,
                  const struct look_sock_sink *sink, void *ctx, struct pofr_err *err)
{
    int64_t begin = now_us();
    struct pass p = { .look = l, .sink = sink, .ctx = ctx, .diag = &l->diag };
    struct netns_turn *n;

    p.result.inode = l->own;
    if (l->own_us == 0 || begin - l->own_us >= l->conf.own_apart_us) {
        l->own_us = begin;
        if (l->diag.fd < 0) { /* there was no descriptor for it, maybe */
            sock_diag_open(&l->diag);
        }
        look_families(&p);
    }
    if (netns_turns_update(&l->turns, list, count, l->own, begin) != 0) {
        return pofr_err_set(err, POFR_ENOMEM, "list of network namespaces");
    }
    while ((n = netns_turns_next(&l->turns, begin)) != NULL) {
        if (!visit(l, &n->netns, sink, ctx)) {
            return pofr_err_set(err, POFR_ENOMEM, "thread for another network namespace");
        }
        n->looked_us = begin;
        if (now_us() - begin >= budget_us) {
            break;
        }
    }
    return 0;
}
