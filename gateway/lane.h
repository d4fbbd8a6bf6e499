/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lane.h -- one thread with its loop, its Kafka client and its share of the sessions. A gateway has one lane
 * per core; they share the copy of the catalog, the limits and the table of who has which host, and nothing
 * else.
 *
 * Threads: lane_open(), lane_start(), lane_drain(), lane_stop(), lane_keys_changed() and lane_join() are the
 * main thread's, or (the keys) any thread's; all else runs on the lane's own.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct catalog;
struct hosts;
struct kafka_access;
struct keys;
struct lane;
struct limits;
struct pofr_err;
struct stat_set;
struct reports;
struct wanted;

struct lane_options { /* all outlive the lanes */
    unsigned number;
    const char *gateway; /* name */
    const char *brokers, *topic;
    const struct kafka_access *access;
    struct slice host_key; /* the private key's text */
    uint64_t memory;       /* bytes that may be unacked in this lane */
    const int *listeners;  /* sockets that listen; they stay the caller's */
    size_t listeners_count;
    struct keys *keys;
    struct wanted *wanted;
    struct reports *reports;
    struct hosts *hosts;
    struct limits *limits;
    struct catalog *catalog;
    struct stat_set *stats;
};

/* Once, before any lane and any thread: sets libssh up. POFR_ESYSTEM. */
POFR_MUST_USE int lane_library_open(struct pofr_err *err);
void lane_library_close(void);
const char *lane_library_version(void); /* "libssh 0.10.6/openssl/zlib" */

POFR_MUST_USE int lane_open(const struct lane_options *o, struct lane **out, struct pofr_err *err);
/* From here on it accepts. */
POFR_MUST_USE int lane_start(struct lane *l, struct pofr_err *err);
void lane_keys_changed(struct lane *l);
/* Accept no more, take no more; end when all is reported, at the latest at deadline_us (clock_mono_us()). */
void lane_drain(struct lane *l, int64_t deadline_us);
/* End now. */
void lane_stop(struct lane *l);
bool lane_is_done(const struct lane *l);
/* Rises once a second while the lane's loop turns. */
uint64_t lane_beats(const struct lane *l);
/* Wait for the end of its thread (lane_stop(), lane_drain()). Its mailbox takes notes until lane_close(). */
void lane_join(struct lane *l);
/* NULL is allowed. */
void lane_close(struct lane *l);
