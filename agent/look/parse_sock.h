/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parse_sock.h -- one message of sock_diag, or one line of /proc/PID/net/, -> struct rec_socket. Pure.
 *
 * Sources: linux/inet_diag.h, unix_diag.h, packet_diag.h, netlink_diag.h; proc(5), Documentation/networking/proc_net_tcp.rst.
 * Slices point into the bytes given, or into the scratch of struct sock_scratch.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/record/record.h"

struct sock_scratch { /* room for addresses that the source gives in another form */
    uint8_t local[16], remote[16];
};

/* body: what follows the nlmsghdr. False: too short, or not of that family. netns is the caller's. */
bool parse_sock_inet(struct slice body, uint64_t netns, uint64_t protocol, struct rec_socket *out);
bool parse_sock_unix(struct slice body, uint64_t netns, struct rec_socket *out);
bool parse_sock_packet(struct slice body, uint64_t netns, struct rec_socket *out);
bool parse_sock_netlink(struct slice body, uint64_t netns, struct rec_socket *out);

/* One line (not the head line) of tcp, udp, udplite, raw and their 6. cookie_kind is 1. */
bool parse_sock_inet_line(struct slice line, uint64_t netns, uint64_t protocol, struct sock_scratch *scratch,
                          struct rec_socket *out);

/*
 * The rows of unix, behind the head line. The kernel writes a name as it is, newlines too, so that the rest of a name may look like a
 * row. A line that ends within 108 bytes of the beginning of a name may be part of it: if it looks like none it is, and stands in the
 * name; else nobody knows, and it is counted and not given out. A name before such a one may be cut there.
 */
struct sock_unix_rows {
    struct slice rest;
    const uint8_t *name; /* the last beginning of a name; NULL: none */
    uint64_t doubtful;   /* lines that may be rows */
};
bool parse_sock_unix_next(struct sock_unix_rows *r, uint64_t netns, struct rec_socket *out);
