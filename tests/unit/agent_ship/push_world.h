/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_world.h -- the shipper's loop with a collector on the same loop and a gateway that is a real SSH server in
 * a thread. The gateway follows a plan per session and notes what it sees.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/ship/push.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "common/wire/message.h"
#include "tests/support/check.h"
#include "tests/support/ssh_peer.h"
#include "tests/unit/agent_ship/fake_collector.h"

#define SEEN_MAX 4096

enum action {
    ACT_ACK,        /* all that comes */
    ACT_ACK_SOME,   /* acks n, then drops the connection */
    ACT_REFUSE_ODD, /* finally, those with an odd sequence */
    ACT_PENDING,    /* refuses the session; it is to wait n ms */
    ACT_WRONG_ACK,  /* acks with another digest */
    ACT_SILENT,     /* WELCOME, then reads nothing until the other side closes */
    ACT_SLOW,       /* reads nothing until told, then acks */
    ACT_DROP,       /* closes at once */
    ACT_GARBAGE,    /* no message */
    ACT_LAST_WORDS, /* waits for n bundles, then acks all and closes, in one piece */
};

struct plan { /* of the gateway; the last one is repeated */
    enum action action;
    unsigned n, window;
};

struct seen {                   /* by the gateway */
    uint64_t bundles[SEEN_MAX]; /* repeats included */
    unsigned len;
    struct message hello; /* the last one, without its slices */
    unsigned hellos;
    char user[64];
    uint64_t bad_blocks;
};

struct world {
    struct loop *loop;
    struct fake_collector collector;
    struct ssh_peer *gateway;
    struct push *push;
    struct push_settings settings; /* that it was started with */
    struct plan plan[8];
    unsigned plan_len;
    uint64_t rekey_bytes;
    bool stopped;
    pthread_mutex_t lock; /* protects seen, which the gateway's thread writes */
    struct seen seen, copy;
    unsigned wanted_len;
    struct message_range wanted[4];
    atomic_bool go;
};

struct world *world_begin(const char *dir, const struct plan *plan, unsigned plan_len);
void world_start_gateway(struct world *w);
void world_start_push(struct world *w);
void world_finish(struct world *w);
/* For push_options.stopped. */
void world_read_pins(void *arg, struct pins *pins);
void world_stopped(void *arg);
/* As it is now; borrowed until the next call. */
const struct seen *world_seen(struct world *w);
/* Every sequence from first to last was seen, and each first sighting came in order. */
void world_seen_in_order(struct world *w, uint64_t first, uint64_t last);

#define WAIT_UNTIL(w, what)                                                                                            \
    do {                                                                                                               \
        int64_t pofr_end_ = clock_mono_us() + 60 * CLOCK_US_PER_S;                                                     \
        while (!(what)) {                                                                                              \
            assert_true(clock_mono_us() < pofr_end_);                                                                  \
            assert_int_equal(loop_once((w)->loop, 2000, NULL), 0);                                                     \
        }                                                                                                              \
    } while (0)
