/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dial.h -- host and port -> a connected TCP socket: looks the name up, tries its addresses one after the other.
 * The socket does not block, sends at once (TCP_NODELAY) and notices a peer that is gone (TCP_USER_TIMEOUT,
 * keepalive).
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/hostport.h"

struct dial;
struct loop;
struct pofr_err;

#define DIAL_USER_TIMEOUT_MS 60000

/* fd >= 0: connected; it is the callee's now, and peer is its address as text. Else rc and err say why not. The dial is over. */
typedef void (*dial_fn)(void *arg, int fd, const char *peer, int rc, const struct pofr_err *err);

/* Never calls fn before it returns. timeout_us is for all of it. */
POFR_MUST_USE int dial_start(struct loop *loop, const struct hostport *to, int64_t timeout_us, dial_fn fn, void *arg,
                             struct dial **out, struct pofr_err *err);

/* fn will not be called. NULL is allowed. */
void dial_cancel(struct dial *d);
