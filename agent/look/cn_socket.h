/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cn_socket.h -- a socket of the proc connector: subscribe, receive, count what was lost.
 *
 * The kernel accepts a subscription silently where it will never tell anything (another network namespace), so
 * that the socket is there is known only when it has told of something that was made to happen.
 * Not thread-safe: one owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/look/parse_cn.h"
#include "common/base/compiler.h"

struct cn_socket {
    int fd;
    bool filtered;     /* the kernel sends nothing but what was asked for */
    uint64_t dropped;  /* the kernel's counter at the last cn_socket_lost() */
    bool counts;       /* the kernel has such a counter (4.12) */
    uint64_t overruns; /* times that it said so, where it has none */
    uint64_t malformed;
};

#define CN_SOCKET_NONE                                                                                                 \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/*
 * Open and ask for events: all of them, or (filter not 0, kernel 6.6 on) those of CN_* alone.
 * *out_reason says why not. 0 or POFR_ESYSTEM, POFR_EPERMISSION.
 */
POFR_MUST_USE int cn_socket_open(struct cn_socket *s, uint32_t buffer_bytes, uint32_t filter, const char **out_reason);
void cn_socket_close(struct cn_socket *s);

typedef void (*cn_message_fn)(void *ctx, const struct cn_message *m);

/* What is there, at most `limit` messages, without waiting. Returns how many. */
uint32_t cn_socket_receive(struct cn_socket *s, uint32_t limit, cn_message_fn fn, void *ctx);

/* Wait until there is something, at most timeout_ms (-1: for ever). */
bool cn_socket_wait(const struct cn_socket *s, int timeout_ms);

/* Messages that the kernel dropped since the last call. *out_exact: false: at least so many. */
uint64_t cn_socket_lost(struct cn_socket *s, bool *out_exact);
