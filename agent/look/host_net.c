/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_net.c -- interfaces, addresses and routes of the network namespace we are in, by rtnetlink(7) dumps.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "agent/look/host_items.h"

#define ANSWER_MAX     32768 /* what the kernel puts into one datagram at most (NLMSG_GOODSIZE) */
#define ROUNDS_MAX     100000
#define VOLATILE_FLAGS (IFF_RUNNING | 0x10000u | 0x20000u) /* IFF_LOWER_UP, IFF_DORMANT */

struct ask {
    struct nlmsghdr header;
    struct rtgenmsg body;
};

typedef void (*answer_fn)(const struct nlmsghdr *n, struct host_items *h, uint64_t netns);

static uint64_t own_netns(void)
{
    struct stat st;

    return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

/* Send one dump request and hand every message of the answer to fn. */
static void dump(uint16_t type, uint8_t family, answer_fn fn, struct host_items *h, uint64_t netns)
{
    struct ask ask = { .header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
                                   .nlmsg_type = type,
                                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                                   .nlmsg_seq = 1 },
                       .body = { .rtgen_family = family } };
    struct timeval limit = { .tv_sec = 1 };
    _Alignas(struct nlmsghdr) char bytes[ANSWER_MAX];
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    bool done = false;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
        send(fd, &ask, ask.header.nlmsg_len, 0) < 0) {
        h->reason = "rtnetlink is refused";
        done = true;
    }
    for (unsigned round = 0; !done && round < ROUNDS_MAX; round++) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        size_t at = 0;

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            h->reason = "rtnetlink gave no whole answer";
            break;
        }
        while (at + sizeof(struct nlmsghdr) <= (size_t)n) { /* not NLMSG_OK: it compares numbers of different signs */
            const struct nlmsghdr *m = (const struct nlmsghdr *)(bytes + at);

            if (m->nlmsg_len < sizeof(*m) || m->nlmsg_len > (size_t)n - at) {
                break;
            }
            if (m->nlmsg_flags & NLM_F_DUMP_INTR) {
                h->reason = "changed while it was read";
            }
            if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR) {
                done = true;
                break;
            }
            fn(m, h, netns);
            at += NLMSG_ALIGN(m->nlmsg_len);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* Attributes by number, up to max; what is longer or unknown is left out. */
static void attributes(const struct rtattr *at, int left, const struct rtattr **out, unsigned short max)
{
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        if ((at->rta_type & NLA_TYPE_MASK) <= max) {
            out[at->rta_type & NLA_TYPE_MASK] = at;
        }
    }
}

static struct slice bytes_of(const struct rtattr *a)
{
    return a ? slice_of(RTA_DATA(a), RTA_PAYLOAD(a)) : SLICE_EMPTY;
}

/* A C string of the kernel, without its NUL. */
static struct slice text_of(const struct rtattr *a)
{
    struct slice s = bytes_of(a);

    return slice_sub(s, 0, slice_find(s, 0));
}

static uint32_t u32_of(const struct rtattr *a)
{
    uint32_t v = 0;

    if (a && RTA_PAYLOAD(a) >= sizeof(v)) {
        memcpy(&v, RTA_DATA(a), sizeof(v));
    }
    return v;
}

static void take_link(const struct nlmsghdr *n, struct host_items *h, uint64_t netns)
{
    const struct rtattr *a[IFLA_MTU + 1] = { NULL };
    const struct ifinfomsg *m = NLMSG_DATA(n);
    struct record *r;

    if (n->nlmsg_type != RTM_NEWLINK || n->nlmsg_len < NLMSG_LENGTH(sizeof(*m))) {
        return;
    }
    attributes(IFLA_RTA(m), (int)IFLA_PAYLOAD(n), a, IFLA_MTU);
    r = host_items_add(h, REC_NETINT);
    if (r) {
        r->netint.netns = netns;
        r->netint.interface = (uint64_t)m->ifi_index;
        r->netint.name = host_items_text(h, text_of(a[IFLA_IFNAME]), 64);
        r->netint.hardware_address = host_items_text(h, bytes_of(a[IFLA_ADDRESS]), 64);
        r->netint.mtu = u32_of(a[IFLA_MTU]);
        r->netint.flags = m->ifi_flags & ~VOLATILE_FLAGS;
    }
}

