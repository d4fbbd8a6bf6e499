/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/parse_sock.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>

#include "common/base/hex.h"
#include "common/base/parse_num.h"
#include "common/base/siphash.h"

#define UNIX_PATH_MAX_BYTES 108

struct attributes {
    struct slice at[32];
};

/* rtattr after the fixed part; a length that does not fit ends it. */
static void read_attributes(struct slice bytes, struct attributes *out)
{
    memset(out, 0, sizeof(*out));
    while (bytes.len >= sizeof(struct rtattr)) {
        struct rtattr head;
        size_t type;

        memcpy(&head, bytes.data, sizeof(head));
        if (head.rta_len < sizeof(head) || head.rta_len > bytes.len) {
            return;
        }
        type = head.rta_type & NLA_TYPE_MASK;
        if (type < pofr_countof(out->at)) {
            out->at[type] = slice_sub(bytes, sizeof(head), head.rta_len - sizeof(head));
        }
        bytes = slice_sub(bytes, RTA_ALIGN(head.rta_len), SIZE_MAX);
    }
}

static uint64_t cookie_of(const uint32_t cookie[2])
{
    return (uint64_t)cookie[1] << 32 | cookie[0];
}

static bool all_zero(const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (((const uint8_t *)bytes)[i]) {
            return false;
        }
    }
    return true;
}

/* What was sent and acknowledged, and what came; newer kernels tell more, so the length decides (tcp(7), linux/tcp.h). */
static void take_tcp_info(struct slice bytes, struct rec_socket *out)
{
    struct tcp_info info;

    if (bytes.len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received)) {
        return;
    }
    memset(&info, 0, sizeof(info));
    memcpy(&info, bytes.data, bytes.len < sizeof(info) ? bytes.len : sizeof(info));
    out->bytes_known = 1;
    out->bytes_received = info.tcpi_bytes_received;
    if (bytes.len >= offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof(info.tcpi_bytes_retrans) &&
        info.tcpi_bytes_sent >= info.tcpi_bytes_retrans) {
        out->bytes_sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans; /* 4.19 on */
    } else {
        out->bytes_sent = info.tcpi_bytes_acked;
    }
}

bool parse_sock_inet(struct slice body, uint64_t netns, uint64_t protocol, struct rec_socket *out)
{
    struct inet_diag_msg m;
    struct attributes a;
    size_t address;

    if (body.len < sizeof(m)) {
        return false;
    }
    memcpy(&m, body.data, sizeof(m));
    if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6) {
        return false;
    }
    address = m.idiag_family == AF_INET ? 4 : 16;
    memset(out, 0, sizeof(*out));
    out->netns = netns;
    out->cookie = cookie_of(m.id.idiag_cookie);
    out->family = m.idiag_family;
    out->protocol = protocol;
    out->type = protocol == IPPROTO_TCP                                  ? SOCK_STREAM
                : protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ? SOCK_DGRAM
                                                                         : SOCK_RAW;
    /* An address of all zero is "any": kept, so that a listener shows 0.0.0.0. A remote one is left out with its port. */
    out->local_address = slice_sub(body, offsetof(struct inet_diag_msg, id.idiag_src), address);
    out->local_port = ntohs(m.id.idiag_sport);
    if (!all_zero(m.id.idiag_dst, sizeof(m.id.idiag_dst)) || m.id.idiag_dport) {
        out->remote_address = slice_sub(body, offsetof(struct inet_diag_msg, id.idiag_dst), address);
        out->remote_port = ntohs(m.id.idiag_dport);
    }
    out->uid = m.idiag_uid;
    out->inode = m.idiag_inode;
    out->interface = m.id.idiag_if;
    out->state = m.idiag_state;
    read_attributes(slice_sub(body, NLMSG_ALIGN(sizeof(m)), SIZE_MAX), &a);
    if (protocol == IPPROTO_TCP) {
        take_tcp_info(a.at[INET_DIAG_INFO], out);
    }
    if (protocol == IPPROTO_RAW && a.at[INET_DIAG_PROTOCOL].len == 1) {
        out->protocol = a.at[INET_DIAG_PROTOCOL].data[0];
    }
    return true;
}

/* The kernel counts the NUL behind a path that was bound with one; an abstract name begins with its NUL, and may hold more. */
static struct slice unix_name(struct slice name)
{
    size_t end = name.len > 0 && name.data[0] != '\0' && name.data[name.len - 1] == '\0' ? name.len - 1 : name.len;

    return slice_sub(name, 0, end < UNIX_PATH_MAX_BYTES ? end : UNIX_PATH_MAX_BYTES);
}

