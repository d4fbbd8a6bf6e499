/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch.h -- the merger's eye: every few seconds, for each shard whose lock this merger holds, the hosts' word on their spools
 * goes from the catalog to the shard, Kafka is asked what the slots' logs hold, and both become figures: lag, time left, what
 * is where, which hosts are silent (docs/decisions/0008-the-merger-watches.md).
 *
 * One thread of its own, with connections of its own: a pass of the merger may take minutes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "merger/merger_conf.h"

#define WATCH_SHARDS_MAX 1024u

struct buf;

struct watch_shard { /* one that is ours */
    char name[65];
    char address[256];
    uint16_t port;
    uint64_t shard_id;
    int32_t days_ahead; /* partitions made ahead, of the table that has least */
};

struct watch_options {
    const struct merger_conf *conf; /* copied: it may change and go */
    /* Which shards are ours now; at most max. Called by the thread. */
    size_t (*shards)(void *arg, struct watch_shard *out, size_t max);
    void *arg;
};

struct watch;

POFR_MUST_USE int watch_start(const struct watch_options *o, struct watch **out, struct pofr_err *err);
void watch_stop(struct watch *w); /* waits for the question that is asked now; NULL is allowed */

/* For stat_set_extra(): what the newest round saw. Any thread. */
void watch_metrics(struct buf *out, void *watch);