/* The row of its interface, which came first; what an address row repeats is taken from there. */
static const struct rec_netint *link_of(const struct host_items *h, uint64_t index)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->items[i].netint.family == 0 && h->items[i].netint.interface == index) {
            return &h->items[i].netint;
        }
    }
    return NULL;
}

static void take_address(const struct nlmsghdr *n, struct host_items *h, uint64_t netns)
{
    const struct rtattr *a[IFA_BROADCAST + 1] = { NULL };
    const struct ifaddrmsg *m = NLMSG_DATA(n);
    const struct rec_netint *link;
    struct record *r;

    if (n->nlmsg_type != RTM_NEWADDR || n->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
        (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)) {
        return;
    }
    attributes(IFA_RTA(m), (int)IFA_PAYLOAD(n), a, IFA_BROADCAST);
    r = host_items_add(h, REC_NETINT); /* may move the array: the link is looked for afterwards */
    if (!r) {
        return;
    }
    link = link_of(h, m->ifa_index);
    r->netint.netns = netns;
    r->netint.interface = m->ifa_index;
    r->netint.family = m->ifa_family;
    r->netint.address = host_items_text(h, bytes_of(a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS]), 16);
    r->netint.prefix = m->ifa_prefixlen;
    r->netint.broadcast = host_items_text(h, bytes_of(a[IFA_BROADCAST]), 16);
    if (link) {
        r->netint.name = link->name;
        r->netint.hardware_address = link->hardware_address;
        r->netint.mtu = link->mtu;
        r->netint.flags = link->flags;
    }
}

void host_gather_netint(struct host_items *h)
{
    uint64_t netns = own_netns();

    dump(RTM_GETLINK, AF_UNSPEC, take_link, h, netns);
    dump(RTM_GETADDR, AF_UNSPEC, take_address, h, netns);
}

static void take_route(const struct nlmsghdr *n, struct host_items *h, uint64_t netns)
{
    const struct rtattr *a[RTA_TABLE + 1] = { NULL };
    const struct rtmsg *m = NLMSG_DATA(n);
    char name[IF_NAMESIZE] = "";
    struct record *r;

    if (n->nlmsg_type != RTM_NEWROUTE || n->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
        (m->rtm_family != AF_INET && m->rtm_family != AF_INET6) || (m->rtm_flags & RTM_F_CLONED)) {
        return;
    }
    attributes(RTM_RTA(m), (int)RTM_PAYLOAD(n), a, RTA_TABLE);
    r = host_items_add(h, REC_NETROUTE);
    if (!r) {
        return;
    }
    r->netroute.netns = netns;
    r->netroute.family = m->rtm_family;
    r->netroute.table = a[RTA_TABLE] ? u32_of(a[RTA_TABLE]) : m->rtm_table;
    r->netroute.destination = host_items_text(h, bytes_of(a[RTA_DST]), 16);
    r->netroute.prefix = m->rtm_dst_len;
    r->netroute.gateway = host_items_text(h, bytes_of(a[RTA_GATEWAY]), 16);
    r->netroute.interface = u32_of(a[RTA_OIF]);
    r->netroute.metric = u32_of(a[RTA_PRIORITY]);
    if (r->netroute.interface && if_indextoname((unsigned)r->netroute.interface, name)) {
        r->netroute.interface_name = host_items_text(h, slice_str(name), 64);
    }
    r->netroute.type = m->rtm_type;
    r->netroute.scope = m->rtm_scope;
    r->netroute.protocol = m->rtm_protocol;
    r->netroute.source = host_items_text(h, bytes_of(a[RTA_PREFSRC]), 16);
}

void host_gather_netroute(struct host_items *h)
{
    uint64_t netns = own_netns();

    dump(RTM_GETROUTE, AF_INET, take_route, h, netns);
    dump(RTM_GETROUTE, AF_INET6, take_route, h, netns);
}
