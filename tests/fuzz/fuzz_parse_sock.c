/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first byte says which kind of message or line; addresses lie in what was given, or in the scratch, and are of their family's size. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/look/parse_sock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_lie_in(struct slice part, struct slice whole, const struct sock_scratch *scratch)
{
    const uint8_t *own = (const uint8_t *)scratch;

    if (part.len == 0 || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len)) {
        return;
    }
    if (part.data < own || part.data + part.len > own + sizeof(*scratch)) {
        abort();
    }
}

static void must_be_of_its_family(const struct rec_socket *s)
{
    size_t len = s->family == AF_INET ? 4 : 16;

    if ((s->family != AF_INET && s->family != AF_INET6) || (s->local_address.len != len && s->local_address.len != 0) ||
        s->local_port > UINT16_MAX || s->remote_port > UINT16_MAX) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data + 1, size > 0 ? size - 1 : 0);
    struct sock_scratch scratch = { { 0 }, { 0 } };
    struct rec_socket s = { .pid = 0 };
    bool parsed = false, inet = false;
    struct sock_unix_rows rows = { .rest = text };

    switch (size > 0 ? data[0] : 0) {
    case 'i':
        parsed = inet = parse_sock_inet(text, 1, IPPROTO_TCP, &s);
        break;
    case 'u':
        parsed = parse_sock_unix(text, 1, &s);
        break;
    case 'p':
        parsed = parse_sock_packet(text, 1, &s);
        break;
    case 'n':
        parsed = parse_sock_netlink(text, 1, &s);
        break;
    case 'I':
        parsed = inet = parse_sock_inet_line(text, 1, IPPROTO_UDP, &scratch, &s);
        break;
    default:
        while (parse_sock_unix_next(&rows, 1, &s)) {
            must_lie_in(s.local_address, text, &scratch);
        }
    }
    if (parsed) {
        must_lie_in(s.local_address, text, &scratch);
        must_lie_in(s.remote_address, text, &scratch);
    }
    if (inet) {
        must_be_of_its_family(&s);
    }
    return 0;
}
