/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sock_diag.h -- asks the kernel for the sockets of the network namespace in which it was opened.
 *
 * Each question has a number, and only what bears it is taken for its answer. A dump that breaks off (the kernel had no room
 * for it, no answer came in a second) leaves a socket in the middle of it: that one is closed, and all is asked once more
 * with another.
 * Not thread-safe: one owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/look/look_sock.h"

struct sock_diag {
    int fd; /* -1: refused */
    uint32_t sequence;
};

#define SOCK_DIAG_NONE                                                                                                 \
    {                                                                                                                  \
        .fd = -1                                                                                                       \
    }

/* In the namespace of the calling thread. Where it is refused every dump is. */
void sock_diag_open(struct sock_diag *d);
void sock_diag_close(struct sock_diag *d);

typedef void (*sock_diag_fn)(void *ctx, const struct rec_socket *s);

/*
 * All sockets of that family (TCP: without TIME_WAIT). 0, or -errno: not all were told; of those that were, some maybe
 * twice. *interrupted is set where they changed meanwhile, so that some may be missing.
 */
POFR_MUST_USE int sock_diag_dump(struct sock_diag *d, enum look_sock_family family, uint64_t netns, sock_diag_fn fn,
                                 void *ctx, bool *interrupted);
