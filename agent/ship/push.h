/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push.h -- bundles from the spool to a gateway, for ever: one session after another, with the collector's
 * signature for each login, acks back to the collector. The rules of a session are in session.h; here they meet
 * the spool, the socket to the collector, the connection, and the waits between sessions.
 *
 * One thread, one loop. Memory: two bundles at most, the connection's, and some KiB.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/ship/gateways.h"
#include "agent/ship/pins.h"
#include "common/base/compiler.h"

struct loop;
struct pofr_err;
struct push;

#define PUSH_WINDOW_BYTES (4u * 1024u * 1024u)
#define PUSH_DRAIN_US     INT64_C(5000000)

struct push_settings { /* what may change while it runs */
    struct gateways gateways;
    struct pins pins;
    int64_t connect_us;
    int64_t retry_min_us;
    int64_t retry_max_us;
};

struct push_options {
    const char *spool_dir;
    const char *socket_path; /* of the collector */
    struct push_settings settings;
    void (*read_pins)(void *arg,
                      struct pins *pins); /* before each connection: as they are now, else left as they were */
    void (*stopped)(void *arg);           /* after push_stop(): nothing is under way any more */
    void *arg;
};

POFR_MUST_USE int push_new(struct loop *loop, const struct push_options *options, struct push **out,
                           struct pofr_err *err);
void push_free(struct push *p);

/* From now on; a session that is open goes on where its gateway is still named and its key still pinned, and a wait after a failure is over. */
void push_change(struct push *p, const struct push_settings *settings);

/*
 * Does it go on? Each of its states ends by itself: at the collector's answer, at the end of a wait, within the limits of a
 * connection or of a session. false: one has lasted longer than any of these may.
 */
bool push_goes_on(const struct push *p, int64_t now_us);

/* Send nothing more, wait for the acks of what is under way for at most PUSH_DRAIN_US, then call stopped(). */
void push_stop(struct push *p);
