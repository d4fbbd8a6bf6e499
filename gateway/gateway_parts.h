/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway_parts.h -- what the files of gateway share. Not for others. All of it is the main thread's, but for the
 * atomics.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/hostport.h"
#include "common/kafka/topic_sight.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "gateway/gateway.h"
#include "gateway/gateway_conf.h"
#include "gateway/gateway_stat.h"
#include "gateway/sockets.h"

struct pofr_err;

#define LANES_MAX    64u
#define TICK_US      CLOCK_US_PER_S
#define TOPIC_ASK_MS 3000

struct gateway {
    struct conf *first, *conf; /* at the start: its strings are everywhere; and now */
    const struct gateway_conf *c;
    const struct gateway_conf *at_start; /* for other threads: it is never freed before them */
    char catalog_file[4096];
    char name[256], brokers[4096];
    struct hostport catalog_at;
    struct buf host_key;
    int lock_fd;
    struct stat_set *stats;
    struct limits *limits;
    struct keys *keys;
    struct wanted *wanted;
    struct reports *reports;
    struct hosts *hosts;
    struct catalog *catalog;
    struct topic_admin *admin;
    struct topic_sight sight;
    struct tls_watch admin_watch;
    _Atomic uint32_t partitions;
    struct sockets sockets;
    struct lane *lanes[LANES_MAX];
    unsigned lanes_count;
    struct metrics_http *metrics;

    struct loop *loop;
    struct loop_timer tick;
    uint64_t beats[LANES_MAX];
    int64_t beat_us[LANES_MAX];
    int64_t topic_due_us, files_due_us, watchdog_due_us;
    bool draining;
    _Atomic bool stuck, unready;
};

/* gateway_health.c: figures, /healthz, /readyz, the watchdog, and when the gateway is done */
POFR_MUST_USE int gateway_open_metrics(struct gateway *g, struct pofr_err *err);
/* Runs itself again and again. */
void gateway_tick(void *g);