bool parse_sock_unix(struct slice body, uint64_t netns, struct rec_socket *out)
{
    struct unix_diag_msg m;
    struct attributes a;

    if (body.len < sizeof(m)) {
        return false;
    }
    memcpy(&m, body.data, sizeof(m));
    if (m.udiag_family != AF_UNIX) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    read_attributes(slice_sub(body, NLMSG_ALIGN(sizeof(m)), SIZE_MAX), &a);
    out->netns = netns;
    out->cookie = cookie_of(m.udiag_cookie);
    out->family = AF_UNIX;
    out->type = m.udiag_type;
    out->local_address = unix_name(a.at[UNIX_DIAG_NAME]);
    out->inode = m.udiag_ino;
    out->state = m.udiag_state;
    if (a.at[UNIX_DIAG_PEER].len == sizeof(uint32_t)) {
        uint32_t peer;

        memcpy(&peer, a.at[UNIX_DIAG_PEER].data, sizeof(peer));
        out->peer_inode = peer;
    }
#ifdef UNIX_DIAG_UID
    if (a.at[UNIX_DIAG_UID].len == sizeof(uint32_t)) {
        uint32_t uid;

        memcpy(&uid, a.at[UNIX_DIAG_UID].data, sizeof(uid));
        out->uid = uid;
    }
#endif
    return true;
}

bool parse_sock_packet(struct slice body, uint64_t netns, struct rec_socket *out)
{
    struct packet_diag_msg m;
    struct attributes a;

    if (body.len < sizeof(m)) {
        return false;
    }
    memcpy(&m, body.data, sizeof(m));
    if (m.pdiag_family != AF_PACKET) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    read_attributes(slice_sub(body, NLMSG_ALIGN(sizeof(m)), SIZE_MAX), &a);
    out->netns = netns;
    out->cookie = cookie_of(m.pdiag_cookie);
    out->family = AF_PACKET;
    out->type = m.pdiag_type;
    out->protocol = m.pdiag_num; /* ethertype, as the kernel gives it */
    out->inode = m.pdiag_ino;
    if (a.at[PACKET_DIAG_INFO].len >= sizeof(uint32_t)) {
        uint32_t index; /* struct packet_diag_info begins with pdi_index */

        memcpy(&index, a.at[PACKET_DIAG_INFO].data, sizeof(index));
        out->interface = index;
    }
    if (a.at[PACKET_DIAG_UID].len == sizeof(uint32_t)) {
        uint32_t uid;

        memcpy(&uid, a.at[PACKET_DIAG_UID].data, sizeof(uid));
        out->uid = uid;
    }
    return true;
}

bool parse_sock_netlink(struct slice body, uint64_t netns, struct rec_socket *out)
{
    struct netlink_diag_msg m;

    if (body.len < sizeof(m)) {
        return false;
    }
    memcpy(&m, body.data, sizeof(m));
    if (m.ndiag_family != AF_NETLINK) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    out->netns = netns;
    out->cookie = cookie_of(m.ndiag_cookie);
    out->family = AF_NETLINK;
    out->type = m.ndiag_type;
    out->protocol = m.ndiag_protocol;
    out->local_port = m.ndiag_portid;
    out->remote_port = m.ndiag_dst_portid;
    out->inode = m.ndiag_ino;
    out->state = m.ndiag_state;
    return true;
}

/* --- text ----------------------------------------------------------------------------------------------- */

/* Cut the next word off, with the blanks before it. */
static struct slice word(struct slice *line)
{
    while (line->len && line->data[0] == ' ') {
        *line = slice_sub(*line, 1, SIZE_MAX);
    }
    return slice_split(line, ' ');
}

/* "0100007F:1F90": words of 4 bytes in the host's order, as the kernel prints them. */
static bool address(struct slice text, uint8_t out[16], struct slice *out_address, uint64_t *out_port)
{
    struct slice port = text;
    struct slice hex = slice_split(&port, ':');
    uint8_t bytes[16];

    if ((hex.len != 8 && hex.len != 32) || hex_decode(hex, bytes, hex.len / 2) ||
        parse_hex_u64(port, 65535, out_port)) {
        return false;
    }
    for (size_t i = 0; i < hex.len / 2; i += 4) {
        uint32_t v =
            (uint32_t)bytes[i] << 24 | (uint32_t)bytes[i + 1] << 16 | (uint32_t)bytes[i + 2] << 8 | bytes[i + 3];

        memcpy(out + i, &v, 4); /* the number in our own order is the address in the network's */
    }
    *out_address = slice_of(out, hex.len / 2);
    return true;
}

