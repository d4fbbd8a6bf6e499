/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve.h -- a host name -> addresses, without holding up the loop.
 *
 * Threads: getaddrinfo() can't be asked not to block, so each question has a thread of its own, which may be left
 * behind: what a cancelled one finds is thrown away. At most RESOLVE_THREADS at once. A question's state is
 * shared by its thread and the loop's, under its mutex; the last to let go frees it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/compiler.h"

struct loop;
struct pofr_err;
struct resolve;

#define RESOLVE_MAX     8
#define RESOLVE_THREADS 4

/* count 0: there is none, and error says why. On the loop's thread; the question is over, and *r of resolve_start() is no more. */
typedef void (*resolve_fn)(void *arg, const struct sockaddr_storage *addresses, size_t count, const char *error);

/* Never calls fn before it returns. POFR_EBUSY: too many questions are still open. */
POFR_MUST_USE int resolve_start(struct loop *loop, const char *host, uint16_t port, resolve_fn fn, void *arg,
                                struct resolve **out, struct pofr_err *err);

/* fn will not be called. NULL is allowed. */
void resolve_cancel(struct resolve *r);