static uint64_t text_cookie(const struct rec_socket *s)
{
    static const uint8_t key[16] = "pofr text socket";
    uint8_t bytes[3 * 8 + 2 * 128];
    uint64_t numbers[3] = { s->protocol, s->inode, s->local_port << 32 | s->remote_port };
    size_t at = sizeof(numbers);
    size_t n;

    memcpy(bytes, numbers, sizeof(numbers));
    n = s->local_address.len < 128 ? s->local_address.len : 128;
    if (n) {
        memcpy(bytes + at, s->local_address.data, n);
    }
    at += n;
    n = s->remote_address.len < 128 ? s->remote_address.len : 128;
    if (n) {
        memcpy(bytes + at, s->remote_address.data, n);
    }
    return siphash24(key, slice_of(bytes, at + n));
}

bool parse_sock_inet_line(struct slice line, uint64_t netns, uint64_t protocol, struct sock_scratch *scratch,
                          struct rec_socket *out)
{
    uint64_t state;
    struct slice remote;
    uint64_t remote_port;

    memset(out, 0, sizeof(*out));
    (void)word(&line); /* "0:" */
    if (!address(word(&line), scratch->local, &out->local_address, &out->local_port) ||
        !address(word(&line), scratch->remote, &remote, &remote_port) || parse_hex_u64(word(&line), 255, &state)) {
        return false;
    }
    (void)word(&line); /* queues */
    (void)word(&line); /* timer */
    (void)word(&line); /* retransmits */
    if (parse_u64(word(&line), UINT32_MAX, &out->uid)) {
        return false;
    }
    (void)word(&line); /* timeout */
    if (parse_u64(word(&line), UINT64_MAX, &out->inode)) {
        return false;
    }
    if (remote_port || !all_zero(remote.data, remote.len)) {
        out->remote_address = remote;
        out->remote_port = remote_port;
    }
    out->netns = netns;
    out->family = out->local_address.len == 4 ? AF_INET : AF_INET6;
    out->protocol = protocol == IPPROTO_RAW ? out->local_port : protocol; /* raw shows its protocol as the port */
    out->type = protocol == IPPROTO_TCP ? SOCK_STREAM : protocol == IPPROTO_RAW ? SOCK_RAW : SOCK_DGRAM;
    out->state = state;
    out->cookie = text_cookie(out);
    out->cookie_kind = 1;
    return true;
}

/* "Num RefCount Protocol Flags Type St Inode Path". *out_name: where the path begins; NULL: it has none. */
static bool unix_row(struct slice line, uint64_t netns, struct rec_socket *out, const uint8_t **out_name)
{
    const uint8_t *end = line.data + line.len;
    uint64_t flags;
    uint64_t state;

    memset(out, 0, sizeof(*out));
    (void)word(&line);
    (void)word(&line);
    (void)word(&line);
    if (parse_hex_u64(word(&line), UINT32_MAX, &flags) || parse_hex_u64(word(&line), UINT16_MAX, &out->type) ||
        parse_hex_u64(word(&line), UINT8_MAX, &state) || parse_u64(word(&line), UINT64_MAX, &out->inode)) {
        return false;
    }
    out->netns = netns;
    out->family = AF_UNIX;
    out->local_address = slice_sub(line, 0, UNIX_PATH_MAX_BYTES);
    /* SS_CONNECTED 3; __SO_ACCEPTCON 0x10000: the same numbers that sock_diag gives for them */
    out->state = flags & 0x10000u ? 10 : state == 3 ? 1 : 7;
    out->cookie_kind = 1;
    *out_name = line.len > 0 ? line.data : end[-1] == ' ' ? end : NULL;
    return true;
}

static bool line_next(struct slice *rest, struct slice *out)
{
    if (slice_empty(*rest)) {
        return false;
    }
    *out = slice_split(rest, '\n');
    return true;
}

/* May this line lie in the name that begins there? */
static bool may_be_name(const uint8_t *name, struct slice line)
{
    return name != NULL && line.data + line.len - name <= UNIX_PATH_MAX_BYTES;
}

/* Lines behind a row that are no rows are more of its name. */
static void take_more_name(struct sock_unix_rows *r, uint64_t netns, struct rec_socket *out)
{
    struct slice rest = r->rest, line;
    struct rec_socket other;
    const uint8_t *other_name;

    while (line_next(&rest, &line) && may_be_name(r->name, line) && !unix_row(line, netns, &other, &other_name)) {
        out->local_address = slice_of(r->name, (size_t)(line.data + line.len - r->name));
        r->rest = rest;
    }
}

bool parse_sock_unix_next(struct sock_unix_rows *r, uint64_t netns, struct rec_socket *out)
{
    const uint8_t *name;
    struct slice line;

    while (line_next(&r->rest, &line)) {
        bool in_name = may_be_name(r->name, line), row = unix_row(line, netns, out, &name);

        if (in_name || !row) {
            r->doubtful += row || !in_name;
            r->name = row && name ? name : r->name; /* if it is a row, what follows may lie in its name */
            continue;
        }
        r->name = name;
        take_more_name(r, netns, out);
        out->cookie = text_cookie(out);
        return true;
    }
    return false;
}
